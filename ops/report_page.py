"""The report as one self-contained page: this file turns the document into words and marks, the template places them.

The page holds no script and asks for nothing: it can be mailed, printed and kept.
"""

import json
from importlib.resources import files
from typing import Any, Final, NamedTuple

from jinja2 import Environment, StrictUndefined

from ops.report_plots import Estimate, Forest, Lines, forest, rates_over_time
from ops.report_words import NOTHING, count, difference, needed, p_value, points, published, rate, scale, share

NAMES: Final = {
    "favourites": "favourites", "regenerations": "regenerations", "blocks": "safety blocks", "refusals": "refusals",
    "edits": "edits by hand", "latency": "latency", "fidelity": "fidelity",
}  # fmt: skip
LONGEST: Final = 24
"""Letters of a segment's name beside its plot."""
TEXT_MEASURES: Final = (
    ("opening_share", "commonest first four words"), ("jaccard", "mean bigram distance (Jaccard)"),
    ("distinct_1", "distinct words"), ("distinct_2", "distinct word pairs"), ("unigram_entropy", "unigram entropy"),
    ("compression_ratio", "compression ratio"),
)  # fmt: skip


class MetricRow(NamedTuple):
    """One metric, in words."""

    name: str
    primary: bool
    arm: str
    base: str
    difference: str
    p: str
    adjusted: str
    treated: str
    detectable: str
    detectable_even: str
    needed: str
    live: str
    note: str


class Segment(NamedTuple):
    """One dimension's cells."""

    dimension: str
    summary: str
    plot: Forest | None


class Adapter(NamedTuple):
    """One adapter's part of the page."""

    arm: str
    base: str
    adapter: str
    sentence: str
    open_question: bool
    limits: tuple[str, ...]
    alarms: tuple[str, ...]
    checks: tuple[dict[str, Any], ...]
    metrics: tuple[MetricRow, ...]
    family: str
    plot: Forest | None
    segments: tuple[Segment, ...]
    plan: tuple[tuple[str, str], ...]
    maturity: str
    guard: str
    collapse: dict[str, Any] | None
    texts: tuple[tuple[str, str, str], ...]
    exclusions: tuple[dict[str, Any], ...]


def page(document: dict[str, Any]) -> str:
    """The page's HTML; everything stored is escaped.

    Args:
        document: of :func:`ops.report_data.gather`.
    """
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files("ops").joinpath("report_page.html").read_text(encoding="utf-8"))
    adapters = [_adapter(document, index) for index in range(len(document["analysis"]))]
    return template.render(
        document=document,
        adapters=adapters,
        arms=[_arm(row) for row in document["arms"]],
        over_time=_over_time(document),
        # A page that says what it is before anything else, also in a list of windows.
        title=f"{document['experiment']}: {adapters[0].sentence if adapters else 'no adapter is configured'}",
        provenance=_provenance(document),
        settings=settings_text(document),
        history=[_moved(row) for row in document["guard_history"]],
    )


def _over_time(document: dict[str, Any]) -> list[tuple[str, Lines]]:
    base = next((arm["arm"] for arm in document["arms"] if arm["base"]), "")
    named = (("favourites", "Favourites"), ("regenerations", "Regenerations"), ("prompt_runs", "Blocked prompt-runs"))
    plots = [(words, rates_over_time(document["series"], key, base)) for key, words in named]
    return [(words, plot) for words, plot in plots if plot is not None]


def _arm(row: dict[str, Any]) -> dict[str, str]:
    median = row["latency_ms"]["median"]
    state = "base" if row["base"] else ("open" if row["open"] else "closed")
    return {
        "arm": row["arm"], "model": row["model"], "weight": str(row["weight"]), "state": state,
        "calls": f"{row['calls']:,}", "devices": f"{row['devices']:,}",
        "blocked": share(row["prompt_runs"]) or NOTHING, "favourites": share(row["favourites"]) or NOTHING,
        "regenerations": share(row["regenerations"]) or NOTHING, "refusals": share(row["refusals"]) or NOTHING,
        "latency": NOTHING if median is None else f"{median:,.0f} ms",
    }  # fmt: skip


