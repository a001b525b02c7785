"""Can the data be trusted? Sample ratio, missing verdicts, fallbacks, clocks, duplicates, regimes, mode collapse."""

from typing import Any, Final

import numpy as np

from collector.analysis import Subject, number, subject
from experiment.arms import Arms
from experiment.carryover import carry_over, lagged
from experiment.collapse import Collapse, compare_diversity
from experiment.observations import Stratum
from experiment.sample_ratio import judge, start, update
from experiment.text_diversity import codes, equal_n, opening
from warehouse.engine import sql
from warehouse.guarding import VERDICT_GRACE
from warehouse.queries import Row
from warehouse.rows import naive
from warehouse.store import Warehouse

MAX_OUTPUTS: Final = 5_000
"""Latest outputs that diversity is measured on; older ones are in the report's snapshot."""
MAX_LAGGED: Final = 200_000
"""Latest calls that carry-over is looked for in."""
FALLBACK_SHARE: Final = 0.05
MISSING_SHARE: Final = 0.20
TEXTS: Final = 200
"""Texts per arm in the equal-n measures."""


def _sample_ratio(store: Warehouse, about: Subject) -> dict[str, Any]:
    """The sequential test on units, phase by phase."""
    rows = store.queries.arrow(sql("unit_order"), [about.experiment, about.since_epoch])
    keys = list(zip(rows.column("epoch").to_pylist(), rows.column("eligible").to_pylist(), strict=True))
    if not keys:
        return {"alarm": False, "sentence": "no assigned units yet", "counts": {}, "p_value": None}
    names = sorted({arm.name for arms in about.epochs.values() for arm in arms.arms})
    code = {name: position for position, name in enumerate(names)}
    phases = []
    order = [key for key in dict.fromkeys(keys) if key[0] in about.epochs]
    arms = np.array([code.get(name, -1) for name in rows.column("arm").to_pylist()])
    labels = {key: position for position, key in enumerate(order)}
    phase = np.array([labels.get(key, -1) for key in keys])
    for key in order:
        weights = _weights(about.epochs[key[0]], key[1], names)
        if sum(weight > 0 for weight in weights) < 2:
            continue  # nothing was drawn here
        drawn = arms[phase == labels[key]]
        phases.append(update(start(weights), drawn[drawn >= 0]))
    result = judge(phases, names)
    return {
        "alarm": result.alarm,
        "sentence": result.sentence,
        "counts": dict(zip(names, result.counts, strict=True)),
        "expected": dict(zip(names, result.expected, strict=True)),
        "p_value": number(result.p_value),
    }


def _weights(arms: Arms, eligible: str, names: list[str]) -> tuple[int, ...]:
    """Share of each arm among these units: what an adapter could not be given went to nobody, so it is left out."""
    chance = set(eligible.split(",")) | {arms.base}
    known = {arm.name: arm.weight for arm in arms.arms}
    return tuple(known.get(name, 0) if name in chance else 0 for name in names)


def _flag(name: str, alarm: bool, sentence: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "alarm": alarm, "sentence": sentence, **more}


def _counts(rows: list[Row], key: str) -> dict[str, int]:
    return {row["arm"]: row[key] for row in rows}


def _shares(rows: list[Row], name: str, key: str, limit: float, words: str) -> dict[str, Any]:
    parts, alarm = [], False
    for row in rows:
        share = row[key] / row["calls"] if row["calls"] else 0.0
        alarm |= share > limit
        parts.append(f"{row['arm']} {row[key]} of {row['calls']}")
    return _flag(name, alarm, f"{words}: {', '.join(parts) or 'no calls yet'}", counts=_counts(rows, key))


def _verdicts(store: Warehouse, about: Subject) -> dict[str, Any]:
    now = store.clock()
    values = [about.experiment, about.since_epoch, naive(now - VERDICT_GRACE)]
    rows = store.queries.rows(sql("verdict_gaps"), values)
    parts = [f"{row['arm']} {row['missing']} of {row['expected']}" for row in rows]
    alarm = any(row["missing"] / row["expected"] > MISSING_SHARE for row in rows if row["expected"])
    sentence = f"no verdict five minutes after Stage 3 was asked: {', '.join(parts)}"
    if not rows:
        sentence = "no call was reported as sent to Stage 3: missing verdicts can't be noticed (send 'submitted')"
    return _flag("missing verdicts", alarm, sentence, rows=rows)


