"""The comparison of arms that one can publish: estimates, tests and plans over the warehouse's cells.

Statistics are :mod:`experiment`'s; this file chooses what is compared with what and gives the result names. Every
random draw has a seed made from the experiment and epoch, so the same data give the same numbers.
"""

import hashlib
import math
from datetime import UTC, datetime, time, timedelta
from functools import cached_property
from typing import Any, Final, NamedTuple

from experiment.arms import Arms
from experiment.config import PlanSettings
from experiment.estimates import Difference, difference
from experiment.multiplicity import holm
from experiment.observations import Comparison
from experiment.plan import Evidence, Plan, standing
from experiment.power import Pace, outlook
from experiment.rerandomisation import rerandomise
from experiment.sequence import live as live_sequence
from experiment.shrinkage import pool_differences
from warehouse.keeper import EpochInfo
from warehouse.observing import Cells, Window, binary_cells, latency_cells, observations
from warehouse.store import Warehouse

METRICS: Final = ("favourites", "regenerations", "blocks", "refusals", "edits", "latency")
SEGMENTS: Final = ("config", "language", "safety_level")


class Subject(NamedTuple):
    """What is compared: one adapter version against the base, since it was first armed after the last conclusion."""

    experiment: str
    arm: str
    base: str
    adapter: str
    since_epoch: int
    epochs: dict[int, Arms]
    plan: PlanSettings
    concluded: dict[str, Any] | None

    @property
    def seed(self) -> int:
        """Seed of every draw."""
        text = f"{self.experiment}:{self.arm}:{self.adapter}:{self.since_epoch}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")

    @property
    def arms(self) -> tuple[str, str]:
        """(base, arm): the order of the observations' codes."""
        return (self.base, self.arm)


def subject(store: Warehouse, name: str, arm: str) -> Subject | None:
    """The comparison an adapter stands in now; None before its first epoch."""
    epochs = store.keeper.epochs(name)
    guard = store.keeper.guard(name, arm)
    if not epochs or not guard.epoch:
        return None
    concluded = store.queries.conclusion(name)
    closed = concluded["epoch"] if concluded is not None else 0
    # A conclusion ends an experiment; armed again later, a new one begins.
    after = closed if epochs[-1].number > closed else 0
    # The latest stretch of epochs with this version: calls of another one in between are not its own.
    same: list[EpochInfo] = []
    for epoch in reversed(epochs):
        if epoch.number <= after or not any(a.name == arm and a.model == guard.adapter for a in epoch.arms.arms):
            break
        same.insert(0, epoch)
    if not same:
        return None
    return Subject(
        experiment=name,
        arm=arm,
        base=epochs[-1].arms.base,
        adapter=guard.adapter,
        since_epoch=same[0].number,
        epochs={epoch.number: epoch.arms for epoch in epochs},
        plan=same[0].plan,
        concluded=concluded if after == 0 else None,
    )


def number(value: float) -> float | None:
    """A number for JSON: NaN and infinity become None ('no number', never 0)."""
    return None if math.isnan(value) or math.isinf(value) else float(value)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


class Season:
    """The cells of one comparison, read once and shared by its metrics.

    Args:
        store: the warehouse.
        about: what is compared.
        now: time of looking.
        as_treated: by the model that answered instead of by assignment.
        dimension: a dimension to split by.
    """

    def __init__(
        self, store: Warehouse, about: Subject, now: datetime, *, as_treated: bool = False, dimension: str = "none"
    ) -> None:
        self._about, self._queries, self._dimension = about, store.queries, dimension
        self._window = Window(about.experiment, about.since_epoch, now, about.plan.maturity_days, as_treated)

    @cached_property
    def _binary(self) -> Cells:
        return binary_cells(self._queries, self._window, self._dimension)

    @cached_property
    def _latency(self) -> Cells:
        return latency_cells(self._queries, self._window, self._dimension)

    def _cells(self, metric: str) -> Cells:
        return self._latency if metric == "latency" else self._binary

    def comparison(self, metric: str, segment: str | None = None) -> Comparison:
        """Concurrent cells of the two arms for one metric."""
        about = self._about
        seen = observations(self._cells(metric), metric, about.epochs, about.arms, segment)
        return seen.compare(about.arm, about.base)

    def segments(self, metric: str) -> list[str]:
        """Values of the dimension."""
        return self._cells(metric).segments


