"""How each picture looks: Altair charts over data that is named here and given later.

A chart's look depends on the language, the arms and the limit only, so it is built once and kept; a refresh brings new
rows alone. Colours come from the theme in the order of the arms, so that they change with dark and light; the shape of
a point says the arm as well.
"""

import json
from functools import lru_cache
from typing import Any, Final, cast

import altair as alt

from dashboard import words_page as words
from dashboard.palette import ARM_SHAPES, VERMILLION
from dashboard.wording import Text, Voice

ROWS: Final = "rows"
FIRST: Final = "first"
LAST: Final = "last"
LIMIT: Final = "limit"
"""Names of the data: all rows, the first and the last one, and a row with the limit."""
LABEL_SIZE: Final = 13
INTERVAL_STEP: Final = 28
INTERVAL_AXIS: Final = 34
TIME_HEIGHT: Final = 230
MOMENT: Final = "%d.%m. %H:%M:%S"
_KEPT: Final = 256


def _spec(chart: alt.LayerChart | alt.Chart | alt.FacetChart) -> str:
    return json.dumps(chart.to_dict())


def _named(name: str = ROWS) -> alt.Chart:
    return alt.Chart(alt.NamedData(name))


def _colour(order: tuple[str, ...]) -> alt.Color:
    return alt.Color("arm:N", scale=alt.Scale(domain=list(order)), legend=None)


def _shape(order: tuple[str, ...]) -> alt.Shape:
    shapes = [ARM_SHAPES[min(position, len(ARM_SHAPES) - 1)] for position in range(len(order))]
    return alt.Shape("arm:N", scale=alt.Scale(domain=list(order), range=shapes), legend=None)


def _time_axis(*, days: bool) -> alt.Axis:
    """Clock times, with the day beyond one; Vega shows them in the browser's zone."""
    return alt.Axis(
        title=None, format="%d.%m. %H:%M" if days else "%H:%M", labelOverlap=True, tickCount=6, labelFontSize=LABEL_SIZE
    )


def _counts(field: str) -> alt.Y:
    return alt.Y(field, title=None, axis=alt.Axis(tickMinStep=1, tickCount=6, labelFontSize=LABEL_SIZE))


def _limit_rule(**encoding: str) -> alt.Chart:
    rule = _named(LIMIT).mark_rule(color=VERMILLION, strokeDash=[5, 4], strokeWidth=2)
    return cast(alt.Chart, rule.encode(**encoding))


@lru_cache(_KEPT)
def intervals(voice: Voice, order: tuple[str, ...], name: Text, *, limited: bool) -> str:
    """A point and its interval per arm. Rows: arm, rate, low, high, text."""
    base = _named().encode(
        y=alt.Y("arm:N", sort=list(order), scale=alt.Scale(domain=list(order)), title=None,
                axis=alt.Axis(labelLimit=120, labelFontSize=LABEL_SIZE)),
        color=_colour(order),
        tooltip=[alt.Tooltip("arm:N", title=voice.say(words.ARM)), alt.Tooltip("text:N", title=voice.say(name))],
    )  # fmt: skip
    across = alt.X(
        "low:Q",
        title=None,
        scale=alt.Scale(zero=True, nice=True),
        axis=alt.Axis(format="~%", tickCount=5, grid=True, labelFontSize=LABEL_SIZE),
    )
    layers: list[alt.Chart] = [
        base.mark_rule(strokeWidth=4, opacity=0.55).encode(x=across, x2="high:Q"),
        base.mark_point(filled=True, size=110, opacity=1).encode(x=alt.X("rate:Q"), shape=_shape(order)),
    ]
    if limited:
        layers.append(_limit_rule(x="limit:Q"))
    return _spec(alt.layer(*layers).properties(height=INTERVAL_STEP * len(order) + INTERVAL_AXIS))


