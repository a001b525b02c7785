"""'absent, unreadable or older than 60 s → base': what makes a permit count, and what the gateway does with it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.arms import Arm, Arms
from experiment.assignment import bucket, split
from experiment.permit import Permit, PermitError, assign_by_permit, assign_without_permit, read_permit

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ARMS = Arms(
    experiment="x", salt="s", arms=(Arm(name="base", model="b", weight=1), Arm(name="adapter", model="a", weight=1))
)
PERMIT = Permit(epoch=3, arms=ARMS, open_arms=frozenset({"adapter"}))
UNIT = next(f"r_{i:032x}" for i in range(1000) if split(ARMS, f"r_{i:032x}")[0] == "adapter")


@pytest.mark.parametrize("age", [-60.0, 0.0, 59.9, 60.0])
def test_a_fresh_permit_reads_back_as_it_was_written(age: float) -> None:
    permit = PERMIT.model_copy(
        update={"base_only_until": NOW, "opted_out": frozenset({"d_" + "0" * 32}), "synthetic": True}
    )
    assert read_permit(permit.model_dump_json(), age) == permit
    assert read_permit(permit.model_dump_json().encode(), age) == permit


@pytest.mark.parametrize("age", [60.001, 3600.0, float("inf"), -60.001, float("-inf"), float("nan")])
def test_an_old_permit_or_one_from_the_future_does_not_count(age: float) -> None:
    with pytest.raises(PermitError, match="heartbeat"):
        read_permit(PERMIT.model_dump_json(), age)


SOUND = json.loads(PERMIT.model_dump_json())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00" * 100,
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b"[" * 100_000,
        PERMIT.model_dump_json().encode()[:-1],  # half written
        json.dumps({**SOUND, "epoch": 0}),
        json.dumps({**SOUND, "surprise": 1}),
        json.dumps({**SOUND, "open_arms": "adapter"}),
        json.dumps({**SOUND, "base_only_until": "2026-03-02T12:00:00"}),  # no zone: 'until' when?
        json.dumps({**SOUND, "arms": {**SOUND["arms"], "base": "gone"}}),
        json.dumps({**SOUND, "arms": {**SOUND["arms"], "arms": []}}),
    ],
)
def test_an_unreadable_permit_does_not_count(content: str | bytes) -> None:
    with pytest.raises(PermitError, match="not readable"):
        read_permit(content, 0)


@given(st.binary(max_size=300) | st.integers(0, 400).map(lambda cut: PERMIT.model_dump_json().encode()[:cut]))
def test_no_content_whatever_raises_anything_but_permit_error(content: bytes) -> None:
    try:
        read_permit(content, 0)
    except PermitError:
        return
    assert content == PERMIT.model_dump_json().encode()


def test_an_open_arm_gets_its_units() -> None:
    assert assign_by_permit(PERMIT, UNIT, now=NOW) == ("adapter", "split", bucket("s", UNIT), ("adapter",))


def test_an_arm_that_is_not_open_gets_none() -> None:
    closed = PERMIT.model_copy(update={"open_arms": frozenset()})
    assert assign_by_permit(closed, UNIT, now=NOW)[:2] == ("base", "guard")


@pytest.mark.parametrize(
    ("left", "arm", "reason"), [(1, "base", "override"), (0, "adapter", "split"), (-1, "adapter", "split")]
)
def test_base_only_today_ends_at_its_time(left: int, arm: str, reason: str) -> None:
    permit = PERMIT.model_copy(update={"base_only_until": NOW + timedelta(seconds=left)})
    assert assign_by_permit(permit, UNIT, now=NOW)[:2] == (arm, reason)


def test_an_opted_out_device_gets_the_base_and_no_other_device_does() -> None:
    permit = PERMIT.model_copy(update={"opted_out": frozenset({"d_out"})})
    assert assign_by_permit(permit, UNIT, device="d_out", now=NOW)[:2] == ("base", "override")
    assert assign_by_permit(permit, UNIT, device="d_in", now=NOW)[:2] == ("adapter", "split")
    nobody = PERMIT.model_copy(update={"opted_out": frozenset({""})})
    for one in (permit, nobody):
        assert assign_by_permit(one, UNIT, now=NOW)[:2] == ("adapter", "split")


def test_without_a_permit_the_base_answers_and_says_why() -> None:
    assert assign_without_permit("base", "s", UNIT, disarmed=True)[:3] == ("base", "default", bucket("s", UNIT))
    assert assign_without_permit("base", "s", UNIT, disarmed=False)[:3] == ("base", "error", bucket("s", UNIT))


def test_an_empty_unit_is_refused_with_and_without_a_permit() -> None:
    with pytest.raises(ValueError, match="unit is empty"):
        assign_by_permit(PERMIT, "", now=NOW)
    with pytest.raises(ValueError, match="unit is empty"):
        assign_without_permit("base", "s", "", disarmed=False)
