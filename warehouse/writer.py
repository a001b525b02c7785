"""The one writer: a thread with one cursor that commits events in groups and answers after the commit.

A commit costs about 10 ms whatever its size up to some dozens of rows, so requests that arrive within the linger share
one. A batch that fails is bisected: one bad request never fails its neighbours.
"""

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import duckdb

from warehouse.engine import STORE_FAILURES
from warehouse.errors import Busy, Rejected, StoreError
from warehouse.ingest import Event, Ingest, ItemResult
from warehouse.keeper import Keeper

IDLE_CHECKPOINT_S: Final = 1.0
_STOP: Final = object()

Command = Callable[[duckdb.DuckDBPyConnection], Any]
"""Something else that must happen in a transaction of its own: a guard action, an erasure."""


@dataclass
class _Request:
    events: Sequence[tuple[Event, str]] = ()
    command: Command | None = None
    future: "Future[Any]" = field(default_factory=Future)


class Writer:
    """Owns the writing cursor.

    Args:
        connection: the open store; the writer takes a cursor of its own.
        keeper: the guard's memory.
        next_seq: commit numbers; only this thread calls it.
        clock: aware time.
        before_commit: called with staged changes before every commit that has some (withdraws permits).
        after_commit: called after it (renews permits).
        on_store_error: called when the store as a whole fails (closes permits, makes the guard blind).
        wal_bytes: size of the write-ahead log, for checkpoints.
        queue_limit: events waiting at most.
        linger_s: how long to wait for company.
        batch_limit: events in one transaction at most.
        checkpoint_bytes: log size at which to checkpoint even while busy.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        keeper: Keeper,
        next_seq: Callable[[], int],
        clock: Callable[[], datetime],
        *,
        before_commit: Callable[[], None],
        after_commit: Callable[[], None],
        on_store_error: Callable[[Exception], None],
        wal_bytes: Callable[[], int],
        queue_limit: int = 20_000,
        linger_s: float = 0.002,
        batch_limit: int = 1_000,
        checkpoint_bytes: int = 64 << 20,
    ) -> None:
        self._cursor = connection.cursor()
        self._keeper = keeper
        self._next_seq = next_seq
        self._clock = clock
        self._before_commit, self._after_commit, self._on_store_error = before_commit, after_commit, on_store_error
        self._wal_bytes, self._checkpoint_bytes = wal_bytes, checkpoint_bytes
        self._queue_limit, self._linger_s, self._batch_limit = queue_limit, linger_s, batch_limit
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._closed = False
        self.repeated = 0
        """Events that came again with the same content, since the service started."""
        self.conflicts = 0
        """Events whose id was known with another content."""
        self._dirty = False
        self._thread = threading.Thread(target=self._run, name="equipoise-writer", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def stop(self, timeout_s: float = 30.0) -> None:
        """Finish what is queued, then stop. Later submissions raise :class:`~warehouse.errors.StoreError`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._queue.put(_STOP)
        self._thread.join(timeout_s)

    @property
    def waiting(self) -> int:
        """Events queued and not yet committed."""
        return self._waiting

    def submit(self, events: Sequence[tuple[Event, str]]) -> "Future[list[ItemResult]]":
        """Queue pseudonymised events with their digests; the future resolves after their commit is on disk.

        Raises:
            Busy: the queue is full.
            StoreError: the writer has stopped.
        """
        return self._put(_Request(events=events), max(1, len(events)))

    def command(self, command: Command) -> "Future[Any]":
        """Queue something that runs in a transaction of its own, in order with the events."""
        return self._put(_Request(command=command), 1)

    def _put(self, request: _Request, weight: int) -> "Future[Any]":
        with self._lock:
            if self._closed:
                raise StoreError("the service is shutting down; send it again later")
            if self._waiting + weight > self._queue_limit:
                raise Busy(
                    f"{self._waiting} events are waiting to be stored (limit {self._queue_limit}); retry shortly"
                )
            self._waiting += weight
            self._queue.put(request)
        return request.future

    # -- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        running = True
        while running:
            try:
                first = self._queue.get(timeout=IDLE_CHECKPOINT_S)
            except queue.Empty:
                self._checkpoint(idle=True)
                continue
            requests, running = self._gather(first)
            for group in _groups(requests):
                self._work(group)
            with self._lock:
                self._waiting -= sum(max(1, len(request.events)) for request in requests)
            self._checkpoint(idle=False)
        self._checkpoint(idle=True)
        self._cursor.close()

    def _gather(self, first: Any) -> tuple[list[_Request], bool]:
        """The first request and its company within the linger; (requests, False) when told to stop."""
        if first is _STOP:
            return [], False
        requests, size = [first], len(first.events)
        until = time.monotonic() + self._linger_s
        while size < self._batch_limit:
            left = until - time.monotonic()
            try:
                item = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                break
            if item is _STOP:
                return requests, False
            requests.append(item)
            size += len(item.events)
        return requests, True

    def _work(self, group: list[_Request]) -> None:
        """One transaction for the group; on failure its halves, so that the bad request fails alone."""
        try:
            answers = self._transaction(group)
        except STORE_FAILURES as error:
            self._on_store_error(error)
            failure = StoreError(f"the store can't be written: {str(error).splitlines()[0]}")
            for request in group:
                request.future.set_exception(failure)
        except Exception as error:  # the rim of the thread: every request gets an answer, the writer lives on
            if len(group) > 1:
                middle = len(group) // 2
                self._work(group[:middle])
                self._work(group[middle:])
            else:
                group[0].future.set_exception(self._refusal(group[0], error))
        else:
            for request, answer in zip(group, answers, strict=True):
                request.future.set_result(answer)

    @staticmethod
    def _refusal(request: _Request, error: Exception) -> Exception:
        """A command's own error as it is; for events, what the store said of their values."""
        if request.command is not None or isinstance(error, OSError):
            return error
        return Rejected(f"the event can't be stored: {str(error).splitlines()[0]}")

    def _transaction(self, group: list[_Request]) -> list[Any]:
        cursor = self._cursor
        cursor.execute("BEGIN")
        try:
            answers: list[Any] = []
            if group[0].command is not None:
                answers.append(group[0].command(cursor))
            else:
                events = [event for request in group for event in request.events]
                results = Ingest(cursor, self._keeper, self._next_seq, self._clock()).store(events)
                start = 0
                for request in group:
                    answers.append(results[start : start + len(request.events)])
                    start += len(request.events)
            if self._keeper.changed:
                self._before_commit()
            cursor.execute("COMMIT")
        except BaseException:
            self._keeper.abort()
            with suppress(duckdb.Error):  # a failed COMMIT has rolled back already
                cursor.execute("ROLLBACK")
            raise
        changed = bool(self._keeper.changed)
        self._keeper.commit()
        if changed:
            self._after_commit()
        self._dirty = True
        self._tally(group, answers)
        return answers

    def _tally(self, group: list[_Request], answers: list[Any]) -> None:
        if group[0].command is None:
            statuses = [result.status for answer in answers for result in answer]
            self.repeated += statuses.count(200)
            self.conflicts += statuses.count(409)

    def _checkpoint(self, *, idle: bool) -> None:
        if not self._dirty or not (idle or self._wal_bytes() >= self._checkpoint_bytes):
            return
        try:
            self._cursor.execute("CHECKPOINT")
            self._dirty = False
        except STORE_FAILURES as error:
            self._on_store_error(error)
        except duckdb.Error:
            pass  # readers are at work: the next idle moment will do


def _groups(requests: list[_Request]) -> list[list[_Request]]:
    """Runs of event requests together, each command alone, order kept."""
    groups: list[list[_Request]] = []
    for request in requests:
        if request.command is None and groups and groups[-1][0].command is None:
            groups[-1].append(request)
        else:
            groups.append([request])
    return groups
