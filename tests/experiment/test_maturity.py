"""A call counts once its window has passed, with the favourites within it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment.maturity import WINDOW_S, mature

DAY = 86_400.0
NONE = float("nan")


def test_one_of_each_kind() -> None:
    # Looking on day 10: calls of days 0, 1, 3 (its window ends today) and 5 (waits).
    result = mature(
        np.array([0, 1, 3, 5, 6]) * DAY, np.array([7.0, 9, NONE, 6, NONE]) * DAY, 10 * DAY
    )  # day 7 for the call of day 0 is the last moment; day 9 for the call of day 1 is too late
    assert result.counts.tolist() == [True, True, True, False, False]
    assert result.favourite.tolist() == [True, False, False, False, False]
    assert (result.waiting, result.waiting_favourites, result.late) == (2, 1, 1)
    assert result.next_at == 12 * DAY


def test_withdrawn_within_the_window_does_not_count_after_it_does() -> None:
    called, given_at = np.zeros(2), np.full(2, DAY)
    result = mature(called, given_at, 30 * DAY, withdrawn_at=np.array([2 * DAY, 20 * DAY]))
    assert result.favourite.tolist() == [False, True]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1e7), st.floats(0, 1e7)), min_size=1, max_size=30),
    st.floats(0, 3e7),
    st.floats(0, 1e7),
)
def test_a_counted_call_never_changes_again(calls: list[tuple[float, float]], now: float, later: float) -> None:
    called, favourite = (np.array(column) for column in zip(*calls, strict=True))
    # What is not yet given at the time of looking is not known then.
    known = np.where(favourite <= now, favourite, np.nan)
    first = mature(called, known, now)
    second = mature(called, np.where(favourite <= now + later, favourite, np.nan), now + later)
    assert (second.favourite[first.counts] == first.favourite[first.counts]).all()
    assert second.counts[first.counts].all()


def test_nothing_waits_in_an_empty_table() -> None:
    result = mature(np.empty(0), np.empty(0), 0.0)
    assert result.waiting == 0
    assert np.isnan(result.next_at)


@pytest.mark.parametrize(
    ("called", "favourite", "window"),
    [(np.zeros(2), np.zeros(1), WINDOW_S), (np.zeros(1), np.zeros(1), -1.0), (np.array([NONE]), np.zeros(1), WINDOW_S)],
)
def test_impossible_tables_are_refused(called: np.ndarray, favourite: np.ndarray, window: float) -> None:
    with pytest.raises(ValueError, match=r"favourite times|window_s|needs a time"):
        mature(called, favourite, 0.0, window_s=window)