@lru_cache(_KEPT)
def calls(voice: Voice, order: tuple[str, ...], *, days: bool) -> str:
    """Calls per period, stacked by arm. Rows: start, end, arm, position, calls."""
    chart = (
        _named()
        .mark_bar(orient="vertical", binSpacing=0, opacity=0.9)
        .encode(
            x=alt.X("start:T", axis=_time_axis(days=days)),
            x2="end:T",
            y=alt.Y(
                "calls:Q", title=None, stack="zero", axis=alt.Axis(tickMinStep=1, tickCount=6, labelFontSize=LABEL_SIZE)
            ),
            color=_colour(order),
            order=alt.Order("position:Q"),
            tooltip=[
                alt.Tooltip("start:T", title=voice.say(words.TIME), format=MOMENT),
                alt.Tooltip("arm:N", title=voice.say(words.ARM)),
                alt.Tooltip("calls:Q", title=voice.say(words.CALLS)),
            ],
        )
        .properties(height=TIME_HEIGHT)
    )
    return _spec(chart)


@lru_cache(_KEPT)
def blocked_against_limit(voice: Voice, order: tuple[str, ...], limit: str, *, days: bool) -> str:
    """S as steps, the limit dashed, where a rule trips dotted. Rows: ts, n, blocked, allowed, trips_at, arm."""
    along = alt.X("ts:T", axis=_time_axis(days=days))
    base = _named().encode(
        order="n:Q",
        tooltip=[
            alt.Tooltip("ts:T", title=voice.say(words.TIME), format=MOMENT),
            alt.Tooltip("n:Q", title="n"),
            alt.Tooltip("blocked:Q", title=voice.say(words.BLOCKED_RUNS)),
            alt.Tooltip("allowed:Q", title=limit, format=".2f"),
            alt.Tooltip("trips_at:Q", title=voice.say(words.LINE_TRIP), format=".2f"),
        ],
    )
    line = base.mark_line(color=VERMILLION, strokeWidth=1.8)
    steps = base.mark_line(interpolate="step-after", strokeWidth=3)
    named = {"dy": -8, "color": VERMILLION, "fontSize": 12, "fontWeight": "bold"}
    layers = [
        line.encode(x=along, y=_counts("allowed:Q"), strokeDash=alt.value([6, 4])),
        line.encode(x=along, y=_counts("trips_at:Q"), strokeDash=alt.value([1, 4])),
        steps.encode(x=along, y=_counts("blocked:Q"), color=_colour(order)),
        # The limit is named at its end, the other line at its beginning: later on they may be one.
        _named(LAST)
        .mark_text(**cast(Any, named | {"align": "right"}))
        .encode(x="ts:T", y="allowed:Q", text=alt.value(limit)),
        _named(FIRST)
        .mark_text(**cast(Any, named | {"align": "left"}))
        .encode(x="ts:T", y="trips_at:Q", text=alt.value(voice.say(words.LINE_TRIP))),
    ]
    return _spec(alt.layer(*layers).properties(height=TIME_HEIGHT))


@lru_cache(_KEPT)
def running(voice: Voice, order: tuple[str, ...], *, limited: bool, days: bool) -> str:
    """A share of everything so far with its interval as a band. Rows: at, arm, rate, low, high, text."""
    base = _named().encode(
        x=alt.X("at:T", axis=_time_axis(days=days)),
        color=_colour(order),
        tooltip=[
            alt.Tooltip("at:T", title=voice.say(words.TIME), format=MOMENT),
            alt.Tooltip("arm:N", title=voice.say(words.ARM)),
            alt.Tooltip("text:N", title=voice.say(words.SHARE)),
        ],
    )
    up = alt.Y(
        "low:Q",
        title=None,
        axis=alt.Axis(format="~%", tickCount=5, labelFontSize=LABEL_SIZE),
        scale=alt.Scale(zero=True),
    )
    layers: list[alt.Chart] = [
        base.mark_area(opacity=0.18).encode(y=up, y2="high:Q"),
        base.mark_line(strokeWidth=2.5).encode(y="rate:Q"),
        base.mark_point(filled=True, size=34, opacity=1).encode(y="rate:Q", shape=_shape(order)),
    ]
    if limited:
        layers.append(_limit_rule(y="limit:Q"))
    return _spec(alt.layer(*layers).properties(height=TIME_HEIGHT))
