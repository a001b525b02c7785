"""Events survive outages, kills and forks, and arrive exactly once; raw ids never reach the disk."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from client.host import Equipoise
from experiment.events import Call, Outcome
from experiment.pseudonym import Pseudonymiser
from tests.client.fake_service import FakeService, fake_service

KEY = "ab" * 32
RUN = "run_1773500000000_a1b2c3"
DEVICE = "k3j9x0q2_2026-03-14"
ours = Pseudonymiser(bytes.fromhex(KEY))


@pytest.fixture
def service() -> Iterator[FakeService]:
    with fake_service() as running:
        yield running


@pytest.fixture
def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def client(url: str, spool: Path | None, **more: Any) -> Equipoise:
    return Equipoise(url, "t", spool, gateway_url=url, **{"key": KEY} | more)


def eventually(holds: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.01)


def on_disk(spool: Path) -> bytes:
    """Everything in the folder; a file that is renamed while one looks makes one look again."""
    while spool.exists():
        try:
            return b"".join(path.read_bytes() for path in spool.iterdir())
        except FileNotFoundError:
            continue
    return b""


def spooled(spool: Path) -> int:
    return on_disk(spool).count(b"\n")


def test_every_report_is_an_event_the_service_accepts(service: FakeService, tmp_path: Path) -> None:
    with client(service.url, tmp_path) as host:
        call = host.call(
            RUN, device=DEVICE, parent_run="run_0_abcdef", model="m", input="Ein Haus", context="Regeln",
            output="Ein  HAUS aus Wasser", config="c", language="de", safety_level="kids", template_version="v",
            translated=True, parameters={"temperature": 0.7}, latency_ms=12.5, tokens_in=3, tokens_out=4,
            error="none", ts=datetime(2026, 3, 14, 9, tzinfo=UTC),
        )  # fmt: skip
        host.favourite(RUN)
        host.unfavourite(RUN)
        host.regeneration("run_2_abcdef", RUN)
        host.submitted(RUN)
        host.block(RUN, "stage3", "86a_filter", "86a")
        host.block(RUN, 3)  # type: ignore[arg-type]
        host.not_blocked("run_3_abcdef", "llm_safety_check")
        host.edit(RUN)
        assert host.flush(10)
        assert host.health().sent == 9
    stored = Call.model_validate(service.kept[call])
    assert stored.run == ours.run(RUN)
    assert stored.parent_run == ours.run("run_0_abcdef")
    assert (stored.device, stored.device_kind) == (ours.device(DEVICE), "browser")
    assert (stored.prompt, stored.output_key) == (ours.prompt("Ein Haus"), ours.output("Ein  HAUS aus Wasser"))
    outcomes = {e["kind"]: Outcome.model_validate(e) for e in service.events() if "kind" in e}
    assert set(outcomes) == {
        "favourite", "unfavourite", "regeneration", "submitted", "block", "not_blocked", "edit",
    }  # fmt: skip
    assert outcomes["regeneration"].run == ours.run(RUN)
    assert outcomes["regeneration"].child_run == ours.run("run_2_abcdef")
    assert [e["stage"] for e in service.events("block")] == ["stage3", "stage3"]


def test_what_is_answered_leaves_the_disk(service: FakeService, tmp_path: Path) -> None:
    with client(service.url, tmp_path) as host:
        host.call(RUN, input="Ein Haus", output="Ein Haus")
        assert host.flush(10)
        eventually(lambda: on_disk(tmp_path) == b"", "an empty spool")
    assert list(tmp_path.iterdir()) == []


def test_an_outage_delays_and_doubles_nothing(free_port: int, tmp_path: Path) -> None:
    with client(f"http://127.0.0.1:{free_port}", tmp_path) as host:
        for number in range(40):
            host.favourite(f"run_{number}_abcdef")
        eventually(lambda: spooled(tmp_path) == 40, "40 events on disk")
        eventually(lambda: "cannot be reached" in host.health().message, "the complaint")
        with fake_service(free_port) as service:
            assert host.flush(15)
            assert set(service.arrivals.values()) == {1}
            assert len(service.kept) == 40
        assert host.health().sent == 40


def test_an_answer_that_was_lost_on_the_way_doubles_nothing(service: FakeService, tmp_path: Path) -> None:
    service.mode = "lost answer"
    with client(service.url, tmp_path) as host:
        host.favourite(RUN)
        assert host.flush(10)
        assert len(service.kept) == 1
        assert host.health().known == 1


def test_a_busy_service_is_asked_again(service: FakeService, tmp_path: Path) -> None:
    service.mode = "busy"
    with client(service.url, tmp_path) as host:
        host.favourite(RUN)
        eventually(lambda: host.health().service == "away", "away")
        service.mode = "ok"
        assert host.flush(10)
        assert len(service.kept) == 1


def test_a_refused_token_keeps_the_events(service: FakeService, tmp_path: Path) -> None:
    service.mode = "no token"
    with client(service.url, tmp_path) as host:
        host.favourite(RUN)
        eventually(lambda: host.health().service == "refused", "refused")
        assert "token" in host.health().message
        assert spooled(tmp_path) == 1


@pytest.mark.parametrize("mode", ["junk", "hang"])
def test_a_service_that_makes_no_sense_keeps_the_events(service: FakeService, tmp_path: Path, mode: str) -> None:
    service.mode = mode
    with client(service.url, tmp_path, exit_s=0.1) as host:
        host.favourite(RUN)
        eventually(lambda: spooled(tmp_path) == 1, "on disk")
        eventually(lambda: host.health().waiting == 1, "one event waiting")


def test_an_event_that_is_not_accepted_becomes_a_dead_letter_without_texts(
    service: FakeService, tmp_path: Path
) -> None:
    with client(service.url, tmp_path) as host:
        service.mode = "no token"
        call = host.call(RUN, input="ein Geheimnis", context="Regeln", output="noch ein Geheimnis")
        other = host.call(RUN, input="Ein Haus")
        service.refused_ids.add(call)
        service.mode = "ok"
        assert host.flush(15)
        assert other in service.kept
        assert host.health().dead == 1
    letter = json.loads((tmp_path / "dead.jsonl").read_text())
    assert letter["body"]["id"] == call
    assert letter["status"] == 422
    assert "Geheimnis" not in (tmp_path / "dead.jsonl").read_text()
    assert stat.S_IMODE((tmp_path / "dead.jsonl").stat().st_mode) == 0o600


def test_a_request_that_is_refused_whole_is_halved(free_port: int, tmp_path: Path) -> None:
    with client(f"http://127.0.0.1:{free_port}", tmp_path) as host:
        for number in range(9):
            host.favourite(f"run_{number}_abcdef")
        eventually(lambda: spooled(tmp_path) == 9, "on disk")
        with fake_service(free_port) as service:
            service.mode = "too large"
            assert host.flush(15)
            assert len(service.kept) == 9


HOST_PROGRAM = """
import sys, time
sys.path.insert(0, {here!r})
from client.host import Equipoise
host = Equipoise({url!r}, "t", {spool!r}, key={key!r}, gateway_url={url!r})
for number in range(25):
    host.favourite(f"run_{{number}}_abcdef")
    host.call(f"run_{{number}}_abcdef", device={device!r}, input="Ein Haus", output="Ein Haus aus Wasser")
{then}
"""


def host_program(url: str, spool: Path, then: str) -> subprocess.Popen[bytes]:
    here = str(Path(__file__).parents[2])
    text = HOST_PROGRAM.format(here=here, url=url, spool=str(spool), key=KEY, device=DEVICE, then=then)
    return subprocess.Popen([sys.executable, "-c", text])


@pytest.mark.parametrize("how", ["nobody there", "hanging"])
def test_after_kill_9_the_next_process_sends_everything_once(free_port: int, tmp_path: Path, how: str) -> None:
    url = f"http://127.0.0.1:{free_port}"
    hanging = FakeService(free_port) if how == "hanging" else None
    if hanging:
        hanging.mode = "hang"
    program = host_program(url, tmp_path, "time.sleep(60)")
    try:
        eventually(lambda: spooled(tmp_path) == 50, "50 events on disk")
    finally:
        program.send_signal(signal.SIGKILL)
        program.wait()
        if hanging:
            hanging.stop()
    assert RUN.encode() not in on_disk(tmp_path)
    with fake_service(free_port) as service, client(url, tmp_path) as host:
        eventually(lambda: len(service.kept) == 50, "all 50 events")
        assert host.flush(10)
        assert set(service.arrivals.values()) == {1}
        eventually(lambda: on_disk(tmp_path) == b"", "an empty spool")


def test_a_process_that_ends_sends_within_its_limit(service: FakeService, tmp_path: Path) -> None:
    program = host_program(service.url, tmp_path, "")
    assert program.wait(20) == 0
    assert len(service.kept) == 50
    assert on_disk(tmp_path) == b""


def test_a_process_that_ends_while_the_service_hangs_ends_in_time_and_leaves_its_events(
    service: FakeService, tmp_path: Path
) -> None:
    service.mode = "hang"
    started = time.monotonic()
    program = host_program(service.url, tmp_path, "")
    assert program.wait(20) == 0
    assert time.monotonic() - started < 8
    assert spooled(tmp_path) == 50


def test_raw_ids_never_reach_the_disk(free_port: int, tmp_path: Path) -> None:
    with client(f"http://127.0.0.1:{free_port}", tmp_path) as host:
        host.call(RUN, device=DEVICE, parent_run=RUN, input="x", output="y")
        host.regeneration("run_2_abcdef", RUN)
        eventually(lambda: spooled(tmp_path) == 2, "on disk")
        written = on_disk(tmp_path)
        assert RUN.encode() not in written
        assert b"k3j9x0q2" not in written
        assert b"run_2_abcdef" not in written
        for path in tmp_path.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_key_nothing_is_written_and_health_says_so(free_port: int, tmp_path: Path) -> None:
    with client(f"http://127.0.0.1:{free_port}", tmp_path / "spool", key=None) as host:
        host.favourite(RUN)
        eventually(lambda: host.health().service == "away", "away")
        assert not (tmp_path / "spool").exists()
        assert not host.health().durable
        assert "no key" in host.health().message
        with fake_service(free_port) as service:
            assert host.flush(15)
            assert service.events("favourite")[0]["run"] == RUN


def test_the_key_may_be_a_file(service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY + "\n")
    with client(service.url, tmp_path / "spool", key=tmp_path / "key") as host:
        host.favourite(RUN)
        assert host.flush(10)
        assert host.health().ok
    assert service.events("favourite")[0]["run"] == ours.run(RUN)


@pytest.mark.parametrize("key", ["nowhere/key", "abcd", "zz" * 32, b"short", 5])
def test_an_unusable_key_is_said_and_nothing_is_written(free_port: int, tmp_path: Path, key: Any) -> None:
    with client(f"http://127.0.0.1:{free_port}", tmp_path / "spool", key=key) as host:
        host.favourite(RUN)
        assert "key is not usable" in host.health().message
    assert not (tmp_path / "spool").exists()


def test_the_text_of_a_blocked_call_leaves_the_spool(free_port: int, tmp_path: Path) -> None:
    with client(f"http://127.0.0.1:{free_port}", tmp_path) as host:
        blocked = host.call(RUN, input="ein Geheimnis", context="Regeln", output="noch ein Geheimnis")
        passed = host.call("run_2_abcdef", input="ein Haus", output="ein Haus")
        eventually(lambda: b"Geheimnis" in on_disk(tmp_path), "the call on disk")
        eventually(lambda: host.health().service == "away", "the first attempt over")
        host.block(RUN, "stage3", "llm_safety_check", "llamaguard")
        eventually(lambda: spooled(tmp_path) == 3 and b"Geheimnis" not in on_disk(tmp_path), "the texts gone")
        again = host.call(RUN, input="Geheimnis", output="ein Geheimnis")
        eventually(lambda: spooled(tmp_path) == 4, "the second call on disk")
        assert b"Geheimnis" not in on_disk(tmp_path)
        with fake_service(free_port) as service:
            assert host.flush(15)
            for call in (blocked, again):
                assert Call.model_validate(service.kept[call]).input is None
                assert service.kept[call]["prompt"].startswith("p_")
            assert service.kept[passed]["input"] == "ein Haus"


def test_a_full_spool_keeps_the_oldest_and_counts_the_rest(free_port: int, tmp_path: Path) -> None:
    with client(f"http://127.0.0.1:{free_port}", tmp_path, spool_bytes=4_000) as host:
        for number in range(60):
            host.favourite(f"run_{number}_abcdef")
        eventually(lambda: host.health().waiting + host.health().dropped == 60, "all taken")
        eventually(lambda: spooled(tmp_path) == host.health().waiting, "all on disk")
        dropped = host.health().dropped
        assert 0 < dropped < 60
        assert f"{dropped} events dropped" in host.health().message
        with fake_service(free_port) as service:
            assert host.flush(15)
            kept = {event["run"] for event in service.kept.values()}
            assert kept == {ours.run(f"run_{number}_abcdef") for number in range(60 - dropped)}


def test_a_full_queue_drops_at_once(service: FakeService, tmp_path: Path) -> None:
    with client(service.url, tmp_path, queue_events=0) as host:
        assert not host.favourite(RUN)
        assert host.health().dropped == 1


def test_a_disk_that_refuses_is_said_and_the_events_still_arrive(service: FakeService, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    with client(service.url, tmp_path / "spool") as host:
        service.mode = "no token"
        host.favourite(RUN)
        eventually(lambda: "cannot be written" in host.health().message, "the complaint")
        service.mode = "ok"
        assert host.flush(15)
        assert len(service.kept) == 1


def test_a_line_cut_short_by_a_kill_does_not_hurt_its_neighbours(service: FakeService, tmp_path: Path) -> None:
    good = {"path": "/v1/outcomes", "body": {"id": "host-1", "kind": "favourite", "run": "r_" + "0" * 32}}
    junk = [b"", b"{", b"[]", b'"x"', b'{"path":"/etc","body":{"id":"a"}}', b'{"path":"/v1/calls","body":[]}', b"\xff"]
    lines = [*junk, json.dumps(good).encode(), json.dumps(good).encode()[:40]]
    (tmp_path / "host-old.jsonl").write_bytes(b"\n".join(lines))
    with client(service.url, tmp_path):
        eventually(lambda: "host-1" in service.kept, "the good line")
        eventually(lambda: on_disk(tmp_path) == b"", "an empty spool")
    assert set(service.kept) == {"host-1"}


@pytest.mark.parametrize("bare_first", [True, False])
def test_a_kill_while_texts_were_taken_out_does_not_bring_them_back(
    free_port: int, tmp_path: Path, bare_first: bool
) -> None:
    spoken = {"path": "/v1/calls", "body": {"id": "host-1", "run": "r_" + "0" * 32, "input": "ein Geheimnis"}}
    bare = {"path": "/v1/calls", "body": {"id": "host-1", "run": "r_" + "0" * 32}}
    names = ("host-1.new", "host-2.jsonl") if bare_first else ("host-2.jsonl", "host-1.new")
    for name, record in zip(names, (bare, spoken), strict=True):
        (tmp_path / name).write_text(json.dumps(record) + "\n")
    with client(f"http://127.0.0.1:{free_port}", tmp_path) as host:
        eventually(lambda: spooled(tmp_path) == 1, "one event")
        assert b"Geheimnis" not in on_disk(tmp_path)
        assert host.health().waiting == 1


def test_two_processes_share_a_folder_and_leave_each_others_file_alone(free_port: int, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port}"
    with client(url, tmp_path) as one:
        one.favourite("run_1_abcdef")
        eventually(lambda: spooled(tmp_path) == 1, "on disk")
        with client(url, tmp_path) as two:
            two.favourite("run_2_abcdef")
            eventually(lambda: spooled(tmp_path) == 2, "both on disk")
            eventually(lambda: (one.health().waiting, two.health().waiting) == (1, 1), "one event each")


def test_a_forked_child_sends_its_own_events_once(service: FakeService, tmp_path: Path) -> None:
    program = host_program(
        service.url, tmp_path,
        "host.flush(10)\n"
        "import os\n"
        "child = os.fork()\n"
        "host.favourite('run_child_abcdef' if child == 0 else 'run_parent_abcdef')\n"
        "done = host.flush(10)\n"
        "os._exit(0 if done else 1) if child == 0 else sys.exit(os.waitpid(child, 0)[1])",
    )  # fmt: skip
    assert program.wait(30) == 0
    runs = [event["run"] for event in service.events("favourite")]
    assert len(runs) == len(set(runs)) == 27
    assert {ours.run("run_child_abcdef"), ours.run("run_parent_abcdef")} <= set(runs)
    assert set(service.arrivals.values()) == {1}


def test_24_threads_report_at_once_and_nothing_is_lost_or_double(service: FakeService, tmp_path: Path) -> None:
    with client(service.url, tmp_path) as host:

        def work(thread: int) -> float:
            slowest = 0.0
            for number in range(25):
                started = time.perf_counter()
                assert host.call(f"run_{thread}_{number}", input="Ein Haus" * 200, output="Ein Haus" * 200)
                assert host.not_blocked(f"run_{thread}_{number}")
                slowest = max(slowest, time.perf_counter() - started)
            return slowest

        with ThreadPoolExecutor(24) as pool:
            slowest = max(pool.map(work, range(24)))
        assert host.flush(30)
        assert len(service.kept) == 24 * 25 * 2
        assert set(service.arrivals.values()) == {1}
        # 24 threads on two cores wait for each other's turn; the client adds no wait for disk or network.
        assert slowest < 1.0


def test_reporting_waits_for_nothing_while_the_service_hangs(service: FakeService, tmp_path: Path) -> None:
    service.mode = "hang"
    with client(service.url, tmp_path, exit_s=0.1) as host:
        host.favourite(RUN)
        eventually(lambda: bool(service.requests), "a request that hangs")
        started = time.perf_counter()
        for number in range(200):
            host.favourite(f"run_{number}_abcdef")
        assert time.perf_counter() - started < 0.5


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("favourite", ("",)),
        ("favourite", (None,)),
        ("favourite", ("x" * 301,)),
        ("regeneration", (RUN, "")),
        ("block", (RUN, "stage 9")),
        ("block", (RUN, "")),
        ("call", ("",)),
    ],
)
def test_what_no_event_can_be_made_of_is_counted(free_port: int, method: str, arguments: tuple[Any, ...]) -> None:
    host = client(f"http://127.0.0.1:{free_port}", None)
    assert not getattr(host, method)(*arguments)
    assert host.health().invalid == 1


def test_values_the_service_would_refuse_are_mended_or_left_out(service: FakeService, tmp_path: Path) -> None:
    with client(service.url, tmp_path) as host:
        call = host.call(
            RUN, input="a\x00b\ud800c", output="x" * 200_001, config="c" * 500, latency_ms=float("nan"), tokens_in=-1,
            parameters={"a": float("inf")}, error="e" * 5000, ts="now", device="\x00",
        )  # type: ignore[arg-type]  # fmt: skip
        assert host.flush(10)
    stored = Call.model_validate(service.kept[call])
    assert (stored.input, stored.output, stored.device) == ("ab?c", None, "")
    assert (len(stored.config), stored.latency_ms, stored.tokens_in, stored.parameters) == (200, None, None, {})
    assert stored.error is not None
    assert len(stored.error) == 2000
    assert abs((datetime.now(UTC) - stored.ts).total_seconds()) < 60


def test_a_time_without_a_zone_is_local_time(service: FakeService, tmp_path: Path) -> None:
    naive = datetime(2026, 3, 14, 9, 30)
    with client(service.url, tmp_path) as host:
        host.favourite(RUN, ts=naive)
        assert host.flush(10)
    assert datetime.fromisoformat(service.events("favourite")[0]["ts"]) == naive.astimezone(UTC)


def test_health_of_a_client_that_is_well(service: FakeService, tmp_path: Path) -> None:
    with client(service.url, tmp_path) as host:
        host.favourite(RUN)
        assert host.flush(10)
        health = host.health()
    assert (health.ok, health.message, health.service, health.durable) == (True, "all is well", "up", True)


def test_after_close_nothing_is_taken_and_that_is_counted(service: FakeService, tmp_path: Path) -> None:
    host = client(service.url, tmp_path)
    host.close()
    assert not host.favourite(RUN)
    assert host.health().dropped == 1
    assert os.listdir(tmp_path) == []
