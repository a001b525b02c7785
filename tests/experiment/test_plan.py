"""What may be said when: nothing before the planned end, and 'cannot be decided' first."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from experiment.plan import Evidence, Plan, Standing, check, standing

NOW = datetime(2026, 5, 1, tzinfo=UTC)
PLAN = Plan("favourites", end_by=NOW + timedelta(days=30), end_n=2_000, smallest_effect=0.05)


def evidence(**changes: object) -> Evidence:
    fields = {"calls": 2_000, "estimate": 0.02, "p_value": 0.3, "low": -0.02, "high": 0.06}
    return Evidence(**{**fields, **changes})  # type: ignore[arg-type]


def at_the_end(**changes: object) -> Standing:
    return standing(PLAN, evidence(**changes), NOW)


def test_while_it_runs_nothing_is_decided_however_small_p_is() -> None:
    result = standing(PLAN, evidence(calls=500, p_value=0.001), NOW)
    assert (result.state, result.verdict) == ("running", "not yet")
    assert result.sentence == "running: 500 of 2000 calls, 30 days to 2026-05-31; read the live view only"


def test_it_ends_by_number_or_by_date() -> None:
    assert at_the_end().state == "reached"
    assert standing(PLAN, evidence(calls=10), NOW + timedelta(days=30)).state == "reached"


def test_undecided_says_so_first() -> None:
    result = at_the_end()
    assert result.verdict == "cannot be decided"
    assert result.sentence.startswith("cannot be decided: the data allow both no difference and one worth finding")


def test_too_few_devices_cannot_be_decided() -> None:
    result = at_the_end(missing="too few devices: 12 of 30 in the smaller arm", low=math.nan, high=math.nan)
    assert result.sentence == "cannot be decided: too few devices: 12 of 30 in the smaller arm (p = 0.300)"


@pytest.mark.parametrize(("sign", "verdict"), [(1, "higher"), (-1, "lower")])
def test_a_difference_has_a_direction(sign: int, verdict: str) -> None:
    result = at_the_end(p_value=0.01, estimate=sign * 0.07, low=sign * 0.05 - 0.03, high=sign * 0.05 + 0.03)
    assert result.verdict == verdict


def test_an_exact_p_value_decides_the_direction_but_not_the_size() -> None:
    result = at_the_end(p_value=0.01, estimate=0.2, low=math.nan, high=math.nan, missing="too few devices: 12 of 30")
    assert result.verdict == "higher"
    assert "by how much cannot be said" in result.sentence
    assert "nan" not in result.sentence


def test_an_interval_within_the_smallest_effect_decides_too() -> None:
    assert at_the_end(estimate=0.0, low=-0.03, high=0.03).verdict == "no difference worth finding"


def test_closed_early_is_not_decided_by_a_p_value_of_a_chosen_moment() -> None:
    result = standing(PLAN, evidence(calls=500, p_value=0.001), NOW, concluded=True)
    assert (result.state, result.verdict) == ("concluded", "cannot be decided")
    assert "closed before the planned end" in result.sentence


def test_no_calls_at_all() -> None:
    result = at_the_end(p_value=math.nan, estimate=math.nan, low=math.nan, high=math.nan)
    assert result.sentence == "cannot be decided: no concurrent calls of both arms"


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (Plan("favourites"), "no end"),
        (Plan("favourites", end_by=datetime(2026, 5, 1)), "time zone"),
        (Plan("favourites", end_n=0), "end_n"),
        (Plan("favourites", end_n=5, smallest_effect=0.0), "smallest_effect"),
        (Plan("favourites", end_n=5, alpha=1.0), "alpha"),
    ],
)
def test_a_plan_that_cannot_be_kept_is_refused(plan: Plan, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(plan)


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        standing(PLAN, evidence(), datetime(2026, 5, 1))
