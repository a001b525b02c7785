"""The plan fixed before arming, and what may be said at which time.

While the experiment runs only the live view is read; the p-value and the interval are read once, at the planned end.
An experiment that cannot be decided says so first, before any number.
"""

import math
from datetime import datetime
from typing import Literal, NamedTuple

State = Literal["running", "reached", "concluded"]
Verdict = Literal["not yet", "cannot be decided", "higher", "lower", "no difference worth finding"]


class Plan(NamedTuple):
    """What was fixed before the first call; ``check`` it before arming."""

    primary: str
    """Name of the primary metric."""
    end_by: datetime | None = None
    """With a time zone; the experiment ends at the earlier of both ends."""
    end_n: int | None = None
    """Concurrent calls of both arms together."""
    smallest_effect: float | None = None
    """The smallest difference worth finding, in units of the metric, > 0."""
    alpha: float = 0.05


class Evidence(NamedTuple):
    """The primary comparison as it stands, in plain numbers."""

    calls: int
    estimate: float
    """Arm − base; NaN without concurrent calls."""
    p_value: float
    """By re-randomisation, exact at any size; NaN: no test possible."""
    low: float
    """NaN while the interval may not be shown."""
    high: float
    missing: str = ""
    """Why nothing can be shown ('too few devices: 12 of 30 …'); empty if it can."""


class Standing(NamedTuple):
    """Where the experiment stands."""

    state: State
    verdict: Verdict
    sentence: str


def check(plan: Plan) -> Plan:
    """The plan itself if it can be kept.

    Raises:
        ValueError: no end, an end without a time zone, or a number out of range.
    """
    if plan.end_by is None and plan.end_n is None:
        raise ValueError(
            "the plan has no end: set end_by or end_n before arming, so that nobody stops when it looks good"
        )
    if plan.end_by is not None and plan.end_by.tzinfo is None:
        raise ValueError(f"end_by {plan.end_by.isoformat()} has no time zone: write it like 2026-07-01T00:00:00Z")
    if plan.end_n is not None and plan.end_n < 1:
        raise ValueError(f"end_n = {plan.end_n} must be at least 1")
    if plan.smallest_effect is not None and not plan.smallest_effect > 0:
        raise ValueError(f"smallest_effect = {plan.smallest_effect} must be above 0")
    if not 0 < plan.alpha < 1:
        raise ValueError(f"alpha = {plan.alpha} is not within (0, 1)")
    return plan


def standing(plan: Plan, evidence: Evidence, now: datetime, *, concluded: bool = False) -> Standing:
    """State and verdict of the primary comparison.

    Args:
        plan: as fixed before arming.
        evidence: the primary comparison on mature, concurrent calls.
        now: time of looking, with a time zone.
        concluded: a person has closed the experiment.

    Raises:
        ValueError: the plan has no end, or a time lacks its zone.
    """
    check(plan)
    if now.tzinfo is None:
        raise ValueError(f"now {now.isoformat()} has no time zone")
    by_n = plan.end_n is not None and evidence.calls >= plan.end_n
    by_date = plan.end_by is not None and now >= plan.end_by
    if not (concluded or by_n or by_date):
        return Standing("running", "not yet", f"running: {_progress(plan, evidence, now)}; read the live view only")
    state: State = "concluded" if concluded else "reached"
    early = concluded and not (by_n or by_date)
    verdict, reason = _verdict(plan, evidence)
    if early and verdict in ("higher", "lower"):
        # Whoever closes early may have chosen the moment; a p-value for a fixed end does not cover that.
        verdict, reason = (
            "cannot be decided",
            f"closed before the planned end ({_progress(plan, evidence, now)})",
        )
    return Standing(state, verdict, f"{verdict}: {reason}")


def _verdict(plan: Plan, evidence: Evidence) -> tuple[Verdict, str]:
    if math.isnan(evidence.p_value):
        return "cannot be decided", evidence.missing or "no concurrent calls of both arms"
    interval = f"{1 - plan.alpha:.0%} interval {evidence.low:+.3f} … {evidence.high:+.3f}, "
    shown = f"{'' if evidence.missing else interval}{_p_words(evidence.p_value)}"
    if evidence.p_value <= plan.alpha:
        # The test is exact however few devices there are; only the size of the difference stays open.
        verdict: Verdict = "higher" if evidence.estimate > 0 else "lower"
        unknown = f"; by how much cannot be said ({evidence.missing})" if evidence.missing else ""
        return verdict, f"{plan.primary} differs between the arms ({shown}){unknown}"
    if evidence.missing:
        return "cannot be decided", f"{evidence.missing} ({shown})"
    worth = plan.smallest_effect
    if worth is not None and -worth < evidence.low and evidence.high < worth:
        return "no difference worth finding", f"any difference in {plan.primary} is below {worth:g} ({shown})"
    return "cannot be decided", f"the data allow both no difference and one worth finding ({shown})"


def _progress(plan: Plan, evidence: Evidence, now: datetime) -> str:
    parts = []
    if plan.end_n is not None:
        parts.append(f"{evidence.calls} of {plan.end_n} calls")
    if plan.end_by is not None:
        parts.append(f"{max((plan.end_by - now).days, 0)} days to {plan.end_by.date().isoformat()}")
    return ", ".join(parts)


def _p_words(p_value: float) -> str:
    """Never 'p = 0.000': a re-randomisation p-value is at least 1/(draws + 1)."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
