"""Pictures of the service's numbers (Altair): nothing is computed here but where a mark stands.

Each chart has an alternative text with its figures. Colours come from the theme in the order of the arms, so that they
change with dark and light; the shape of a point says the arm as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import altair as alt
import pyarrow as pa

from dashboard import words_page as words
from dashboard.palette import ARM_SHAPES, VERMILLION
from dashboard.wording import Text, Voice

INTERVAL_STEP: Final = 28
INTERVAL_AXIS: Final = 34
TIME_HEIGHT: Final = 230
DAY_S: Final = 86_400
BAND_FROM: Final = 20
"""Running shares are drawn from this n on: before, the interval fills the picture and says nothing."""
_INSTANT: Final = pa.timestamp("ms", tz="UTC")


class Picture(NamedTuple):
    """A chart and what it shows, in words."""

    chart: alt.Chart | alt.LayerChart | alt.FacetChart
    alt: str


def _table(rows: Sequence[Mapping[str, Any]], columns: Iterable[tuple[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([dict(row) for row in rows], schema=pa.schema(list(columns)))


def _instant(iso: str) -> datetime:
    return datetime.fromisoformat(iso)


def _colour(order: Sequence[str], *, legend: alt.Legend | None = None) -> alt.Color:
    return alt.Color("arm:N", scale=alt.Scale(domain=list(order)), legend=legend)


def _shape(order: Sequence[str]) -> alt.Shape:
    shapes = [ARM_SHAPES[min(position, len(ARM_SHAPES) - 1)] for position in range(len(order))]
    return alt.Shape("arm:N", scale=alt.Scale(domain=list(order), range=shapes), legend=None)


def _time_axis(bin_s: float) -> alt.Axis:
    """Clock times within a day, days beyond; Vega shows them in the browser's zone."""
    return alt.Axis(title=None, format="%H:%M" if bin_s <= 600 else "%d.%m. %H:%M", labelOverlap=True, tickCount=6)


def _counts(field: str) -> alt.Y:
    return alt.Y(field, title=None, axis=alt.Axis(tickMinStep=1, tickCount=6))


def _rate_words(voice: Voice, rates: Iterable[tuple[str, Mapping[str, Any]]]) -> str:
    return "; ".join(
        f"{name}: {voice.percent(rate['rate'])} ({voice.of(rate)}; {voice.interval(rate)})" for name, rate in rates
    )


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
    order = [arm["arm"] for arm in arms]
    rows = [
        {
            "arm": arm, "rate": rate["rate"], "low": rate["low"], "high": rate["high"],
            "text": f"{voice.percent(rate['rate'])} · {voice.of(rate)} · {voice.interval(rate)}",
        }
        for arm, rate in known
    ]  # fmt: skip
    columns = [("arm", pa.string()), ("rate", pa.float64()), ("low", pa.float64()), ("high", pa.float64())]
    base = alt.Chart(_table(rows, [*columns, ("text", pa.string())])).encode(
        y=alt.Y("arm:N", sort=order, scale=alt.Scale(domain=order), title=None, axis=alt.Axis(labelLimit=120)),
        color=_colour(order),
        tooltip=[alt.Tooltip("arm:N", title=voice.say(words.ARM)), alt.Tooltip("text:N", title=voice.say(name))],
    )
    across = alt.X(
        "low:Q", title=None, scale=alt.Scale(zero=True, nice=True), axis=alt.Axis(format="~%", tickCount=5, grid=True)
    )
    layers: list[alt.Chart] = [
        base.mark_rule(strokeWidth=4, opacity=0.55).encode(x=across, x2="high:Q"),
        base.mark_point(filled=True, size=110, opacity=1).encode(x=alt.X("rate:Q"), shape=_shape(order)),
    ]
    if limit is not None:
        line = alt.Chart(_table([{"limit": limit}], [("limit", pa.float64())]))
        layers.append(line.mark_rule(color=VERMILLION, strokeDash=[5, 4], strokeWidth=2).encode(x="limit:Q"))
    chart = alt.layer(*layers).properties(height=INTERVAL_STEP * len(order) + INTERVAL_AXIS)
    return Picture(chart, voice.say(words.INTERVAL_ALT, name=voice.say(name), rates=_rate_words(voice, known)))


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
    columns = [("start", _INSTANT), ("end", _INSTANT), ("arm", pa.string()), ("position", pa.int64()),
               ("calls", pa.int64())]  # fmt: skip
    chart = (
        alt.Chart(_table(rows, columns))
        .mark_bar(orient="vertical", binSpacing=0, opacity=0.9)
        .encode(
            x=alt.X("start:T", axis=_time_axis(series["bin_s"])),
            x2="end:T",
            y=alt.Y("calls:Q", title=None, stack="zero", axis=alt.Axis(tickMinStep=1, format="~s")),
            color=_colour(order),
            order=alt.Order("position:Q"),
            tooltip=[
                alt.Tooltip("start:T", title=voice.say(words.TIME), format="%H:%M:%S"),
                alt.Tooltip("arm:N", title=voice.say(words.ARM)),
                alt.Tooltip("calls:Q", title=voice.say(words.CALLS)),
            ],
        )
        .properties(height=TIME_HEIGHT)
    )
    return Picture(chart, voice.say(words.CALLS_ALT, bin=bin_name(voice, series["bin_s"])))


