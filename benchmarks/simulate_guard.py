"""Measure every figure of the guard: ``python -m benchmarks.simulate_guard [--quick] [--markdown FILE]``.

Exact ones by dynamic programming, simulated ones with 4,000 runs each (300 with ``--quick``), seeded. Exit code 1 if a
bound is not kept (in quick mode: by more than four standard errors).
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.guard_figures import Figure, Simulation, exact_figures

FULL_RUNS, QUICK_RUNS = 4_000, 300
SEED = 20_260_301
QUICK_SLACK = 4.0
"""Standard errors by which a quick run may miss a bound: 40 bounds, so a false alarm in fewer than 1 of 500 runs."""
BEGIN, END = "<!-- guard figures: begin (written by make simulate) -->", "<!-- guard figures: end -->"


def _number(unit: str, value: float, digits: int = 3) -> str:
    if unit == "prompt-runs":
        return f"{value:g}"
    return f"{100 * value:.{digits}g} %" if value < 0.999 else f"{100 * value:.2f} %"


def _cells(figure: Figure) -> tuple[str, ...]:
    required, measured = "–", _number(figure.unit, figure.value, 4 if figure.error is None else 3)
    if figure.bound is not None:
        required = f"{'≤' if figure.at_most else '≥'} {_number(figure.unit, figure.bound)}"
    if figure.error is not None:
        measured += f" ± {_number(figure.unit, figure.error, 2)}"
    holds = "–" if figure.bound is None else "yes" if figure.holds() else "**no**"
    return figure.group, required, measured, holds, figure.model


def markdown(figures: Sequence[Figure], runs: int) -> str:
    """The table, with what it rests on above it."""
    lines = [
        f"{runs:,} runs per simulated figure, seed {SEED}; ± is one standard error of the simulation (for a quantile, "
        "half the distance of the order statistics one standard error away). '–' under *required*: for contrast.",
        "",
        "| Figure | Required | Measured | Holds | Model |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += ["| " + " | ".join(_cells(figure)) + " |" for figure in figures]
    return "\n".join(lines) + "\n"


def write_between_marks(path: Path, table: str) -> None:
    """Put the table between the marks of an existing file.

    Raises:
        SystemExit: the file or a mark is missing.
    """
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    head, begin, rest = text.partition(BEGIN)
    _, end, foot = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{path}: nothing written: put the lines '{BEGIN}' and '{END}' where the table goes")
    path.write_text(f"{head}{BEGIN}\n{table}{END}{foot}", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and say by the exit code whether all bounds are kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulate_guard", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_RUNS} runs instead of {FULL_RUNS:,}")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table between the marks of this file")
    options = parser.parse_args(arguments)
    runs, slack = (QUICK_RUNS, QUICK_SLACK) if options.quick else (FULL_RUNS, 0.0)
    begun = time.perf_counter()
    figures: list[Figure] = []
    for source in (exact_figures(), Simulation(runs, SEED).figures()):
        for figure in source:
            figures.append(figure)
            print("  ".join(_cells(figure)), flush=True)
    print(f"{len(figures)} figures in {time.perf_counter() - begun:.0f} s")
    if options.markdown:
        write_between_marks(options.markdown, markdown(figures, runs))
    missed = [figure for figure in figures if not figure.holds(slack)]
    for figure in missed:
        print(f"not kept: {figure.group} ({figure.model}): {_number(figure.unit, figure.value)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
