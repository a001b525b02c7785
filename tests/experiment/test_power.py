"""The figures of STATISTICS.md 3, and power that is what it says."""

import math

import numpy as np
import pytest

from experiment.observations import Stratum, reduce_calls
from experiment.power import (
    Design,
    Pace,
    calls_needed,
    design_effect,
    design_of,
    detectable,
    outlook,
    planning_effect,
    power,
)
from experiment.simulation import forecast, observe, play
from experiment.traffic import generate
from experiment.traffic_plan import Effects, Phase, TrafficPlan

PACE = Pace(calls_per_workshop=190, devices_per_workshop=9.5)


@pytest.mark.parametrize(
    ("rate", "design_effect", "points"),
    [
        # 2.80·sqrt(.09 (1/50 + 1/450)) = .125 and so on; the guidance took simulated standard errors, up to 3.5 % off.
        (0.10, 1.0, (12.5, 6.3, 2.9)),
        (0.10, 5.0, (28.0, 14.2, 6.3)),
        (0.20, 1.0, (16.4, 8.4, 3.8)),
    ],
)
def test_the_minimum_detectable_effects_of_the_guidance(
    rate: float, design_effect: float, points: tuple[float, ...]
) -> None:
    found = [100 * planning_effect(Design(rate, 0.1, design_effect), calls) for calls in (500, 2_000, 10_000)]
    assert found == pytest.approx(points, rel=0.035)


def test_even_weights_divide_by_five_thirds() -> None:
    ratio = planning_effect(Design(0.1, 0.1, 1.0), 2_000) / planning_effect(Design(0.1, 0.5, 1.0), 2_000)
    assert ratio == pytest.approx(5 / 3)


def test_the_textbook_figure_has_less_power_than_it_claims() -> None:
    assert power(Design(0.1, 0.1, 1.0), 500, 0.125) == pytest.approx(0.70, abs=0.01)


@pytest.mark.parametrize("fall", [False, True])
def test_the_detectable_effect_has_exactly_the_power_wanted(fall: bool) -> None:
    design = Design(0.1, 0.2, 3.0)
    effect = detectable(design, 5_000, fall=fall)
    assert (effect < 0) == fall
    assert power(design, 5_000, effect) == pytest.approx(0.8, abs=1e-6)
    assert calls_needed(design, effect) == pytest.approx(5_000, rel=1e-4)


def test_without_an_effect_the_power_is_alpha() -> None:
    assert power(Design(0.1, 0.1, 1.0), 1_000, 0.0) == pytest.approx(0.05)


def test_a_fall_that_is_impossible_is_no_number() -> None:
    assert math.isnan(detectable(Design(0.1, 0.1, 5.0), 500, fall=True))


def test_moving_from_half_a_percent_to_one_needs_4700_calls_per_arm() -> None:
    """HOST.md, Size and rhythm."""
    assert calls_needed(Design(0.005, 0.5, 1.0), 0.005) / 2 == pytest.approx(4_700, rel=0.01)


@pytest.mark.parametrize(
    ("unit", "weights", "calls", "fall"),
    [("run", (90, 10), 2_000, False), ("run", (50, 50), 1_500, True), ("device", (50, 50), 3_000, False)],
)
def test_planted_effects_are_found_with_the_predicted_power(
    unit: str, weights: tuple[int, int], calls: int, fall: bool
) -> None:
    """80 % ± 5 in 1,000 seasons (benchmarks); here 200 seasons, so ± 5 and the Monte Carlo error of 5.5."""
    plan = TrafficPlan(calls=calls, unit=unit, phases=(Phase(weights=weights),), blocked=0.0)  # type: ignore[arg-type]
    design = forecast(plan, "favourite", 1, effect=0.05).design
    effect = detectable(design, calls, fall=fall)
    plan = TrafficPlan(**{**plan.__dict__, "effects": (Effects(favourite=effect),)})
    assert play(plan, "favourite", 7, runs=200, draws=199).found == pytest.approx(0.8, abs=0.105)


def test_the_design_effect_is_that_of_the_unit() -> None:
    """Per run single calls: 1, although calls of a device resemble each other. Sticky: 1 + (m − 1)ρ."""
    traffic = generate(TrafficPlan(calls=60_000, unit="device", blocked=0.0), 1)
    m = np.bincount(traffic.device)
    expected = 1 + ((m**2).sum() / m.sum() - 1) * 0.15
    assert design_effect(observe(traffic, "favourite").compare("adapter", "base")) == pytest.approx(expected, rel=0.08)
    per_run = generate(TrafficPlan(calls=5_000, blocked=0.0), 1)
    assert design_effect(observe(per_run, "favourite").compare("adapter", "base")) == pytest.approx(1.0)


