"""The warehouse as one thing: opened by the owner, written through the writer, read through queries."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb

from experiment.config import ExperimentSettings
from experiment.events import Call
from warehouse.config import WarehouseSettings
from warehouse.engine import open_store
from warehouse.erasure import Erased, days_of, device_keys, erase, record
from warehouse.errors import Rejected
from warehouse.guarding import Guarding
from warehouse.ingest import Event, ItemResult
from warehouse.keeper import By, Keeper
from warehouse.keyring import pseudonymiser
from warehouse.permits import PermitFolder
from warehouse.queries import Queries
from warehouse.rows import naive, pseudonymise_call, pseudonymise_outcome
from warehouse.writer import Writer

FILE_NAME: Final = "equipoise.duckdb"


def utc_now() -> datetime:
    """The service's clock."""
    return datetime.now(UTC)


class Warehouse:
    """One process owns it; everyone else speaks HTTP to that process.

    Args:
        data: folder of file, key and permits.
        settings: the ``[warehouse]`` section.
        experiments: the configured experiments.
        synthetic: whether this installation's traffic is made up (demo).
        clock: aware time; tests pass their own.

    Raises:
        StoreHeld: another process owns the file.
        StoreError: it can't be opened.
    """

    def __init__(
        self,
        data: Path,
        settings: WarehouseSettings,
        experiments: dict[str, ExperimentSettings],
        *,
        synthetic: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.data, self.settings, self.experiments, self.clock = data, settings, experiments, clock
        self.path = Path(settings.url) if settings.url else data / FILE_NAME
        self.names = pseudonymiser(data)
        self._connection = open_store(self.path, clock())
        self.permits = PermitFolder(data / "permits")
        self._seq = self._last_seq()
        self.keeper = Keeper(experiments, self._next_seq, synthetic)
        self.keeper.load(self._connection)
        self.queries = Queries(self._connection)
        self.guarding = Guarding(self.keeper, self.permits, self.queries, clock)
        self.writer = Writer(
            self._connection,
            self.keeper,
            self._next_seq,
            clock,
            before_commit=self.guarding.narrow,
            after_commit=self.guarding.publish,
            on_store_error=lambda error: self.guarding.go_blind(f"store error: {str(error).splitlines()[0]}"),
            wal_bytes=self._wal_bytes,
            queue_limit=settings.queue_limit,
            linger_s=settings.linger_ms / 1000,
            batch_limit=settings.batch_limit,
            checkpoint_bytes=settings.checkpoint_mb << 20,
        )
        self.writer.start()
        self.guarding.attach(self.writer)
        self.guarding.recover(time.time())

    def close(self) -> None:
        """Finish what is queued, checkpoint, close the file."""
        self.writer.stop()
        self._connection.close()

    # -- writing --------------------------------------------------------------------------------------------------

    def submit(self, events: Sequence[Event]) -> "Future[list[ItemResult]]":
        """Store events; the future resolves once they are on disk.

        Events that name an unknown experiment or arm are answered 422 without reaching the writer.

        Raises:
            Busy: the queue is full.
            StoreError: the service is stopping or the store is down.
        """
        prepared: list[tuple[Event, str]] = []
        refused: dict[int, ItemResult] = {}
        for position, event in enumerate(events):
            problem = self._problem(event)
            if problem:
                refused[position] = ItemResult(event.id, 422, problem)
                continue
            named = (
                pseudonymise_call(event, self.names)
                if isinstance(event, Call)
                else pseudonymise_outcome(event, self.names)
            )
            if self.keeper.synthetic:
                # Made-up traffic says so in every row, whoever sent it.
                named = named.model_copy(update={"synthetic": True})
            prepared.append((named, named.digest()))
        if not refused:
            return self.writer.submit(prepared)
        return self._merge(prepared, refused, len(events))

    def _merge(
        self, prepared: list[tuple[Event, str]], refused: dict[int, ItemResult], total: int
    ) -> "Future[list[ItemResult]]":
        merged: Future[list[ItemResult]] = Future()

        def finish(stored: list[ItemResult]) -> None:
            rest = iter(stored)
            merged.set_result([refused[i] if i in refused else next(rest) for i in range(total)])

        if not prepared:
            finish([])
            return merged

        def done(future: "Future[list[ItemResult]]") -> None:
            error = future.exception()
            if error is not None:
                merged.set_exception(error)
            else:
                finish(future.result())

        self.writer.submit(prepared).add_done_callback(done)
        return merged

    def _problem(self, event: Event) -> str:
        """Why an event can't be accepted; '' if it can."""
        if event.experiment not in self.experiments:
            known = ", ".join(sorted(self.experiments)) or "none is configured"
            return f"unknown experiment {event.experiment!r}; known: {known}"
        if isinstance(event, Call) and event.arm and not self.keeper.known_arm(event.experiment, event.arm):
            known = ", ".join(self.experiments[event.experiment].arms)
            return f"unknown arm {event.arm!r} in experiment {event.experiment!r}; known: {known}"
        return ""

    def tick(self) -> "Future[Any]":
        """An evaluation without events: proves that the store can be read and written, and logs what is due."""
        return self.writer.command(self.guarding.tick)

    def erase_device(self, device: str, token_id: str) -> Erased:
        """Erase a browser id's days, one device-day or a pseudonym; answers once it is on disk.

        Raises:
            StoreError: the store can't be written.
        """

        def command(cursor: duckdb.DuckDBPyConnection) -> Erased:
            first, last = days_of(cursor, self.clock().date())
            return self._erase(cursor, "device", device_keys(device, self.names, first, last), token_id)

        return self._erased(command)

    def erase_run(self, run: str, token_id: str) -> Erased:
        """Erase one run; answers once it is on disk.

        Raises:
            StoreError: the store can't be written.
        """
        return self._erased(lambda cursor: self._erase(cursor, "run", [self.names.run(run)], token_id))

    def conclude(self, experiment: str, arm: str, by: By, say: Callable[[], str]) -> dict[str, Any]:
        """Close an experiment: pause open adapters, then keep what it says by its plan.

        Args:
            experiment: its name.
            arm: the adapter whose comparison is concluded.
            by: who and why.
            say: gives the sentence; read after the adapters are paused, before the conclusion is stored.

        Raises:
            Rejected: it has no epoch, or its present epochs are concluded already.
            StoreError: the store can't be written.
        """
        epoch, last = self.keeper.epoch(experiment), self.queries.conclusion(experiment)
        if epoch is None:
            raise Rejected("there is nothing to conclude: no adapter was ever armed")
        if last is not None and last["epoch"] >= epoch.number:
            raise Rejected(f"concluded already by {last['actor']}: {last['sentence']}")
        for name, guard in self.guarding.effective(experiment).items():
            if guard.open or guard.state == "failsafe":  # which would leave by itself
                self.writer.command(self.guarding.pause(experiment, name, by)).result(timeout=60)
        sentence = say()

        def command(cursor: duckdb.DuckDBPyConnection) -> None:
            cursor.execute(
                "INSERT INTO conclusions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [self._next_seq(), naive(self.clock()), experiment, epoch.number, by.actor, by.token_id, by.reason,
                 sentence],
            )  # fmt: skip

        self.writer.command(command).result(timeout=60)
        return {"experiment": experiment, "arm": arm, "epoch": epoch.number, "sentence": sentence}

    def _erase(self, cursor: duckdb.DuckDBPyConnection, column: str, keys: list[str], token_id: str) -> Erased:
        done = erase(cursor, column, keys)
        if done.calls or done.outcomes or done.prompt_runs:
            record(cursor, self._next_seq(), self.clock(), keys, "api", token_id)
        return done

    def _erased(self, command: Callable[[duckdb.DuckDBPyConnection], Erased]) -> Erased:
        done: Erased = self.writer.command(command).result(timeout=300)
        # Guard states do not change, but what is in memory is keyed by the pseudonyms that are gone.
        self.writer.command(self.keeper.load).result(timeout=300)
        return done

    # -- internals ------------------------------------------------------------------------------------------------

    def _next_seq(self) -> int:
        self._seq += 1
        return self._seq

    def _last_seq(self) -> int:
        tables = ("calls", "outcomes", "prompt_runs", "guard_log", "overrides", "exclusions", "erasures", "conclusions",
                  "annotations")  # fmt: skip
        parts = " UNION ALL ".join(f"SELECT max(seq) AS seq FROM {name}" for name in tables)
        row = self._connection.execute(f"SELECT coalesce(max(seq), 0) FROM ({parts})").fetchone()
        return int(row[0]) if row else 0

    def _wal_bytes(self) -> int:
        try:
            return self.path.with_name(self.path.name + ".wal").stat().st_size
        except OSError:
            return 0
