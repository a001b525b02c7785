"""The exact interval beside every rate on screen, against statsmodels and against its definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from statsmodels.stats.proportion import proportion_confint

from experiment.intervals import clopper_pearson

counts = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99, 0.999]))
def test_equals_statsmodels_exact(pair: tuple[int, int], level: float) -> None:
    k, n = pair
    low, high = proportion_confint(k, n, alpha=1 - level, method="beta")
    assert clopper_pearson(k, n, level) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


@given(counts)
def test_its_ends_are_where_the_tails_are_two_and_a_half_percent(pair: tuple[int, int]) -> None:
    """Clopper & Pearson's definition: P(X ≥ k | low) = P(X ≤ k | high) = α/2."""
    k, n = pair
    low, high = clopper_pearson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    if k > 0:
        assert binom.sf(k - 1, n, low) == pytest.approx(0.025, rel=1e-6)
    if k < n:
        assert binom.cdf(k, n, high) == pytest.approx(0.025, rel=1e-6)


def test_the_sentence_of_the_specification() -> None:
    """'6.0 % (12/200) …; 95 % interval (Clopper–Pearson) 3.1–10.2 %'."""
    low, high = clopper_pearson(12, 200)
    assert (f"{100 * low:.1f}", f"{100 * high:.1f}") == ("3.1", "10.2")


def test_worked_by_hand_at_the_ends() -> None:
    # 0 of n: high = 1 − .025^(1/n); n of n: low = .025^(1/n)
    assert clopper_pearson(0, 10) == (0.0, pytest.approx(1 - 0.025**0.1))
    assert clopper_pearson(10, 10) == (pytest.approx(0.025**0.1), 1.0)


def test_nothing_seen_nothing_known() -> None:
    assert clopper_pearson(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("k", "n", "level"), [(-1, 5, 0.95), (6, 5, 0.95), (0, -1, 0.95), (1, 5, 0.0), (1, 5, 1.0)])
def test_impossible_counts_and_levels_are_refused(k: int, n: int, level: float) -> None:
    with pytest.raises(ValueError, match="is not within"):
        clopper_pearson(k, n, level)
