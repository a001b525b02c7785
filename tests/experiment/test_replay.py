"""Replay: file order is seq; counts at the trip, grade and e-value at the file's end."""

from datetime import UTC, datetime

from experiment.limits import GuardLimits
from experiment.replay import ReplayEvent, replay

TS = datetime(2026, 3, 2, tzinfo=UTC)


def events(verdicts, arm="lora", device=lambda i: f"d{i}", prompt=lambda i: f"p{i}"):
    return [ReplayEvent(f"e{i}", TS, arm, device(i), prompt(i), blocked) for i, blocked in enumerate(verdicts)]


def test_counts_are_those_at_the_trip_and_the_grade_that_at_the_end():
    result = replay(events([True] * 12), GuardLimits())["lora"]
    assert (result.state, result.rule, result.event_id, result.n, result.blocked, result.devices) == (
        "rolled_back", "R1", "e3", 4, 4, 4
    )  # fmt: skip
    assert result.grade == "confirmed"
    assert result.e_value > 100


def test_without_a_trip_counts_are_those_at_the_end():
    result = replay(events([True] + [False] * 29), GuardLimits())["lora"]
    assert (result.state, result.rule, result.grade, result.event_id, result.n, result.blocked) == (
        "running", None, None, None, 30, 1
    )  # fmt: skip


def test_repeats_of_a_pair_and_rows_without_verdict_are_skipped():
    rows = events([True, None, True, True, True], device=lambda _: "d", prompt=lambda _: "p")
    assert replay(rows, GuardLimits())["lora"].n == 1
    assert replay(events([None]), GuardLimits())["lora"].n == 0


def test_every_arm_has_its_own_guard():
    rows = events([True] * 4, arm="base") + events([False] * 4, arm="lora")
    results = replay(rows, GuardLimits())
    assert {arm: result.state for arm, result in results.items()} == {"base": "rolled_back", "lora": "running"}
