"""The commands against a real owner service: started by ``serve`` as its own process, stopped by its id."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from client.http import Client
from collector.tokens import Role, Tokens
from experiment.events import Call, Outcome
from ops.listen import free_port, is_free
from ops.report_words import difference
from ops.settings import load_settings
from tests.ops.conftest import ARMS, Said

ROOT = Path(__file__).parents[2]
WHO = ("--actor", "Ada", "--reason", "a test of the command")


class House(NamedTuple):
    """A running installation."""

    config: Path
    data: Path
    url: str
    process: "subprocess.Popen[str]"

    def token(self, role: Role) -> str:
        return Tokens(self.data / "tokens.json").token(role)


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "equipoise", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
    )


def until_ready(url: str, process: "subprocess.Popen[str]") -> None:
    end = time.monotonic() + 60
    with Client(url) as client:
        while True:
            try:
                if client.ready().ready:
                    return
            except Exception:
                assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    ports = {name: free_port("127.0.0.1") for name in ("api_port", "gateway_port", "dashboard_port")}
    config = folder / "equipoise.toml"
    config.write_text("[service]\n" + "".join(f"{k} = {v}\n" for k, v in ports.items()) + ARMS)
    url = f"http://127.0.0.1:{ports['api_port']}"
    process = start("serve", "--config", str(config))
    try:
        until_ready(url, process)
        yield House(config, folder / "data", url, process)
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[0]
        assert "Traceback" not in said


@pytest.fixture
def run(cli: Callable[..., Said], house: House) -> Callable[..., Said]:
    return lambda *arguments: cli(*arguments, "--config", str(house.config))


def send(house: House, blocked: list[bool], arm: str, epoch: int, name: str) -> None:
    """Calls of an arm with their verdicts, each of a prompt of its own."""
    begin = datetime.now(UTC) - timedelta(minutes=1)
    calls, outcomes = [], []
    for i, bad in enumerate(blocked):
        run_id, moment = f"run_{name}_{i}", begin + timedelta(milliseconds=i)
        calls.append(
            Call(
                id=f"call-{name}-{i}",
                ts=moment,
                experiment="stage2",
                epoch=epoch,
                arm=arm,
                model=f"{arm}-model",
                reason="split",
                run=run_id,
                device=f"abc{i % 7}_2026-03-02",
                device_kind="browser",
                input=f"{name} {i}",
                output="x",
                safety_level="kids",
            )
        )
        kind = "block" if bad else "not_blocked"
        outcomes.append(
            Outcome(id=f"out-{name}-{i}", ts=moment, experiment="stage2", kind=kind, run=run_id, stage="stage3")
        )
    with Client(house.url, house.token("host")) as client:
        assert {item.status for item in [*client.post_calls(calls), *client.post_outcomes(outcomes)]} == {201}


def test_the_life_of_a_guard_from_the_command_line(run: Callable[..., Said], house: House, tmp_path: Path) -> None:
    refused = run("guard", "arm", "--adapter", "adapter-model", *WHO)
    assert (refused.code, refused.out, refused.err.count("\n")) == (1, "", 1)
    assert "no source of safety verdicts" in refused.err
    nothing = run("guard", "export")
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)

    send(house, [False], "base", 0, "first")
    armed = run("guard", "arm", "--adapter", "adapter-model", *WHO)
    assert (armed.code, armed.err) == (0, "")
    assert "Armed adapter adapter-model in epoch 1" in armed.out
    again = run("guard", "arm", "--adapter", "adapter-model", *WHO)
    assert (again.code, "nothing to arm" in again.err) == (1, True)

    assert run("guard", "pause", *WHO).code == 0
    assert json.loads(run("guard", "status", "--json").out)["adapters"][0]["state"] == "paused"
    assert run("guard", "resume", *WHO).code == 0

    send(house, [False] * 20, "base", 1, "base")
    send(house, [False] * 10 + [True] * 4, "adapter", 1, "bad")
    status = run("guard", "status")
    assert "rolled back, precautionary" in status.out
    assert "by Ada: a test of the command" in status.out
    trip = next(
        entry for entry in json.loads(run("guard", "status", "--json").out)["history"] if entry["action"] == "trip"
    )

    path = tmp_path / "events.csv"
    assert run("guard", "export", "--epoch", "1", "--output", str(path)).code == 0
    assert run("guard", "export", "--epoch", "1").out == path.read_text()
    replayed = run("guard", "replay", str(path), "--json")
    assert replayed.code == 1
    adapter = json.loads(replayed.out)["arms"]["adapter"]
    assert (adapter["event_id"], adapter["n"], adapter["blocked"]) == (trip["last_event"], trip["n"], trip["blocked"])

    assert run("guard", "rollback", *WHO).code == 1
    cooling = run("guard", "arm", "--adapter", "adapter-model", *WHO)
    assert (cooling.code, "cooling down" in cooling.err) == (1, True)


def test_the_report_shows_both_arms_with_their_counts(run: Callable[..., Said], house: House) -> None:
    people = run("report", "--epoch", "all", "--by", "language")
    assert people.code == 0
    assert "adapter-model" in people.out
    assert "by language" in people.out
    assert "adapter − base, concurrent calls by assignment" in people.out
    machines = json.loads(run("report", "--epoch", "all", "--json").out)
    assert {arm["arm"] for arm in machines["arms"]} == {"base", "adapter"}
    assert set(machines["guard"]) == {"adapter"}


@pytest.mark.parametrize(
    ("metric", "seen", "words"),
    [
        ("favourites", {"estimate": 0.021, "low": -0.004, "high": 0.046}, "+2.1 points (−0.4 to +4.6)"),
        ("favourites", {"estimate": -0.021, "low": None, "high": None}, "−2.1 points"),
        ("latency", {"estimate": 12.0, "low": 1.0, "high": 23.0}, "+12.0 ms (+1.0 to +23.0)"),
        ("favourites", {"estimate": None, "low": None, "high": None}, None),
        ("favourites", None, None),
    ],
)
def test_a_difference_is_told_with_its_unit_and_interval(metric: str, seen: Any, words: str | None) -> None:
    assert difference(metric, seen) == words


@pytest.mark.parametrize("arguments", [("--epoch", "last"), ("--by", "weather"), ("--traffic", "cars")])
def test_a_wrong_filter_is_one_line(run: Callable[..., Said], arguments: tuple[str, str]) -> None:
    said = run("report", *arguments)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)


def test_a_wrong_token_is_exit_2_and_a_wrong_role_exit_1(run: Callable[..., Said], house: House) -> None:
    wrong = run("guard", "status", "--token", "nonsense")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    leader = run("guard", "arm", "--adapter", "adapter-model", *WHO, "--token", house.token("leader"))
    assert (leader.code, leader.err.count("\n")) == (1, 1)
    assert "leader" in leader.err


def test_the_token_may_stand_in_the_environment(
    run: Callable[..., Said], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EQUIPOISE_TOKEN", "nonsense")
    assert run("guard", "status").code == 2
    monkeypatch.setenv("EQUIPOISE_TOKEN", house.token("leader"))
    assert run("guard", "status").code == 0


def test_this_machines_token_is_not_sent_elsewhere(run: Callable[..., Said], house: House) -> None:
    said = run("guard", "status", "--service", house.url)
    assert said.code == 2
    assert "token is needed" in said.err


@pytest.mark.parametrize("option", ["--actor", "--reason"])
def test_name_and_reason_may_not_be_empty(run: Callable[..., Said], option: str) -> None:
    given = dict(zip(WHO[::2], WHO[1::2], strict=True)) | {option: "  "}
    said = run("guard", "pause", *(part for pair in given.items() for part in pair))
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert option in said.err


@pytest.mark.parametrize("arguments", [("--arm", "nobody"), ("--arm", "base"), ("--experiment", "other")])
def test_an_unknown_arm_or_experiment_names_the_known(run: Callable[..., Said], arguments: tuple[str, str]) -> None:
    said = run("guard", "pause", *WHO, *arguments)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "adapter" in said.err or "stage2" in said.err


def test_the_doctor_knows_its_own_service(run: Callable[..., Said], house: House) -> None:
    found = {item["what"]: item for item in json.loads(run("doctor", "--json").out)["findings"]}
    port = house.url.rpartition(":")[2]
    assert found[f"port {port}"]["level"] == "ok"
    assert str(house.process.pid) in found[f"port {port}"]["detail"]
    assert "held by the owner service" in found["warehouse"]["detail"]
    assert found["token"]["level"] == "ok"
    assert found["permit of stage2"]["level"] == "ok"


def test_what_lies_in_the_data_folder_is_private(house: House) -> None:
    for path in (house.data, *house.data.rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_a_second_service_on_the_same_data_says_who_holds_it(house: House, tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    config = tmp_path / "second.toml"
    config.write_text(f'[service]\napi_port = {port}\ndata = "{house.data}"\n' + ARMS)
    second = start("serve", "--config", str(config))
    said = second.communicate(timeout=60)[0]
    assert second.returncode == 2
    assert "Traceback" not in said
    assert f"held by process {house.process.pid}" in said.splitlines()[-1]


def test_where_no_service_runs_the_warehouse_is_opened_for_the_command(
    cli: Callable[..., Said], tmp_path: Path
) -> None:
    port = free_port("127.0.0.1")
    Path("equipoise.toml").write_text(f"[service]\napi_port = {port}\n" + ARMS)
    service = start("serve", "--config", str(tmp_path / "equipoise.toml"))
    until_ready(f"http://127.0.0.1:{port}", service)
    service.send_signal(signal.SIGTERM)
    service.communicate(timeout=20)
    said = cli("guard", "status")
    assert said.code == 0
    assert "Disarmed" in said.out
    assert "opened for this command alone" in said.err
    assert load_settings().settings.service.data == tmp_path / "data"


def test_serve_stops_when_it_is_told_to(tmp_path: Path) -> None:
    port = free_port("127.0.0.1")
    config = tmp_path / "e.toml"
    config.write_text(f"[service]\napi_port = {port}\n" + ARMS)
    for number in (signal.SIGINT, signal.SIGTERM):
        service = start("serve", "--json", "--config", str(config))
        until_ready(f"http://127.0.0.1:{port}", service)
        os.kill(service.pid, number)
        said = service.communicate(timeout=20)[0]
        assert json.loads(said.splitlines()[0])["url"] == f"http://127.0.0.1:{port}"
        assert "Traceback" not in said


def test_up_runs_the_services_and_stops_them(tmp_path: Path) -> None:
    ports = {name: free_port("127.0.0.1") for name in ("api_port", "gateway_port", "dashboard_port")}
    config = tmp_path / "e.toml"
    config.write_text("[service]\n" + "".join(f"{k} = {v}\n" for k, v in ports.items()) + ARMS)
    up = start("up", "--no-dashboard", "--json", "--config", str(config))
    lines: list[dict[str, str]] = []
    try:
        assert up.stdout is not None
        for line in up.stdout:
            lines.append(json.loads(line))
            if "everything is up" in lines[-1]["line"]:
                break
        assert [line["line"] for line in lines if "is ready" in line["line"]] == ["serve is ready", "gateway is ready"]
        for port in (ports["api_port"], ports["gateway_port"]):
            assert not is_free("127.0.0.1", port)
        up.send_signal(signal.SIGTERM)
        rest = up.communicate(timeout=60)[0]
    finally:
        if up.poll() is None:
            up.kill()
    assert up.returncode == 0
    assert "Traceback" not in rest
    assert all(is_free("127.0.0.1", port) for port in ports.values())


def test_up_ends_with_the_words_of_a_service_that_cannot_start(house: House, tmp_path: Path) -> None:
    config = tmp_path / "e.toml"
    ports = {name: free_port("127.0.0.1") for name in ("api_port", "gateway_port")}
    keys = "".join(f"{k} = {v}\n" for k, v in ports.items())
    config.write_text(f'[service]\n{keys}data = "{house.data}"\n' + ARMS)
    up = start("up", "--no-dashboard", "--config", str(config))
    said = up.communicate(timeout=60)[0]
    assert up.returncode == 2
    assert "serve could not start" in said.splitlines()[-1]
    assert f"held by process {house.process.pid}" in said.splitlines()[-1]
