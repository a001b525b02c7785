"""Group commit: poison rows, a full queue, a failing store, a stop that drains, kill -9."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import wait

import duckdb
import pytest

from warehouse import writer as writer_module
from warehouse.errors import Busy, Rejected, StoreError
from warehouse.ingest import Ingest


@pytest.fixture
def held(bench):
    """The writer waits inside a command until the test lets it go, so that requests gather."""
    inside, go = threading.Event(), threading.Event()

    def wait_inside(_):
        inside.set()
        go.wait(20)

    future = bench.store.writer.command(wait_inside)
    inside.wait(20)
    yield go
    go.set()
    future.result(20)


def test_one_poison_request_fails_alone_and_its_neighbours_are_stored(bench, held, monkeypatch, rows):
    original = Ingest.store

    def store(self, events):
        if any(event.id == "poison" for event, _ in events):
            raise duckdb.ConversionException("planted")
        return original(self, events)

    monkeypatch.setattr(Ingest, "store", store)
    ids = [f"c{i}" for i in range(99)]
    ids.insert(37, "poison")
    futures = {name: bench.store.submit([bench.call(name)]) for name in ids}
    held.set()
    wait(futures.values(), timeout=30)
    with pytest.raises(Rejected, match="planted"):
        futures.pop("poison").result()
    assert {future.result()[0].status for future in futures.values()} == {201}
    assert rows("SELECT count(*) AS n FROM calls")[0]["n"] == 99


def test_a_full_queue_says_busy_and_recovers(bench):
    bench.close()
    bench.open(queue_limit=5)
    release = threading.Event()
    running = bench.store.writer.command(lambda _: release.wait(20))
    time.sleep(0.1)  # the writer has taken the command; it still counts as waiting
    futures = [bench.store.submit([bench.call(f"c{i}")]) for i in range(4)]
    with pytest.raises(Busy, match="limit 5"):
        bench.store.submit([bench.call("c9")])
    release.set()
    running.result(20)
    wait(futures, timeout=20)
    deadline = time.monotonic() + 10
    while bench.store.writer.waiting and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bench.send(bench.call("c9")) == [("c9", 201)]


def test_a_stop_stores_what_is_queued_and_refuses_what_comes_after(bench):
    futures = [bench.store.submit([bench.call(f"c{i}")]) for i in range(200)]
    store = bench.store
    bench.close()
    assert all(future.result()[0].status == 201 for future in futures)
    with pytest.raises(StoreError, match="shutting down"):
        store.submit([bench.call("late")])
    store.writer.stop()  # a second stop does nothing


def test_a_store_failure_closes_every_adapter_and_answers_503(armed, monkeypatch):
    assert armed.open_arms() == {"lora"}

    def fail(self, events):
        raise duckdb.IOException("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Ingest, "store", fail)
        future = armed.store.submit([armed.call("c1")])
        with pytest.raises(StoreError, match="No space left"):
            future.result(20)
    assert armed.open_arms() == frozenset()
    assert armed.state() == "failsafe"
    armed.tick()  # the store works again: the log gets it
    entry = armed.store.queries.guard_log("stage2")[0]
    assert (entry["action"], entry["to_state"]) == ("blind", "failsafe")
    assert "No space left" in entry["reason"]


def test_a_failed_transaction_leaves_no_trace_in_the_guard(armed, monkeypatch):
    original = Ingest.store
    calls = [armed.adapter_call(f"c{i}") for i in range(4)]
    blocks = [armed.outcome(f"v{i}", "block", call=f"c{i}") for i in range(4)]

    def store_then_fail(self, events):
        original(self, events)
        raise duckdb.ConversionException("planted after the fold")

    with monkeypatch.context() as patch:
        patch.setattr(Ingest, "store", store_then_fail)
        with pytest.raises(Rejected):
            armed.store.submit([*calls, *blocks]).result(20)
    assert armed.store.keeper.evidence("stage2", "lora").counts.n == 0
    assert armed.state() == "running"
    armed.send(*calls, *blocks)
    assert armed.state() == "rolled_back"


def test_a_commands_own_error_reaches_its_caller_unchanged(bench):
    def fail(_):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        bench.store.writer.command(fail).result(20)


def test_the_log_is_checkpointed_when_it_grows_and_when_idle(bench, monkeypatch):
    monkeypatch.setattr(writer_module, "IDLE_CHECKPOINT_S", 0.05)
    bench.send(bench.call("c1"))
    deadline = time.monotonic() + 10
    while bench.store._wal_bytes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert bench.store._wal_bytes() == 0
    bench.close()
    bench.open(checkpoint_mb=1)
    for start in range(0, 3000, 500):
        bench.send(*(bench.call(f"x{i}", context="k" * 1500) for i in range(start, start + 500)))
    assert bench.store._wal_bytes() < 3 << 20


CHILD = """
import sys, threading
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
sys.path.insert(0, sys.argv[2])
spec = spec_from_file_location("conftest", Path(sys.argv[2]) / "tests/warehouse/conftest.py")
conftest = module_from_spec(spec); spec.loader.exec_module(conftest)
bench = conftest.Bench(Path(sys.argv[1])); bench.open()
lock = threading.Lock(); counter = [0]
def work():
    while True:
        with lock:
            counter[0] += 1; name = f"k{counter[0]}"
        bench.store.submit([bench.call(name)]).result()
        with lock:
            print(name, flush=True)
for _ in range(16):
    threading.Thread(target=work, daemon=True).start()
threading.Event().wait()
"""


@pytest.mark.slow
def test_kill_minus_nine_loses_nothing_that_was_acknowledged(bench, rows, pytestconfig):
    bench.close()
    root = str(pytestconfig.rootpath)
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(bench.folder), root], stdout=subprocess.PIPE, text=True, cwd=root
    )
    acknowledged = [child.stdout.readline().strip() for _ in range(300)]
    child.send_signal(signal.SIGKILL)
    acknowledged += child.stdout.read().split()
    child.wait(20)
    bench.open()
    stored = [row["id"] for row in rows("SELECT id FROM calls")]
    assert len(acknowledged) >= 300
    assert set(acknowledged) <= set(stored)
    assert len(stored) == len(set(stored))
