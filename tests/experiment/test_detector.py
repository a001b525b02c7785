"""R3: 'SR_q ← (1 + SR_q)·(q/p₀ if blocked else (1−q)/(1−p₀)); the statistic is the mean over q'."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.detector import Detector

P0 = Fraction(1, 20)
GRID = [Fraction(7, 100), Fraction(1, 10), Fraction(3, 20), Fraction(1, 4), Fraction(1, 2)]


def fold(blocks: list[tuple[str, bool]], cap: int = 2) -> float:
    detector, seen = Detector(P0, cap), dict[str, int]()
    for device, blocked in blocks:
        detector.add(blocked=blocked, device_blocks_before=seen.get(device, 0) if device else 0)
        seen[device] = seen.get(device, 0) + blocked
    return detector.value


def naive(blocks: list[tuple[str, bool]], cap: int = 2) -> Fraction:
    """Σ_j Π_{i ≥ j} L_i by definition (a change at every j ≤ n weighed alike), in exact fractions, no recursion."""
    kept, seen = list[bool](), dict[str, int]()
    for device, blocked in blocks:
        if not (blocked and device and seen.get(device, 0) >= cap):
            kept.append(blocked)
        seen[device] = seen.get(device, 0) + blocked
    total = Fraction(0)
    for q in GRID:
        for start in range(len(kept)):
            product = Fraction(1)
            for blocked in kept[start:]:
                product *= q / P0 if blocked else (1 - q) / (1 - P0)
            total += product
    return total / len(GRID)


@given(st.lists(st.tuples(st.sampled_from(["", "a", "b", "c", "d"]), st.booleans()), max_size=25))
def test_detector_equals_the_definition(blocks: list[tuple[str, bool]]) -> None:
    assert fold(blocks) == pytest.approx(float(naive(blocks)), rel=1e-12)


def test_worked_by_hand() -> None:
    # one block: mean of q/p₀ = (1.4 + 2 + 3 + 5 + 10)/5 = 21.4/5
    assert fold([("a", True)]) == pytest.approx(4.28)
    # one pass: mean of (1−q)/.95 = (.93 + .9 + .85 + .75 + .5)/.95/5 = 3.93/4.75
    assert fold([("a", False)]) == pytest.approx(3.93 / 4.75)
    # two blocks: mean of (1 + r)·r = (3.36 + 6 + 12 + 30 + 110)/5
    assert fold([("a", True), ("b", True)]) == pytest.approx(161.36 / 5)


def test_each_device_contributes_at_most_2_blocks() -> None:
    """'further blocks of that device are skipped': the statistic stays exactly where it was."""
    two = fold([("a", True), ("a", True)])
    assert fold([("a", True)] * 3) == two
    assert fold([("a", True)] * 300) == two
    assert fold([("a", True)] * 2 + [("b", True)]) > two


def test_a_capped_device_still_contributes_its_passes() -> None:
    assert fold([("a", True)] * 5 + [("a", False)]) < fold([("a", True)] * 5)


def test_where_no_device_is_known_the_cap_is_off() -> None:
    """STATISTICS.md 1: '(prompt key, UTC day) … the device cap of R3 is off'."""
    assert fold([("", True)] * 5) == fold([(f"d{i}", True) for i in range(5)])


def test_it_stays_finite_and_recovers_from_a_million_fold_harm() -> None:
    detector = Detector(P0, 2)
    for _ in range(2_000):
        detector.add(blocked=True, device_blocks_before=0)
    assert 1e200 < detector.value < float("inf")  # far above any threshold that a configuration may ask for
    for _ in range(100_000):
        detector.add(blocked=False, device_blocks_before=0)
    # rest: mean of r/(1−r) = (46.5 + 18 + 8.5 + 3.75 + 1.111)/5 = 15.57
    assert detector.value == pytest.approx(15.572, abs=0.001)


def test_the_average_run_length_to_a_false_alarm_is_at_least_the_threshold() -> None:
    """The e-detector's guarantee, E[n at the alarm] ≥ threshold at the limit itself; here at threshold 100."""
    rng = np.random.default_rng(5)
    waits = []
    for _ in range(150):
        detector, n = Detector(P0, 2), 0
        while detector.value < 100:
            n += 1
            detector.add(blocked=bool(rng.random() < 0.05), device_blocks_before=0)
        waits.append(n)
    standard_error = float(np.std(waits)) / len(waits) ** 0.5
    assert np.mean(waits) > 100 - 3 * standard_error, np.mean(waits)


@pytest.mark.parametrize("limit", [Fraction(1, 100), Fraction(1, 10), Fraction(49, 100)])
def test_every_bet_of_another_limit_is_a_fair_one(limit: Fraction) -> None:
    """At a block rate equal to the limit the expected factor is 1 for each q, so the mixture after one step is 1."""
    values = []
    for blocked in (True, False):
        detector = Detector(limit, 2)
        detector.add(blocked=blocked, device_blocks_before=0)
        values.append(detector.value)
    assert float(limit) * values[0] + float(1 - limit) * values[1] == pytest.approx(1)


def test_a_copy_is_independent() -> None:
    detector = Detector(P0, 2)
    copy = detector.copy()
    copy.add(blocked=True, device_blocks_before=0)
    assert (detector.value, copy.value) == (0.0, pytest.approx(4.28))
