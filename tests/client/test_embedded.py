"""The embedded service is the real one: started where none runs, stopped afterwards, never a second owner."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from client.embedded import embedded
from client.errors import Held, ServiceDown, Unauthorised
from client.host import Equipoise
from collector.config import ServiceConfig, ServiceSettings
from experiment.config import ArmSettings, ExperimentSettings
from experiment.events import Call, Outcome

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def config(data: Path, port: int = 1) -> ServiceConfig:
    arms = {"base": ArmSettings(model="m", weight=9), "adapter": ArmSettings(model="m-a", weight=1)}
    return ServiceConfig(
        service=ServiceSettings(data=data, api_port=port), experiment={"stage2": ExperimentSettings(arms=arms)}
    )


def call(name: str) -> Call:
    return Call(id=name, ts=NOW, experiment="stage2", run="run_1", arm="base", model="m", input="a", output="b")


def test_what_is_handed_in_is_kept_across_embeddings(tmp_path: Path) -> None:
    with embedded(config(tmp_path)) as client:
        assert [answer.status for answer in client.post_calls([call("c1"), call("c2")])] == [201, 201]
        outcome = Outcome(id="o1", ts=NOW, experiment="stage2", kind="favourite", call="c1")
        assert client.post_outcomes([outcome])[0].status == 201
    with embedded(config(tmp_path)) as client:
        assert [row["id"] for row in client.calls(experiment="stage2", run="run_1", page=1)] == ["c1", "c2"]
        assert client.post_calls([call("c1")])[0].status == 200
        assert client.ready().ready


def test_afterwards_no_thread_and_no_port_is_left(tmp_path: Path) -> None:
    before = threading.active_count()
    with embedded(config(tmp_path)) as client:
        port = int(client.url.rpartition(":")[2])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1)
    deadline = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)


def test_an_error_in_the_body_stops_the_service_too(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="mine"), embedded(config(tmp_path)):
        raise RuntimeError("mine")
    with embedded(config(tmp_path)) as client:
        assert client.health()


def test_the_role_is_the_tokens(tmp_path: Path) -> None:
    with embedded(config(tmp_path)) as client, pytest.raises(Unauthorised, match="admin"):
        client.erase_run("run_1")
    with embedded(config(tmp_path), role="admin") as client:
        assert client.erase_run("run_1")


def test_the_whole_api_is_there(tmp_path: Path) -> None:
    with embedded(config(tmp_path), role="admin") as client:
        assert client.experiments()[0]["name"] == client.experiment("stage2")["name"] == "stage2"
        assert client.results("stage2")
        assert client.guard("stage2")["adapters"][0]["state"] == "disarmed"
        assert client.act_on_guard("stage2", action="opt_out", reason="asked", actor="me", device="abc_2026-03-14")
        assert client.erase_unit("abc")


SERVICE = """
import sys, uvicorn
from collector.app import create_app
from collector.config import ServiceConfig
config = ServiceConfig.model_validate_json(sys.argv[1])
uvicorn.run(create_app(config), host="127.0.0.1", port=config.service.api_port, log_level="error")
"""
HOLDER = """
import sys, time
from pathlib import Path
import duckdb
held = duckdb.connect(str(Path(sys.argv[1]) / "equipoise.duckdb"))
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def process(program: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    root = str(Path(__file__).parents[2])
    running = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": root},
    )  # fmt: skip
    try:
        yield running
    finally:
        running.terminate()
        running.wait(20)
        assert running.stdout
        running.stdout.close()


def wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < deadline, "the service never started"
            time.sleep(0.05)


def test_where_a_service_runs_its_api_is_used(tmp_path: Path) -> None:
    port = free_port()
    with process(SERVICE, config(tmp_path, port).model_dump_json()):
        wait_for_port(port)
        with embedded(config(tmp_path, port)) as client:
            assert client.url == f"http://127.0.0.1:{port}"
            assert client.post_calls([call("c1")])[0].status == 201
        with embedded(config(tmp_path, port)) as client:
            assert client.post_calls([call("c1")])[0].status == 200


def test_a_file_held_by_something_else_is_one_sentence_with_process_and_command(tmp_path: Path) -> None:
    with embedded(config(tmp_path)):
        pass
    with process(HOLDER, tmp_path) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Held, match=f"process {holder.pid} .*python") as caught, embedded(config(tmp_path)):
            pass
        assert "\n" not in str(caught.value)


def test_a_service_of_another_installation_is_not_used(tmp_path: Path) -> None:
    port = free_port()
    with embedded(config(tmp_path / "ours")):
        pass
    theirs = config(tmp_path / "theirs", port).model_dump_json()
    with process(SERVICE, theirs), process(HOLDER, tmp_path / "ours") as holder:
        wait_for_port(port)
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Held, match="token"), embedded(config(tmp_path / "ours", port)):
            pass


def test_one_folder_is_open_once_in_a_process(tmp_path: Path) -> None:
    with embedded(config(tmp_path)), pytest.raises(ValueError, match="already"), embedded(config(tmp_path)):
        pass


def test_a_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "equipoise.duckdb").write_bytes(b"this is no database" * 1000)
    with pytest.raises(ServiceDown, match="can't be opened"), embedded(config(tmp_path)):
        pass


def test_the_hosts_client_and_the_service_agree_on_every_key(tmp_path: Path) -> None:
    with embedded(config(tmp_path)) as client:
        token = (tmp_path / "tokens.json").read_text().split('"token": "')[1].split('"')[0]
        with Equipoise(client.url, token, tmp_path / "spool", key=tmp_path / "key") as host:
            with_key = host.call("run_1_abcdef", device="abc_2026-03-14", input="Ein  Haus", output="Haus!")
            assert host.favourite("run_1_abcdef")
            assert host.flush(20)
            letters = tmp_path / "spool" / "dead.jsonl"
            assert (host.health().sent, host.health().dead) == (2, 0), letters.read_text()
        with Equipoise(client.url, token) as host:
            without = host.call("run_1_abcdef", device="abc_2026-03-14", input="Ein  Haus", output="Haus!")
            assert host.flush(20)
        rows = {row["id"]: row for row in client.calls(run="run_1_abcdef")}
        for name in ("run", "device", "device_kind", "prompt", "output_key"):
            assert rows[with_key][name] == rows[without][name]
        assert rows[with_key]["device_kind"] == "browser"
