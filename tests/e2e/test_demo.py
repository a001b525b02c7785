"""``equipoise demo`` as a person starts it: everything runs, the adapter is stopped, Ctrl-C leaves nothing behind."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest

import equipoise
from client.http import Client
from ops.listen import is_free
from ops.settings import load_settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
ROOT = Path(__file__).parents[2]


def children(pid: int) -> set[int]:
    """A process's descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(what: str, condition: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)


class Demo:
    """A running demo and what it said, line by line."""

    def __init__(self, folder: Path, *options: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EQUIPOISE_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "equipoise", "demo", "--folder", str(folder), "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        self.lines: list[dict[str, str]] = []
        self.folder = folder
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(json.loads(line))

    def said(self, words: str) -> bool:
        return any(words in line["line"] for line in self.lines)

    @property
    def config(self) -> Path:
        return self.folder / "equipoise.toml"

    def ready(self, seconds: float = 90) -> None:
        until("everything is up", lambda: self.said("everything is up") or self.process.poll() is not None, seconds)
        assert self.process.poll() is None, self.end()

    def end(self, number: signal.Signals = signal.SIGINT) -> str:
        """Stop it as Ctrl-C does; what it wrote to stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        assert self.process.stderr is not None
        try:
            self.process.wait(60)
        finally:
            if self.process.poll() is None:
                self.process.kill()
        self._reader.join(10)
        return self.process.stderr.read()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    demo = Demo(tmp_path_factory.mktemp("demo") / "demo-data", "--speed", "4", "--seed", "2")
    try:
        demo.ready()
        yield demo
    finally:
        demo.end()


@pytest.fixture(scope="module")
def service(demo: Demo) -> Iterator[Client]:
    with Client(load_settings(demo.config).settings.api_url()) as client:
        until(
            "the adapter is rolled back",
            lambda: client.guard("stage2")["adapters"][0]["state"] == "rolled_back",
            120,
        )
        yield client


def cli(demo: Demo, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = equipoise.main([*arguments, "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_calls_of_both_arms_arrive_and_are_synthetic(service: Client) -> None:
    calls = list(service.calls(experiment="stage2"))
    assert {call["arm"] for call in calls} == {"base", "adapter"}
    assert {call["synthetic"] for call in calls} == {True}
    assert {call["device_kind"] for call in calls} == {"browser"}
    assert 7 <= len({call["device"] for call in calls}) <= 12
    assert {call["template_version"] for call in calls} == {"labelled"}


def test_before_the_arming_and_after_the_rollback_there_is_only_the_base(service: Client) -> None:
    history = service.guard("stage2", history=1000)["history"]
    armed = next(entry for entry in history if entry["action"] == "arm")
    tripped = next(entry for entry in history if entry["action"] == "trip")
    before = [call for call in service.calls(experiment="stage2") if call["epoch"] == 0]
    assert before
    assert {call["arm"] for call in before} == {"base"}
    assert armed["seq"] < tripped["seq"]

    def guarded() -> list[dict[str, Any]]:
        return [call for call in service.calls(experiment="stage2") if call["reason"] == "guard"]

    until("calls after the rollback", lambda: len(guarded()) >= 5, 30)
    assert {call["arm"] for call in guarded()} == {"base"}


def test_watch_is_seen_before_the_rollback(demo: Demo, service: Client) -> None:
    history = service.guard("stage2", history=1000)["history"]
    actions = [entry["action"] for entry in reversed(history)]
    assert "watch" in actions[: actions.index("trip")]
    until("the console says so", lambda: demo.said("guard: ROLLED BACK"), 10)
    assert demo.said("guard: WATCH")


def test_the_demo_arms_in_its_own_name(service: Client) -> None:
    armed = next(e for e in service.guard("stage2", history=1000)["history"] if e["action"] == "arm")
    assert armed["actor"] == "demo (automatic)"
    assert "synthetic" in armed["reason"]


def test_every_outcome_of_a_workshop_happens(service: Client) -> None:
    arms = service.results("stage2", epoch="all", analysis="false")["arms"]
    for kind in ("favourites", "regenerations", "edits"):
        assert sum(arm[kind]["k"] for arm in arms) > 0, kind
    adapter = next(arm for arm in arms if arm["arm"] == "adapter")
    assert {row["code"] for row in adapter["blocks"]} >= {"llamaguard"}


def test_the_exported_verdicts_trip_at_the_same_event(
    demo: Demo, service: Client, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "events.csv"
    options = ("--config", str(demo.config))
    code, told = cli(demo, capsys, "guard", "export", "--epoch", "1", "--output", str(path), *options)
    assert code == 0
    assert told["rows"] == len(list(csv.DictReader(path.open()))) > 0
    code, answer = cli(demo, capsys, "guard", "replay", str(path))
    assert code == 1
    trip = next(entry for entry in service.guard("stage2", history=1000)["history"] if entry["action"] == "trip")
    adapter = answer["arms"]["adapter"]
    assert (adapter["event_id"], adapter["rule"], adapter["n"], adapter["blocked"], adapter["devices"]) == (
        trip["last_event"], trip["rule"], trip["n"], trip["blocked"], trip["devices"],
    )  # fmt: skip


def test_the_report_says_that_it_is_synthetic(demo: Demo, service: Client, capsys: pytest.CaptureFixture[str]) -> None:
    assert equipoise.main(["report", "--epoch", "all", "--config", str(demo.config)]) == 0
    assert "SYNTHETIC TRAFFIC" in capsys.readouterr().out


def test_the_doctor_finds_nothing_wrong(demo: Demo, service: Client, capsys: pytest.CaptureFixture[str]) -> None:
    code, answer = cli(demo, capsys, "doctor", "--config", str(demo.config))
    assert [item for item in answer["findings"] if item["level"] == "problem"] == []
    assert code == 0


def test_the_dashboard_answers(demo: Demo) -> None:
    url = load_settings(demo.config).settings.dashboard_url()
    with httpx.Client(trust_env=False) as http:
        assert http.get(f"{url}/_stcore/health").status_code == 200
        assert http.get(url).status_code == 200


def test_no_child_waits_for_an_answer(demo: Demo, service: Client) -> None:
    assert not demo.said("a call failed")


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo-data", "--speed", "8", "--no-dashboard")
    family: set[int] = set()
    try:
        demo.ready()
        family = children(demo.process.pid)
        assert len(family) == 4
        settings = load_settings(demo.config).settings
    finally:
        errors = demo.end()
    assert demo.process.returncode == 0
    assert "Traceback" not in errors + json.dumps(demo.lines)
    assert not [pid for pid in family if alive(pid)]
    assert is_free("127.0.0.1", settings.service.api_port)
    assert is_free("127.0.0.1", settings.gateway.port)


def test_a_killed_demo_takes_its_services_with_it(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo-data", "--speed", "8", "--no-dashboard")
    family: set[int] = set()
    try:
        demo.ready()
        family = children(demo.process.pid)
    finally:
        demo.end(signal.SIGKILL)
    until("its services are gone", lambda: not any(alive(pid) for pid in family), 30)


def test_a_duration_ends_everything_by_itself(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "demo-data", "--speed", "8", "--no-dashboard", "--duration", "3")
    demo.ready()
    demo.process.wait(60)
    demo.end()
    assert demo.process.returncode == 0
    assert demo.said("nothing is left running")
