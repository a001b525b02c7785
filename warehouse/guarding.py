"""The guard at work: a person's actions, permits in the right order, and blindness.

Decisions are :mod:`experiment.guard`'s; this file gives them the store, the permit files and the clock. Everything that
changes state runs in the writer's thread; closing a permit does not need it.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import duckdb

from experiment import guard as machine
from experiment.guard import ArmGuard, GuardRefused
from experiment.permit import MAX_AGE_S
from experiment.rules import above_limit
from warehouse.keeper import SERVICE, By, Keeper
from warehouse.permits import PermitFolder
from warehouse.queries import Queries
from warehouse.rows import naive

if TYPE_CHECKING:
    from warehouse.writer import Writer

VERDICT_GRACE: Final = timedelta(minutes=5)
"""How long a verdict may take before it counts as missing."""
MISSING_MIN_CALLS: Final = 10
MISSING_MARGIN: Final = 0.20
"""Share without verdict above the base's at which the guard is blind."""
SOURCE_WINDOW: Final = timedelta(hours=24)
"""A source of verdicts counts as connected if one came within this time."""
ASK_VERDICTS_EVERY: Final = timedelta(seconds=15)
"""How often missing verdicts are counted; the store itself is proved at every tick."""


class Blindness(NamedTuple):
    """Why and since when the guard can't see, not yet in the log."""

    reason: str
    since: datetime


