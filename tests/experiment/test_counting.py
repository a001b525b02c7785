"""What is counted: 'a distinct (device, prompt) pair with an attributable verdict' (STATISTICS.md 1, HOST.md)."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.counting import pair_key, verdict


@pytest.mark.parametrize("level", ["kids", "youth", "adult", "research", "unknown"])
@pytest.mark.parametrize("kind", ["block", "not_blocked"])
def test_stage_1_never_counts(kind: str, level: str) -> None:
    """'Stage 1 blocks (before assignment) never count.'"""
    assert verdict(kind, "stage1", "86a_filter", level) is None


@pytest.mark.parametrize("method", ["disabled", "llm_check_failed"])
@pytest.mark.parametrize("kind", ["block", "not_blocked"])
@pytest.mark.parametrize("stage", ["stage2", "stage3", "image"])
def test_a_check_that_did_not_take_place_never_counts(kind: str, method: str, stage: str) -> None:
    """'`disabled` and `llm_check_failed` never count'; 'Missing never counts as unblocked'."""
    assert verdict(kind, stage, method, "kids") is None


@pytest.mark.parametrize("method", ["86a_filter", "llm_safety_check", "a_method_of_next_year", ""])
@pytest.mark.parametrize("stage", ["stage3", "image"])
@pytest.mark.parametrize("level", ["kids", "youth"])
def test_stage_3_and_image_checks_count_in_kids_and_youth(stage: str, method: str, level: str) -> None:
    assert verdict("block", stage, method, level) is True
    assert verdict("not_blocked", stage, method, level) is False


@pytest.mark.parametrize("stage", ["stage3", "image"])
@pytest.mark.parametrize("level", ["adult", "research"])
def test_levels_without_stage_3_have_no_verdict(stage: str, level: str) -> None:
    """'`adult`, `research` have no Stage 3': nothing there counts, for or against."""
    assert verdict("block", stage, "86a_filter", level) is None
    assert verdict("not_blocked", stage, "86a_filter", level) is None


@pytest.mark.parametrize("level", ["kids", "youth"])
def test_a_stage_2_refusal_is_a_block(level: str) -> None:
    assert verdict("block", "stage2", "refusal", level) is True


@pytest.mark.parametrize("kind", ["favourite", "unfavourite", "regeneration", "submitted", "edit", "link"])
def test_no_other_outcome_is_a_verdict(kind: str) -> None:
    assert verdict(kind, "stage3", "86a_filter", "kids") is None


def test_a_pair_is_device_and_prompt() -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert pair_key("d", "p", noon) == pair_key("d", "p", noon + timedelta(days=3)) == ("d", "p")
    assert len({pair_key(d, p, noon) for d in "ab" for p in "xy"}) == 4


def test_without_a_device_the_pair_is_prompt_and_utc_day() -> None:
    """01:00 in Berlin's summer is still the day before in UTC."""
    berlin = timezone(timedelta(hours=2))
    late = datetime(2026, 7, 2, 1, tzinfo=berlin)
    assert pair_key("", "p", late) == ("", "p@2026-07-01")
    assert pair_key("", "p", late + timedelta(hours=2)) == ("", "p@2026-07-02")


@given(st.datetimes(datetime(2000, 1, 2), datetime(2199, 1, 1), timezones=st.just(UTC)), st.integers(-12 * 60, 14 * 60))
def test_the_zone_in_which_a_time_is_written_never_splits_a_pair(moment: datetime, minutes: int) -> None:
    written = moment.astimezone(timezone(timedelta(minutes=minutes)))
    assert pair_key("", "p", written) == pair_key("", "p", moment)
