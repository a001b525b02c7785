"""The guard's state machine: one adapter's state, and every way it may change.

Guarded is every arm but the base, each with its own state. A verdict folds evidence and may trip a rule; a person arms,
pauses, resumes, rolls back; blindness leads to ``failsafe``. Nothing re-arms by itself: not a restart, a redeploy, new
data or a clock change. All functions are pure: they take the state and return the transition that follows.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from experiment.counting import PromptRun
from experiment.evidence import DeviceEvidence
from experiment.limits import GuardLimits
from experiment.rules import ArmEvidence, Counts, Rule, above_limit

State = Literal["disarmed", "running", "watch", "paused", "rolled_back", "failsafe"]
Grade = Literal["precautionary", "confirmed", "manual"]
Action = Literal["arm", "pause", "resume", "rollback", "blind", "sighted", "trip", "confirm", "watch", "calm"]
"""The cause of a transition. watch/calm: S/n crossed the limit; confirm: a late verdict raised the grade."""

OPEN_STATES: Final = frozenset({"running", "watch"})
"""States in which the adapter gets its configured share; in every other its share goes to the base."""

CONFIRMED_BY_COUNT: Final = 3
"""The third precautionary rollback of one adapter version counts as confirmed."""

CLEAN_MINUTES: Final = 10
"""Minutes of clean reads after which ``failsafe`` leaves by itself."""


class GuardRefused(ValueError):
    """A person asked for something the guard does not allow now; the text says why and what to do."""


@dataclass(frozen=True)
class ArmGuard:
    """One adapter's guard as of now (what a restart reads back from ``guard_log``).

    Attributes:
        state: see STATISTICS.md, *States*.
        epoch: the epoch in which the arm was last armed; 0: never.
        adapter: the adapter version that was armed; '' if never.
        rule: the rule behind a rollback; None for a manual one or without one.
        grade: grade of the rollback; None outside ``rolled_back``.
        since: when the state was entered.
        precautionary: precautionary rollbacks of this adapter version so far.
        opened: when traffic was last let through (armed, resumed or sighted): blindness is judged from then on, so
            that a resumed adapter is not stopped at once on old evidence.
    """

    state: State = "disarmed"
    epoch: int = 0
    adapter: str = ""
    rule: Rule | None = None
    grade: Grade | None = None
    since: datetime | None = None
    precautionary: int = 0
    opened: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether the adapter gets its share of the traffic."""
        return self.state in OPEN_STATES


class VersionHistory(NamedTuple):
    """What the log knows of one adapter version's rollbacks by rule."""

    precautionary: int = 0
    """How often a rule rolled it back."""
    last_grade: Grade | None = None
    """Grade of its latest rollback, manual ones included."""
    last_rollback: datetime | None = None


class Transition(NamedTuple):
    """A change of state or grade, ready for the append-only ``guard_log``."""

    action: Action
    before: ArmGuard
    after: ArmGuard
    event_id: str
    """The outcome that caused it; '' for a person's or the watchdog's doing."""


class Evidence:
    """What one adapter's guard has seen: counts and detector since arming, E since the adapter version's first call."""

    def __init__(self, limits: GuardLimits) -> None:
        self.limits = limits
        self.arm = ArmEvidence(limits)
        self.version = DeviceEvidence(limits.limit, limits.e_window)

    def copy(self) -> "Evidence":
        """An independent copy, for a transaction that may fail."""
        other = object.__new__(Evidence)
        other.limits, other.arm, other.version = self.limits, self.arm.copy(), self.version.copy()
        return other

    @property
    def counts(self) -> Counts:
        """Counts since arming."""
        return self.arm.counts

    @property
    def e_value(self) -> float:
        """Device-level e-value of the adapter version."""
        return self.version.e_value


def fold(guard: ArmGuard, evidence: Evidence, run: PromptRun, *, current: bool = True) -> Transition | None:
    """Fold one counted prompt-run into the evidence (in place) and say what follows from it.

    Evaluated in every state: a late verdict after a rollback may raise the grade, never lower it, and a rule that
    holds while paused or in failsafe rolls back as well, so that nobody resumes into a tripped guard.

    Args:
        guard: the arm's state before.
        evidence: the arm's evidence; changed.
        run: a pair not counted before in this epoch and arm.
        current: False for a late verdict on a call of an earlier epoch: it counts for E alone.
    """
    if current:
        evidence.arm.add(run)
    evidence.version.add(device=run.device, blocked=run.blocked)
    if guard.state == "rolled_back":
        if guard.grade == "precautionary" and evidence.e_value >= evidence.limits.confirm:
            return Transition("confirm", guard, replace(guard, grade="confirmed"), run.event_id)
        return None
    if guard.state == "disarmed" or not current:
        return None
    rule = evidence.arm.rule()
    if rule is not None:
        return Transition("trip", guard, _tripped(guard, evidence, rule, run.ts), run.event_id)
    if guard.open:
        counts = evidence.counts
        wanted = _open_state(above_limit(counts.n, counts.blocked, evidence.limits.limit))
        if wanted != guard.state:
            action: Action = "watch" if wanted == "watch" else "calm"
            return Transition(action, guard, replace(guard, state=wanted, since=run.ts), run.event_id)
    return None


