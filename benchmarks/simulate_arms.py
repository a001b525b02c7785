"""Does the comparison of arms keep what it promises? Simulated experiments, as a Markdown table.

    python -m benchmarks.simulate_arms [--quick] [--seed N]

1,000 experiments per figure (200 with --quick), ρ = .15, workshops as in HOST.md, one process. About 8 minutes in full.
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator

import numpy as np
from scipy import stats
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics.mean import RatioOfMeans

from benchmarks.call_path import CallPath, call_path
from benchmarks.simulate_quality import quality
from benchmarks.table import FAILED, Row, contrast, figure, markdown, share
from experiment.carryover import carry_over, lagged
from experiment.estimates import difference
from experiment.observations import Comparison, Stratum
from experiment.power import Design, Pace, detectable, outlook, planning_effect, power
from experiment.readiness import MIN_DEVICES, MIN_EVENTS
from experiment.rerandomisation import rerandomise
from experiment.sequence import multiplier
from experiment.simulation import observe
from experiment.traffic import Traffic, generate
from experiment.traffic_plan import Effects, Phase, TrafficPlan

DRAWS = 999
PACE = Pace(calls_per_workshop=187, devices_per_workshop=9.5)


def season(unit: str, weights: tuple[int, int], calls: int, rate: float, effect: float = 0.0) -> TrafficPlan:
    return TrafficPlan(
        calls=calls,
        unit="device" if unit == "sticky" else "run",
        phases=(Phase(weights=weights),),
        favourite=rate,
        effects=(Effects(favourite=effect),),
        blocked=0.0,
    )


def compared(traffic: Traffic) -> Comparison:
    return observe(traffic, "favourite").compare("adapter", "base")


def naive_z(comparison: Comparison) -> float:
    """Two-sided p-value of the two-proportion z-test that takes all calls for independent."""
    calls, totals, treated = comparison.calls, comparison.totals, comparison.treated
    n1, n0 = calls[treated].sum(), calls[~treated].sum()
    if not (n1 and n0):
        return 1.0
    y1, y0 = totals[treated].sum(), totals[~treated].sum()
    rate = (y1 + y0) / (n1 + n0)
    if rate in (0.0, 1.0):
        return 1.0
    return float(2 * stats.norm.sf(abs(y1 / n1 - y0 / n0) / math.sqrt(rate * (1 - rate) * (1 / n1 + 1 / n0))))


def independent_arms(comparison: Comparison) -> tuple[float, float]:
    """tea-tasting's RatioOfMeans with the arms taken for independent samples: contrast for assignment per run."""
    arms = []
    for side in (False, True):
        mine = comparison.treated == side
        n = np.bincount(comparison.device[mine], comparison.calls[mine], comparison.devices)
        y = np.bincount(comparison.device[mine], comparison.totals[mine], comparison.devices)[n > 0]
        moments = np.cov(y, n[n > 0])
        means = {"y": y.mean(), "n": n[n > 0].mean()}
        variances = {"y": moments[0, 0], "n": moments[1, 1]}
        arms.append(Aggregates(y.size, means, variances, {("y", "n"): moments[0, 1]}))
    result = RatioOfMeans("y", "n").analyze_aggregates(*arms)
    return result.effect_size_ci_lower, result.effect_size_ci_upper


def identical_arms(runs: int, seed: int) -> Iterator[Row]:
    """A/A: false findings of the re-randomisation, and of what is usual."""
    settings = [
        ("per run", 2_000, 0.10),
        ("per run", 10_000, 0.10),
        ("per run", 10_000, 0.02),
        ("sticky", 2_000, 0.10),
        ("sticky", 10_000, 0.10),
        ("sticky", 10_000, 0.02),
    ]
    for unit, calls, rate in settings:
        plan, found, naive, clustered = season(unit, (90, 10), calls, rate), 0, 0, 0
        for child in np.random.default_rng(seed).spawn(runs):
            comparison = compared(generate(plan, child))
            result = rerandomise(comparison, child, draws=DRAWS)
            seen = result.difference
            found += result.p_value <= 0.05
            naive += naive_z(comparison) <= 0.05
            clustered += bool(seen.low > 0 or seen.high < 0)
        label = f"A/A, {unit}, 10/90, {calls:,} calls, rate {rate:.0%}"
        yield share(f"{label}: re-randomisation false", found, runs, high=0.06)
        yield contrast(f"{label}: naive z false", naive, runs, "24 – 39 % sticky" if unit == "sticky" else "–")
        yield contrast(
            f"{label}: cluster-robust t false", clustered, runs, "8 – 32 % sticky" if unit == "sticky" else "–"
        )


