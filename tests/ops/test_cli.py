"""The command line as a whole: help with an example, JSON, exit codes, one line per error, never a traceback."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer

import equipoise
from client.errors import Refused, ServiceDown, Unauthorised
from ops.commands import report
from tests.ops.conftest import ARMS, Said


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    group = group or typer.main.get_command(equipoise.app)
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = [path for path, _ in commands()]


def test_the_commands_of_the_contract_are_there() -> None:
    wanted = {
        "up",
        "demo",
        "serve",
        "gateway",
        "dashboard",
        "report",
        "doctor",
        "import host",
        "snapshot",
        "conclude",
        "simulate",
    } | {f"guard {action}" for action in ("status", "arm", "pause", "resume", "rollback", "replay", "export")}
    assert {" ".join(path) for path in ALL} == wanted


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_help_with_an_example_and_json(cli: Callable[..., Said], path: tuple[str, ...]) -> None:
    said = cli(*path, "--help")
    assert said.code == 0
    assert f"Example: equipoise {' '.join(path)}" in " ".join(said.out.split())
    assert "--json" in said.out


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_an_unknown_option_is_one_line_and_exit_2(cli: Callable[..., Said], path: tuple[str, ...]) -> None:
    said = cli(*path, "--no-such-option")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert f"equipoise {' '.join(path)} --help" in said.err


@pytest.mark.parametrize("arguments", [("nonsense",), ("guard", "nonsense"), ("--nonsense",)])
def test_an_unknown_command_is_one_line_and_exit_2(cli: Callable[..., Said], arguments: tuple[str, ...]) -> None:
    said = cli(*arguments)
    assert (said.code, said.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve",),
        ("gateway",),
        ("dashboard",),
        ("up",),
        ("report",),
        ("guard", "status"),
        ("guard", "pause", "--actor", "A", "--reason", "because"),
    ],
)
def test_a_wrong_setting_stops_every_command_in_one_line(cli: Callable[..., Said], arguments: tuple[str, ...]) -> None:
    Path("equipoise.toml").write_text("[service]\napi_prt = 1\n")
    said = cli(*arguments)
    assert said.code == 2
    assert said.err == (
        "equipoise: equipoise.toml: [service] api_prt: unknown key: did you mean 'api_port'? (docs/configuration.md)\n"
    )


@pytest.mark.parametrize("command", ["up", "gateway"])
def test_without_an_experiment_nothing_is_served(cli: Callable[..., Said], command: str) -> None:
    said = cli(command)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "equipoise.example.toml" in said.err


@pytest.mark.parametrize("arguments", [("report",), ("guard", "status"), ("guard", "export")])
def test_a_service_that_is_away_is_said_with_what_to_do(cli: Callable[..., Said], arguments: tuple[str, ...]) -> None:
    Path("equipoise.toml").write_text("[service]\napi_port = 9\n" + ARMS)
    said = cli(*arguments)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "equipoise serve" in said.err
    assert not Path("data").exists()


def test_an_address_that_is_none_is_refused(cli: Callable[..., Said]) -> None:
    said = cli("report", "--service", "nonsense")
    assert (said.code, said.err.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused(409, "cooling down: 12 min left", "POST …"), 1),
        (Refused(422, "unknown arm", "POST …"), 2),
        (Unauthorised(401, "a token is needed", "GET …"), 2),
        (Unauthorised(403, "the role may not", "POST …"), 1),
        (ServiceDown("nobody answers"), 2),
        (PermissionError(13, "Permission denied", "data/key"), 2),
        (ValueError("several\nlines"), 2),
        (httpx.InvalidURL("x"), 2),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_happens_is_one_line_with_its_exit_code(
    cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(report, "load", fail)
    said = cli("report")
    assert said.code == code
    assert said.err.count("\n") == (0 if code == 130 else 1)


def test_a_defect_names_its_place(cli: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "load", lambda config: 1 / 0)
    said = cli("report")
    assert "a defect of Equipoise" in said.err
    assert "ZeroDivisionError" in said.err
    assert "test_cli.py:" in said.err
