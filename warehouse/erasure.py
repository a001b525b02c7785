"""Erasure: rows of a device or run go; what was counted of them stays as ordinals that lead to nobody."""

from datetime import date, datetime, timedelta
from typing import NamedTuple

import duckdb

from experiment.pseudonym import Pseudonymiser, is_pseudonym
from warehouse.rows import naive


class Erased(NamedTuple):
    """How many rows went, and how many counted prompt-runs lost their keys."""

    calls: int
    outcomes: int
    prompt_runs: int
    keys: int


def device_keys(device: str, names: Pseudonymiser, first: date, last: date) -> list[str]:
    """Pseudonyms that a device may have: itself, and for a browser id every day of the warehouse.

    Args:
        device: browser id, full device id or pseudonym.
        names: the installation's pseudonymiser.
        first: the earliest day in the warehouse.
        last: the latest day.
    """
    if is_pseudonym(device):
        return [device]
    days = [first + timedelta(days=offset) for offset in range(-1, (last - first).days + 2)]
    return [names.device(device), *(names.device(f"{device}_{day.isoformat()}") for day in days)]


def days_of(cursor: duckdb.DuckDBPyConnection, today: date) -> tuple[date, date]:
    """First and last day of any call; today twice in an empty warehouse."""
    row = cursor.execute("SELECT CAST(min(ts) AS DATE), CAST(max(ts) AS DATE) FROM calls").fetchone()
    return (row[0], max(row[1], today)) if row and row[0] is not None else (today, today)


def erase(cursor: duckdb.DuckDBPyConnection, column: str, keys: list[str]) -> Erased:
    """Delete the calls whose ``column`` ('device' or 'run') is one of the keys, and all that hangs on them."""
    marks = ", ".join("?" * len(keys))
    ids = [row[0] for row in cursor.execute(f"SELECT id FROM calls WHERE {column} IN ({marks})", keys).fetchall()]
    outcomes = prompt_runs = 0
    if column == "device":
        prompt_runs = _forget(cursor, f"device IN ({marks})", keys, keep_device=False)
    for start in range(0, len(ids), 500):
        part = ids[start : start + 500]
        places = ", ".join("?" * len(part))
        events = f"event_id IN (SELECT id FROM outcomes WHERE call_id IN ({places}))"
        prompt_runs += _forget(cursor, events, part, keep_device=True)
        outcomes += _delete(cursor, "outcomes", f"call_id IN ({places}) OR call IN ({places})", part + part)
        _delete(cursor, "calls", f"id IN ({places})", part)
    if column == "run":
        outcomes += _delete(cursor, "outcomes", f"run IN ({marks}) OR child_run IN ({marks})", keys + keys)
    else:
        _delete(cursor, "overrides", f"device IN ({marks})", keys)
        _delete(cursor, "exclusions", f"device IN ({marks})", keys)
    return Erased(len(ids), outcomes, prompt_runs, len(keys))


def _delete(cursor: duckdb.DuckDBPyConnection, table: str, where: str, values: list[str]) -> int:
    row = cursor.execute(f"SELECT count(*) FROM {table} WHERE {where}", values).fetchone()
    cursor.execute(f"DELETE FROM {table} WHERE {where}", values)
    return int(row[0]) if row else 0


def _forget(cursor: duckdb.DuckDBPyConnection, where: str, values: list[str], *, keep_device: bool) -> int:
    """Replace keys in ``prompt_runs`` by the row's ordinal; device-days stay distinct among themselves.

    The guard's history must not change: n, S and 'how many devices' are the same afterwards, nobody can be found.
    An erased run leaves its device's key (``keep_device``): the device's cap and evidence hang on it.
    """
    rows = cursor.execute(f"SELECT key, seq, device FROM prompt_runs WHERE {where}", values).fetchall()
    first: dict[str, int] = {}
    for key, seq, device in sorted(rows, key=lambda row: row[1]):
        ordinal = first.setdefault(device, seq)
        cursor.execute(
            "UPDATE prompt_runs SET device = ?, prompt = ?, event_id = ?, key = ? WHERE key = ?",
            [
                device if keep_device or not device else f"erased-{ordinal}",
                f"erased-{seq}",
                f"erased-{seq}",
                f"erased-{seq}",
                key,
            ],
        )
    return len(rows)


def record(
    cursor: duckdb.DuckDBPyConnection, seq: int, at: datetime, keys: list[str], actor: str, token_id: str
) -> None:
    """Keep the erased pseudonyms, so that a restored backup is erased again."""
    cursor.executemany(
        "INSERT INTO erasures VALUES (?, ?, ?, ?, ?)",
        [[seq, naive(at), key, actor, token_id] for key in keys],
    )