def _difference(seen: Difference) -> dict[str, Any]:
    ready = seen.readiness.ready
    return {
        "arm": {"calls": seen.arm.calls, "devices": seen.arm.devices, "total": seen.arm.total,
                "mean": number(seen.arm.mean)},
        "base": {"calls": seen.base.calls, "devices": seen.base.devices, "total": seen.base.total,
                 "mean": number(seen.base.mean)},
        "estimate": number(seen.estimate),
        "low": number(seen.low) if ready else None,
        "high": number(seen.high) if ready else None,
        "level": seen.level,
        "readiness": seen.readiness.state,
        "sentence": seen.readiness.sentence,
    }  # fmt: skip


def _sequence(seen: Difference) -> dict[str, Any]:
    now = live_sequence(seen)
    return {
        "low": number(now.low), "high": number(now.high), "excludes_zero": now.excludes_zero,
        "readiness": now.readiness.state, "sentence": now.readiness.sentence,
    }  # fmt: skip


def _pace(store: Warehouse, about: Subject) -> Pace:
    """The present traffic: calls and devices per workshop day, all arms."""
    row = store.queries.pace(about.experiment, about.since_epoch)
    return Pace(row["calls"] / max(row["days"], 1), max(row["devices"] / max(row["days"], 1), 1.0))


def _outlook(comparison: Comparison, pace: Pace, effect: float | None) -> dict[str, Any] | None:
    if not comparison.strata:
        return None
    seen = outlook(comparison, pace, effect=effect)
    return {
        "sentence": seen.sentence,
        "rise": number(seen.rise), "fall": number(seen.fall), "planning": number(seen.planning),
        "rise_even": number(seen.rise_even), "effect": effect, "power_now": number(seen.power_now),
        "calls_needed": number(seen.calls_needed), "calls_needed_even": number(seen.calls_needed_even),
        "workshops_needed": number(seen.workshops_needed),
        "workshops_needed_even": number(seen.workshops_needed_even),
        "workshops_to_ready": number(seen.workshops_to_ready),
        "design_effect": number(seen.design.design_effect),
        "pace": {"calls_per_workshop": pace.calls_per_workshop, "devices_per_workshop": pace.devices_per_workshop},
    }  # fmt: skip


def _metric(
    store: Warehouse, about: Subject, season: Season, metric: str, pace: Pace, *, guard_ended: bool
) -> tuple[dict[str, Any], float]:
    comparison = season.comparison(metric)
    result: dict[str, Any] = {"metric": metric, "n": int(comparison.calls.sum())}
    if not comparison.strata:
        result |= {"difference": None, "sequence": None, "outlook": None, "p_value": None,
                   "sentence": "no concurrent calls of both arms yet"}  # fmt: skip
        return result, math.nan
    if metric == "latency":
        seen, p_value, drawn = difference(comparison), math.nan, None
        result["sentence"] = "milliseconds; interval clustered by device, no re-randomisation for a measured outcome"
    elif metric == "blocks" and guard_ended:
        seen, p_value, drawn = difference(comparison), math.nan, None
        result["sentence"] = (
            "the guard ended an epoch of this comparison: read the guard's evidence; a p-value after a stop is "
            "'significant' in half of all A/A tests"
        )
    else:
        drawn = rerandomise(comparison, about.seed)
        seen, p_value = drawn.difference, drawn.p_value
        result["sentence"] = seen.readiness.sentence
    effect = about.plan.smallest_effect if metric == about.plan.primary else None
    result |= {
        "difference": _difference(seen),
        "p_value": number(p_value),
        "rerandomised": None if drawn is None else {
            "low": number(drawn.low), "high": number(drawn.high), "draws": drawn.draws, "seed": about.seed
        },
        "sequence": _sequence(seen),
        "outlook": _outlook(comparison, pace, effect),
    }  # fmt: skip
    return result, p_value


def _standing(about: Subject, primary: dict[str, Any], now: datetime) -> dict[str, Any]:
    """Where the experiment stands by its plan; the first thing to read."""
    plan = about.plan
    if plan.end_by is None and plan.end_n is None:
        return {
            "state": "exploratory",
            "verdict": "cannot be decided",
            "sentence": "cannot be decided: no end was planned before arming ([experiment.….plan] end_by or end_n), so "
            "nothing here is more than exploration",
        }
    if plan.primary not in METRICS:
        return {
            "state": "waiting", "verdict": "cannot be decided",
            "sentence": f"cannot be decided: the primary metric '{plan.primary}' has not been measured",
        }  # fmt: skip
    end = datetime.combine(plan.end_by + timedelta(days=1), time(), tzinfo=UTC) if plan.end_by else None
    shown, drawn = primary["difference"] or {}, primary.get("rerandomised") or {}
    evidence = Evidence(
        calls=primary["n"],
        estimate=_or_nan(shown.get("estimate")),
        p_value=_or_nan(primary["p_value"]),
        # The interval to publish: under sticky assignment at 10/90 the delta method's covers 89 to 93 % only.
        low=_or_nan(drawn.get("low")),
        high=_or_nan(drawn.get("high")),
        missing="" if shown.get("readiness") == "ready" else (shown.get("sentence") or primary["sentence"]),
    )
    where = standing(
        Plan(plan.primary, end, plan.end_n, plan.smallest_effect), evidence, now, concluded=about.concluded is not None
    )
    return where._asdict()


