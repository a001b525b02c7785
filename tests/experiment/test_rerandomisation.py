"""Redrawing the assignment holds 5 % whatever resembles what, and says so exactly in small cases."""

from itertools import product

import numpy as np
import pytest

from benchmarks.simulate_arms import naive_z
from experiment.observations import Comparison, Stratum, reduce_calls
from experiment.rerandomisation import rerandomise
from experiment.simulation import observe
from experiment.traffic import generate
from experiment.traffic_plan import Phase, TrafficPlan


def small(y: list[int], arm: list[int], weights: tuple[int, int] = (50, 50)) -> Comparison:
    calls = np.arange(len(y))
    cells = reduce_calls(
        arms=("base", "adapter"), strata=(Stratum("1", 1, "t", weights),), unit="run",
        stratum=np.zeros(len(y), np.int64), device=calls, unit_key=calls, arm=np.array(arm), y=np.array(y),
    )  # fmt: skip
    return cells.compare("adapter", "base")


def test_the_p_value_is_the_enumerated_one() -> None:
    """All 2⁸ assignments of eight calls at 30 %, each with its probability, both arms non-empty."""
    y, arm = [1, 1, 1, 0, 0, 0, 0, 1], [1, 1, 1, 0, 0, 0, 0, 0]
    values = np.array(y, dtype=float)

    def gap(drawn: np.ndarray) -> float:
        return float(values[drawn].mean() - values[~drawn].mean())

    observed = abs(gap(np.array(arm, dtype=bool)))
    extreme = total = 0.0
    for bits in product([False, True], repeat=8):
        drawn = np.array(bits)
        if drawn.all() or not drawn.any():
            continue
        probability = 0.3 ** drawn.sum() * 0.7 ** (~drawn).sum()
        total += probability
        extreme += probability * (abs(gap(drawn)) >= observed - 1e-12)
    result = rerandomise(small(y, arm, (70, 30)), 1, draws=40_000)
    assert result.p_value == pytest.approx(extreme / total, abs=0.01)


def test_the_observed_draw_counts_so_p_is_never_zero() -> None:
    result = rerandomise(small([1] * 20 + [0] * 20, [1] * 20 + [0] * 20), 1, draws=199)
    assert result.p_value == 1 / (1 + result.draws)


def test_the_same_seed_gives_the_same_result() -> None:
    comparison = small([1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 0, 0])
    assert rerandomise(comparison, 3)[1:3] == rerandomise(comparison, 3)[1:3]


@pytest.mark.parametrize("unit", ["run", "device"])
def test_identical_arms_differ_in_five_percent(unit: str) -> None:
    """ρ = .15, 300 seasons: 5 % ± 3.5; sticky, taking calls for independent is false in more than 20 %."""
    plan = TrafficPlan(calls=2_000, unit=unit, blocked=0.0)  # type: ignore[arg-type]
    false, naive, runs = 0, 0, 300
    for child in np.random.default_rng(4).spawn(runs):
        comparison = observe(generate(plan, child), "favourite").compare("adapter", "base")
        false += rerandomise(comparison, child, draws=199).p_value <= 0.05
        naive += naive_z(comparison) <= 0.05
    assert false / runs <= 0.085
    if unit == "device":
        assert naive / runs > 0.2


def test_a_device_in_two_phases_keeps_its_hash() -> None:
    """Sticky, same weights, a new template at noon: both halves of a device are drawn together, as they were."""
    rng = np.random.default_rng(2)
    false, runs, devices = 0, 300, 40
    strata = (Stratum("1", 1, "morning", (50, 50)), Stratum("1", 1, "noon", (50, 50)))
    device = np.repeat(np.arange(devices), 20)
    stratum = np.tile(np.repeat([0, 1], 10), devices)
    for _ in range(runs):
        arm = rng.integers(0, 2, devices)[device]
        y = rng.random(device.size) < rng.beta(0.5, 2.0, devices)[device]
        cells = reduce_calls(
            arms=("base", "adapter"),
            strata=strata,
            unit="device",
            stratum=stratum,
            device=device,
            unit_key=device,
            arm=arm,
            y=y,
        )
        false += rerandomise(cells.compare("adapter", "base"), rng, draws=199).p_value <= 0.05
    assert 0.02 <= false / runs <= 0.085


def test_a_phase_is_redrawn_with_its_own_share() -> None:
    plan = TrafficPlan(calls=3_000, phases=(Phase(0, (90, 10)), Phase(8, (50, 50))), favourite_drift=0.3, blocked=0.0)
    false, pooled, runs = 0, 0, 150
    for child in np.random.default_rng(6).spawn(runs):
        comparison = observe(generate(plan, child), "favourite").compare("adapter", "base")
        false += rerandomise(comparison, child, draws=199).p_value <= 0.05
        pooled += naive_z(comparison) <= 0.05
    assert false / runs <= 0.1
    assert pooled / runs > 0.5


def test_measured_outcomes_are_rounded_and_still_found() -> None:
    rng = np.random.default_rng(1)
    calls = np.arange(60_000)
    arm = (rng.random(calls.size) < 0.1).astype(np.int64)
    latency = np.exp(rng.normal(1, 0.5, calls.size)) * np.where(arm, 1.05, 1.0)
    cells = reduce_calls(
        arms=("base", "adapter"), strata=(Stratum("1", 1, "t", (90, 10)),), unit="run", stratum=np.zeros_like(calls),
        device=calls // 25, unit_key=calls, arm=arm, y=latency, binary=False,
    )  # fmt: skip
    result = rerandomise(cells.compare("adapter", "base"), 1, draws=499)
    assert result.p_value <= 0.01
    assert result.low < result.difference.estimate < result.high
    # Without skew and with thousands of calls the redrawn interval is the delta method's.
    assert result.low == pytest.approx(result.difference.low, abs=0.02)
    assert result.high == pytest.approx(result.difference.high, abs=0.02)


def test_no_calls_in_one_arm_gives_no_p_value() -> None:
    result = rerandomise(small([1, 0, 1], [0, 0, 0]), 1)
    assert np.isnan(result.p_value)
    assert result.draws == 0


def test_too_few_devices_gives_a_p_value_but_no_interval() -> None:
    result = rerandomise(small([1, 0, 1, 0, 1, 0], [1, 1, 1, 0, 0, 0]), 1)
    assert 0 < result.p_value <= 1
    assert np.isnan(result.low)


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 99"):
        rerandomise(small([1, 0], [1, 0]), 1, draws=10)
