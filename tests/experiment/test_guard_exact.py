"""Every exact figure of STATISTICS.md 2, by dynamic programming over (n, S); measured values in the messages."""

import itertools

import numpy as np
import pytest
from scipy.stats import beta

from benchmarks import exact_guard as exact
from experiment.limits import GuardLimits
from experiment.rules import count_rule

GUARD = exact.guard_boundary()


def test_the_boundary_is_that_of_the_integers() -> None:
    """R1 '20·S − n ≥ 60' below 200, R2 '20·S > n' from 200 on: S ≥ ⌈(60 + n)/20⌉, S ≥ ⌊n/20⌋ + 1."""
    assert len(GUARD) == 10_001
    for n in range(1, 10_001):
        assert GUARD[n] == (-(-(60 + n) // 20) if n < 200 else n // 20 + 1), n


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.8])
def test_dynamic_programming_equals_counting_every_sequence(rate: float) -> None:
    """All 2¹² sequences under small limits, each weighed by its probability, through the real rule."""
    limits = GuardLimits(min_n=7, excess=GuardLimits().excess / 2)
    expected = np.zeros(13)
    for sequence in itertools.product([False, True], repeat=12):
        blocked = np.cumsum(sequence)
        first = next((n for n in range(1, 13) if count_rule(n, int(blocked[n - 1]), limits)), None)
        if first is not None:
            expected[first] += rate ** blocked[-1] * (1 - rate) ** (12 - blocked[-1])
    assert exact.stopping(rate, exact.guard_boundary(12, limits)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("rate", "most"), [(0.01, 0.001), (0.02, 0.01), (0.03, 0.12)])
def test_false_trips_of_r1_and_r2_looked_at_after_each_of_10_000(rate: float, most: float) -> None:
    """'P(trip) ≤ .1 % at 1 %; ≤ 1 % at 2 %; ≤ 12 % at 3 %'."""
    trips = exact.stopping(rate, GUARD).sum()
    assert 0 < trips <= most, f"P(trip | {rate:.0%}) = {trips:.5%}, at most {most:.1%}"


@pytest.mark.parametrize(("rate", "median", "p95"), [(0.1, 60, 200), (0.2, 20, 55), (0.5, 10, 15)])
def test_delays_of_r1_and_r2(rate: float, median: int, p95: int) -> None:
    """'delay at 10 % / 20 % / 50 %: median ≤ 60/20/10, p95 ≤ 200/55/15 prompt-runs'."""
    at = exact.stopping(rate, GUARD)
    measured = exact.quantile(at, 0.5), exact.quantile(at, 0.95)
    assert measured[0] <= median, measured
    assert measured[1] <= p95, measured


def test_six_percent_is_tripped_within_2_000() -> None:
    """'6 %: ≥ 98 % tripped within 2,000', by R1 and R2 alone."""
    trips = exact.stopping(0.06, GUARD)[:2_001].sum()
    assert trips >= 0.98, f"{trips:.3%}"


def test_no_rule_can_act_at_12_of_200_and_be_wrong_in_1_percent_at_4_percent() -> None:
    """'P(≥12 of 200 | 4 %) = 10.75 %'."""
    assert exact.tail(200, 12, 0.04) == pytest.approx(0.1075, abs=5e-5)


@pytest.mark.parametrize(
    ("boundary", "percent"),
    [(exact.rate_boundary(), 4), (exact.binomial_boundary(), 3), (exact.posterior_boundary(), 13)],
    ids=["rate > 5 % from n ≥ 100", "peeked binomial test", "posterior Beta(1,1)"],
)
def test_plain_alternatives_roll_back_a_harmless_adapter(boundary: exact.Boundary, percent: int) -> None:
    """'at a harmless 2 % they roll back in 4 %, 3 % and 13 % of tests', several times as often as R1 and R2."""
    trips = exact.stopping(0.02, boundary).sum()
    assert round(100 * trips) == percent, f"{trips:.3%}"
    assert trips > 3 * exact.stopping(0.02, GUARD).sum()


def test_the_posterior_fires_at_one_block_of_five_and_the_guard_does_not() -> None:
    """'Beta(1,1) fires at 1 block of 5': P(rate > 5 %) = .967 under Beta(2, 5)."""
    assert beta.sf(0.05, 2, 5) == pytest.approx(0.9672, abs=5e-5)
    assert exact.posterior_boundary()[5] == 1
    assert GUARD[5] == 4


def test_the_posterior_boundary_is_that_of_the_beta_distribution() -> None:
    boundary = exact.posterior_boundary(horizon=400)
    for n in range(1, 401):
        least = int(boundary[n])
        assert beta.sf(0.05, 1 + least, 1 + n - least) > 0.95, n
        assert least == 0 or beta.sf(0.05, least, 2 + n - least) <= 0.95, n


def test_a_quantile_that_is_never_reached_is_refused() -> None:
    with pytest.raises(ValueError, match="trip within 10000"):
        exact.quantile(exact.stopping(0.01, GUARD), 0.5)