def _segments(store: Warehouse, about: Subject, metric: str, now: datetime) -> list[dict[str, Any]]:
    """The primary difference by dimension, small cells drawn towards what all have in common."""
    answers = []
    for dimension in SEGMENTS:
        season = Season(store, about, now, dimension=dimension)
        names = season.segments(metric)
        seen = [difference(season.comparison(metric, name)) for name in names]
        usable = [math.isfinite(item.se) and item.se > 0 for item in seen]
        rows = [
            {"value": name, "calls": item.arm.calls + item.base.calls, "raw": number(item.estimate),
             "se": number(item.se), "arm_calls": item.arm.calls, "base_calls": item.base.calls}
            for name, item in zip(names, seen, strict=True)
        ]  # fmt: skip
        pooled = None
        if any(usable):
            pooled = pool_differences(
                names,
                [item.estimate if ok else math.nan for item, ok in zip(seen, usable, strict=True)],
                [item.se if ok else math.nan for item, ok in zip(seen, usable, strict=True)],
            )
            for row, cell in zip(rows, pooled.cells, strict=True):
                row |= {"pooled": number(cell.estimate), "low": number(cell.low), "high": number(cell.high),
                        "weight": number(cell.weight)}  # fmt: skip
        answers.append(
            {
                "dimension": dimension,
                "rows": rows,
                "mean": number(pooled.mean) if pooled else None,
                "spread": number(pooled.spread) if pooled else None,
            }
        )
    return answers


def compare(store: Warehouse, name: str, arm: str, *, as_treated: bool = False, by: bool = False) -> dict[str, Any]:
    """One adapter against the base: plan, metrics, family, and (``by``) the primary metric by segment.

    Args:
        store: the warehouse.
        name: the experiment.
        arm: the adapter's arm.
        as_treated: arms by the model that answered (the comparison by assignment is the one to publish).
        by: add host config, language and safety level.
    """
    about, now = subject(store, name, arm), store.clock()
    if about is None:
        return {"arm": arm, "standing": {"state": "not begun", "verdict": "cannot be decided",
                "sentence": "cannot be decided: the adapter has not been armed yet"}, "metrics": []}  # fmt: skip
    season, pace = Season(store, about, now, as_treated=as_treated), _pace(store, about)
    ended = store.queries.guard_ended(name, arm, about.since_epoch)
    metrics: list[dict[str, Any]] = []
    p_values: dict[str, float] = {}
    for metric in METRICS:
        result, p_value = _metric(store, about, season, metric, pace, guard_ended=ended)
        metrics.append(result)
        if metric != "latency":
            p_values[metric] = p_value
    family = holm(f"outcomes of adapter {about.adapter}", p_values)
    for result in metrics:
        test = next((test for test in family.tests if test.name == result["metric"]), None)
        result["adjusted"] = number(test.adjusted) if test is not None else None
    primary = next((item for item in metrics if item["metric"] == about.plan.primary), metrics[0])
    answer: dict[str, Any] = {
        "arm": arm,
        "base": about.base,
        "adapter": about.adapter,
        "since_epoch": about.since_epoch,
        "by": "treatment" if as_treated else "assignment",
        "standing": _standing(about, primary, now),
        "plan": about.plan.model_dump(mode="json"),
        "concluded": about.concluded,
        "maturity": maturity(store, about, now),
        "metrics": metrics,
        "family": {"name": family.name, "sentence": family.sentence},
        "guard_ended": ended,
    }
    if by:
        answer["segments"] = _segments(store, about, primary["metric"], now)
    return answer


def maturity(store: Warehouse, about: Subject, now: datetime) -> dict[str, Any]:
    """How many calls still wait for their favourites' window to pass."""
    days = about.plan.maturity_days
    row = store.queries.waiting(about.experiment, about.since_epoch, now - timedelta(days=days))
    return {
        "days": days,
        "waiting": row["calls"],
        "waiting_favourites": row["favourites"],
        "sentence": f"{row['calls']} calls are younger than {days} days: their favourites ({row['favourites']} so far) "
        "are shown but not counted",
    }
