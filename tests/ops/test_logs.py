"""A log line is one line, whatever a framework puts into it."""

import logging
import stat
from pathlib import Path

import pytest

from ops.logs import LastError, OneLine, set_up


def record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("some.name", logging.ERROR, __file__, 1, message, (), info)


def test_an_exception_becomes_words_and_a_place() -> None:
    try:
        raise ValueError("bad\nthing")
    except ValueError as error:
        line = OneLine().format(record("it failed", error))
    assert line.startswith("error some.name: it failed: ValueError: bad thing (test_logs.py:")
    assert "\n" not in line


def test_a_traceback_as_message_becomes_its_last_line() -> None:
    text = (
        "Traceback (most recent call last):\n  File …\nwarehouse.errors.StoreHeld: data/x is held by process 7 (a: b)"
    )
    assert OneLine().format(record(text)) == "error some.name: data/x is held by process 7 (a: b)"


def test_the_first_error_is_remembered() -> None:
    heard = LastError()
    for text in ("the cause", "Application startup failed. Exiting."):
        heard.handle(record(text))
    assert heard.line == "the cause"


def test_the_file_has_the_traceback_and_is_private(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up("serve", tmp_path)
    try:
        try:
            raise ValueError("bad thing")
        except ValueError:
            logging.getLogger("some").exception("it failed")
        path = tmp_path / "logs" / "serve.log"
        assert "Traceback" in path.read_text()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert capsys.readouterr().err.count("\n") == 1
    finally:
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def test_without_a_writable_folder_there_is_a_warning_and_the_console(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "logs").write_text("a file where the folder should be")
    set_up("serve", tmp_path)
    try:
        assert "warning: no log file" in capsys.readouterr().err
        logging.getLogger("some").error("still said")
        assert "still said" in capsys.readouterr().err
    finally:
        logging.basicConfig(handlers=[logging.NullHandler()], force=True)
