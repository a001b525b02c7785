"""What the live page shows, made here and nowhere else: rates with intervals and counts, over time, by dimension."""

from collections import defaultdict
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any, Final

from experiment.intervals import clopper_pearson, clopper_pearson_many
from warehouse.queries import BEGINNING, Queries, Row, Scope
from warehouse.store import Warehouse

_COUNTS = (
    "calls", "treated", "devices", "favourites", "regenerated", "edited", "refused", "blocked_calls", "errors",
    "fallbacks", "guarded", "timed",
)  # fmt: skip

MAX_BINS: Final = 120
"""Bins of a time series at most, so that the page stays light."""
_BIN_SIZES: Final = (10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 43200, 86400, 604800, 10**9)
_RUNNING: Final = (("favourites", "favourites", "calls"), ("regenerations", "regenerated", "calls"),
                   ("prompt_runs", "blocked", "prompt_runs"))  # fmt: skip
"""Rates followed over time: name, counted, of how many."""


def rate(k: int, n: int) -> dict[str, Any]:
    """K of n with its exact 95 % interval; rate None where n = 0."""
    low, high = clopper_pearson(k, n)
    return {"k": k, "n": n, "rate": k / n if n else None, "low": low if n else None, "high": high if n else None}


def _arm(row: Row) -> dict[str, Any]:
    calls, latency = row["calls"], row["latency"] or (None, None, None)
    return {
        "calls": calls,
        "treated": row["treated"],
        "devices": row["devices"],
        "favourites": rate(row["favourites"], calls),
        "regenerations": rate(row["regenerated"], calls),
        "edits": rate(row["edited"], calls),
        "refusals": rate(row["refused"], calls),
        "blocked_calls": rate(row["blocked_calls"], calls),
        "errors": row["errors"],
        "fallbacks": row["fallbacks"],
        "guarded": row["guarded"],
        "latency_ms": {
            "n": row["timed"],
            "median": latency[0],
            "p90": latency[1],
            "p99": latency[2],
        },
    }


def arms(queries: Queries, scope: Scope, *, codes: bool = True) -> dict[str, dict[str, Any]]:
    """Per arm: counts, rates, latency, prompt-runs and (``codes``) blocks by stage and code."""
    found: dict[str, dict[str, Any]] = {row["arm"]: _arm(row) for row in queries.arm_metrics(scope)}
    for row in queries.prompt_runs(scope.experiment, scope.epoch, scope.since or BEGINNING):
        if row["arm"] in found:
            found[row["arm"]]["prompt_runs"] = rate(row["blocked"], row["n"]) | {
                "devices": row["devices"],
                "blocked_devices": row["blocked_devices"],
            }
    blocks: dict[str, list[Row]] = defaultdict(list)
    found_codes = queries.block_codes(scope.experiment, scope.epoch, scope.since or BEGINNING) if codes else []
    for row in found_codes:
        blocks[row.pop("arm")].append(row)
    for name, arm in found.items():
        arm.setdefault("prompt_runs", rate(0, 0) | {"devices": 0, "blocked_devices": 0})
        arm["blocks"] = blocks[name]
    return found


def by_dimension(queries: Queries, scope: Scope, dimension: str) -> list[dict[str, Any]]:
    """The same per value of a dimension, without prompt-runs."""
    return [{"arm": row["arm"], "value": row["value"], **_arm(row)} for row in queries.arm_metrics(scope, dimension)]