def watched_all_the_time(runs: int, seed: int) -> Iterator[Row]:
    """A/A: the sequence looked at after every call of 10,000, and a z-interval looked at as often."""
    for unit, weights, rate in [
        ("per run", (90, 10), 0.1),
        ("sticky", (90, 10), 0.1),
        ("per run", (90, 10), 0.02),
        ("sticky", (90, 10), 0.02),
        ("sticky", (50, 50), 0.1),
    ]:
        plan = season(unit, weights, 10_000, rate)
        ever = own = early = peeked = 0
        for child in np.random.default_rng(seed + 1).spawn(runs):
            traffic = generate(plan, child)
            path = call_path(traffic.device, traffic.arm == 1, traffic.favourite, sticky=unit == "sticky")
            width = multiplier(path.t)
            both = np.maximum(path.se, path.se_null)
            ready = (path.devices >= MIN_DEVICES) & (path.events >= MIN_EVENTS)
            ever += excludes(path, both * width, ready)
            own += excludes(path, path.se * width, path.devices >= MIN_DEVICES)
            early += excludes(path, path.se * width, path.devices >= 10)
            peeked += excludes(path, path.se * 1.96, path.devices >= MIN_DEVICES)
        label = f"A/A, {unit}, {weights[1]}/{weights[0]}, rate {rate:.0%}, every call of 10,000"
        yield share(f"{label}: sequence ever excludes 0", ever, runs, high=0.065)
        yield contrast(f"{label}: with the own variance only, burn-in 30", own, runs, "4 – 6 %")
        yield contrast(f"{label}: with the own variance only, burn-in 10", early, runs, "15 %")
        yield contrast(f"{label}: 95 % interval looked at every time", peeked, runs, "–")


def excludes(path: CallPath, half: np.ndarray, ready: np.ndarray) -> bool:
    return bool((ready & (np.abs(path.estimate) > half)).any())


def planted(runs: int, seed: int) -> Iterator[Row]:
    """Power as the report predicted it, and coverage of the intervals at the planted effect and at 0."""
    settings = [
        ("per run", (90, 10), 2_000, 0.10),
        ("per run", (90, 10), 10_000, 0.10),
        ("per run", (90, 10), 10_000, 0.02),
        ("per run", (50, 50), 2_000, 0.10),
        ("sticky", (90, 10), 10_000, 0.10),
        ("sticky", (90, 10), 10_000, 0.02),
        ("sticky", (50, 50), 2_000, 0.10),
        ("sticky", (50, 50), 10_000, 0.10),
    ]
    for unit, weights, calls, rate in settings:
        design = Design(rate, weights[1] / 100, design_effect(unit))
        for effect in (detectable(design, calls), detectable(design, calls, fall=True), 0.0):
            if not math.isnan(effect):
                yield from _planted(season(unit, weights, calls, rate, effect), effect, unit, runs, seed + 2)


def _planted(plan: TrafficPlan, effect: float, unit: str, runs: int, seed: int) -> Iterator[Row]:
    found = shown = covered = delta = independent = 0
    predicted: list[float] = []
    for child in np.random.default_rng(seed).spawn(runs):
        comparison = compared(generate(plan, child))
        result = rerandomise(comparison, child, draws=DRAWS)
        found += result.p_value <= 0.05
        if effect:
            predicted.append(outlook(comparison, PACE, effect=effect).power_now)
        if result.difference.readiness.ready:
            shown += 1
            covered += result.low <= effect <= result.high
            delta += result.difference.low <= effect <= result.difference.high
            low, high = independent_arms(comparison)
            independent += low <= effect <= high
    weights = plan.phases[0].weights
    label = f"{unit}, {weights[1]}/{weights[0]}, {plan.calls:,} calls, {plan.favourite:.0%} {100 * effect:+.1f} points"
    if effect:
        said = float(np.nanmean(predicted))
        yield share(f"{label}: found (report said {said:.0%})", found, runs, low=said - 0.05, high=said + 0.05)
    yield share(f"{label}: interval covers ({shown} shown)", covered, max(shown, 1), low=0.93, high=0.97)
    yield contrast(f"{label}: delta-method interval covers", delta, max(shown, 1), "–")
    if unit == "per run":
        yield contrast(f"{label}: RatioOfMeans, arms as independent samples", independent, max(shown, 1), "–")


def design_effect(unit: str) -> float:
    """1 + (m − 1)ρ with m measured on a long season, so that the prediction owes nothing to the simulated data."""
    if unit == "per run":
        return 1.0
    sizes = np.bincount(generate(TrafficPlan(calls=200_000), 1).device)
    return 1 + (float((sizes**2).sum() / sizes.sum()) - 1) * 0.15


