"""'Y_d = Σ(x − 0.05) over its first 5 counted prompt-runs; E = mean over λ of Π_d (1 + λ·Y_d)'."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.evidence import DeviceEvidence

BETS = [Fraction(3, 20), Fraction(2, 5), Fraction(1), Fraction(2), Fraction(7, 2)]
Steps = list[tuple[str, bool]]


def fold(steps: Steps, window: int = 5) -> float:
    evidence = DeviceEvidence(Fraction(1, 20), window)
    for device, blocked in steps:
        evidence.add(device=device, blocked=blocked)
    return evidence.e_value


def naive(steps: Steps) -> Fraction:
    by_device = dict[str, list[bool]]()
    for device, blocked in steps:
        if device:
            by_device.setdefault(device, []).append(blocked)
    total = Fraction(0)
    for bet in BETS:
        product = Fraction(1)
        for verdicts in by_device.values():
            product *= 1 + bet * sum(x - Fraction(1, 20) for x in verdicts[:5])
        total += product
    return total / len(BETS)


steps = st.lists(st.tuples(st.sampled_from(["", "a", "b", "c", "d", "e"]), st.booleans()), max_size=40)


@given(steps)
def test_e_equals_the_definition(steps: Steps) -> None:
    assert fold(steps) == pytest.approx(float(naive(steps)), rel=1e-12)


@given(steps, st.randoms())
def test_e_is_independent_of_the_order_in_which_devices_come(steps: Steps, random: object) -> None:
    """Exactly, not nearly: a replay after a restart must confirm at the same event."""
    first_five = [pair for d in "abcde" for pair in [s for s in steps if s[0] == d][:5]]
    shuffled = list(first_five)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert fold(shuffled) == fold(first_five)


def test_worked_by_hand() -> None:
    assert fold([]) == 1.0
    # one block: Y = .95; mean of 1 + .95·λ, λ adding up to 7.05: 1 + .95·7.05/5
    assert fold([("a", True)]) == pytest.approx(2.3395)
    # one device, five passes: Y = −.25; 1 − .25·7.05/5, and the largest bet keeps 1 − 3.5·.25 = .125
    assert fold([("a", False)] * 5) == pytest.approx(0.6475)
    # two devices with a block each: mean of (1 + .95·λ)² = 1.30530625, 1.9044, 3.8025, 8.41, 18.705625
    assert fold([("a", True), ("b", True)]) == pytest.approx(34.12783125 / 5)


def test_a_devices_sixth_and_later_prompt_runs_change_nothing() -> None:
    five = fold([("a", False)] * 5)
    assert fold([("a", False)] * 5 + [("a", True)] * 100) == five


def test_where_no_device_is_known_there_is_no_evidence() -> None:
    """STATISTICS.md 1: 'the grade *confirmed* is unavailable'."""
    assert fold([("", True)] * 1000) == 1.0


def test_one_device_alone_never_confirms() -> None:
    # five of five blocked: Y = 4.75; 1 + 4.75·7.05/5 = 7.6975 < 100
    assert fold([("a", True)] * 5) == pytest.approx(7.6975)


def test_overwhelming_evidence_stays_a_finite_number() -> None:
    value = fold([(f"d{i}", True) for i in range(20_000)])
    assert math.isfinite(value)
    assert value > 1e290


@pytest.mark.parametrize(("limit", "window"), list(itertools.product(["1/100", "1/20", "1/5", "49/100"], [1, 5, 20])))
def test_no_limit_and_window_bankrupts_a_bet(limit: str, window: int) -> None:
    """1 + λ·Y_d stays positive at Y_d's least value, or E would be undefined."""
    evidence = DeviceEvidence(Fraction(limit), window)
    for _ in range(window):
        evidence.add(device="d", blocked=False)
    assert 0 < evidence.e_value < 1


def test_the_expected_e_at_the_limit_is_one_when_devices_are_closed() -> None:
    """The reason for Ville's bound: E[1 + λ·Y_d] = 1 for a device at rate .05, however its prompts hang together."""
    rng = np.random.default_rng(3)
    values = []
    for _ in range(20_000):
        share = rng.beta(0.05 * 4, 0.95 * 4)  # mean .05, intra-class correlation .2
        values.append(fold([("d", bool(x)) for x in rng.random(5) < share]))
    assert np.mean(values) == pytest.approx(1, abs=4 * float(np.std(values)) / len(values) ** 0.5)


@given(steps, st.integers(0, 40))
def test_a_copy_neither_changes_the_original_nor_follows_it(steps: Steps, cut: int) -> None:
    original = DeviceEvidence(Fraction(1, 20), 5)
    for device, blocked in steps[:cut]:
        original.add(device=device, blocked=blocked)
    before, copy = original.e_value, original.copy()
    for device, blocked in steps[cut:]:
        copy.add(device=device, blocked=blocked)
    assert original.e_value == before
    assert copy.e_value == fold(steps)
    for device, blocked in steps[cut:]:
        original.add(device=device, blocked=blocked)
    assert original.e_value == copy.e_value == fold(steps)
