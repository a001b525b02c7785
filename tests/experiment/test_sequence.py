"""Looked at all the time, the sequence is rarely wrong; the ordinary interval often is."""

import math

import numpy as np
import pytest

from benchmarks.call_path import call_path
from experiment.estimates import difference
from experiment.readiness import MIN_DEVICES
from experiment.sequence import live, multiplier, path
from experiment.simulation import observe
from experiment.traffic import generate
from experiment.traffic_plan import Effects, Phase, TrafficPlan


def test_the_multiplier_by_hand() -> None:
    # α = .05, t = tightest_at: tη² = −2 log .05 + log(1 − 2 log .05) = 5.9915 + 1.9447 = 7.9362;
    # sqrt(2 · 8.9362 / 7.9362 · (log(8.9362)/2 + 2.9957)) = sqrt(2.2520 · 4.0908) = 3.0352
    assert float(multiplier(100.0)) == pytest.approx(3.0352, abs=1e-4)
    assert float(multiplier(7.0, tightest_at=7.0)) == pytest.approx(3.0352, abs=1e-4)


def test_it_is_wider_than_one_look_and_narrowest_near_the_tuning() -> None:
    t = np.array([10.0, 30, 100, 300, 3_000])
    widths = multiplier(t)
    assert (widths > 1.96).all()
    assert widths.argmin() == 2


@pytest.mark.parametrize("unit", ["run", "device"])
def test_the_path_ends_where_the_live_view_stands(unit: str) -> None:
    plan = TrafficPlan(calls=3_000, unit=unit, phases=(Phase(0, (50, 50)),))  # type: ignore[arg-type]
    comparison = observe(generate(plan, 2), "favourite").compare("adapter", "base")
    now, way = live(difference(comparison)), path(comparison)
    assert (way.estimate[-1], way.low[-1], way.high[-1]) == (
        pytest.approx(now.estimate),
        pytest.approx(now.low),
        pytest.approx(now.high),
    )


def test_the_path_of_several_phases_ends_where_the_live_view_stands() -> None:
    plan = TrafficPlan(calls=4_000, phases=(Phase(0, (50, 50)), Phase(9, (80, 20))))
    comparison = observe(generate(plan, 2), "favourite").compare("adapter", "base")
    assert path(comparison).low[-1] == pytest.approx(live(difference(comparison)).low)


def test_the_path_per_call_agrees_at_the_end() -> None:
    traffic = generate(TrafficPlan(calls=3_000, phases=(Phase(0, (50, 50)),)), 3)
    seen = difference(observe(traffic, "favourite").compare("adapter", "base"))
    way = call_path(traffic.device, traffic.arm == 1, traffic.favourite, sticky=False)
    assert (way.estimate[-1], way.se[-1], way.se_null[-1]) == (
        pytest.approx(seen.estimate),
        pytest.approx(seen.se),
        pytest.approx(seen.se_null),
    )


@pytest.mark.parametrize("unit", ["run", "device"])
def test_identical_arms_are_rarely_told_apart_however_often_one_looks(unit: str) -> None:
    plan = TrafficPlan(calls=4_000, unit=unit, phases=(Phase(0, (50, 50)),), blocked=0.0)  # type: ignore[arg-type]
    ever, naive, runs = 0, 0, 150
    for child in np.random.default_rng(9).spawn(runs):
        traffic = generate(plan, child)
        way = call_path(traffic.device, traffic.arm == 1, traffic.favourite, sticky=unit == "device")
        ready = way.devices >= MIN_DEVICES
        half = multiplier(way.t) * np.maximum(way.se, way.se_null)
        ever += bool((ready & (np.abs(way.estimate) > half)).any())
        naive += bool((ready & (np.abs(way.estimate) > 1.96 * way.se)).any())
    assert ever / runs <= 0.065
    assert naive / runs > 0.15


def test_a_true_difference_is_found() -> None:
    plan = TrafficPlan(calls=4_000, phases=(Phase(0, (50, 50)),), effects=(Effects(favourite=0.15),))
    way = path(observe(generate(plan, 4), "favourite").compare("adapter", "base"))
    assert way.ever_excludes_zero
    assert way.low[way.first] > 0
    assert np.isnan(way.low[0])


def test_below_thirty_devices_it_says_so_instead_of_a_number() -> None:
    now = live(difference(observe(generate(TrafficPlan(calls=150), 1), "favourite").compare("adapter", "base")))
    assert math.isnan(now.low)
    assert not now.excludes_zero
    assert now.readiness.sentence.startswith("too few devices")


@pytest.mark.parametrize(("alpha", "at"), [(0.0, 100.0), (1.0, 100.0), (0.05, 0.0)])
def test_impossible_settings_are_refused(alpha: float, at: float) -> None:
    with pytest.raises(ValueError, match=r"alpha|tightest_at"):
        multiplier(10.0, alpha, at)
