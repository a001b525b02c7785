"""The DuckDB file: opened by one process, migrated, indexed, its views replaced."""

import hashlib
import os
import re
import shutil
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import Final

import duckdb

from warehouse.errors import StoreError, StoreHeld

_SQL: Final = files("warehouse.sql")
_HOLDER = re.compile(r"PID (\d+)")

STORE_FAILURES: Final = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.InternalException,
    duckdb.OutOfMemoryException,
    duckdb.TransactionException,  # a commit that could not be written: 'Failed to commit: … No space left'
)
"""Failures of the store as a whole; every other DuckDB error concerns the statement or its values."""


def sql(name: str) -> str:
    """The text of ``warehouse/sql/{name}.sql``."""
    return _SQL.joinpath(f"{name}.sql").read_text(encoding="utf-8")


def open_store(path: Path, now: datetime) -> duckdb.DuckDBPyConnection:
    """Open the file (made if missing), run pending migrations, add indexes, replace the views.

    Args:
        path: the DuckDB file.
        now: aware time, kept with each applied migration.

    Raises:
        StoreHeld: another process has the file open; the text names process and command.
        StoreError: the file is damaged or the disk refuses; or a migration that ran before has been changed since.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        connection = duckdb.connect(
            str(path),
            config={
                # Extensions are never fetched: the machine may be offline, and nothing is installed unasked.
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                # The writer checkpoints when idle or at 64 MB; DuckDB's own 16 MB would stall a burst.
                "checkpoint_threshold": "256MB",
                "preserve_insertion_order": "false",
            },
        )
    except duckdb.Error as error:
        raise _cannot_open(path, error) from error
    try:
        _migrate(connection, path, now)
        connection.execute(sql("keys_file"))
        connection.execute(sql("views"))
    except duckdb.Error as error:
        connection.close()
        raise StoreError(f"{path}: {error}. Restore the latest backup, or move the file away to start anew.") from error
    return connection


def _cannot_open(path: Path, error: duckdb.Error) -> StoreError:
    text = str(error)
    if "lock" in text.lower():
        found = _HOLDER.search(text)
        holder = f"process {found[1]} ({_command(int(found[1]))})" if found else "another process"
        return StoreHeld(
            f"{path} is held by {holder}. One process owns the warehouse: talk to its API, or stop it first."
        )
    return StoreError(
        f"{path} can't be opened: {text.splitlines()[0]}. Check the disk, then restore the latest backup "
        "('equipoise restore') or move the file away to start anew."
    )


def _command(pid: int) -> str:
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "command unknown"
    return " ".join(raw.replace(b"\0", b" ").decode(errors="replace").split())[:200] or "command unknown"


def migrations() -> list[tuple[int, str, str]]:
    """(number, name, SQL) of every migration, in order."""
    found = []
    for item in _SQL.joinpath("migrations").iterdir():
        if item.name.endswith(".sql"):
            found.append((int(item.name[:4]), item.name.removesuffix(".sql"), item.read_text(encoding="utf-8")))
    return sorted(found)


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path, now: datetime) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(number BIGINT NOT NULL, name VARCHAR NOT NULL, checksum VARCHAR NOT NULL, applied TIMESTAMP NOT NULL)"
    )
    done = dict(connection.execute("SELECT number, checksum FROM migrations").fetchall())
    pending = []
    for number, name, text in migrations():
        checksum = hashlib.sha256(text.encode()).hexdigest()
        if number not in done:
            pending.append((number, name, text, checksum))
        elif done[number] != checksum:
            raise StoreError(
                f"migration {name} was changed after it ran on {path}: this code and this file do not belong together"
            )
    if done and max(done) > max(number for number, _, _ in migrations()):
        raise StoreError(f"{path} was written by a newer version (schema {max(done)}): update Equipoise")
    if pending and done:
        _backup(connection, path, max(done))
    for number, name, text, checksum in pending:
        connection.execute("BEGIN")
        connection.execute(text)
        connection.execute(
            "INSERT INTO migrations VALUES (?, ?, ?, ?)", [number, name, checksum, now.replace(tzinfo=None)]
        )
        connection.execute("COMMIT")


def _backup(connection: duckdb.DuckDBPyConnection, path: Path, version: int) -> None:
    """A copy of the file before a migration touches it, 0600."""
    connection.execute("CHECKPOINT")
    target = path.with_suffix(f".before-{version:04d}.duckdb")
    shutil.copyfile(path, target)
    os.chmod(target, 0o600)
