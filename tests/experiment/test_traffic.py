"""Synthetic traffic has the sizes, rhythm and correlation it says, and its effects are the planted ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment.simulation import forecast, observe, play
from experiment.traffic import Traffic, generate
from experiment.traffic_events import CallRecord, FavouriteRecord, RegenerationRecord, VerdictRecord, records
from experiment.traffic_plan import DAY, Effects, Phase, TrafficPlan


def test_the_same_seed_gives_the_same_season() -> None:
    one, two, other = (generate(TrafficPlan(calls=500), seed) for seed in (1, 1, 2))
    assert (one.t == two.t).all()
    assert (one.arm == two.arm).all()
    assert (one.t != other.t).any()


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3_000), st.sampled_from(["run", "device"]), st.floats(0, 0.9), st.integers(0, 1_000))
def test_every_season_is_well_formed(calls: int, unit: str, icc: float, seed: int) -> None:
    season = generate(TrafficPlan(calls=calls, unit=unit, icc=icc), seed)  # type: ignore[arg-type]
    assert season.t.size == calls
    assert (np.diff(season.t) >= 0).all()
    given_at = season.favourite_at[season.favourite]
    assert (given_at >= season.t[season.favourite]).all()
    assert not (season.favourite & (season.blocked == 1)).any()
    assert set(season.regeneration_of) == set(np.flatnonzero(season.regenerated))
    assert (season.regeneration_at >= season.t[season.regeneration_of]).all()
    if unit == "device":
        # One arm per device as long as the weights stay.
        assert np.unique(season.device * 2 + season.arm).size == np.unique(season.device).size


def test_workshops_have_the_hosts_sizes() -> None:
    season = generate(TrafficPlan(calls=40_000, blocked=0.0), 3)
    requests = np.bincount(season.workshop)[:-1]  # the last workshop is cut
    assert requests.min() >= 50
    assert requests.max() <= 470
    devices = np.array([np.unique(season.device[season.workshop == w]).size for w in range(requests.size)])
    assert devices.min() >= 5
    assert devices.max() <= 12


def correlation(season: Traffic) -> float:
    """One-way ANOVA estimate of ρ over devices."""
    y, n = np.bincount(season.device, season.favourite), np.bincount(season.device)
    y, n = y[n > 1], n[n > 1]
    p = y.sum() / n.sum()
    between = (n * (y / n - p) ** 2).sum() / (n.size - 1)
    within = (y * (1 - y / n)).sum() / (n.sum() - n.size)
    size = (n.sum() - (n**2).sum() / n.sum()) / (n.size - 1)
    return float((between - within) / (between + (size - 1) * within))


@pytest.mark.parametrize("icc", [0.0, 0.15, 0.4])
def test_calls_of_a_device_correlate_as_planned(icc: float) -> None:
    assert correlation(generate(TrafficPlan(calls=40_000, icc=icc, blocked=0.0), 1)) == pytest.approx(icc, abs=0.025)


def test_effects_are_the_planted_ones() -> None:
    effects = Effects(
        favourite=0.1, regeneration=-0.1, blocked=0.05, refused=0.02, edited=-0.05, latency=1.5, fidelity=0.4
    )
    season = generate(
        TrafficPlan(calls=100_000, phases=(Phase(weights=(50, 50)),), effects=(effects,), resubmit=0.0), 2
    )
    arm, base = season.arm == 1, season.arm == 0
    passed = season.blocked != 1

    def gap(values: np.ndarray, among: np.ndarray | None = None) -> float:
        among = np.ones(arm.size, np.bool_) if among is None else among
        return float(values[arm & among].mean() - values[base & among].mean())

    assert gap(season.favourite, passed) == pytest.approx(0.1, abs=0.01)
    assert gap(season.regenerated, passed) == pytest.approx(-0.1, abs=0.01)
    assert gap(season.blocked == 1, season.blocked >= 0) == pytest.approx(0.05, abs=0.01)
    assert gap(season.refused) == pytest.approx(0.02, abs=0.005)
    assert gap(season.edited, passed) == pytest.approx(-0.05, abs=0.01)
    assert season.latency_s[arm].mean() / season.latency_s[base].mean() == pytest.approx(1.5, abs=0.03)
    assert gap(season.fidelity) == pytest.approx(0.4, abs=0.05)


def test_blocked_prompts_come_again_as_the_same_prompt_run() -> None:
    season = generate(TrafficPlan(calls=50_000, safety_levels=(("kids", 1.0),)), 1)
    _, first, times = np.unique(season.prompt, return_index=True, return_counts=True)
    assert times.max() > 1
    assert (season.device == season.device[first][np.searchsorted(np.unique(season.prompt), season.prompt)]).all()
    # Counting calls instead of prompts: 2 % becomes about 4.25 % (STATISTICS.md 1).
    assert (season.blocked == 1).mean() == pytest.approx(0.0425, abs=0.008)
    assert (season.blocked[first] == 1).mean() == pytest.approx(0.02, abs=0.004)


def test_only_levels_with_a_stage_3_have_verdicts() -> None:
    season = generate(TrafficPlan(calls=3_000, verdict_missing=0.0), 1)
    adult = season.safety_level == 2
    assert (season.blocked[adult] == -1).all()
    assert (season.blocked[~adult] >= 0).all()


def test_some_favourites_come_days_later() -> None:
    season = generate(TrafficPlan(calls=50_000), 1)
    delay = (season.favourite_at - season.t)[season.favourite]
    # 20 % late, exponential with mean 4 days: .2·exp(−7/4) = 3.5 % beyond a week.
    assert (delay > 7 * DAY).mean() == pytest.approx(0.2 * np.exp(-7 / 4), abs=0.01)


def test_phases_change_weights_and_sticky_devices_keep_their_hash() -> None:
    plan = TrafficPlan(calls=20_000, unit="device", phases=(Phase(0, (90, 10)), Phase(50, (50, 50), epoch=2)))
    season = generate(plan, 1)
    assert season.arm[season.phase == 0].mean() == pytest.approx(0.1, abs=0.05)
    assert season.arm[season.phase == 1].mean() == pytest.approx(0.5, abs=0.08)


def test_drift_moves_both_arms_alike() -> None:
    season = generate(TrafficPlan(calls=60_000, favourite_drift=0.2, blocked=0.0, phases=(Phase(weights=(50, 50)),)), 1)
    last = np.arange(season.t.size) > 54_000
    for arm in (0, 1):
        assert season.favourite[last & (season.arm == arm)].mean() == pytest.approx(0.29, abs=0.03)


def test_the_events_come_in_order_and_none_is_lost() -> None:
    season = generate(TrafficPlan(calls=400), 1)
    events = list(records(season))
    assert [event.t for event in events] == sorted(event.t for event in events)
    counts = {kind: sum(isinstance(event, kind) for event in events)
              for kind in (CallRecord, RegenerationRecord, FavouriteRecord, VerdictRecord)}  # fmt: skip
    assert counts[CallRecord] == 400
    assert counts[RegenerationRecord] == season.regeneration_of.size
    assert counts[FavouriteRecord] == season.favourite.sum()
    assert counts[VerdictRecord] == (season.blocked >= 0).sum()


def test_a_regeneration_inherits_the_arm() -> None:
    events = list(records(generate(TrafficPlan(calls=400), 1)))
    arms = {event.call: event.arm for event in events if isinstance(event, CallRecord)}
    assert all(event.arm == arms[event.call] for event in events if isinstance(event, RegenerationRecord))


@pytest.mark.parametrize("metric", ["favourite", "regeneration", "blocked", "refused", "edited", "latency", "fidelity"])
def test_every_metric_can_be_observed(metric: str) -> None:
    comparison = observe(generate(TrafficPlan(calls=1_000), 1), metric).compare("adapter", "base")  # type: ignore[arg-type]
    assert comparison.calls.sum() > 700
    assert comparison.binary == (metric not in ("latency", "fidelity"))


def test_the_forecast_and_the_played_season_agree() -> None:
    plan = TrafficPlan(calls=2_000, effects=(Effects(favourite=0.07),), blocked=0.0)
    said = forecast(plan, "favourite", 1, effect=0.07)
    assert said.calls == pytest.approx(1_900, rel=0.05)
    assert said.calls_even < said.calls
    assert said.workshops == pytest.approx(said.calls / 187, rel=0.2)
    played = play(plan, "favourite", 1, runs=60, draws=199)
    assert played.found == pytest.approx(said.power_planned, abs=0.15)
    assert played.covered > 0.85
    with pytest.raises(ValueError, match="at least 10"):
        play(plan, "favourite", 1, runs=5)


def test_a_sticky_forecast_needs_five_times_the_calls() -> None:
    per_run, sticky = (
        forecast(TrafficPlan(unit=unit), "favourite", 1, effect=0.05).calls for unit in ("run", "device")
    )  # type: ignore[arg-type]
    assert 4 < sticky / per_run < 7
    with pytest.raises(ValueError, match="both need"):
        forecast(TrafficPlan(phases=(Phase(weights=(1, 0)),)), "favourite", 1, effect=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"favourite": 1.2}, "favourite"),
        ({"effects": (Effects(favourite=-0.2),)}, "favourite of an adapter"),
        ({"effects": ()}, "1 adapters"),
        ({"effects": (Effects(latency=0.0),)}, "latency"),
        ({"favourite_drift": 0.95}, "drift"),
        ({"icc": 1.0}, "icc"),
        ({"unit": "class"}, "unit"),
        ({"phases": (Phase(1),)}, "workshop 0"),
        ({"phases": (Phase(0), Phase(0))}, "rising"),
        ({"phases": (Phase(0, (0, 0)),)}, "weights"),
        ({"phases": (Phase(0, (1, 2, 3)),)}, "weights"),
        ({"devices_per_workshop": (5, 3)}, "devices_per_workshop"),
        ({"calls": 0}, "calls"),
        ({"languages": ()}, "languages"),
    ],
)
def test_impossible_plans_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrafficPlan(**change)  # type: ignore[arg-type]