def test_with_few_units_the_design_effect_is_the_assumed_one() -> None:
    device = np.repeat(np.arange(4), 11)
    cells = reduce_calls(
        arms=("base", "adapter"), strata=(Stratum("1", 1, "t", (50, 50)),), unit="device",
        stratum=np.zeros(44, np.int64), device=device, unit_key=device, arm=device % 2, y=np.zeros(44),
    )  # fmt: skip
    # Nothing happened, so only the assumption speaks: 1 + (11 − 1)·.15.
    assert design_effect(cells.compare("adapter", "base")) == pytest.approx(2.5)


def test_the_outlook_of_an_early_experiment_says_too_few_devices() -> None:
    comparison = observe(generate(TrafficPlan(calls=150), 1), "favourite").compare("adapter", "base")
    early = outlook(comparison, PACE, effect=0.05)
    assert early.sentence.startswith("too few devices")
    assert math.isnan(early.rise)
    assert early.workshops_to_ready > 1


def test_the_outlook_of_a_running_experiment() -> None:
    comparison = observe(generate(TrafficPlan(calls=4_000, blocked=0.0), 1), "favourite").compare("adapter", "base")
    now = outlook(comparison, PACE, effect=0.03)
    assert now.rise == pytest.approx(detectable(Design(0.1, 0.1, 1.0), 4_000), rel=0.1)
    assert now.rise_even < now.rise
    assert now.calls_needed_even < now.calls_needed
    assert now.workshops_needed == pytest.approx(now.calls_needed / 190)
    assert 0.05 < now.power_now < 0.8
    assert now.sentence.startswith("by now a rise of ")
    assert now.workshops_to_ready == 0


def test_the_ends_of_the_scale() -> None:
    assert power(Design(0.0, 0.5, 1.0), 10, 1.0) == 1.0
    # One call has the power alpha for any effect.
    assert calls_needed(Design(0.5, 0.5, 1.0), 0.001, power_wanted=0.04) == 1.0
    sticky = observe(generate(TrafficPlan(calls=150, unit="device"), 1), "favourite").compare("adapter", "base")
    # 10 % of 9.5 devices a workshop: about 30 workshops for 30 devices.
    assert 25 < outlook(sticky, PACE).workshops_to_ready < 35


def test_an_effect_without_room_is_no_number_and_no_error() -> None:
    comparison = observe(generate(TrafficPlan(calls=3_000, favourite=0.03), 1), "favourite").compare("adapter", "base")
    now = outlook(comparison, PACE, effect=-0.1)
    assert math.isnan(now.power_now)
    assert math.isnan(now.workshops_needed)


def test_what_is_needed_is_what_then_suffices() -> None:
    comparison = observe(generate(TrafficPlan(calls=2_000, blocked=0.0), 1), "favourite").compare("adapter", "base")
    now = outlook(comparison, PACE, effect=0.03)
    assert power(now.design, 2_000 + now.calls_needed, 0.03) == pytest.approx(0.8, abs=0.02)


def test_calls_of_other_arms_do_not_count() -> None:
    """Three arms: only (90 + 5) of 100 calls of a workshop fall into the comparison."""
    plan = TrafficPlan(
        calls=3_000, arms=("base", "a", "b"), phases=(Phase(weights=(90, 5, 5)),), effects=(Effects(), Effects())
    )
    now = outlook(observe(generate(plan, 1), "favourite").compare("a", "base"), PACE, effect=0.05)
    assert now.workshops_needed == pytest.approx(now.calls_needed / (190 * 0.95))


def test_latency_has_a_variance_of_its_own() -> None:
    comparison = observe(generate(TrafficPlan(calls=3_000), 1), "latency").compare("adapter", "base")
    design = design_of(comparison)
    assert design.variance == pytest.approx(4.0**2 * math.exp(0.25) * (math.exp(0.25) - 1), rel=0.2)
    assert detectable(design, 3_000) == pytest.approx(-detectable(design, 3_000, fall=True))
    assert outlook(comparison, PACE).rise > 0


def test_impossible_questions_are_refused() -> None:
    design = Design(0.1, 0.1, 1.0)
    with pytest.raises(ValueError, match="share"):
        power(design._replace(share=0.0), 10, 0.1)
    with pytest.raises(ValueError, match="calls"):
        power(design, 0, 0.1)
    with pytest.raises(ValueError, match="leaves"):
        power(design, 10, -0.2)
    with pytest.raises(ValueError, match="effect of 0"):
        calls_needed(design, 0.0)
    empty = observe(generate(TrafficPlan(calls=10, phases=(Phase(weights=(1, 0)),)), 1), "favourite")
    with pytest.raises(ValueError, match="no concurrent calls"):
        outlook(empty.compare("adapter", "base"), PACE)
