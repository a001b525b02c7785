"""Entropy estimates, derived by hand and against infomeasure."""

import logging
import math

import infomeasure
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment.entropy import chao_wang_jost, collision, plug_in, top_share

tables = st.lists(st.integers(0, 40), min_size=1, max_size=25).filter(lambda counts: sum(counts) > 1)


@settings(deadline=None)
@given(tables)
def test_equals_infomeasure(counts: list[int]) -> None:
    logging.disable(logging.WARNING)
    data = np.repeat(np.arange(len(counts)), counts)
    ours, plain = float(chao_wang_jost(counts)), float(plug_in(counts))
    assert ours == pytest.approx(infomeasure.entropy(data, approach="chao_wang_jost", base="e"), abs=1e-9)
    assert plain == pytest.approx(infomeasure.entropy(data, approach="discrete", base="e"), abs=1e-9)


def test_by_hand_without_rare_categories() -> None:
    # Counts 3, 3; f₁ = 0, so nothing is unseen: Σ 3/6 (ψ(6) − ψ(3)) twice = 1/3 + 1/4 + 1/5 = 47/60.
    assert float(chao_wang_jost([3, 3])) == pytest.approx(47 / 60)
    assert float(plug_in([3, 3])) == pytest.approx(math.log(2))


def test_by_hand_with_a_singleton_and_a_doubleton() -> None:
    # Counts 2, 1: n = 3, f₁ = f₂ = 1.
    # Seen: 2/3 (ψ(3) − ψ(2)) + 1/3 (ψ(3) − ψ(1)) = 2/3 · 1/2 + 1/3 · 3/2 = 5/6.
    # A = 2·1 / (2·1 + 2·1) = 1/2; unseen: 1/3 · (1/2)^(−2) · (log 2 − 1/2 − 1/8) = 4/3 (log 2 − 5/8).
    assert float(chao_wang_jost([2, 1])) == pytest.approx(5 / 6 + 4 / 3 * (math.log(2) - 5 / 8))


def test_by_hand_with_singletons_only() -> None:
    # Counts 1, 1: n = 2, f₁ = 2, f₂ = 0. Seen: 2 · 1/2 (ψ(2) − ψ(1)) = 1.
    # A = 2 / (1·1 + 2) = 2/3; unseen: 2/2 · (1/3)^(−1) · (−log(2/3) − 1/3) = 3 log(3/2) − 1.
    assert float(chao_wang_jost([1, 1])) == pytest.approx(3 * math.log(1.5))


def test_collision_by_hand() -> None:
    # Counts 3, 2: (3·2 + 2·1) / (5·4) = 8/20.
    assert float(collision([3, 2])) == pytest.approx(0.4)


def test_collision_is_unbiased() -> None:
    shares = np.array([0.5, 0.3, 0.2])
    drawn = np.random.default_rng(1).multinomial(6, shares, 200_000)
    assert collision(drawn).mean() == pytest.approx((shares**2).sum(), abs=0.002)


@settings(deadline=None)
@given(tables)
def test_bounds(counts: list[int]) -> None:
    seen = sum(count > 0 for count in counts)
    assert 0 <= float(plug_in(counts)) <= math.log(seen) + 1e-9
    assert float(chao_wang_jost(counts)) >= float(plug_in(counts)) - 1e-9
    assert 0 <= float(collision(counts)) <= 1
    assert 1 / seen - 1e-9 <= float(top_share(counts)) <= 1


@settings(deadline=None)
@given(tables)
def test_order_and_empty_categories_do_not_matter(counts: list[int]) -> None:
    other = [0, *sorted(counts), 0]
    for measure in (plug_in, chao_wang_jost, collision, top_share):
        assert float(measure(counts)) == pytest.approx(float(measure(other)))


def test_many_tables_at_once() -> None:
    stacked = np.array([[[3, 3], [2, 1]], [[1, 1], [5, 0]]])
    assert chao_wang_jost(stacked).shape == (2, 2)
    assert chao_wang_jost(stacked)[0, 1] == pytest.approx(float(chao_wang_jost([2, 1])))


def test_nothing_counted_is_no_number() -> None:
    for measure in (plug_in, chao_wang_jost, collision, top_share):
        assert math.isnan(float(measure([0, 0])))
    assert float(chao_wang_jost([1, 0])) == 0.0
    assert float(chao_wang_jost([7, 0])) == 0.0


@pytest.mark.parametrize("counts", [[-1, 2], [0.5, 1], 3])
def test_what_is_no_table_of_counts_is_refused(counts: object) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        plug_in(counts)  # type: ignore[arg-type]


def test_plug_in_shows_a_collapse_that_is_not_there() -> None:
    """Identical arms, 50 against 450 calls, 20 Zipf categories: about .19 nats, where the estimate shows none."""
    shares = 1 / np.arange(1, 21)
    shares /= shares.sum()
    rng = np.random.default_rng(2)
    few, many = rng.multinomial(50, shares, 3_000), rng.multinomial(450, shares, 3_000)
    assert (plug_in(many) - plug_in(few)).mean() == pytest.approx(0.19, abs=0.02)
    assert abs((chao_wang_jost(many) - chao_wang_jost(few)).mean()) < 0.02