def blocked_against_limit(
    voice: Voice, adapter: Mapping[str, Any], limits: Mapping[str, Any], order: Sequence[str]
) -> Picture | None:
    """Blocked prompt-runs since arming as steps, what the limit allows dashed, where a rule trips dotted."""
    points = adapter["evidence"]
    if not points:
        return None
    rows = [{**point, "ts": _instant(point["ts"]), "arm": adapter["arm"]} for point in points]
    columns = [("ts", _INSTANT), ("n", pa.int64()), ("blocked", pa.int64()), ("allowed", pa.float64()),
               ("trips_at", pa.float64()), ("arm", pa.string())]  # fmt: skip
    days = {rows[index]["ts"].astimezone(voice.zone).date() for index in (0, -1)}
    along = alt.X("ts:T", axis=_time_axis(DAY_S if len(days) > 1 else 0))
    limit = voice.say(words.LINE_LIMIT, limit=voice.percent(limits["limit"], 0))
    base = alt.Chart(_table(rows, columns)).encode(
        order="n:Q",
        tooltip=[
            alt.Tooltip("ts:T", title=voice.say(words.TIME), format="%d.%m. %H:%M:%S"),
            alt.Tooltip("n:Q", title="n"),
            alt.Tooltip("blocked:Q", title=voice.say(words.BLOCKED_RUNS)),
            alt.Tooltip("allowed:Q", title=limit, format=".2f"),
            alt.Tooltip("trips_at:Q", title=voice.say(words.LINE_TRIP), format=".2f"),
        ],
    )
    line = base.mark_line(color=VERMILLION, strokeWidth=1.8)
    chart = alt.layer(
        line.encode(x=along, y=_counts("allowed:Q"), strokeDash=alt.value([6, 4])),
        line.encode(x=along, y=_counts("trips_at:Q"), strokeDash=alt.value([1, 4])),
        base.mark_line(interpolate="step-after", strokeWidth=3).encode(
            x=along, y=_counts("blocked:Q"), color=_colour(order)
        ),
        # The limit is named at its end, the other line at its beginning: later on they may be one.
        alt.Chart(_table(rows[-1:], columns))
        .mark_text(align="right", dy=-8, color=VERMILLION, fontSize=12, fontWeight="bold")
        .encode(x="ts:T", y="allowed:Q", text=alt.value(limit)),
        alt.Chart(_table(rows[:1], columns))
        .mark_text(align="left", dy=-8, color=VERMILLION, fontSize=12, fontWeight="bold")
        .encode(x="ts:T", y="trips_at:Q", text=alt.value(voice.say(words.LINE_TRIP))),
    ).properties(height=TIME_HEIGHT)
    newest = points[-1]
    said = voice.say(
        words.EVIDENCE_ALT,
        arm=adapter["arm"],
        blocked=voice.count(newest["blocked"]),
        n=voice.count(newest["n"]),
        allowed=voice.decimal(newest["allowed"]),
    )
    return Picture(chart, said)


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
        {
            "at": _instant(point["end"]),
            "arm": point["arm"],
            **rate,
            "text": f"{voice.of(rate)} · {voice.interval(rate)}",
        }
        for point in series["points"]
        if (rate := point["running"][key])["n"] and rate["n"] >= min(BAND_FROM, latest[point["arm"]]["n"])
    ]
    if not rows:
        return None
    columns = [("at", _INSTANT), ("arm", pa.string()), ("rate", pa.float64()), ("low", pa.float64()),
               ("high", pa.float64()), ("text", pa.string())]  # fmt: skip
    base = alt.Chart(_table(rows, columns)).encode(
        x=alt.X("at:T", axis=_time_axis(series["bin_s"])),
        color=_colour(order),
        tooltip=[
            alt.Tooltip("at:T", title=voice.say(words.TIME), format="%d.%m. %H:%M:%S"),
            alt.Tooltip("arm:N", title=voice.say(words.ARM)),
            alt.Tooltip("rate:Q", title=voice.say(words.SHARE), format=".1%"),
            alt.Tooltip("text:N", title="n"),
        ],
    )
    up = alt.Y("low:Q", title=None, axis=alt.Axis(format="~%", tickCount=5), scale=alt.Scale(zero=True, clamp=True))
    layers: list[alt.Chart] = [
        base.mark_area(opacity=0.18).encode(y=up, y2="high:Q", color=_colour(order)),
        base.mark_line(strokeWidth=2.5).encode(y="rate:Q"),
        base.mark_point(filled=True, size=34, opacity=1).encode(y="rate:Q", shape=_shape(order)),
    ]
    if limit is not None:
        line = alt.Chart(_table([{"limit": limit}], [("limit", pa.float64())]))
        layers.append(line.mark_rule(color=VERMILLION, strokeDash=[5, 4], strokeWidth=2).encode(y="limit:Q"))
    chart = alt.layer(*layers).properties(height=TIME_HEIGHT)
    said = _rate_words(voice, ((arm, latest[arm]) for arm in order if arm in latest and latest[arm]["n"]))
    return Picture(chart, voice.say(words.RUNNING_ALT, name=voice.say(name), rates=said))
