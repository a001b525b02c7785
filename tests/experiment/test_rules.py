"""R1: 'n < 200 and X ≥ 3' · R2: 'n ≥ 200 and S/n > 5 %' · WATCH: 'S/n > 5 % and no rule has tripped'."""

import json
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.counting import PromptRun
from experiment.limits import GuardLimits
from experiment.replay import ReplayEvent, replay
from experiment.rules import ArmEvidence, above_limit, count_rule, excess

LIMITS = GuardLimits()
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "guard.json").read_text(encoding="utf-8"))["vectors"]


def run(device: str = "d", *, blocked: bool = False) -> PromptRun:
    return PromptRun("e", "adapter", device, "p", blocked, NOON)


def half_up(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def blocked_at(vector: dict[str, Any]) -> set[int]:
    if "blocked_every" in vector:
        return set(range(vector["blocked_every"], vector["n"] + 1, vector["blocked_every"]))
    if "blocked_of" in vector:
        return {half_up(vector["n"] * k, vector["blocked_of"]) for k in range(1, vector["blocked_of"] + 1)}
    return set(vector["blocked_at"])


def events(vector: dict[str, Any]) -> list[ReplayEvent]:
    blocks, devices = blocked_at(vector), vector["devices"]
    return [
        ReplayEvent(str(i), NOON, "adapter", f"d{(i - 1) % devices}" if devices else "", f"p{i}", i in blocks)
        for i in range(1, vector["n"] + 1)
    ]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_guard_vector(vector: dict[str, Any]) -> None:
    result = replay(events(vector), LIMITS)["adapter"]
    expect, why = vector["expect"], vector["why"]
    assert (result.state, result.rule, result.grade) == (expect["state"], expect["rule"], expect["grade"]), why
    assert (result.n, result.blocked) == (expect["n"], expect["blocked"]), why
    assert result.event_id == (None if expect["trip_at"] is None else str(expect["trip_at"])), why
    if "e_value" in vector:
        assert result.e_value == pytest.approx(vector["e_value"], abs=5e-5), why


@pytest.mark.parametrize(
    ("n", "blocked", "rule"),
    [
        (1, 1, None),  # X = .95
        (3, 3, None),  # X = 2.85
        (4, 4, "R1"),  # X = 3.8: the fourth block in a row, not the third
        (20, 4, "R1"),  # X = 4 − 1 = 3 exactly, and 'X ≥ 3'
        (21, 4, None),  # X = 2.95
        (199, 12, None),  # X = 12 − 9.95 = 2.05: 6.03 % and still R1's business
        (199, 13, "R1"),  # X = 3.05
        (200, 10, None),  # 5 % is not more than 5 %
        (200, 11, "R2"),  # 5.5 %; X = 1 would not be enough for R1
        (219, 11, "R2"),  # 220 > 219
        (220, 11, None),  # 220 is not > 220
        (10_000, 501, "R2"),
        (10_000, 500, None),
    ],
)
def test_r1_below_200_and_r2_from_200_on(n: int, blocked: int, rule: str | None) -> None:
    assert count_rule(n, blocked, LIMITS) == rule


@given(
    n=st.integers(0, 100_000),
    share=st.integers(0, 1_000),
    limit=st.fractions(Fraction(1, 1000), Fraction(49, 100), max_denominator=1000),
    surplus=st.fractions(Fraction(1, 10), Fraction(50), max_denominator=100),
    min_n=st.integers(1, 2_000),
)
def test_integer_comparison_equals_fraction_comparison(
    n: int, share: int, limit: Fraction, surplus: Fraction, min_n: int
) -> None:
    limits = GuardLimits(limit=limit, excess=surplus, min_n=min_n)
    # S near the limit, where a rounding error would show, not anywhere in 0 … n.
    blocked = max(0, min(n, int(limit * n) + share % 9 - 3))
    expected = None
    if n < min_n and Fraction(blocked) - limit * n >= surplus:
        expected = "R1"
    if n >= min_n and Fraction(blocked, n) > limit:
        expected = "R2"
    assert count_rule(n, blocked, limits) == expected
    assert above_limit(n, blocked, limit) == (n > 0 and Fraction(blocked, n) > limit)
    assert excess(n, blocked, limit) == Fraction(blocked) - limit * n


def test_the_defaults_are_the_integers_of_the_specification() -> None:
    """'Compare in integers (20·S − n ≥ 60; 20·S > n)'."""
    for n in range(1, 400):
        for blocked in range(min(n, 40) + 1):
            trips = 20 * blocked - n >= 60 if n < 200 else 20 * blocked > n
            assert (count_rule(n, blocked, LIMITS) is not None) == trips, (n, blocked)


def test_no_rule_holds_before_the_first_prompt_run() -> None:
    evidence = ArmEvidence(LIMITS)
    assert evidence.rule() is None
    assert evidence.counts == (0, 0, 0, 0, 0)


def test_counts_tell_devices_blocked_devices_and_deviceless_apart() -> None:
    evidence = ArmEvidence(LIMITS)
    for device, blocked in [("a", True), ("a", True), ("b", False), ("", True), ("c", True), ("b", False)]:
        evidence.add(run(device, blocked=blocked))
    # n = 6, S = 4; devices a, b, c; blocks from a and c; one prompt-run without a device
    assert evidence.counts == (6, 4, 3, 2, 1)


def test_r3_holds_where_r1_and_r2_do_not_and_yields_to_them() -> None:
    low = ArmEvidence(GuardLimits(detector=2.0))
    for number in range(2):
        low.add(run(f"d{number}", blocked=True))
    # two blocks: X = 1.9 < 3, and SR at q = .5 is already (1 + 10)·10 = 110
    assert low.rule() == "R3"
    for number in range(2, 4):
        low.add(run(f"d{number}", blocked=True))
    assert low.rule() == "R1"  # X = 3.8


def test_r3_trips_at_the_threshold_itself() -> None:
    """'e-detector ≥ 10⁴': reaching it is enough."""
    evidence = ArmEvidence(LIMITS)
    evidence.add(run(blocked=True))
    at = GuardLimits(detector=evidence.detector)
    above = GuardLimits(detector=evidence.detector * (1 + 1e-12))
    for limits, rule in ((at, "R3"), (above, None)):
        fresh = ArmEvidence(limits)
        fresh.add(run(blocked=True))
        assert fresh.rule() == rule


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=40), st.integers(0, 40))
def test_a_copy_neither_changes_the_original_nor_follows_it(steps: list[tuple[str, bool]], cut: int) -> None:
    straight, forked = ArmEvidence(LIMITS), ArmEvidence(LIMITS)
    for device, blocked in steps[:cut]:
        straight.add(run(device, blocked=blocked))
        forked.add(run(device, blocked=blocked))
    before = (forked.counts, forked.detector)
    copy = forked.copy()
    for device, blocked in steps[cut:]:
        straight.add(run(device, blocked=blocked))
        copy.add(run(device, blocked=blocked))
    assert (forked.counts, forked.detector) == before
    assert (copy.counts, copy.detector) == (straight.counts, straight.detector)
    forked.add(run("z", blocked=True))
    assert (copy.counts, copy.detector) == (straight.counts, straight.detector)