def _regimes(store: Warehouse, about: Subject) -> dict[str, Any]:
    rows = store.queries.rows(
        "SELECT template_version AS template, count(*) AS calls, min(ts) AS first, max(ts) AS last FROM calls "
        "WHERE experiment = ? AND epoch >= ? AND origin = 'live' GROUP BY ALL ORDER BY first",
        [about.experiment, about.since_epoch],
    )
    mixed = len(rows) > 1
    words = "two regimes are never pooled silently: estimates are stratified by them" if mixed else "one regime"
    shown = ", ".join(f"{row['template']} ({row['calls']})" for row in rows) or "no calls yet"
    return _flag("template versions", mixed, f"{shown}: {words}", rows=rows)


def _base_blocks(store: Warehouse, about: Subject) -> dict[str, Any]:
    limit = float(store.keeper.limits(about.experiment).limit)
    rows = [row for row in store.queries.prompt_runs(about.experiment) if row["arm"] == about.base]
    n, blocked = (rows[0]["n"], rows[0]["blocked"]) if rows else (0, 0)
    alarm = n >= 50 and blocked / n > limit
    shown = f"{100 * blocked / n:.1f} % ({blocked}/{n})" if n else "no verdicts yet (0/0)"
    words = ": look at the workshop or the check first" if alarm else ""
    return _flag("base arm's own block rate", alarm, f"{shown}{words}", n=n, blocked=blocked)


def _duplicates(store: Warehouse, about: Subject) -> dict[str, Any]:
    row = store.queries.rows(
        "SELECT count(*) AS runs, count(*) FILTER (n > 1) AS repeated FROM "
        "(SELECT run, count(*) AS n FROM calls WHERE experiment = ? AND epoch >= ? AND run <> '' GROUP BY run)",
        [about.experiment, about.since_epoch],
    )[0]
    writer = store.writer
    sentence = (
        f"{row['repeated']} of {row['runs']} runs have more than one call; since the service started "
        f"{writer.repeated} events came again (stored once) and {writer.conflicts} ids came with another content"
    )
    return _flag("duplicates", writer.conflicts > 0, sentence, **row)


def _diversity(result: Collapse) -> dict[str, Any]:
    return {
        "categories": result.categories,
        "arm": {name: number(float(value)) for name, value in result.arm._asdict().items()},
        "base": {name: number(float(value)) for name, value in result.base._asdict().items()},
        "p_entropy": number(result.p_entropy),
        "p_collision": number(result.p_collision),
        "p_top_share": number(result.p_top_share),
        "measure": result.measure,
        "alarm": result.alarm,
        "sentence": result.sentence,
    }


def mode_collapse(store: Warehouse, about: Subject) -> dict[str, Any]:
    """Does the adapter answer less diversely? Openings of the outputs, traditions and topics where labelled."""
    table = store.queries.rows(sql("outputs"), [about.experiment, about.since_epoch, MAX_OUTPUTS])
    table = [row for row in table if row["arm"] in about.arms]
    answers: list[dict[str, Any]] = []
    texts: dict[str, Any] | None = None
    if table:
        keys = [(row["epoch"], row["eligible"], row["template"]) for row in table]
        unit = about.epochs[keys[0][0]].unit
        device = np.unique([row["cluster"] for row in table], return_inverse=True)[1].astype(np.int64)
        stratum = np.unique([str(key) for key in keys], return_inverse=True)[1].astype(np.int64)
        treated = np.array([row["arm"] == about.arm for row in table])
        first, _ = codes([opening(row["output"]) for row in table])
        answers.append(
            _diversity(
                compare_diversity(
                    "opening", first, device, treated, about.seed, unit=unit, stratum=stratum, measure="top_share"
                )
            )
        )
        for kind in ("tradition", "topic"):
            labels = store.queries.annotations(kind, [row["id"] for row in table])
            label, _ = codes([labels.get(row["id"]) for row in table])
            known = label >= 0
            if known.any():
                result = compare_diversity(
                    kind, label[known], device[known], treated[known], about.seed, unit=unit, stratum=stratum[known]
                )
                answers.append(_diversity(result))
        texts = _equal_n(table, about)
    alarms = [item["sentence"] for item in answers if item["alarm"]]
    return {
        "alarm": bool(alarms),
        "sentence": "; ".join(alarms) or (answers[0]["sentence"] if answers else "no outputs to compare yet"),
        "categories": answers,
        "texts": texts,
        "outputs": len(table),
    }