def _tripped(guard: ArmGuard, evidence: Evidence, rule: Rule, now: datetime | None) -> ArmGuard:
    precautionary = guard.precautionary + 1
    confirmed = evidence.e_value >= evidence.limits.confirm or precautionary >= CONFIRMED_BY_COUNT
    return replace(
        guard,
        state="rolled_back",
        rule=rule,
        grade="confirmed" if confirmed else "precautionary",
        since=now,
        precautionary=precautionary,
    )


def arm(
    guard: ArmGuard,
    *,
    adapter: str,
    epoch: int,
    now: datetime,
    limits: GuardLimits,
    verdict_source: bool,
    history: VersionHistory,
    override: bool = False,
) -> Transition:
    """A person arms the adapter: a new epoch, from ``disarmed``, ``rolled_back``, ``paused`` or ``failsafe``.

    Args:
        guard: the arm's state before.
        adapter: the adapter version, named by the person.
        epoch: the new epoch's number.
        now: aware time.
        limits: for the cool-down.
        verdict_source: whether verdicts reach the service; without them the guard would be blind.
        history: what ``guard_log`` knows of this adapter version, whatever was armed in between.
        override: the person insists on the same version after a confirmed rollback; no way around the cool-down.

    Raises:
        GuardRefused: already armed, no verdicts, cooling down, or confirmed without override.
    """
    if guard.open:
        raise GuardRefused(f"the adapter is already {guard.state} in epoch {guard.epoch}: nothing to arm")
    if not verdict_source:
        raise GuardRefused(
            "no source of safety verdicts is connected, so the guard would be blind: "
            "send 'block' and 'not_blocked' outcomes (docs/host-integration.md) or run 'import host --watch', then arm"
        )
    if history.last_grade == "confirmed" and not override:
        raise GuardRefused(
            f"adapter {adapter} was rolled back with grade 'confirmed': deploy a new version, "
            "or arm with the explicit override and your reason"
        )
    if history.last_grade == "precautionary" and history.last_rollback is not None:
        left = history.last_rollback + timedelta(seconds=limits.cooldown_s) - now
        if left > timedelta(0):
            raise GuardRefused(
                f"cooling down after a precautionary rollback: {max(1, round(left.total_seconds() / 60))} min left; "
                "use them to read the blocked calls' codes"
            )
    after = ArmGuard(
        state="running",
        epoch=epoch,
        adapter=adapter,
        since=now,
        opened=now,
        precautionary=history.precautionary,
    )
    return Transition("arm", guard, after, "")


def pause(guard: ArmGuard, now: datetime) -> Transition:
    """A person pauses the adapter; evidence is kept.

    Raises:
        GuardRefused: it is neither running nor in failsafe.
    """
    if not guard.open and guard.state != "failsafe":
        raise GuardRefused(f"the adapter is {guard.state}, so there is nothing to pause")
    return Transition("pause", guard, replace(guard, state="paused", since=now), "")


def resume(guard: ArmGuard, now: datetime, *, above: bool) -> Transition:
    """A person resumes a paused adapter or ends a failsafe: same epoch, evidence kept.

    Args:
        guard: the arm's state before.
        now: aware time.
        above: whether S/n is above the limit, so that it resumes into ``watch``.

    Raises:
        GuardRefused: it is not paused and not in failsafe; a rolled-back adapter needs re-arming.
    """
    if guard.state == "rolled_back":
        raise GuardRefused("the adapter was rolled back: only arming it again opens it, in a new epoch")
    if guard.state not in ("paused", "failsafe") or guard.epoch == 0:
        raise GuardRefused(f"the adapter is {guard.state}, so there is nothing to resume")
    return Transition("resume", guard, replace(guard, state=_open_state(above), since=now, opened=now), "")


def rollback(guard: ArmGuard, now: datetime) -> Transition:
    """A person rolls the adapter back.

    Raises:
        GuardRefused: it never was armed, or is rolled back already.
    """
    if guard.state in ("disarmed", "rolled_back"):
        raise GuardRefused(f"the adapter is {guard.state}: it gets no traffic already")
    after = replace(guard, state="rolled_back", rule=None, grade="manual", since=now)
    return Transition("rollback", guard, after, "")


def _open_state(above: bool) -> State:
    return "watch" if above else "running"


def blind(guard: ArmGuard, now: datetime) -> Transition | None:
    """The watchdog can't see: ``failsafe``, if the adapter was open; None otherwise."""
    if not guard.open:
        return None
    return Transition("blind", guard, replace(guard, state="failsafe", since=now), "")


def sighted(guard: ArmGuard, now: datetime, *, clean_since: datetime, above: bool) -> Transition | None:
    """After ten minutes of clean reads ``failsafe`` leaves by itself; the caller has replayed every missed event."""
    if guard.state != "failsafe" or now - clean_since < timedelta(minutes=CLEAN_MINUTES):
        return None
    return Transition("sighted", guard, replace(guard, state=_open_state(above), since=now, opened=now), "")
