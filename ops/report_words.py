"""The report's numbers as words: the same forms in the terminal and on the page."""

from typing import Any, Final

NOTHING: Final = "–"


def difference(metric: str, seen: dict[str, Any] | None) -> str | None:
    """``+2.1 points (−0.4 to +4.6)``; None without a number, no interval before there are devices enough for one."""
    if seen is None or seen["estimate"] is None:
        return None
    factor, unit = scale(metric)
    low, high = seen["low"], seen["high"]
    ends = "" if low is None or high is None else f" ({factor * low:+.1f} to {factor * high:+.1f})"
    return f"{factor * seen['estimate']:+.1f} {unit}{ends}".replace("-", "−")


def scale(metric: str) -> tuple[float, str]:
    """Factor and unit in which a metric's differences are read."""
    return (1.0, "ms") if metric == "latency" else (100.0, "points")


def published(metric: dict[str, Any]) -> dict[str, Any] | None:
    """Estimate with the interval to publish: the re-randomised one; the clustered one for a measured outcome.

    The delta method's interval covers only 89 to 93 % under sticky assignment at 10/90 (docs/methods).
    """
    seen, drawn = metric["difference"], metric.get("rerandomised")
    if seen is None or metric["metric"] == "latency":
        return dict(seen) if seen is not None else None
    ends = drawn if drawn is not None else {"low": None, "high": None}
    return {"estimate": seen["estimate"], "low": ends["low"], "high": ends["high"]}


def p_value(value: float | None) -> str:
    """``0.012``; '–' without one."""
    if value is None:
        return NOTHING
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def rate(metric: str, side: dict[str, Any]) -> str:
    """One arm's mean with its counts: ``17.1 % (36 of 210 calls, 74 devices)``."""
    if side["mean"] is None:
        return NOTHING
    whom = f"{side['calls']:,} calls, {side['devices']:,} devices"
    if metric == "latency":
        return f"{side['mean']:,.0f} ms ({whom})"
    return f"{100 * side['mean']:.1f} % ({side['total']:,.0f} of {whom})"


def share(rate: dict[str, Any]) -> str | None:
    """``5.0 % (10/200; 2.4–9.0)``: a rate with its counts and its exact interval; None where n is 0."""
    if not rate["n"]:
        return None
    ends = f"{100 * rate['low']:.1f}–{100 * rate['high']:.1f}"
    return f"{100 * rate['rate']:.1f} % ({rate['k']}/{rate['n']}; {ends})"


def points(value: float | None, *, sign: bool = True) -> str:
    """A fraction in points, with a real minus sign."""
    if value is None:
        return NOTHING
    return (f"{100 * value:+.1f}" if sign else f"{100 * value:.1f}").replace("-", "−")


def count(value: float | None) -> str:
    """A number of calls or workshops, rounded up: one needs whole ones."""
    if value is None:
        return NOTHING
    return f"{-int(-value // 1):,}"


def needed(outlook: dict[str, Any] | None) -> str:
    """What is still needed for the smallest effect worth finding, now and at 50/50."""
    if outlook is None or outlook["effect"] is None or outlook["calls_needed"] is None:
        return NOTHING
    more = "" if outlook["workshops_needed"] is None else f" ≈ {count(outlook['workshops_needed'])} workshops"
    even = "" if outlook["calls_needed_even"] is None else f"; at 50/50 {count(outlook['calls_needed_even'])} calls"
    effect = points(outlook["effect"], sign=False)
    return f"{count(outlook['calls_needed'])} calls more{more} for {effect} points{even}"