def minimum_effects() -> Iterator[Row]:
    """The table of STATISTICS.md 3: the textbook figure, and what is true."""
    expected = {
        ("favourites 10 %, per run", 0.1, 1.0): (12.5, 6.3, 2.9),
        ("favourites 10 %, sticky", 0.1, 5.0): (28.0, 14.2, 6.3),
        ("regenerations 20 %, per run", 0.2, 1.0): (16.4, 8.4, 3.8),
    }
    for (name, rate, effect_of_design), wanted in expected.items():
        design = Design(rate, 0.1, effect_of_design)
        for calls, points in zip((500, 2_000, 10_000), wanted, strict=True):
            textbook = 100 * planning_effect(design, calls)
            truth = power(design, calls, textbook / 100)
            text = f"{textbook:.1f} (power there {truth:.0%}; rise {100 * detectable(design, calls):.1f}"
            text += f", fall {100 * detectable(design, calls, fall=True):.1f} at 80 %)"
            yield figure(
                f"MDE {name}, 10/90, {calls:,} calls, points",
                f"{points} ± 4 %",
                text,
                abs(textbook / points - 1) < 0.04,
            )
    ratio = planning_effect(Design(0.1, 0.1, 1.0), 2_000) / planning_effect(Design(0.1, 0.5, 1.0), 2_000)
    yield figure("MDE at 10/90 over MDE at 50/50", "1.67", f"{ratio:.2f}", abs(ratio - 1.67) < 0.01)
    sticky = design_effect("sticky")
    yield figure(
        "design effect sticky, workshops of HOST.md, ρ = .15", "≈ 5", f"{sticky:.1f} (MDE × {math.sqrt(sticky):.2f})"
    )


def drifting(runs: int, seed: int) -> Iterator[Row]:
    """10/90, then 50/50, while favourites double: pooled over phases, and stratified."""
    plan = TrafficPlan(calls=10_000, phases=(Phase(0, (90, 10)), Phase(26, (50, 50))), favourite_drift=0.1, blocked=0.0)
    found = pooled = 0
    for child in np.random.default_rng(seed + 3).spawn(runs):
        comparison = compared(generate(plan, child))
        found += rerandomise(comparison, child, draws=DRAWS).p_value <= 0.05
        pooled += naive_z(comparison) <= 0.05
    yield share("A/A, weights 10 → 50 %, favourites 10 → 20 %: stratified, re-randomised false", found, runs, high=0.06)
    yield contrast("the same, pooled z false", pooled, runs, "64 %")


def traces(runs: int, seed: int) -> Iterator[Row]:
    """Carry-over: false suspicion where the arms truly differ, and a planted trace."""
    plan = TrafficPlan(calls=5_000, phases=(Phase(weights=(50, 50)),), effects=(Effects(favourite=0.05),), blocked=0.0)
    false = found = 0
    for child in np.random.default_rng(seed + 4).spawn(runs):
        traffic = generate(plan, child)
        trace = np.zeros(traffic.t.size, np.bool_)
        order = np.argsort(traffic.device, kind="stable")
        follows = (np.diff(traffic.device[order]) == 0) & (traffic.arm[order][:-1] == 1)
        trace[order[1:][follows]] = child.random(int(follows.sum())) < 0.05
        for planted_trace in (False, True):
            calls = lagged(
                arms=plan.arms,
                strata=(Stratum("0", 1, "t1", (50, 50)),),
                stratum=traffic.phase,
                device=traffic.device,
                arm=traffic.arm,
                y=traffic.favourite | (trace & planted_trace),
            )
            suspected = carry_over(calls, "adapter", "base", child, draws=499).suspected
            found += suspected and planted_trace
            false += suspected and not planted_trace
    yield share("carry-over suspected, none there (arms differ by 5 points)", false, runs, high=0.065)
    yield contrast("carry-over of 5 points suspected, 5,000 calls 50/50", found, runs, "–")


def large(seed: int) -> Iterator[Row]:
    """Seconds for a million calls, from cells."""
    for unit in ("per run", "sticky"):
        comparison = compared(generate(season(unit, (90, 10), 1_000_000, 0.1), seed))
        start = time.perf_counter()
        rerandomise(comparison, seed)
        taken = time.perf_counter() - start
        yield figure(
            f"1 million calls, {unit}: difference, interval, p-value (2,000 draws)",
            "≤ 1 s",
            f"{taken:.2f} s",
            taken <= 1,
        )
        start = time.perf_counter()
        difference(comparison)
        yield figure(
            f"1 million calls, {unit}: difference alone", "–", f"{1000 * (time.perf_counter() - start):.0f} ms"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 experiments per figure instead of 1,000")
    parser.add_argument("--seed", type=int, default=20_260_301)
    options = parser.parse_args()
    runs = 200 if options.quick else 1_000
    rows: list[Row] = []
    for part in (
        minimum_effects(),
        large(options.seed),
        identical_arms(runs, options.seed),
        watched_all_the_time(runs, options.seed),
        planted(runs, options.seed),
        drifting(runs, options.seed),
        traces(runs, options.seed),
        quality(runs, options.seed),
    ):
        for row in part:
            rows.append(row)
            print(f"{row.measured:>10}  {row.figure}", file=sys.stderr, flush=True)
    print(markdown(rows))
    return 1 if any(row.verdict == FAILED for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
