"""``equipoise doctor``: each thing that can be wrong is found, with what to do; exit 1 then and only then."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from experiment.permit import Permit
from ops import checks_remote
from ops.listen import bind, free_port
from ops.settings import load_settings
from tests.ops.conftest import Said

TAGS = {"models": [{"name": "base-model:latest"}, {"name": "adapter-model:latest"}]}


@pytest.fixture
def backend() -> Iterator[tuple[str, dict[str, Any]]]:
    """An Ollama that can be asked for its models; the test may change its answers."""
    answers: dict[str, Any] = {"/api/tags": TAGS}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers.get(self.path, {})).encode()
            self.send_response(200 if self.path in answers else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def configure(backend: tuple[str, dict[str, Any]]) -> Callable[..., None]:
    """Writes equipoise.toml; without arguments a healthy installation that has not been started yet."""

    def configure(service: str = "", more: str = "", protocol: str = "ollama") -> None:
        ports = {name: free_port("127.0.0.1") for name in ("api_port", "gateway_port", "dashboard_port")}
        lines = ["[service]", *(f"{name} = {port}" for name, port in ports.items() if name not in service), service]
        for arm in ("base", "adapter"):
            lines += [f"[experiment.stage2.arms.{arm}]", f'model = "{arm}-model"', f'url = "{backend[0]}"']
            lines += [f'backend = "{protocol}"', "weight = 1"]
        Path("equipoise.toml").write_text("\n".join([*lines, more]) + "\n")

    return configure


def findings(said: Said) -> dict[str, tuple[str, str, str]]:
    return {item["what"]: (item["level"], item["detail"], item["todo"]) for item in json.loads(said.out)["findings"]}


def test_a_healthy_installation_has_no_problem(cli: Callable[..., Said], configure: Callable[..., None]) -> None:
    configure()
    said = cli("doctor", "--json")
    assert json.loads(said.out)["ok"] is True
    assert said.code == 0
    assert "problem" not in {level for level, _, _ in findings(said).values()}


def test_it_changes_nothing(cli: Callable[..., Said], configure: Callable[..., None], tmp_path: Path) -> None:
    configure()
    cli("doctor")
    assert [path.name for path in tmp_path.iterdir()] == ["equipoise.toml"]


def problem(cli: Callable[..., Said], what: str) -> str:
    said = cli("doctor", "--json")
    level, detail, todo = findings(said)[what]
    assert (level, said.code) == ("problem", 1)
    assert todo
    people = cli("doctor")
    assert f"PROBLEM {what}: {detail}" in people.out
    return f"{detail} → {todo}"


def test_wrong_settings_are_the_first_finding(cli: Callable[..., Said]) -> None:
    Path("equipoise.toml").write_text("[service]\napi_prt = 1\n")
    assert "did you mean 'api_port'" in problem(cli, "settings")


def test_no_experiment(cli: Callable[..., Said]) -> None:
    assert "equipoise.example.toml" in problem(cli, "experiment")


def test_a_taken_port_names_its_holder(
    cli: Callable[..., Said], configure: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks_remote, "_TIMEOUT_S", 0.1)  # what holds the port never answers
    with bind("127.0.0.1", 0, "x") as sock:
        port = sock.getsockname()[1]
        configure(f"dashboard_port = {port}")
        assert f"process {os.getpid()}" in problem(cli, f"port {port}")


@pytest.mark.parametrize("name", ["key", "tokens.json"])
def test_a_secret_that_others_can_read(cli: Callable[..., Said], configure: Callable[..., None], name: str) -> None:
    configure()
    Path("data").mkdir()
    Path("data", name).write_text("{}")
    Path("data", name).chmod(0o644)
    said = cli("doctor", "--json")
    assert said.code == 1
    level, _, todo = findings(said)[name]
    assert level == "problem"
    assert "chmod 600" in todo


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_folder_that_cannot_be_written(cli: Callable[..., Said], configure: Callable[..., None]) -> None:
    configure()
    Path("data").mkdir(mode=0o500)
    assert "can't be written" in problem(cli, "data folder")


def test_too_little_disk(cli: Callable[..., Said], configure: Callable[..., None]) -> None:
    configure(more="[alerts]\ndisk_free_gb = 1e12")
    assert "make room" in problem(cli, "disk")


def test_too_much_waiting(cli: Callable[..., Said], configure: Callable[..., None]) -> None:
    configure(more="[alerts]\nwaiting_mb = 0.001")
    Path("data/outbox").mkdir(parents=True)
    Path("data/outbox/calls-000000000001.jsonl").write_bytes(b"x" * 2000)
    assert "wait for the service" in problem(cli, "outbox")


def test_a_warehouse_held_by_somebody_else(cli: Callable[..., Said], configure: Callable[..., None]) -> None:
    configure()
    Path("data").mkdir()
    path = Path("data/equipoise.duckdb")
    path.write_bytes(b"x")
    with path.open("r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        # Only a process's own locks are invisible to itself in fcntl; /proc/locks shows them to everybody.
        assert f"process {os.getpid()}" in problem(cli, "warehouse")


def permit(age: float, **more: Any) -> None:
    arms = load_settings().settings.experiment["stage2"].proposed("stage2")
    path = Path("data/permits/stage2.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(Permit(epoch=3, arms=arms, open_arms=frozenset({"adapter"}), **more).model_dump_json())
    os.utime(path, (time.time() - age,) * 2)


def test_a_valid_permit_is_read_out(cli: Callable[..., Said], configure: Callable[..., None]) -> None:
    configure()
    permit(age=1)
    level, detail, _ = findings(cli("doctor", "--json"))["permit of stage2"]
    assert level == "ok"
    assert "epoch 3, open: adapter" in detail


def test_a_permit_of_the_future_or_garbage(cli: Callable[..., Said], configure: Callable[..., None]) -> None:
    configure()
    permit(age=-500)
    assert "in the future" in problem(cli, "permit of stage2")
    Path("data/permits/stage2.json").write_text("{}")
    assert "not readable" in problem(cli, "permit of stage2")


def test_an_old_permit_is_no_problem_while_nothing_runs(
    cli: Callable[..., Said], configure: Callable[..., None]
) -> None:
    configure()
    permit(age=500)
    assert findings(cli("doctor", "--json"))["permit of stage2"][0] == "ok"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ('[experiment.stage2]\nsalt = "new"', "the salt was changed since epoch 3"),
        ("weight = 9", "arm the adapter again"),
    ],
)
def test_settings_that_differ_from_the_epoch_are_said(
    cli: Callable[..., Said], configure: Callable[..., None], more: str, words: str
) -> None:
    configure()
    permit(age=1)
    text = Path("equipoise.toml").read_text()
    new = text.replace("[experiment.stage2.arms.base]", more + "\n[experiment.stage2.arms.base]", 1)
    Path("equipoise.toml").write_text(new if more.startswith("[") else text.replace("weight = 1", more, 1))
    said = cli("doctor")
    assert said.code == 0
    assert words in said.out


def test_a_backend_that_is_away(cli: Callable[..., Said], configure: Callable[..., None]) -> None:
    configure()
    text = Path("equipoise.toml").read_text()
    Path("equipoise.toml").write_text(text.replace(text.split('url = "')[1].split('"')[0], "http://127.0.0.1:9", 1))
    assert "does not answer" in problem(cli, "model of stage2/base")


def test_a_model_that_is_missing_names_what_is_there(
    cli: Callable[..., Said], configure: Callable[..., None], backend: tuple[str, dict[str, Any]]
) -> None:
    configure()
    backend[1]["/api/tags"] = {"models": [{"name": "base-model:latest"}]}
    words = problem(cli, "model of stage2/adapter")
    assert "it has: base-model:latest" in words
    assert "ollama pull adapter-model" in words


def test_openai_servers_are_asked_in_their_own_words(
    cli: Callable[..., Said], configure: Callable[..., None], backend: tuple[str, dict[str, Any]]
) -> None:
    configure(protocol="openai")
    backend[1]["/v1/models"] = {"data": [{"id": "base-model"}, {"id": "adapter-model"}]}
    assert cli("doctor").code == 0
    backend[1]["/v1/models"] = {"data": [{"id": "base-model"}]}
    assert "load it there" in problem(cli, "model of stage2/adapter")


def test_a_server_of_another_kind(
    cli: Callable[..., Said], configure: Callable[..., None], backend: tuple[str, dict[str, Any]]
) -> None:
    configure()
    backend[1]["/api/tags"] = ["something"]
    assert "without a list of models" in problem(cli, "model of stage2/base")
