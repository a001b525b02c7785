"""Where the marks of the report's plots lie: numbers in, SVG coordinates out; the template only places them."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

ROW: Final = 28
"""Height of a forest plot's row."""
LABEL, PLOT, RIGHT = 190, 430, 220
"""Widths of a forest plot: names, intervals, words."""


class Tick(NamedTuple):
    """A mark on an axis."""

    at: float
    label: str


class Mark(NamedTuple):
    """One row of a forest plot: a point, and its interval where there is one."""

    y: float
    label: str
    words: str
    point: float | None
    low: float | None
    high: float | None
    kind: str
    """Class of the row: '' or 'raw'."""


class Forest(NamedTuple):
    """A forest plot: differences with intervals around a line at zero."""

    width: int
    height: int
    left: float
    right: float
    zero: float
    foot: float
    rows: tuple[Mark, ...]
    ticks: tuple[Tick, ...]
    unit: str


class Line(NamedTuple):
    """One arm's rate over time, with the band of its interval."""

    name: str
    kind: str
    """'base' or 'arm': how it is drawn; colour is never the only difference."""
    path: str
    band: str
    end_x: float
    end_y: float


class Lines(NamedTuple):
    """Rates up to each moment."""

    width: int
    height: int
    lines: tuple[Line, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    left: float
    right: float
    foot: float


class Estimate(NamedTuple):
    """What a row of a forest plot shows, in the axis' unit."""

    label: str
    words: str
    point: float | None
    low: float | None
    high: float | None
    kind: str = ""


def steps(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round values within [low, high], about ``wanted`` of them."""
    span = max(high - low, 1e-9)
    size = 10 ** math.floor(math.log10(span / wanted))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= wanted)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def forest(rows: Sequence[Estimate], unit: str = "points") -> Forest | None:
    """The plot of these rows; None where none has a number.

    An interval that is far wider than the others is cut at the axis' end, so that one small cell does not press all
    others flat: the axis spans three times the median interval.
    """
    shown = [row for row in rows if row.point is not None]
    if not shown:
        return None
    widest = [max(abs(end) for end in (row.point, row.low, row.high) if end is not None) for row in shown]
    limit = min(max(widest), 3 * sorted(widest)[len(widest) // 2]) * 1.1 or 1.0

    def x(value: float | None) -> float | None:
        if value is None:
            return None
        return round(LABEL + PLOT * (max(-limit, min(limit, value)) + limit) / (2 * limit), 1)

    marks = tuple(
        Mark(ROW * index + ROW / 2 + 6, row.label, row.words, x(row.point), x(row.low), x(row.high), row.kind)
        for index, row in enumerate(rows)
    )
    ticks = tuple(Tick(x(at) or 0.0, f"{at:+.4g}".replace("-", "−") if at else "0") for at in steps(-limit, limit))
    foot = ROW * len(rows) + 10.0
    return Forest(LABEL + PLOT + RIGHT, int(foot) + 34, LABEL, LABEL + PLOT, x(0.0) or 0.0, foot, marks, ticks, unit)


def rates_over_time(series: dict[str, Any], metric: str, base: str) -> Lines | None:
    """The running rate of each arm in percent with its 95 % band; None without two moments.

    Args:
        series: the results' series.
        metric: favourites, regenerations or prompt_runs.
        base: name of the base arm.
    """
    points = [point for point in series["points"] if point["running"][metric]["n"]]
    times = [_moment(point["end"]) for point in points]
    if len(set(times)) < 2:
        return None
    width, left, right, top, foot = 840, 52.0, 740.0, 12.0, 210.0
    first, last = min(times), max(times)
    late = [point for point, at in zip(points, times, strict=True) if at >= first + 0.2 * (last - first)]
    # The first few calls' intervals span everything; the axis follows what was known later.
    highest: float = 100 * max(point["running"][metric]["high"] for point in late or points)

    def x(at: float) -> float:
        return round(left + (right - left) * (at - first) / (last - first), 1)

    def y(share: float) -> float:
        return round(foot - (foot - top) * min(100 * share / highest, 1.0), 1)

    lines = []
    for name in dict.fromkeys(point["arm"] for point in points):
        own = [(x(at), point["running"][metric]) for point, at in zip(points, times, strict=True)
               if point["arm"] == name]  # fmt: skip
        path = " ".join(f"{at},{y(rate['rate'])}" for at, rate in own)
        upper = [f"{at},{y(rate['high'])}" for at, rate in own]
        lower = [f"{at},{y(rate['low'])}" for at, rate in reversed(own)]
        kind = "base" if name == base else "arm"
        lines.append(Line(name, kind, path, " ".join(upper + lower), own[-1][0], y(own[-1][1]["rate"])))
    return Lines(
        width=width,
        height=int(foot) + 30,
        lines=_apart(lines),
        x_ticks=tuple(Tick(x(at), datetime.fromtimestamp(at, UTC).strftime("%d %b")) for at in _days(times)),
        y_ticks=tuple(Tick(y(at / 100), f"{at:g} %") for at in steps(0, highest, 4)),
        left=left,
        right=right,
        foot=foot,
    )


def _apart(lines: list[Line], gap: float = 16.0) -> tuple[Line, ...]:
    """Labels at the lines' ends that do not lie on each other."""
    placed: list[Line] = []
    for line in sorted(lines, key=lambda item: item.end_y):
        lowest = placed[-1].end_y + gap if placed else line.end_y
        placed.append(line._replace(end_y=max(line.end_y, lowest)))
    return tuple(placed)


def _days(times: list[float], wanted: int = 5) -> list[float]:
    first, last = min(times), max(times)
    return [first + (last - first) * index / wanted for index in range(wanted + 1)]


def _moment(value: Any) -> float:
    return datetime.fromisoformat(str(value)).timestamp()
