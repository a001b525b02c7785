"""Small cells lean on the others, large ones speak for themselves, and intervals cover."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment.shrinkage import pool_differences, pool_rates


def names(count: int) -> list[str]:
    return [str(i) for i in range(count)]


def test_a_small_cell_is_drawn_towards_the_others_and_a_large_one_is_not() -> None:
    small, large = pool_rates(["small", "large"], [0, 100], [12, 1_000]).cells
    assert 0.02 < small.estimate < 0.1
    assert small.weight < 0.5
    assert large.estimate == pytest.approx(0.1, abs=0.005)
    assert large.weight > 0.5


def test_equal_cells_agree_and_unequal_large_ones_keep_their_own() -> None:
    alike = pool_rates(names(5), [10] * 5, [100] * 5)
    assert [cell.estimate for cell in alike.cells] == pytest.approx([0.1] * 5, abs=0.01)
    apart = pool_rates(names(2), [100, 600], [1_000, 1_000])
    assert [cell.estimate for cell in apart.cells] == pytest.approx([0.1, 0.6], abs=0.01)
    assert apart.spread > alike.spread


def test_a_cell_without_data_gets_the_mean_of_all_and_a_wide_interval() -> None:
    empty, full = pool_rates(["empty", "full"], [0, 50], [0, 500]).cells
    assert np.isnan(empty.raw)
    assert empty.weight == 0
    assert empty.high - empty.low > full.high - full.low
    missing = pool_differences(["a", "b", "c"], [0.1, 0.12, np.nan], [0.02, 0.02, np.nan]).cells[2]
    assert missing.estimate == pytest.approx(0.11, abs=0.005)
    assert missing.low < 0.07


def test_a_design_effect_widens() -> None:
    narrow, wide = (pool_rates(["a", "b"], [10, 12], [100, 100], design_effect=d).cells[0] for d in (1.0, 5.0))
    assert wide.high - wide.low > 1.4 * (narrow.high - narrow.low)


def test_one_difference_alone_stays_what_it_is() -> None:
    """Normal with known error: the interval is estimate ± 1.96 se."""
    cell = pool_differences(["a"], [0.05], [0.02]).cells[0]
    assert (cell.estimate, cell.low, cell.high) == (
        pytest.approx(0.05),
        pytest.approx(0.05 - 1.96 * 0.02, abs=1e-4),
        pytest.approx(0.05 + 1.96 * 0.02, abs=1e-4),
    )


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(-0.3, 0.3), st.floats(0.01, 0.2)), min_size=2, max_size=8))
def test_estimates_lie_between_their_own_value_and_the_others(cells: list[tuple[float, float]]) -> None:
    values, errors = zip(*cells, strict=True)
    for cell in pool_differences(names(len(cells)), values, errors).cells:
        assert min(values) - 1e-9 <= cell.estimate <= max(values) + 1e-9
        assert cell.low < cell.estimate < cell.high
        assert 0 <= cell.weight <= 1


@pytest.mark.parametrize(("tau", "cells"), [(0.02, 4), (0.1, 4), (0.1, 20)])
def test_intervals_of_differences_cover(tau: float, cells: int) -> None:
    rng = np.random.default_rng(3)
    covered: list[bool] = []
    gain: list[float] = []
    for _ in range(120):
        errors = rng.uniform(0.02, 0.15, cells)
        truth = rng.normal(0.03, tau, cells)
        raw = rng.normal(truth, errors)
        pooled = pool_differences(names(cells), raw, errors).cells
        covered += [cell.low <= t <= cell.high for cell, t in zip(pooled, truth, strict=True)]
        gain.append(
            sum((cell.estimate - t) ** 2 for cell, t in zip(pooled, truth, strict=True)) / ((raw - truth) ** 2).sum()
        )
    assert 0.91 <= np.mean(covered) <= 1.0
    assert np.median(gain) < 0.9


@pytest.mark.parametrize(("rate", "icc"), [(0.1, 0.02), (0.01, 0.005)])
def test_intervals_of_rates_cover(rate: float, icc: float) -> None:
    rng = np.random.default_rng(4)
    covered: list[bool] = []
    strength = (1 - icc) / icc
    for _ in range(30):
        calls = rng.integers(5, 300, 10)
        truth = rng.beta(rate * strength, (1 - rate) * strength, 10)
        pooled = pool_rates(names(10), rng.binomial(calls, truth), calls).cells
        covered += [cell.low <= t <= cell.high for cell, t in zip(pooled, truth, strict=True)]
    assert 0.89 <= np.mean(covered) <= 1.0


def test_impossible_tables_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        pool_rates(["a"], [1, 2], [3, 4])
    with pytest.raises(ValueError, match="within 0"):
        pool_rates(["a"], [5], [4])
    with pytest.raises(ValueError, match="nothing to pool"):
        pool_rates(["a"], [0], [0])
    with pytest.raises(ValueError, match="design_effect"):
        pool_rates(["a"], [1], [2], design_effect=0.0)
    with pytest.raises(ValueError, match="level"):
        pool_rates(["a"], [1], [2], level=1.0)
    with pytest.raises(ValueError, match="equally many"):
        pool_differences(["a"], [1.0, 2.0], [1.0])
    with pytest.raises(ValueError, match="above 0"):
        pool_differences(["a"], [1.0], [0.0])
    with pytest.raises(ValueError, match="nothing to pool"):
        pool_differences(["a"], [np.nan], [np.nan])
    with pytest.raises(ValueError, match="level"):
        pool_differences(["a"], [1.0], [1.0], level=0.0)