def _moved(row: dict[str, Any]) -> dict[str, str]:
    evidence = f"{row['blocked']}/{row['n']}"
    return {"ts": str(row["ts"])[:16].replace("T", " "), "what": f"{row['from_state']} → {row['to_state']}",
            "arm": row["arm"], "epoch": str(row["epoch"]), "evidence": evidence, "actor": row["actor"],
            "reason": row["reason"], "sentence": row["sentence"], "config": row["config_digest"][:12],
            "version": row["code_version"]}  # fmt: skip


def _provenance(document: dict[str, Any]) -> list[tuple[str, str]]:
    source, scope = document["provenance"], document["scope"]
    kept = [("experiment", source["experiment"]), ("data as of", str(source["taken"])),
            ("last commit", f"{source['seq']:,}"), ("traffic", "workshop only" if scope["workshop_only"] else "all"),
            ("origin", scope["origin"]), ("epoch of the tables of arms", str(scope["epoch"] or "all")),
            ("configuration (SHA-256)", source["config_digest"]), ("Equipoise", source["code_version"]),
            ("unit of assignment", source["settings"]["unit"])]  # fmt: skip
    if "snapshot" in source:
        kept.append(("snapshot (SHA-256)", source["snapshot"]))
    return kept


def _adapter(document: dict[str, Any], index: int) -> Adapter:
    item, arm = document["analysis"][index], document["analysis"][index]["arm"]
    trust = next(seen for seen in document["quality"]["adapters"] if seen["arm"] == arm)
    treated = {metric["metric"]: metric for seen in document["as_treated"] if seen["arm"] == arm
               for metric in seen["metrics"]}  # fmt: skip
    standing, plan = item["standing"], item.get("plan") or {}
    collapse = trust["collapse"]
    texts = (collapse or {}).get("texts")
    return Adapter(
        arm=arm,
        base=item.get("base", ""),
        adapter=item.get("adapter", ""),
        sentence=standing["sentence"],
        open_question=standing["verdict"] == "cannot be decided",
        limits=_limits(item),
        alarms=tuple(f"{check['name']}: {check['sentence']}" for check in trust["checks"] if check["alarm"])
        + ((f"mode collapse: {collapse['sentence']}",) if collapse and collapse["alarm"] else ()),
        checks=tuple(trust["checks"]),
        metrics=tuple(_metric(metric, treated.get(metric["metric"]), plan) for metric in item["metrics"]),
        family=item["family"]["sentence"] if "family" in item else "",
        plot=forest([_estimate(metric) for metric in item["metrics"] if metric["metric"] != "latency"]),
        segments=tuple(_segment(split) for split in item.get("segments", ())),
        plan=tuple((key.replace("_", " "), NOTHING if value is None else str(value)) for key, value in plan.items()),
        maturity=item["maturity"]["sentence"] if "maturity" in item else "",
        guard=document["guard"].get(arm, ""),
        collapse=_collapse(collapse),
        texts=tuple((words, _plain(texts["base"][key]), _plain(texts["arm"][key])) for key, words in TEXT_MEASURES)
        if texts else (),
        exclusions=tuple(trust["exclusions"]),
    )  # fmt: skip


def _limits(item: dict[str, Any]) -> tuple[str, ...]:
    """What these numbers cannot say, beside the standing."""
    plan = item.get("plan")
    primary = next((m for m in item["metrics"] if plan and m["metric"] == plan["primary"]), None)
    lines = [primary["outlook"]["sentence"]] if primary and primary["outlook"] else []
    if "maturity" in item:
        lines.append(item["maturity"]["sentence"])
    if item.get("guard_ended"):
        lines.append("the guard ended an epoch of this comparison: its blocks are judged by the guard's evidence alone")
    if item.get("concluded"):
        kept = item["concluded"]
        lines.append(f"concluded by {kept['actor']} ({kept['reason']}): {kept['sentence']}")
    return tuple(lines)