def series(queries: Queries, scope: Scope, since: datetime, until: datetime) -> dict[str, Any]:
    """Per arm and time bin: counts, and the rates of everything up to the bin's end with their intervals.

    The bin is chosen so that at most :data:`MAX_BINS` are needed.
    """
    span = max((until - since).total_seconds(), 1.0)
    bin_s = next(size for size in _BIN_SIZES if span / size <= MAX_BINS)
    cells: dict[tuple[datetime, str], dict[str, Any]] = {}
    for row in queries.arm_series(scope, bin_s, since):
        cells[row["start"], row["arm"]] = row | {"prompt_runs": 0, "blocked": 0}
    for row in queries.prompt_run_series(scope.experiment, scope.epoch, bin_s, since):
        empty = {"start": row["start"], "arm": row["arm"], "calls": 0, "favourites": 0, "regenerated": 0}
        cell = cells.setdefault((row["start"], row["arm"]), empty | {"blocked_calls": 0})
        cell["prompt_runs"], cell["blocked"] = row["n"], row["blocked"]
    points = [cells[key] for key in sorted(cells)]
    for point in points:
        point["end"] = point["start"] + timedelta(seconds=bin_s)
    for arm in {point["arm"] for point in points}:
        _add_running([point for point in points if point["arm"] == arm])
    return {"bin_s": bin_s, "points": points}


def _add_running(points: list[dict[str, Any]]) -> None:
    """Add ``running`` to each point of one arm: its rates from the series' beginning up to the bin's end."""
    for point in points:
        point["running"] = {}
    for name, counted, of in _RUNNING:
        ks = list(accumulate(point[counted] for point in points))
        ns = list(accumulate(point[of] for point in points))
        ends = clopper_pearson_many(ks, ns)
        for point, k, n, low, high in zip(points, ks, ns, ends.low.tolist(), ends.high.tolist(), strict=True):
            if n:
                point["running"][name] = {"k": k, "n": n, "rate": k / n, "low": low, "high": high}
            else:
                point["running"][name] = rate(0, 0)


def live(
    store: Warehouse, scope: Scope, hours: float, by: str | None = None, *, over_time: bool = True
) -> dict[str, Any]:
    """Everything the live page needs in one answer.

    Args:
        store: the warehouse.
        scope: which calls; its ``since`` is set here.
        hours: only the last so many hours.
        by: a dimension to split by as well.
        over_time: False leaves the time series and the blocks' codes out: the rates per arm alone.
    """
    queries, now = store.queries, store.clock()
    since = now - timedelta(hours=hours)
    first = queries.first_call(scope)
    if first is not None and since <= first:
        since = first
    else:
        scope = scope._replace(since=since)
    measured = arms(queries, scope, codes=over_time)
    epoch = store.keeper.epoch(scope.experiment)
    proposed = store.experiments[scope.experiment].proposed(scope.experiment)
    frozen = epoch.arms if epoch is not None else proposed
    guards = store.guarding.effective(scope.experiment)
    empty = dict.fromkeys(_COUNTS, 0)
    nothing = _arm(empty | {"latency": None})
    nothing |= {"prompt_runs": rate(0, 0) | {"devices": 0, "blocked_devices": 0}, "blocks": []}
    shown = []
    for arm in frozen.arms:
        shown.append(
            {
                "arm": arm.name,
                "model": arm.model,
                "weight": arm.weight,
                "base": arm.name == frozen.base,
                "open": arm.name == frozen.base or (arm.name in guards and guards[arm.name].open),
                **measured.get(arm.name, nothing),
            }
        )
    configured = {arm.name for arm in frozen.arms}
    for name in sorted(measured.keys() - configured):  # an earlier epoch's arm, or imported runs without any
        other = {"arm": name, "model": "", "weight": 0, "base": False, "open": False}
        shown.append(other | measured[name])
    split = {"by": {"dimension": by, "rows": by_dimension(queries, scope, by)}} if by is not None else {}
    return split | {
        "experiment": scope.experiment,
        "epoch": epoch.number if epoch is not None else 0,
        "scope": {
            "epoch": scope.epoch,
            "workshop_only": scope.workshop_only,
            "origin": scope.origin,
            "since": scope.since,
        },
        "synthetic": store.keeper.synthetic,
        "generated_at": now,
        "arms": shown,
        "series": series(queries, scope, since, now) if over_time else None,
    }
