"""Assignment: within the budget or the base arm; never an exception."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from client.host import Equipoise
from experiment.events import Call
from tests.client.fake_service import FakeService, fake_service

BUDGET_S = 0.05
SLACK_S = 0.1
"""For a machine of two cores shared with others; the budget itself is what the client waits for."""


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as running:
        yield running


def asking(url: str, **more: object) -> Equipoise:
    return Equipoise(url, "t", gateway_url=url, key="ab" * 32, **{"budget_s": BUDGET_S} | more)  # type: ignore[arg-type]


def timed(equipoise: Equipoise) -> float:
    started = time.perf_counter()
    answer = equipoise.assign("run_1_abcdef", "dev_0123456789ab", "config", "kids", "de")
    assert answer.arm == "base"
    assert answer.reason == "error"
    return time.perf_counter() - started


def test_the_gateways_answer_is_the_assignment(service: FakeService) -> None:
    with asking(service.url, budget_s=2) as equipoise:
        answer = equipoise.assign("run_1_abcdef", "dev_0123456789ab", "config", "kids", "de", "run_0_abcdef")
    assert answer == ("adapter", "m-adapter", "split", 3, 7, "r_x", ("adapter",))
    _, path, body = service.requests[0]
    assert path == "/v1/assignments"
    assert body == {
        "experiment": "stage2",
        "run": equipoise._pseudonym("r", "run_1_abcdef"),
        "device": equipoise._pseudonym("d", "dev_0123456789ab"),
        "parent_run": equipoise._pseudonym("r", "run_0_abcdef"),
        "config": "config",
        "safety_level": "kids",
        "language": "de",
    }


def test_the_assignment_travels_into_the_call_as_it_is(service: FakeService) -> None:
    with asking(service.url, budget_s=2) as equipoise:
        call = equipoise.call("run_1_abcdef", equipoise.assign("run_1_abcdef"), model="m-base")
        assert equipoise.flush(10)
    stored = Call.model_validate(service.kept[call])
    assert (stored.arm, stored.reason, stored.epoch, stored.bucket, stored.unit, stored.eligible) == (
        "adapter", "split", 3, 7, "r_x", ("adapter",),
    )  # fmt: skip
    assert stored.model == "m-base"  # what answered, not what was asked for


def test_a_gateway_that_accepts_and_hangs_costs_no_more_than_the_budget(service: FakeService) -> None:
    service.mode = "hang"
    equipoise = asking(service.url)
    assert max(timed(equipoise) for _ in range(8)) < BUDGET_S + SLACK_S


def test_a_gateway_that_drips_costs_no_more_than_the_budget(service: FakeService) -> None:
    service.mode = "drip"
    equipoise = asking(service.url)
    assert max(timed(equipoise) for _ in range(8)) < BUDGET_S + SLACK_S


def test_a_port_that_never_accepts_costs_no_more_than_the_budget() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        equipoise = asking(f"http://127.0.0.1:{listener.getsockname()[1]}")
        assert max(timed(equipoise) for _ in range(8)) < BUDGET_S + SLACK_S


def test_after_failures_in_a_row_an_outage_costs_next_to_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        equipoise = asking(url)
        for _ in range(6):
            timed(equipoise)
        assert sorted(timed(equipoise) for _ in range(20))[10] < 0.005


def test_it_asks_again_when_the_gateway_is_back(service: FakeService) -> None:
    service.mode = "hang"
    equipoise = asking(service.url)
    for _ in range(6):
        timed(equipoise)
    service.mode = "ok"
    deadline = time.monotonic() + 10
    while equipoise.assign("run_1_abcdef").arm == "base":
        assert time.monotonic() < deadline, "the client never asked again"
        time.sleep(0.02)


def test_24_threads_get_their_own_answers(service: FakeService) -> None:
    with asking(service.url, budget_s=5) as equipoise, ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda n: equipoise.assign(f"run_{n}_abcdef").arm, range(240)))
    assert answers == ["adapter"] * 240
    assert equipoise.health().assigned == 240
    assert len({body["run"] for _, _, body in service.requests}) == 240


def test_24_threads_with_a_hanging_gateway_all_keep_the_budget(service: FakeService) -> None:
    service.mode = "hang"
    equipoise = asking(service.url)
    start = threading.Barrier(24)

    def ask(_: int) -> float:
        start.wait()
        return timed(equipoise)

    with ThreadPoolExecutor(24) as pool:
        assert max(pool.map(ask, range(24))) < BUDGET_S + 3 * SLACK_S
    assert equipoise.health().fallbacks == 24


@pytest.mark.parametrize("answer", [None, 5, "adapter", [], {}, {"arm": ""}, {"arm": None}, {"arm": 3}, {"arm": []}])
def test_an_answer_that_is_none_is_the_base_arm(service: FakeService, answer: object) -> None:
    service.assignment = answer
    with asking(service.url, base_model="host-model", budget_s=2) as equipoise:
        assert equipoise.assign("run_1_abcdef") == ("base", "host-model", "error", 0, 0, "", ())


def test_without_a_key_no_id_goes_to_another_machine() -> None:
    equipoise = Equipoise("http://192.0.2.1:1", gateway_url="http://192.0.2.1:2")
    assert equipoise.assign("run_1_abcdef").reason == "error"
    assert equipoise.headers("run_1_abcdef", "dev_0123456789ab", "config") == {}
    assert not equipoise.favourite("run_1_abcdef")
    assert "give the key" in equipoise.health().message


def test_headers_name_run_device_and_config() -> None:
    equipoise = asking("http://127.0.0.1:9")
    more: dict[str, Any] = {"translated": True, "template_version": "v"}
    headers = equipoise.headers("run_1_abcdef", "dev_0123456789ab", "config", "kids", "de", "run_0_abcdef", **more)
    assert headers == {
        "X-Equipoise-Run": equipoise._pseudonym("r", "run_1_abcdef"),
        "X-Equipoise-Unit": "dev_0123456789ab",
        "X-Equipoise-Parent-Run": equipoise._pseudonym("r", "run_0_abcdef"),
        "X-Equipoise-Config": "config",
        "X-Equipoise-Safety-Level": "kids",
        "X-Equipoise-Language": "de",
        "X-Equipoise-Template": "v",
        "X-Equipoise-Translated": "yes",
    }


def test_headers_leave_out_what_would_break_the_hosts_request() -> None:
    assert asking("http://127.0.0.1:9").headers("run_1\r\nX-Evil: 1", "düse", "a\nb", " ", "日本") == {}
