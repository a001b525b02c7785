"""The figures of STATISTICS.md 2, each measured with its model stated beside it."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks import exact_guard as exact
from benchmarks.guard_retries import drawn_again, kept_on_arm
from benchmarks.guard_streams import Streams, workshops
from benchmarks.guard_twin import NEVER, Folded, Watched, fold_streams
from experiment.arms import Unit

_BATCH = 1_000
"""Runs in memory at once."""

EXACT = "exact, independent prompt-runs"


class Model(NamedTuple):
    """A traffic model of :mod:`benchmarks.guard_streams`."""

    label: str
    unit: Unit
    rho: float


IID = Model("per run, ρ = 0", "run", 0.0)
CLUSTERED = Model("per run, ρ = .1", "run", 0.1)
STICKY_MILD = Model("sticky, ρ = .1", "device", 0.1)
STICKY = Model("sticky, ρ = .2", "device", 0.2)


def _percent(rate: float) -> str:
    return f"{100 * rate:g} %"


class Figure(NamedTuple):
    """One measured number."""

    group: str
    """What is asked."""
    model: str
    """How the traffic was made, or 'exact'."""
    value: float
    unit: Literal["share", "prompt-runs"]
    error: float | None
    """Standard error of the simulation; None: exact."""
    bound: float | None = None
    """What STATISTICS.md 2 demands; None: measured beside it, for contrast."""
    at_most: bool = True
    """Whether the bound is an upper one."""

    def holds(self, slack: float = 0.0) -> bool:
        """Whether the bound is kept, allowing ``slack`` standard errors; True without a bound."""
        if self.bound is None:
            return True
        room = slack * (self.error or 0.0)
        return self.value <= self.bound + room if self.at_most else self.value >= self.bound - room


def share(
    group: str, model: str, hits: NDArray[np.bool_], bound: float | None = None, *, at_most: bool = True
) -> Figure:
    """A share with its standard error (pulled off zero, so that 0 hits don't claim certainty)."""
    runs, k = len(hits), int(hits.sum())
    near = (k + 0.5) / (runs + 1)
    return Figure(group, model, k / runs, "share", float(np.sqrt(near * (1 - near) / runs)), bound, at_most)


def quantile(group: str, model: str, delays: NDArray[np.int64], level: float, bound: float | None = None) -> Figure:
    """A quantile of waiting times; its error is half the distance of the order statistics one standard error away."""
    step = np.sqrt(level * (1 - level) / len(delays))
    below, here, above = np.quantile(delays, [max(0, level - step), level, min(1, level + step)], method="higher")
    return Figure(group, model, float(here), "prompt-runs", max(0.5, float(above - below) / 2), bound)


def exact_figures() -> Iterator[Figure]:
    """What needs no simulation: R1 and R2 alone and the plain alternatives, independent prompt-runs."""
    guard = exact.guard_boundary()
    for rate, bound in ((0.01, 0.001), (0.02, 0.01), (0.03, 0.12)):
        trips = exact.stopping(rate, guard).sum()
        yield Figure(f"P(trip in 10,000), R1+R2, {_percent(rate)}", EXACT, float(trips), "share", None, bound)
    trips = exact.stopping(0.06, guard)[:2001].sum()
    yield Figure("6 %: tripped within 2,000, R1+R2", EXACT, float(trips), "share", None, 0.98, False)
    for rate, median, p95 in ((0.1, 60, 200), (0.2, 20, 55), (0.5, 10, 15)):
        at = exact.stopping(rate, guard)
        for name, level, limit in (("median", 0.5, median), ("p95", 0.95, p95)):
            group = f"delay at {_percent(rate)}, R1+R2, {name}"
            yield Figure(group, EXACT, exact.quantile(at, level), "prompt-runs", None, limit)
    yield Figure("why two grades: P(≥ 12 of 200), 4 %", EXACT, exact.tail(200, 12, 0.04), "share", None)
    thrice = float(exact.stopping(0.04, guard).sum()) ** 3
    group = "why the grade by count proves nothing: three trips in three armings, R1+R2, 4 %"
    yield Figure(group, EXACT, thrice, "share", None)
    for name, boundary in (
        ("rate > 5 % from n ≥ 100", exact.rate_boundary()),
        ("peeked binomial test, p ≤ .05", exact.binomial_boundary()),
        ("posterior Beta(1,1) > .95", exact.posterior_boundary()),
    ):
        trips = exact.stopping(0.02, boundary).sum()
        yield Figure(f"contrast: {name}, P(trip in 10,000), 2 %", EXACT, float(trips), "share", None)


def _fold(make: Callable[[int], Streams], runs: int, watched: Watched) -> Folded:
    parts = [fold_streams(make(min(_BATCH, runs - done)), watched) for done in range(0, runs, _BATCH)]
    return Folded(*(np.concatenate(column) for column in zip(*parts, strict=True)))


class Simulation:
    """Simulated figures, a fresh seeded generator per group so that one may be run without the others.

    Args:
        runs: simulated runs per figure.
        seed: of all generators.
    """

    def __init__(self, runs: int, seed: int) -> None:
        self._runs = runs
        self._seed = seed

    def _simulate(
        self,
        group: int,
        model: Model,
        length: int,
        rate: float,
        watched: Watched,
        burst: tuple[int, float] | None = None,
    ) -> Folded:
        rng = np.random.default_rng([self._seed, group, round(rate * 1000), round(model.rho * 10), len(model.unit)])

        def make(runs: int) -> Streams:
            return workshops(rng, runs, length, rate=rate, rho=model.rho, unit=model.unit, burst=burst)

        return _fold(make, self._runs, watched)

    def confirmed_below_limit(self) -> Iterator[Figure]:
        """E must not reach 100 where the true rate does not exceed the limit, looked at after every prompt-run."""
        watched = Watched(evidence=True, late=20, stop_when_tripped=False)
        for model, required in ((STICKY, True), (CLUSTERED, False)):
            for rate in (0.04, 0.05):
                folded = self._simulate(1, model, 5_000, rate, watched)
                group = f"confirmed though the true rate is {_percent(rate)}, E ≥ 100 ever in 5,000"
                yield share(group, model.label, folded.exceeded != NEVER, 0.01 if required else None)

    def confirmed_after_trip(self) -> Iterator[Figure]:
        """A true harm is confirmed by the verdicts that are still on their way."""
        for model, required in ((IID, True), (CLUSTERED, False), (STICKY, False)):
            for rate, bound in ((0.2, 0.5), (0.3, 0.8), (0.5, 0.98)):
                folded = self._simulate(2, model, 1_500, rate, Watched(evidence=True, late=20))
                group = f"confirmed after a trip and 20 late verdicts, {_percent(rate)}"
                yield share(group, model.label, folded.confirmed, bound if required else None, at_most=False)

    def delays(self) -> Iterator[Figure]:
        """All three rules."""
        for model, required in ((IID, True), (CLUSTERED, True), (STICKY, False)):
            for rate, median, p95 in ((0.1, 60, 200), (0.2, 20, 55), (0.5, 10, 15)):
                delay = self._simulate(3, model, 3_000, rate, Watched()).trip
                for name, level, limit in (("median", 0.5, median), ("p95", 0.95, p95)):
                    group = f"delay at {_percent(rate)}, R1–R3, {name}"
                    yield quantile(group, model.label, delay, level, limit if required else None)
        for model, required in ((IID, True), (CLUSTERED, True), (STICKY, False)):
            tripped = self._simulate(4, model, 2_000, 0.06, Watched()).trip <= 2_000
            bound = 0.98 if required else None
            yield share("6 %: tripped within 2,000, R1–R3", model.label, tripped, bound, at_most=False)

    def bursts(self) -> Iterator[Figure]:
        """1 % for 800 prompt-runs, 15 % from then on."""
        for model, required in ((IID, True), (CLUSTERED, True), (STICKY, False)):
            trip = self._simulate(5, model, 4_000, 0.01, Watched(), burst=(800, 0.15)).trip
            early = trip <= 800
            yield share("burst: false trip before it", model.label, early, 0.01 if required else None)
            for name, level, limit in (("median", 0.5, 95), ("p95", 0.95, 230)):
                group = f"burst 1 % → 15 % at 800: delay, {name}"
                yield quantile(group, model.label, trip[~early] - 800, level, limit if required else None)

    def false_trips(self) -> Iterator[Figure]:
        """Harmless rates, all three rules, and R3 alone with and without its cap per device."""
        for model, required in ((CLUSTERED, True), (STICKY, False)):
            for rate, bound in ((0.01, 0.01), (0.02, 0.04)):
                trip = self._simulate(6, model, 5_000, rate, Watched()).trip
                group = f"false trip in 5,000, R1–R3, {_percent(rate)}"
                yield share(group, model.label, trip != NEVER, bound if required else None)
        for model in (STICKY_MILD, STICKY):
            for cap, name in ((2, "with"), (None, "without")):
                trip = self._simulate(7, model, 5_000, 0.01, Watched(counts=False, cap=cap)).trip
                yield share(f"R3 alone {name} its cap per device, false trip in 5,000, 1 %", model.label, trip != NEVER)

    def resubmissions(self) -> Iterator[Figure]:
        """60 % of blocked prompts are sent again, 90 % of the repeats are blocked again; prompt rate 2 %."""
        rng = np.random.default_rng([self._seed, 8])
        group, kept = "resubmission, prompt rate 2 %: false trip", "per run, ρ = 0, a repeat keeps its arm"
        trip = _fold(lambda runs: kept_on_arm(rng, runs, 5_000, 0.02, "prompts"), self._runs, Watched()).trip
        yield share(f"{group} in 5,000, prompts counted", kept, trip != NEVER, 0.02)
        trip = _fold(lambda runs: kept_on_arm(rng, runs, 2_000, 0.02, "calls"), self._runs, Watched()).trip
        yield share(f"{group} in 2,000, calls counted (contrast)", kept, trip != NEVER)
        again = "per run, ρ = 0, a repeat is drawn again"
        trip = _fold(lambda runs: drawn_again(rng, runs, 5_000, 0.02), self._runs, Watched()).trip
        yield share(f"{group} in 5,000, prompts counted per arm", again, trip != NEVER)
        trip = _fold(lambda runs: drawn_again(rng, runs, 5_000, 0.02, first_arm_only=True), self._runs, Watched()).trip
        yield share(f"{group} in 5,000, prompts counted in their first arm only", again, trip != NEVER)

    def figures(self) -> Iterator[Figure]:
        """All of them."""
        for group in (
            self.confirmed_below_limit,
            self.confirmed_after_trip,
            self.delays,
            self.bursts,
            self.false_trips,
            self.resubmissions,
        ):
            yield from group()
