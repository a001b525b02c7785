"""Holm, against statsmodels and by hand."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from experiment.multiplicity import holm


# statsmodels takes 60 ms a call.
@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_equals_statsmodels(p_values: list[float]) -> None:
    reject, adjusted, *_ = multipletests(p_values, alpha=0.05, method="holm")
    family = holm("f", {str(i): p for i, p in enumerate(p_values)})
    assert [test.adjusted for test in family.tests] == pytest.approx(adjusted.tolist())
    # statsmodels compares p with α / k, we k·p with α: equal but for the last bit.
    for test, rejected, value in zip(family.tests, reject, adjusted, strict=True):
        assert test.significant == rejected or value == pytest.approx(0.05)


def test_by_hand() -> None:
    # Sorted .01, .02, .04: 3·.01 = .03, 2·.02 = .04, 1·.04 = .04.
    family = holm("metrics of v3", {"favourites": 0.02, "regenerations": 0.01, "fidelity": 0.04})
    assert [test.adjusted for test in family.tests] == pytest.approx([0.04, 0.03, 0.04])
    assert family.sentence == "metrics of v3: favourites, regenerations, fidelity of 3 tests at 0.05 after Holm"


def test_a_test_that_was_not_possible_is_not_counted() -> None:
    family = holm("f", {"a": 0.04, "b": math.nan})
    assert family.tests[0].adjusted == 0.04
    assert math.isnan(family.tests[1].adjusted)
    assert not family.tests[1].significant


@pytest.mark.parametrize(("p", "alpha"), [(-0.1, 0.05), (1.1, 0.05), (0.5, 0.0)])
def test_impossible_values_are_refused(p: float, alpha: float) -> None:
    with pytest.raises(ValueError, match=r"p-value|alpha"):
        holm("f", {"a": p}, alpha)
