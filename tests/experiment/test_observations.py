"""Cells hold what the calls held, and only what may be compared is compared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment.observations import Observations, Stratum, reduce_calls

ARMS = ("base", "adapter", "other")


def stratum(*weights: int, name: str = "p") -> Stratum:
    return Stratum(name, 1, "t1", weights)


def fold(calls: list[tuple[int, int, int, int, int]], strata: tuple[Stratum, ...], **options: object) -> Observations:
    """Calls as (stratum, device, unit, arm, y)."""
    columns = np.array(calls, dtype=np.int64).reshape(-1, 5).T
    return reduce_calls(
        arms=ARMS, strata=strata, unit="run", stratum=columns[0], device=columns[1], unit_key=columns[2],
        arm=columns[3], y=columns[4], **options,
    )  # type: ignore[arg-type]  # fmt: skip


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(0, 2), st.integers(0, 1)), max_size=60))
def test_totals_survive_the_folding(calls: list[tuple[int, int, int, int]]) -> None:
    strata = tuple(stratum(1, 1, 1, name=str(i)) for i in range(3))
    cells = fold([(s, d, i, a, y) for i, (s, d, a, y) in enumerate(calls)], strata)
    assert (cells.units * cells.n).sum() == len(calls)
    assert (cells.units * cells.y).sum() == sum(y for *_, y in calls)
    for arm in range(3):
        assert (cells.units * cells.n)[cells.arm == arm].sum() == sum(a == arm for _, _, a, _ in calls)


def test_like_units_share_a_cell_and_unlike_ones_do_not() -> None:
    # Device 7: two runs of one call without and one with a favourite; one run of two calls with one favourite.
    cells = fold(
        [(0, 7, 1, 0, 0), (0, 7, 2, 0, 0), (0, 7, 3, 0, 1), (0, 7, 4, 0, 1), (0, 7, 4, 0, 0)], (stratum(9, 1, 0),)
    )
    rows = sorted(zip(cells.units.tolist(), cells.n.tolist(), cells.y.tolist(), strict=True))
    assert rows == [(1, 1, 1.0), (1, 2, 1.0), (2, 1, 0.0)]


def test_concurrent_only_both_weights_above_zero() -> None:
    cells = fold(
        [(0, 1, 1, 0, 1), (1, 1, 2, 0, 0), (1, 2, 3, 1, 1), (1, 3, 4, 2, 1)], (stratum(9, 0, 1), stratum(8, 2, 1))
    )
    pair = cells.compare("adapter", "base")
    assert pair.calls.sum() == 2
    assert [s.weights for s in pair.strata] == [(8, 2, 1)]


def test_a_pair_out_of_three_arms_keeps_its_odds() -> None:
    pair = fold([(0, 1, 1, 0, 1), (0, 2, 2, 1, 1)], (stratum(6, 3, 91),)).compare("adapter", "base")
    assert pair.share.tolist() == [3 / 9]
    assert pair.pair_weights == (9,)


def test_calls_not_assigned_by_split_are_left_out() -> None:
    split = np.array([True, False])
    cells = fold([(0, 1, 1, 0, 1), (0, 1, 2, 1, 1)], (stratum(1, 1, 1),), split=split)
    assert cells.arm.tolist() == [0]


def test_a_unit_in_two_arms_is_refused() -> None:
    with pytest.raises(ValueError, match="two arms of one stratum"):
        fold([(0, 1, 1, 0, 1), (0, 1, 1, 1, 1)], (stratum(1, 1, 1),))


def test_an_outcome_that_is_not_yes_or_no_is_refused() -> None:
    with pytest.raises(ValueError, match="0 or 1"):
        fold([(0, 1, 1, 0, 2)], (stratum(1, 1, 1),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"device": np.array([1, 2])}, "shape"),
        ({"stratum": np.array([3])}, "stratum codes"),
        ({"arm": np.array([3])}, "arm codes"),
        ({"units": np.array([0])}, "at least 1"),
        ({"y": np.array([np.nan])}, "finite"),
        ({"strata": (stratum(1, 1),)}, "one weight"),
    ],
)
def test_impossible_cells_are_refused(change: dict[str, object], message: str) -> None:
    one = np.array([1])
    fields: dict[str, object] = {
        "arms": ARMS, "strata": (stratum(1, 1, 1),), "unit": "run", "stratum": np.array([0]), "device": one,
        "arm": one, "units": one, "n": one, "y": np.array([1.0]),
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        Observations(**{**fields, **change})  # type: ignore[arg-type]


def test_unknown_or_equal_arms_are_refused() -> None:
    cells = fold([(0, 1, 1, 0, 1)], (stratum(1, 1, 1),))
    with pytest.raises(ValueError, match="unknown arm 'x'"):
        cells.compare("x", "base")
    with pytest.raises(ValueError, match="itself"):
        cells.compare("base", "base")
