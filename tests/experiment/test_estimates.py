"""The clustered difference equals tea-tasting where the arms are independent and statsmodels where they are not."""

import numpy as np
import pytest
import statsmodels.api as sm
from tea_tasting.aggr import Aggregates
from tea_tasting.metrics.mean import RatioOfMeans

from experiment.estimates import difference, null_error
from experiment.observations import Comparison, Stratum, reduce_calls
from experiment.rerandomisation import rerandomise
from experiment.simulation import observe
from experiment.traffic import generate
from experiment.traffic_plan import Effects, Phase, TrafficPlan


def season(**changes: object) -> Comparison:
    plan = TrafficPlan(**{"calls": 3_000, "effects": (Effects(favourite=0.04),), **changes})  # type: ignore[arg-type]
    return observe(generate(plan, 5), "favourite").compare("adapter", "base")


def per_device(comparison: Comparison, treated: bool) -> Aggregates:
    mine = comparison.treated == treated
    n = np.bincount(comparison.device[mine], comparison.calls[mine], comparison.devices)
    y = np.bincount(comparison.device[mine], comparison.totals[mine], comparison.devices)[n > 0]
    n = n[n > 0]
    moments = np.cov(y, n)
    return Aggregates(
        n.size, {"y": y.mean(), "n": n.mean()}, {"y": moments[0, 0], "n": moments[1, 1]}, {("y", "n"): moments[0, 1]}
    )


def test_sticky_it_is_tea_tastings_ratio_of_means() -> None:
    comparison = season(unit="device", calls=8_000)
    ours = difference(comparison)
    oracle = RatioOfMeans("y", "n").analyze_aggregates(per_device(comparison, False), per_device(comparison, True))
    assert (ours.arm.mean, ours.base.mean) == (pytest.approx(oracle.treatment), pytest.approx(oracle.control))
    assert (ours.estimate, ours.low, ours.high) == (
        pytest.approx(oracle.effect_size),
        pytest.approx(oracle.effect_size_ci_lower),
        pytest.approx(oracle.effect_size_ci_upper),
    )


def calls_of(comparison: Comparison) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One row per call: (y, treated, stratum, device); units of one call only."""
    assert (comparison.n == 1).all()
    repeat = np.repeat(np.arange(comparison.n.size), comparison.units)
    columns = (comparison.y, comparison.treated, comparison.stratum, comparison.device)
    return tuple(column[repeat] for column in columns)  # type: ignore[return-value]


def test_per_run_it_is_statsmodels_cluster_robust_regression() -> None:
    comparison = season()
    y, treated, _, device = calls_of(comparison)
    fit = sm.OLS(y, sm.add_constant(treated.astype(float))).fit(
        cov_type="cluster", cov_kwds={"groups": device, "use_correction": False}
    )
    ours = difference(comparison)
    assert ours.estimate == pytest.approx(fit.params[1])
    # statsmodels without correction; ours multiplies by about D / (D − 1).
    assert ours.se == pytest.approx(fit.bse[1], rel=0.02)


def test_stratified_it_is_a_contrast_of_the_saturated_cluster_robust_regression() -> None:
    comparison = season(calls=4_000, phases=(Phase(0, (90, 10)), Phase(6, (60, 40)), Phase(13, (50, 50))))
    y, treated, stratum, device = calls_of(comparison)
    cells = np.eye(6)[stratum * 2 + treated]
    fit = sm.OLS(y, cells).fit(cov_type="cluster", cov_kwds={"groups": device, "use_correction": False})
    n = cells.sum(axis=0).reshape(3, 2)
    weight = n.prod(axis=1) / n.sum(axis=1)
    contrast = (np.array([-1, 1]) * (weight / weight.sum())[:, None]).ravel()
    ours = difference(comparison)
    assert ours.estimate == pytest.approx(contrast @ fit.params)
    assert ours.se == pytest.approx(np.sqrt(contrast @ fit.cov_params() @ contrast), rel=0.02)
    assert ours.arm.mean - ours.base.mean == pytest.approx(ours.estimate)


def test_an_effect_is_never_drift_between_phases() -> None:
    """Arms equal in each phase, phases unequal in rate and share: pooled they differ, stratified they do not."""
    stratum = np.repeat([0, 1], 400)
    arm = np.concatenate([np.arange(400) % 10 == 0, np.arange(400) % 2 == 0]).astype(np.int64)
    y = np.concatenate([np.arange(400) // 10 % 10 == 0, np.arange(400) // 2 % 2 == 0])
    calls = np.arange(800)
    phases = (Stratum("1", 1, "t", (90, 10)), Stratum("2", 2, "t", (50, 50)))
    cells = reduce_calls(
        arms=("base", "adapter"),
        strata=phases,
        unit="run",
        stratum=stratum,
        device=calls // 8,
        unit_key=calls,
        arm=arm,
        y=y,
    )
    assert y[arm == 1].mean() - y[arm == 0].mean() > 0.1
    assert difference(cells.compare("adapter", "base")).estimate == pytest.approx(0, abs=1e-12)


def test_the_null_error_is_the_spread_of_the_redrawn_difference() -> None:
    comparison = season()
    y, _, _, _ = calls_of(comparison)
    rng = np.random.default_rng(1)
    drawn = []
    for _ in range(4_000):
        arm = rng.random(y.size) < 0.1
        drawn.append(y[arm].mean() - y[~arm].mean())
    assert null_error(comparison) == pytest.approx(np.std(drawn), rel=0.06)


@pytest.mark.parametrize("unit", ["run", "device"])
def test_the_interval_covers_where_independent_arms_do_not(unit: str) -> None:
    """95 %: ours within 91 … 99 of 150 seasons; per run RatioOfMeans of independent arms is far too wide."""
    plan = TrafficPlan(calls=2_500, unit=unit, phases=(Phase(weights=(50, 50)),), blocked=0.0)  # type: ignore[arg-type]
    covered, naive, runs = 0, 0, 150
    for child in np.random.default_rng(8).spawn(runs):
        comparison = observe(generate(plan, child), "favourite").compare("adapter", "base")
        result = rerandomise(comparison, child, draws=299)
        covered += result.low <= 0 <= result.high
        oracle = RatioOfMeans("y", "n").analyze_aggregates(per_device(comparison, False), per_device(comparison, True))
        naive += oracle.effect_size_ci_lower <= 0 <= oracle.effect_size_ci_upper
    assert 0.91 <= covered / runs <= 0.99
    if unit == "run":
        assert naive / runs > 0.985


def test_too_few_devices_is_said_and_no_error_is_raised() -> None:
    seen = difference(season(calls=120))
    assert seen.readiness.state == "too few devices"
    assert seen.readiness.sentence.startswith("too few devices: ")


def test_rare_outcomes_say_too_few_events() -> None:
    seen = difference(season(calls=3_000, favourite=0.005, effects=(Effects(),)))
    assert seen.readiness.state == "too few events"


def test_one_arm_alone_has_no_difference() -> None:
    cells = reduce_calls(
        arms=("base", "adapter"), strata=(Stratum("1", 1, "t", (90, 10)),), unit="run", stratum=np.zeros(3, np.int64),
        device=np.arange(3), unit_key=np.arange(3), arm=np.zeros(3, np.int64), y=np.ones(3),
    )  # fmt: skip
    seen = difference(cells.compare("adapter", "base"))
    assert np.isnan(seen.estimate)
    assert np.isnan(seen.low)
    assert seen.readiness.state == "no concurrent calls"


def test_a_level_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="level"):
        difference(season(), level=1.0)
