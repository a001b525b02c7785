"""The host's client and the real gateway understand each other."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from client.host import Equipoise
from tests.gateway.harness import ADAPTER, ALIAS, BASE, KEY, PROMPT, PSEUDONYMISER, TOKEN, House

RUN, DEVICE = "run_1773500000000_a1b2c3", "k3j9x0q2_2026-03-14"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


@pytest.fixture(params=[KEY, None], ids=["with key", "without key"])
def host(house: House, request: pytest.FixtureRequest) -> Iterator[Equipoise]:
    house.permit("adapter", epoch=7)
    url = house.start()
    with Equipoise("http://127.0.0.1:9", TOKEN, key=request.param, gateway_url=url, budget_s=5, exit_s=0.1) as host:
        yield host


def test_an_assignment_is_the_gateways(house: House, host: Equipoise) -> None:
    answer = host.assign(RUN, DEVICE, "river_of_voices", "kids", "de")
    assert (answer.arm, answer.model, answer.reason, answer.epoch) == ("adapter", ADAPTER, "split", 7)
    assert answer.unit == PSEUDONYMISER.run(RUN)


def test_a_withdrawn_permit_is_the_base_arm_with_its_reason(house: House, host: Equipoise) -> None:
    house.permit(epoch=8)
    answer = host.assign(RUN, DEVICE)
    assert (answer.arm, answer.model, answer.reason) == ("base", BASE, "guard")


def test_headers_name_the_run_that_the_gateway_logs(house: House, host: Equipoise) -> None:
    parent = "run_1773400000000_ffffff"
    headers = host.headers(
        RUN, DEVICE, "river_of_voices", "kids", "de", parent, translated=False, template_version="v2"
    )
    answer = httpx.post(
        f"{house.url}/api/generate", json={"model": ALIAS, "prompt": PROMPT, "stream": False}, headers=headers
    )
    assert answer.status_code == 200
    (call,) = house.delivered(1)
    assert (call.run, call.parent_run) == (PSEUDONYMISER.run(RUN), PSEUDONYMISER.run(parent))
    assert (call.device, call.device_kind) == (PSEUDONYMISER.device(DEVICE), "browser")
    assert (call.config, call.safety_level, call.language) == ("river_of_voices", "kids", "de")
    assert (call.translated, call.template_version) == (False, "v2")
    assert answer.headers["X-Equipoise-Call"] == call.id
