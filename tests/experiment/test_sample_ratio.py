"""The sample-ratio test may be read after every unit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment.sample_ratio import Tally, closed_form, judge, log_e_path, start, update

units = st.lists(st.integers(0, 2), max_size=80)


@settings(deadline=None)
@given(units, units)
def test_at_once_or_bit_by_bit_gives_the_same(first: list[int], second: list[int]) -> None:
    together = update(start((80, 15, 5)), first + second)
    apart = update(update(start((80, 15, 5)), first), second)
    assert (together.counts, together.alarm_at) == (apart.counts, apart.alarm_at)
    assert (together.log_e, together.log_e_max) == (pytest.approx(apart.log_e), pytest.approx(apart.log_e_max))


@settings(deadline=None)
@given(units)
def test_the_running_product_is_the_dirichlet_multinomial(arms: list[int]) -> None:
    tally = update(start((80, 15, 5)), arms)
    assert tally.log_e == pytest.approx(closed_form(tally), abs=1e-8)


def test_the_first_two_units_by_hand() -> None:
    # Weights 1:1, concentration 10. First unit: its predictive probability is 5/10, its weight 1/2: e = 1.
    # Second in the same arm: (5 + 1) / (10 + 1) over 1/2 = 12/11.
    assert np.exp(log_e_path(start((1, 1)), [0, 0])) == pytest.approx([1.0, 12 / 11])


def test_under_the_weights_the_expected_e_value_is_one() -> None:
    """What makes it an e-process: Σ over all sequences of 9 units of P(sequence)·e = 1."""
    total = 0.0
    for ones in range(10):
        tally = Tally((9, 1), (9 - ones, ones))
        total += math.comb(9, ones) * 0.1**ones * 0.9 ** (9 - ones) * math.exp(closed_form(tally))
    assert total == pytest.approx(1.0)


def test_false_alarms_and_a_true_mismatch() -> None:
    rng = np.random.default_rng(3)
    runs = 300
    false = sum(update(start((90, 10)), rng.random(10_000) < 0.10).alarm_at > 0 for _ in range(runs))
    found = sum(update(start((90, 10)), rng.random(2_000) < 0.15).alarm_at > 0 for _ in range(runs))
    n = np.arange(50, 10_001)
    peeked = sum(
        bool(((np.cumsum(rng.random(10_000) < 0.1)[49:] - 0.1 * n) ** 2 / (0.09 * n) > 3.841).any())
        for _ in range(runs)
    )
    assert false / runs <= 0.02
    assert found / runs >= 0.98
    assert 0.45 <= peeked / runs <= 0.65


def test_the_alarm_says_which_unit_raised_it_and_stays() -> None:
    # Six in a row at 10 %: 10·(1/10) · 10·(2/11) · 10·(3/12) · 10·(4/13) · 10·(5/14) · 10·(6/15) = 199.8 > 100.
    tally = update(start((90, 10)), [1] * 6)
    assert math.exp(tally.log_e) == pytest.approx(199.8, abs=0.1)
    assert tally.alarm_at == 6
    assert update(tally, [0] * 5_000).alarm_at == 6
    result = judge([update(tally, [0] * 14)], ["base", "adapter"])
    assert result.alarm
    assert result.sentence.startswith("the arms do not get the share they should: base 14 (expected 18), adapter 6")


def test_phases_are_judged_by_their_own_weights() -> None:
    phases = [update(start((90, 10)), ([0] * 9 + [1]) * 10), update(start((50, 50)), [0, 1] * 50)]
    result = judge(phases, ["base", "adapter"])
    assert not result.alarm
    assert result.expected == (140.0, 60.0)
    assert 0 < result.p_value <= 1


def test_a_unit_in_an_arm_without_weight_is_proof() -> None:
    assert update(start((1, 1, 0)), [2]).alarm_at == 1


def test_impossible_weights_and_arms_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        start((1, 0))
    with pytest.raises(ValueError, match="arm codes"):
        log_e_path(start((1, 1)), [2])
    with pytest.raises(ValueError, match="3 arms"):
        judge([start((1, 1))], ["a", "b", "c"])