def _equal_n(table: list[Row], about: Subject) -> dict[str, Any] | None:
    arm = [row["output"] for row in table if row["arm"] == about.arm]
    base = [row["output"] for row in table if row["arm"] == about.base]
    size = min(len(arm), len(base), TEXTS)
    if size < 2:
        return None
    result = equal_n(arm, base, about.seed, size=size, draws=5)
    return {
        "n": size,
        "arm": {name: number(float(value)) for name, value in result.arm._asdict().items()},
        "base": {name: number(float(value)) for name, value in result.base._asdict().items()},
    }


def _carry_over(store: Warehouse, about: Subject) -> dict[str, Any]:
    """Does the previous call's arm on a device still show in the next one (regenerations)?"""
    if next(iter(about.epochs.values())).unit != "run":
        return _flag("carry-over", False, "sticky assignment: a device stays in its arm, so nothing carries over")
    rows = store.queries.arrow(sql("lagged"), [about.experiment, about.since_epoch, MAX_LAGGED])
    keep = np.isin(np.array(rows.column("arm").to_pylist(), dtype=object), list(about.arms))
    keep &= np.isin(rows.column("epoch").to_numpy(), list(about.epochs))
    keys = list(zip(*(rows.column(name).to_pylist() for name in ("epoch", "eligible", "template")), strict=True))
    if not keys or not keep.any():
        return _flag("carry-over", False, "no calls yet")
    names = sorted({key for key in keys if key[0] in about.epochs})
    place = {key: position for position, key in enumerate(names)}
    strata = tuple(
        Stratum(f"epoch {key[0]}: {key[1]}", key[0], key[2], _weights(about.epochs[key[0]], key[1], list(about.arms)))
        for key in names
    )
    observed = lagged(
        arms=about.arms,
        strata=strata,
        stratum=np.array([place.get(key, -1) for key in keys], dtype=np.int64)[keep],
        device=np.unique(rows.column("device").to_pylist(), return_inverse=True)[1].astype(np.int64)[keep],
        arm=np.array([int(name == about.arm) for name in rows.column("arm").to_pylist()], dtype=np.int64)[keep],
        y=rows.column("regenerated").to_numpy(zero_copy_only=False).astype(np.float64)[keep],
    )
    result = carry_over(observed, about.arm, about.base, about.seed)
    return _flag("carry-over", result.suspected, result.sentence, p_value=number(result.result.p_value))


def quality(store: Warehouse, name: str, arm: str) -> dict[str, Any]:
    """Everything that says whether the comparison of an adapter with the base can be trusted.

    Args:
        store: the warehouse.
        name: the experiment.
        arm: the adapter's arm.
    """
    about = subject(store, name, arm)
    exclusions = store.queries.exclusions(name)
    if about is None:
        return {"arm": arm, "alarms": 0, "checks": [], "collapse": None, "exclusions": exclusions,
                "sentence": "the adapter has not been armed yet: there is nothing to compare"}  # fmt: skip
    rows = store.queries.rows(sql("quality_counts"), [name, about.since_epoch])
    ratio = _sample_ratio(store, about)
    checks = [
        _flag("sample ratio", ratio.pop("alarm"), ratio.pop("sentence"), **ratio),
        _verdicts(store, about),
        _shares(rows, "fallbacks", "fallbacks", FALLBACK_SHARE, "assigned to the arm, answered by the base"),
        _shares(rows, "another model answered", "other_model", 0.0, "answered by a model of no arm"),
        _shares(rows, "errors", "errors", FALLBACK_SHARE, "no answer"),
        _shares(rows, "clock skew", "from_the_future", 0.0, "stamped more than a minute after they arrived"),
        _shares(rows, "late events", "late", 0.5, "arrived more than an hour after they happened"),
        _shares(rows, "no device", "without_device", 0.0, "device unknown: no clustering, no cap per device"),
        _shares(rows, "no permit", "without_permit", FALLBACK_SHARE, "base arm because no permit was valid"),
        _duplicates(store, about),
        _regimes(store, about),
        _base_blocks(store, about),
        _carry_over(store, about),
    ]
    collapse = mode_collapse(store, about)
    alarms = [check["name"] for check in checks if check["alarm"]] + (["mode collapse"] if collapse["alarm"] else [])
    return {
        "arm": arm,
        "since_epoch": about.since_epoch,
        "alarms": len(alarms),
        "sentence": f"look at: {', '.join(alarms)}" if alarms else "nothing speaks against the data",
        "checks": checks,
        "collapse": collapse,
        "exclusions": exclusions,
    }
