"""Pictures of the service's numbers: rows for the charts of :mod:`chart_specs`, and the same figures in words.

Nothing is computed here but where a mark stands.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import pyarrow as pa

from dashboard import chart_specs
from dashboard import words_page as words
from dashboard.wording import Text, Voice

BAND_FROM: Final = 20
"""Running shares are drawn from this n on: before, the interval fills the picture and says nothing."""
DAYS_FROM: Final = 600
"""Periods longer than these seconds span more than a day together."""

_INSTANT: Final = pa.timestamp("ms", tz="UTC")
_RATE: Final = (("rate", pa.float64()), ("low", pa.float64()), ("high", pa.float64()), ("text", pa.string()))


class Picture(NamedTuple):
    """What Vega-Lite draws, and what it shows in words."""

    spec: dict[str, Any]
    alt: str


def _picture(spec: str, alt: str, **data: pa.Table) -> Picture:
    return Picture(json.loads(spec) | {"datasets": data}, alt)


def _table(rows: Sequence[Mapping[str, Any]], *columns: tuple[str, Any]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(columns))


def _instant(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def _in_words(voice: Voice, rates: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    return "; ".join(f"{name}: {_figures(voice, rate)}" for name, rate in rates)


def _figures(voice: Voice, rate: Mapping[str, Any]) -> str:
    return f"{voice.percent(rate['rate'])} · {voice.of(rate)} · {voice.interval(rate)}"


def _rate_row(voice: Voice, rate: Mapping[str, Any]) -> dict[str, Any]:
    return {"rate": rate["rate"], "low": rate["low"], "high": rate["high"], "text": _figures(voice, rate)}


def _limit(limit: float | None) -> dict[str, pa.Table]:
    return {} if limit is None else {"limit": _table([{"limit": limit}], ("limit", pa.float64()))}


def intervals(
    voice: Voice, arms: Sequence[Mapping[str, Any]], key: str, name: Text, limit: float | None = None
) -> Picture | None:
    """One rate: a point and its 95 % interval per arm; None where no arm has data.

    Args:
        voice: the viewer's language and zone.
        arms: base first.
        key: which rate of an arm.
        name: how it is called.
        limit: a line that should not be crossed.
    """
    known = [(arm["arm"], arm[key]) for arm in arms if arm[key]["n"]]
    if not known:
        return None
    rows = [{"arm": arm, **_rate_row(voice, rate)} for arm, rate in known]
    spec = chart_specs.intervals(voice, tuple(arm["arm"] for arm in arms), name, limited=limit is not None)
    alt = voice.say(words.INTERVAL_ALT, name=voice.say(name), rates=_in_words(voice, known))
    return _picture(spec, alt, rows=_table(rows, ("arm", pa.string()), *_RATE), **_limit(limit))


def bin_name(voice: Voice, seconds: float) -> str:
    """How long a period is, in words."""
    for size, one, many in (
        (86400, words.DAY, words.DAYS),
        (3600, words.HOUR, words.HOURS_N),
        (60, words.MINUTE, words.MINUTES),
    ):
        if seconds >= size:
            return voice.say(one) if seconds == size else voice.say(many, count=voice.count(seconds // size))
    return voice.say(words.SECONDS, count=voice.count(seconds))


def calls(voice: Voice, series: Mapping[str, Any], order: Sequence[str]) -> Picture | None:
    """Calls per period, stacked by arm."""
    rows = [
        {
            "start": _instant(point["start"]),
            "end": _instant(point["end"]),
            "arm": point["arm"],
            "position": order.index(point["arm"]) if point["arm"] in order else len(order),
            "calls": point["calls"],
        }
        for point in series["points"]
        if point["calls"]
    ]
    if not rows:
        return None
    columns = (("start", _INSTANT), ("end", _INSTANT), ("arm", pa.string()), ("position", pa.int64()))
    spec = chart_specs.calls(voice, tuple(order), days=series["bin_s"] > DAYS_FROM)
    alt = voice.say(words.CALLS_ALT, bin=bin_name(voice, series["bin_s"]))
    return _picture(spec, alt, rows=_table(rows, *columns, ("calls", pa.int64())))


def blocked_against_limit(
    voice: Voice, adapter: Mapping[str, Any], limits: Mapping[str, Any], order: Sequence[str]
) -> Picture | None:
    """Blocked prompt-runs since arming as steps, what the limit allows dashed, where a rule trips dotted."""
    points = adapter["evidence"]
    if not points:
        return None
    rows = [{**point, "ts": _instant(point["ts"]), "arm": adapter["arm"]} for point in points]
    columns = (("ts", _INSTANT), ("n", pa.int64()), ("blocked", pa.int64()), ("allowed", pa.float64()),
               ("trips_at", pa.float64()), ("arm", pa.string()))  # fmt: skip
    days = len({rows[index]["ts"].astimezone(voice.zone).date() for index in (0, -1)}) > 1
    limit = voice.say(words.LINE_LIMIT, limit=voice.percent(limits["limit"], 0))
    newest = points[-1]
    alt = voice.say(
        words.EVIDENCE_ALT,
        arm=adapter["arm"],
        blocked=voice.count(newest["blocked"]),
        n=voice.count(newest["n"]),
        allowed=voice.decimal(newest["allowed"]),
    )
    return _picture(
        chart_specs.blocked_against_limit(voice, tuple(order), limit, days=days),
        alt,
        rows=_table(rows, *columns),
        first=_table(rows[:1], *columns),
        last=_table(rows[-1:], *columns),
    )


def running(
    voice: Voice, series: Mapping[str, Any], key: str, name: Text, order: Sequence[str], limit: float | None = None
) -> Picture | None:
    """A rate of everything so far, per arm, its interval as a band.

    Args:
        voice: the viewer's language and zone.
        series: the results answer's ``series``.
        key: which running rate.
        name: how it is called.
        order: names of the arms.
        limit: a line that should not be crossed.
    """
    latest = {point["arm"]: point["running"][key] for point in series["points"]}
    rows = [
        {"at": _instant(point["end"]), "arm": point["arm"], **_rate_row(voice, rate)}
        for point in series["points"]
        if (rate := point["running"][key])["n"] and rate["n"] >= min(BAND_FROM, latest[point["arm"]]["n"])
    ]
    if not rows:
        return None
    said = _in_words(voice, ((arm, latest[arm]) for arm in order if arm in latest and latest[arm]["n"]))
    spec = chart_specs.running(voice, tuple(order), limited=limit is not None, days=series["bin_s"] > DAYS_FROM)
    alt = voice.say(words.RUNNING_ALT, name=voice.say(name), rates=said)
    return _picture(spec, alt, rows=_table(rows, ("at", _INSTANT), ("arm", pa.string()), *_RATE), **_limit(limit))
