"""One owner, checked migrations, a backup first, clear words for a damaged file."""

import subprocess
import sys
from datetime import UTC, datetime

import pytest

from warehouse import engine
from warehouse.engine import open_store
from warehouse.errors import StoreError, StoreHeld

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def test_migrations_run_once_and_are_recorded(tmp_path):
    path = tmp_path / "w.duckdb"
    for _ in range(2):
        connection = open_store(path, NOW)
        rows = connection.execute("SELECT number, name FROM migrations ORDER BY number").fetchall()
        connection.close()
    assert rows == [(number, name) for number, name, _ in engine.migrations()]


def test_a_migration_changed_after_it_ran_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "w.duckdb"
    open_store(path, NOW).close()
    monkeypatch.setattr(engine, "migrations", lambda: [(1, "0001_live_loop", "SELECT 1")])
    with pytest.raises(StoreError, match="changed after it ran"):
        open_store(path, NOW)


def test_a_file_of_a_newer_version_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "w.duckdb"
    connection = open_store(path, NOW)
    connection.execute("INSERT INTO migrations VALUES (99, '0099_future', 'x', now()::TIMESTAMP)")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        open_store(path, NOW)


def test_a_new_migration_backs_the_file_up_first(tmp_path, monkeypatch):
    path = tmp_path / "w.duckdb"
    open_store(path, NOW).close()
    more = [*engine.migrations(), (9, "0009_more", "CREATE TABLE more (x BIGINT NOT NULL)")]
    last = max(number for number, _, _ in more if number < 9)
    monkeypatch.setattr(engine, "migrations", lambda: more)
    connection = open_store(path, NOW)
    assert connection.execute("SELECT count(*) FROM more").fetchone() == (0,)
    connection.close()
    backup = tmp_path / f"w.before-{last:04d}.duckdb"
    assert backup.stat().st_mode & 0o777 == 0o600
    monkeypatch.undo()
    open_store(backup, NOW).close()


def test_a_held_file_is_reported_with_process_and_command(tmp_path):
    path = tmp_path / "w.duckdb"
    holder = subprocess.Popen(
        [sys.executable, "-c", f"import duckdb; c = duckdb.connect({str(path)!r}); print('held', flush=True); input()"],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreHeld, match=rf"held by process {holder.pid} \(.*import duckdb"):
            open_store(path, NOW)
    finally:
        holder.communicate("\n")


def test_a_damaged_file_says_what_to_do(tmp_path):
    path = tmp_path / "w.duckdb"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(StoreError, match="restore"):
        open_store(path, NOW)


def test_a_command_that_can_not_be_read_is_said_so():
    assert engine._command(2**30) == "command unknown"
