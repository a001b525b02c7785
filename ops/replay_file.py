"""The CSV of ``guard replay``, read strictly: a file that could be read in two ways is refused with its line number."""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from experiment.replay import ReplayEvent
from ops.errors import UserError

COLUMNS: Final = ("event_id", "ts", "arm", "device", "prompt", "blocked")
_BLOCKED: Final = {"": None, "0": False, "1": True}


def read_events(path: Path) -> Iterator[ReplayEvent]:
    """The file's rows in their order, which is ``seq``.

    Args:
        path: CSV with a header of exactly :data:`COLUMNS` (and ``synthetic``, if it is), in any order, UTF-8.

    Raises:
        UserError: no file, wrong header, or a row that is no event; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from _rows(path, csv.reader(file, strict=True))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text (byte {error.start}): export it again as UTF-8 CSV") from None
    except OSError as error:
        raise UserError(f"{path}: can't be read: {error.strerror or error}") from None


def _rows(path: Path, reader: Any) -> Iterator[ReplayEvent]:
    wanted = ",".join(COLUMNS)
    try:
        header = next(reader, None)
        if header is None:
            raise UserError(f"{path}: the file is empty: it needs the header {wanted}")
        names = [name.strip() for name in header]
        # An export of made-up traffic says so in a column of its own.
        if sorted(name for name in names if name != "synthetic") != sorted(COLUMNS):
            raise UserError(f"{path}, line 1: the header is {','.join(names)[:200]!r}, it must be {wanted}")
        for row in reader:
            if not row:
                continue
            if len(row) != len(names):
                raise UserError(
                    f"{path}, line {reader.line_num}: {len(row)} fields, {len(names)} are needed: {','.join(names)}"
                )
            yield _event(dict(zip(names, row, strict=True)), f"{path}, line {reader.line_num}")
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: not valid CSV: {error}") from None


def _event(row: dict[str, str], where: str) -> ReplayEvent:
    values = {name: text.strip() for name, text in row.items()}
    if values["blocked"] not in _BLOCKED:
        raise UserError(f"{where}: blocked is {values['blocked']!r}, it must be 0, 1 or empty (no verdict)")
    for name in ("event_id", "arm"):
        if not values[name]:
            raise UserError(f"{where}: {name} is empty")
    blocked = _BLOCKED[values["blocked"]]
    if blocked is not None and not values["prompt"]:
        raise UserError(f"{where}: a verdict needs its prompt: without it no prompt-run can be told from another")
    return ReplayEvent(
        event_id=values["event_id"],
        ts=_time(values["ts"], where),
        arm=values["arm"],
        device=values["device"],
        prompt=values["prompt"],
        blocked=blocked,
    )


def _time(text: str, where: str) -> datetime:
    """ISO 8601 (without a zone: UTC, as everything here) or Unix seconds."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return datetime.fromtimestamp(float(text), UTC)
        except (ValueError, OverflowError, OSError):
            raise UserError(f"{where}: ts is {text[:60]!r}, it must be a time such as 2026-03-01T09:30:00Z") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
