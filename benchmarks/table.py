"""Rows of a benchmark table: what a figure must be, what was measured, and how sure that is."""

import math
from collections.abc import Iterable
from typing import NamedTuple

FAILED = "**does not hold**"


class Row(NamedTuple):
    """One figure."""

    figure: str
    required: str
    measured: str
    error: str
    """95 % Monte Carlo error, ±."""
    verdict: str = "contrast"
    """holds · within error: outside by less than the Monte Carlo error · does not hold · contrast: not required."""


def share(figure: str, hits: float, runs: int, *, low: float = 0.0, high: float = 1.0, required: str = "") -> Row:
    """A share of runs that must lie within low … high."""
    rate = hits / runs
    error = 1.96 * math.sqrt(max(rate * (1 - rate), 1 / runs) / runs)
    wanted = required or (f"≤ {high:.1%}" if low == 0 else f"≥ {low:.0%}" if high == 1 else f"{low:.0%} – {high:.0%}")
    verdict = "holds" if low <= rate <= high else "within error" if low - error <= rate <= high + error else FAILED
    return Row(figure, wanted, f"{rate:.1%}", f"{error:.1%}", verdict)


def contrast(figure: str, hits: float, runs: int, expected: str) -> Row:
    """A share of runs of a naive variant; nothing is required of it."""
    return share(figure, hits, runs, required=expected)._replace(verdict="contrast")


def figure(name: str, required: str, measured: str, holds: bool | None = None, error: str = "") -> Row:
    """A figure that is computed, not simulated."""
    return Row(name, required, measured, error, "contrast" if holds is None else "holds" if holds else FAILED)


def markdown(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    lines = ["| Figure | Required | Measured | ± | |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {r.figure} | {r.required} | {r.measured} | {r.error} | {r.verdict} |" for r in rows]
    return "\n".join(lines)