def _metric(metric: dict[str, Any], treated: dict[str, Any] | None, plan: dict[str, Any]) -> MetricRow:
    name, seen, outlook = metric["metric"], metric["difference"], metric.get("outlook")
    by_treatment = difference(name, published(treated)) if treated and treated["difference"] else None
    live = metric.get("sequence")
    return MetricRow(
        name=NAMES.get(name, name),
        primary=name == plan.get("primary"),
        arm=rate(name, seen["arm"]) if seen else NOTHING,
        base=rate(name, seen["base"]) if seen else NOTHING,
        difference=difference(name, published(metric)) or NOTHING,
        p=p_value(metric["p_value"]),
        adjusted=p_value(metric["adjusted"]),
        treated=by_treatment or NOTHING,
        detectable=_detectable(outlook) if name != "latency" else NOTHING,
        detectable_even=points(outlook["rise_even"]) if outlook and name != "latency" else NOTHING,
        needed=needed(outlook),
        live=_interval(name, live),
        note=metric["sentence"],
    )


def _detectable(outlook: dict[str, Any] | None) -> str:
    if outlook is None or outlook["rise"] is None:
        return NOTHING
    return f"{points(outlook['rise'])} / {points(outlook['fall'])}"


def _interval(name: str, seen: dict[str, Any] | None) -> str:
    if seen is None or seen["low"] is None or seen["high"] is None:
        return NOTHING
    factor, unit = scale(name)
    return f"{factor * seen['low']:+.1f} to {factor * seen['high']:+.1f} {unit}".replace("-", "−")


def _estimate(metric: dict[str, Any]) -> Estimate:
    name, seen = metric["metric"], published(metric)
    words = difference(name, seen) or metric["sentence"]
    if seen is None or seen["low"] is None:
        words = f"{words.split(':')[0]}" if seen is None else "no interval yet"
        return Estimate(NAMES.get(name, name), words, None, None, None)
    return Estimate(NAMES.get(name, name), words, *(100 * seen[key] for key in ("estimate", "low", "high")))


def _segment(split: dict[str, Any]) -> Segment:
    rows: list[Estimate] = []
    for row in split["rows"]:
        name = row["value"] or "(none)"
        name = name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
        label = f"{name} · {row['arm_calls']:,}/{row['base_calls']:,}"
        # A cell without a number of its own would only repeat what all have in common.
        if row.get("pooled") is None or row["se"] is None:
            rows.append(Estimate(label, "too few calls to say", None, None, None))
            continue
        words = f"{points(row['pooled'])} ({points(row['low'])} to {points(row['high'])}); alone {points(row['raw'])}"
        rows.append(Estimate(label, words, *(100 * row[key] for key in ("pooled", "low", "high"))))
    summary = "No cell is large enough" if split["mean"] is None else (
        f"In common {points(split['mean'])} points; cells differ by a standard deviation of "
        f"{points(split['spread'], sign=False)} points"
    )  # fmt: skip
    return Segment(split["dimension"].replace("_", " "), summary, forest(rows))


def _collapse(seen: dict[str, Any] | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    rows = [
        {"name": item["categories"], "sentence": item["sentence"], "alarm": item["alarm"],
         "entropy": (_plain(item["base"]["entropy"]), _plain(item["arm"]["entropy"]), p_value(item["p_entropy"])),
         "collision": (_plain(item["base"]["collision"]), _plain(item["arm"]["collision"]),
                       p_value(item["p_collision"])),
         "top_share": (_percent(item["base"]["top_share"]), _percent(item["arm"]["top_share"]),
                       p_value(item["p_top_share"]))}
        for item in seen["categories"]
    ]  # fmt: skip
    size = (seen.get("texts") or {}).get("n")
    return {"sentence": seen["sentence"], "alarm": seen["alarm"], "rows": rows, "n": count(size)}


def _plain(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _percent(value: float | None) -> str:
    return NOTHING if value is None else f"{100 * value:.0f} %"


def settings_text(document: dict[str, Any]) -> str:
    """The configuration as it was, for the page's end."""
    return json.dumps(document["provenance"]["settings"], indent=2, ensure_ascii=False)