class Guarding:
    """Actions on the guard of every experiment.

    Args:
        keeper: the guard's memory.
        permits: the permit files.
        queries: reads.
        clock: aware time.
    """

    def __init__(self, keeper: Keeper, permits: PermitFolder, queries: Queries, clock: Callable[[], datetime]) -> None:
        self._keeper, self._permits, self._queries, self._clock = keeper, permits, queries, clock
        self._writer: Writer | None = None
        self._lock = threading.Lock()
        self._blind: Blindness | None = None
        self._trouble_at: datetime | None = None
        self._forced: dict[tuple[str, str], By] = {}
        self._ticked: tuple[Blindness | None, list[tuple[str, str]]] | None = None
        """What the tick in flight writes to the log: settled once its commit is on disk, kept if it fails."""
        # Over 'compute, read, write' of a permit: a roll-back must not be overwritten by what was computed before it.
        self._permit_lock = threading.RLock()
        self._published: dict[str, int] = {}
        """Epoch of the latest permit written, per experiment."""
        self._asked_verdicts: datetime | None = None

    def attach(self, writer: "Writer") -> None:
        """Tell it the writer (which needs this object's callbacks first)."""
        self._writer = writer

    # -- permits --------------------------------------------------------------------------------------------------

    def _closed_anyway(self, experiment: str) -> frozenset[str]:
        """Arms kept closed although the store may still say open: blind, or rolled back on the permit alone."""
        with self._lock:
            if self._blind is not None:
                return frozenset(self._keeper.guards(experiment))
            return frozenset(arm for name, arm in self._forced if name == experiment)

    def narrow(self) -> None:
        """Before a commit: take out of the permits on disk what the staged changes close (stop early)."""
        for experiment in self._keeper.changed:
            wanted = self._keeper.permit(experiment)
            current = self._permits.read(experiment)
            if wanted is None or current is None:
                continue
            closing = current.open_arms - wanted.open_arms
            if closing:
                self._permits.close_arms(experiment, closing)

    def publish(self) -> None:
        """After a commit: write permits that differ from what the guard allows now (arm late).

        A file that is gone within its epoch was deleted by a person: it is not made again while arms are open;
        :meth:`tick` takes it as an emergency stop.
        """
        self._settle()
        for experiment in self._keeper.experiments:
            with self._permit_lock:
                self._publish(experiment)

    def _settle(self) -> None:
        with self._lock:
            if self._ticked is None:
                return
            blind, forced = self._ticked
            self._ticked = None
            self._blind = None if self._blind == blind else self._blind
            for key in forced:
                self._forced.pop(key, None)

    def _publish(self, experiment: str) -> None:
        wanted = self._keeper.permit(experiment)
        if wanted is None:
            return
        wanted = wanted.model_copy(update={"open_arms": wanted.open_arms - self._closed_anyway(experiment)})
        current = self._permits.read(experiment)
        deleted = current is None and self._published.get(experiment) == wanted.epoch and bool(wanted.open_arms)
        if wanted != current and not deleted:
            try:
                self._permits.write(wanted)
            except OSError as error:
                self.go_blind(f"the permit can't be written: {error}")
        self._published[experiment] = wanted.epoch

    # -- blindness ------------------------------------------------------------------------------------------------

    @property
    def blindness(self) -> Blindness | None:
        """Why the guard can't see now; None while it can."""
        with self._lock:
            return self._blind

    def go_blind(self, reason: str) -> None:
        """Close every adapter at once, without the store; the next tick that works writes it to the log."""
        now = self._clock()
        with self._lock:
            self._trouble_at = now
            if self._blind is None:
                self._blind = Blindness(reason, now)
        with self._permit_lock:
            for experiment in self._keeper.experiments:
                self._permits.close_arms(experiment)

    def effective(self, experiment: str) -> dict[str, ArmGuard]:
        """Guards as they act now: blindness and a roll-back on the permit show before the log has them."""
        guards = self._keeper.guards(experiment)
        with self._lock:
            blind, forced = self._blind, dict(self._forced)
        now = self._clock()
        for arm, guard in guards.items():
            if (experiment, arm) in forced and guard.state not in ("disarmed", "rolled_back"):
                guards[arm] = machine.rollback(guard, now).after
            elif blind is not None:
                step = machine.blind(guard, blind.since)
                guards[arm] = step.after if step else guard
        return guards

    def tick(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """One evaluation inside the writer's transaction: proves the store, logs blindness and roll-backs, recovers."""
        cursor.execute("SELECT max(seq) FROM guard_log").fetchone()
        now = self._clock()
        with self._lock:
            blind, forced = self._blind, dict(self._forced)
        for (experiment, arm), by in forced.items():
            guard = self._keeper.guard(experiment, arm)
            if guard.state not in ("disarmed", "rolled_back"):
                self._keeper.apply(cursor, experiment, arm, machine.rollback(guard, now), by, now)
        ask = self._asked_verdicts is None or now - self._asked_verdicts >= ASK_VERDICTS_EVERY
        self._asked_verdicts = now if ask else self._asked_verdicts
        for experiment in self._keeper.experiments:
            for arm, guard in self._keeper.guards(experiment).items():
                if blind is not None:
                    step = machine.blind(guard, now)
                    if step is not None:
                        self._keeper.apply(cursor, experiment, arm, step, By("watchdog", "", blind.reason), now)
                else:
                    self._look(cursor, experiment, arm, guard, now, ask)
        with self._lock:
            self._ticked = (blind, list(forced))
        if not self._keeper.changed:
            self._settle()  # nothing to commit, so nothing to wait for

    def _look(
        self, cursor: duckdb.DuckDBPyConnection, experiment: str, arm: str, guard: ArmGuard, now: datetime, ask: bool
    ) -> None:
        """Missing verdicts, a deleted permit, or the way back out of failsafe, for one adapter."""
        if guard.open and self._permits.read(experiment) is None:
            reason = "the permit file was deleted or damaged: taken as an emergency stop"
            self._keeper.apply(
                cursor, experiment, arm, machine.rollback(guard, now), By("file system", "", reason), now
            )
            return
        trouble = self._missing(experiment, arm, guard, now) if ask else ""
        if trouble:
            with self._lock:
                self._trouble_at = now
            step = machine.blind(guard, now)
            if step is not None:
                self._keeper.apply(cursor, experiment, arm, step, By("watchdog", "", trouble), now)
            return
        if guard.state == "failsafe" and guard.since is not None:
            with self._lock:
                clean_since = max(self._trouble_at or guard.since, guard.since)
            back = machine.sighted(guard, now, clean_since=clean_since, above=self._above(experiment, arm))
            if back is not None:
                self._keeper.apply(cursor, experiment, arm, back, SERVICE, now)

    def _missing(self, experiment: str, arm: str, guard: ArmGuard, now: datetime) -> str:
        """A sentence if the adapter's verdicts are missing more than 20 points above the base's; else ''."""
        if guard.state not in ("running", "watch", "failsafe") or guard.opened is None:
            return ""
        shares = self._queries.missing_verdicts(experiment, guard.opened, now - VERDICT_GRACE)
        expected, missing = shares.get(arm, (0, 0))
        base_expected, base_missing = shares.get(self._keeper.experiments[experiment].base, (0, 0))
        base_share = base_missing / base_expected if base_expected else 0.0
        if expected >= MISSING_MIN_CALLS and missing / expected - base_share > MISSING_MARGIN:
            return (
                f"{missing} of {expected} adapter calls sent to Stage 3 have no verdict after 5 minutes "
                f"(base arm: {base_missing} of {base_expected})"
            )
        return ""

    def _above(self, experiment: str, arm: str) -> bool:
        evidence = self._keeper.evidence(experiment, arm)
        return above_limit(evidence.counts.n, evidence.counts.blocked, evidence.limits.limit)

    def recover(self, wall_time: float) -> None:
        """At start: an adapter that the store calls open stays open only if the permit agrees and is fresh.

        Args:
            wall_time: seconds since 1970, as file modification times count.
        """
        for experiment in self._keeper.experiments:
            open_arms = [arm for arm, guard in self._keeper.guards(experiment).items() if guard.open]
            permit = self._permits.read(experiment)
            age = self._permits.age_s(experiment, wall_time)
            for arm in open_arms:
                if permit is None:
                    self._forced[experiment, arm] = By(
                        "file system", "", "the permit was gone when the service started"
                    )
                    continue
                self._published[experiment] = permit.epoch
                if arm not in permit.open_arms:
                    reason = "the permit was closed while the store could not be written"
                    self._forced[experiment, arm] = By("file system", "", reason)
            if open_arms and age is not None and abs(age) > MAX_AGE_S:
                self.go_blind(f"no evaluation for {age:.0f} s: the service was down")
        self.publish()

    # -- a person's actions -----------------------------------------------------------------------------------------

    def rollback_now(self, experiment: str, arm: str, by: By) -> "Future[Any]":
        """Close the permit first, then have the log written; the caller may answer without waiting for the future.

        Raises:
            GuardRefused: the adapter gets no traffic already.
        """
        machine.rollback(self._keeper.guard(experiment, arm), self._clock())
        with self._permit_lock:
            with self._lock:
                self._forced[experiment, arm] = by
            self._permits.close_arms(experiment, frozenset({arm}))
        assert self._writer is not None, "attach() comes first"
        return self._writer.command(self.tick)

    def arm(
        self, experiment: str, arm: str, adapter: str, by: By, *, override: bool = False
    ) -> Callable[[duckdb.DuckDBPyConnection], str]:
        """A command that arms the adapter in a new epoch; its result is the sentence for the screen."""

        def command(cursor: duckdb.DuckDBPyConnection) -> str:
            now = self._clock()
            model = self._keeper.experiments[experiment].proposed(experiment).arm(arm).model
            if adapter != model:
                raise GuardRefused(
                    f"arming names the adapter: arm {arm!r} is configured with model {model!r}, not {adapter!r}"
                )
            self._no_stranger(experiment, arm)
            latest = self._queries.latest_verdict(experiment)
            step = machine.arm(
                self._keeper.guard(experiment, arm),
                adapter=adapter,
                epoch=self._keeper.next_epoch(experiment),
                now=now,
                limits=self._keeper.limits(experiment),
                verdict_source=latest is not None and now - latest <= SOURCE_WINDOW,
                history=self._keeper.history(cursor, experiment, adapter),
                override=override,
            )
            self._keeper.open_epoch(cursor, experiment, by, now)
            self._keeper.start_evidence(cursor, experiment, arm, adapter)
            return self._keeper.apply(cursor, experiment, arm, step, by, now)

        return command

    def _no_stranger(self, experiment: str, arm: str) -> None:
        """A new epoch freezes every arm's configured model: none may come in under another arm's arming."""
        proposed = self._keeper.experiments[experiment].proposed(experiment)
        for other, guard in self._keeper.guards(experiment).items():
            if other == arm or guard.state in ("disarmed", "rolled_back"):
                continue
            model = proposed.arm(other).model
            if model != guard.adapter:
                raise GuardRefused(
                    f"arm {other!r} is {guard.state} with {guard.adapter!r}, but now configured with {model!r}: "
                    "roll it back first, then arm it by its new name"
                )

    def _not_concluded(self, experiment: str) -> None:
        concluded, epoch = self._queries.conclusion(experiment), self._keeper.epoch(experiment)
        if concluded is not None and epoch is not None and concluded["epoch"] >= epoch.number:
            raise GuardRefused("the experiment is concluded: arming the adapter begins a new one")

    def pause(self, experiment: str, arm: str, by: By) -> Callable[[duckdb.DuckDBPyConnection], str]:
        """A command that pauses the adapter."""
        return lambda cursor: self._step(cursor, experiment, arm, by, machine.pause)

    def resume(self, experiment: str, arm: str, by: By) -> Callable[[duckdb.DuckDBPyConnection], str]:
        """A command that resumes a paused adapter or ends a failsafe."""

        def decide(guard: ArmGuard, now: datetime) -> machine.Transition:
            self._not_concluded(experiment)
            return machine.resume(guard, now, above=self._above(experiment, arm))

        return lambda cursor: self._step(cursor, experiment, arm, by, decide)

    def _step(
        self,
        cursor: duckdb.DuckDBPyConnection,
        experiment: str,
        arm: str,
        by: By,
        decide: Callable[[ArmGuard, datetime], machine.Transition],
    ) -> str:
        now = self._clock()
        step = decide(self._keeper.guard(experiment, arm), now)
        return self._keeper.apply(cursor, experiment, arm, step, by, now)

    def base_only_today(self, experiment: str, by: By) -> Callable[[duckdb.DuckDBPyConnection], str]:
        """A command that puts everybody on the base arm until the end of the day (UTC)."""

        def command(cursor: duckdb.DuckDBPyConnection) -> str:
            now = self._clock()
            until = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=UTC)
            self._keeper.set_overrides(experiment, base_only_until=until)
            self._log_override(cursor, experiment, "base_only", "", until, by, now)
            return f"Base arm only until {until:%Y-%m-%d %H:%M} UTC; the guard's state is unchanged."

        return command

    def opt_out(
        self, experiment: str, device: str, by: By, *, out: bool = True
    ) -> Callable[[duckdb.DuckDBPyConnection], str]:
        """A command that puts a device (pseudonym) on the base arm, or back under assignment."""

        def command(cursor: duckdb.DuckDBPyConnection) -> str:
            devices = self._keeper.opted_out(experiment)
            self._keeper.set_overrides(experiment, opted_out=devices | {device} if out else devices - {device})
            self._log_override(cursor, experiment, "opt_out" if out else "opt_in", device, None, by, self._clock())
            return f"Device {device} {'gets the base arm only' if out else 'is assigned by chance again'}."

        return command

    def _log_override(
        self,
        cursor: duckdb.DuckDBPyConnection,
        experiment: str,
        kind: str,
        device: str,
        until: datetime | None,
        by: By,
        now: datetime,
    ) -> None:
        cursor.execute(
            "INSERT INTO overrides VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [self._keeper.next_seq(), naive(now), experiment, kind, device, naive(until) if until else None, by.actor,
             by.token_id, by.reason],
        )  # fmt: skip
