"""Mode collapse is seen where it is, and identical arms of any size raise an alarm in 5 %."""

import numpy as np
import pytest

from experiment.collapse import compare_diversity, rarefied_entropy
from experiment.entropy import plug_in


def devices_with_topics(calls: int, devices: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Categories and devices of calls whose devices each have their own mixture of topics."""
    shares = 1 / np.arange(1, 21)
    own = np.cumsum(rng.dirichlet(20 * shares / shares.sum(), devices), axis=1)
    device = rng.integers(0, devices, calls)
    return np.minimum((rng.random((calls, 1)) > own[device]).sum(axis=1), 19), device


@pytest.mark.parametrize("unit", ["run", "device"])
def test_identical_arms_at_50_against_450_raise_an_alarm_in_five_percent(unit: str) -> None:
    rng = np.random.default_rng(5)
    alarms, runs = 0, 400
    for _ in range(runs):
        category, device = devices_with_topics(500, 30, rng)
        treated = (
            np.isin(np.arange(500), rng.permutation(500)[:50])
            if unit == "run"
            else np.isin(device, rng.permutation(30)[:3])
        )
        alarms += compare_diversity("topic", category, device, treated, rng, unit=unit, draws=99).alarm  # type: ignore[arg-type]
    assert 0.02 <= alarms / runs <= 0.085


@pytest.mark.parametrize("unit", ["run", "device"])
def test_a_collapsed_arm_is_seen_and_named(unit: str) -> None:
    rng = np.random.default_rng(1)
    category, device = devices_with_topics(2_000, 80, rng)
    treated = (device < 16) if unit == "device" else rng.random(2_000) < 0.2
    category[treated & (rng.random(2_000) < 0.6)] = 3
    result = compare_diversity("tradition", category, device, treated, rng, unit=unit)  # type: ignore[arg-type]
    assert result.alarm
    assert max(result.p_entropy, result.p_collision, result.p_top_share) <= 0.01
    assert result.arm.entropy < result.base.entropy
    assert result.sentence.startswith("tradition: the adapter answers less diversely than the base (entropy ")


def test_a_more_diverse_arm_is_no_alarm() -> None:
    rng = np.random.default_rng(1)
    category, device = devices_with_topics(1_000, 40, rng)
    treated = rng.random(1_000) < 0.5
    category[~treated & (rng.random(1_000) < 0.6)] = 3
    result = compare_diversity("topic", category, device, treated, rng)
    assert not result.alarm
    assert result.p_entropy > 0.9


def test_labels_stay_within_their_device() -> None:
    """Each device has one topic of its own: whatever changes places within a device changes nothing."""
    device = np.repeat(np.arange(20), 10)
    treated = np.tile(np.arange(10) < 3, 20)
    assert compare_diversity("topic", device, device, treated, 1).p_entropy == 1.0


def test_labels_stay_within_their_stratum() -> None:
    """Sticky: devices of two strata with one topic each."""
    device = np.repeat(np.arange(40), 5)
    stratum = device // 20
    result = compare_diversity("topic", stratum, device, device % 20 < 4, 1, unit="device", stratum=stratum)
    assert result.p_entropy == 1.0


def test_openings_are_judged_by_the_commonest() -> None:
    rng = np.random.default_rng(3)
    category, device = np.arange(600), np.arange(600) % 30
    treated = rng.random(600) < 0.2
    category[treated & (rng.random(600) < 0.3)] = 0
    result = compare_diversity("opening", category, device, treated, rng, measure="top_share")
    assert result.alarm
    assert "the commonest makes up" in result.sentence


def test_too_few_calls_say_so() -> None:
    category = np.arange(40)
    result = compare_diversity("topic", category, category, category < 10, 1)
    assert np.isnan(result.p_entropy)
    assert not result.alarm
    assert result.sentence == "topic: too few calls (10 of 20) to compare diversity"


def test_no_calls_at_all() -> None:
    none = np.empty(0, np.int64)
    assert not compare_diversity("topic", none, none, np.empty(0, np.bool_), 1).alarm


def test_many_calls_are_sampled_by_device() -> None:
    rng = np.random.default_rng(1)
    category, device = devices_with_topics(60_000, 3_000, rng)
    result = compare_diversity("topic", category, device, rng.random(60_000) < 0.1, 1, draws=99)
    assert result.base.calls + result.arm.calls == 60_000
    assert 0 < result.p_entropy <= 1


def test_rarefaction_by_hand() -> None:
    # Two calls out of {a, a, b}: 1/3 of the pairs are a a (entropy 0), 2/3 a b (log 2).
    assert rarefied_entropy(np.array([2, 1]), 2, 1, draws=20_000) == pytest.approx(2 / 3 * np.log(2), abs=0.01)
    assert rarefied_entropy(np.array([2, 1]), 3, 1) == pytest.approx(float(plug_in([2, 1])))
    with pytest.raises(ValueError, match="cannot draw 4 of 3"):
        rarefied_entropy(np.array([2, 1]), 4, 1)


def test_too_many_categories_are_refused() -> None:
    every = np.arange(2**18)
    with pytest.raises(ValueError, match="too many"):
        compare_diversity("x", every, every, every < 5, 1)


@pytest.mark.parametrize(
    ("category", "draws", "message"),
    [(np.arange(3), 99, "one element per call"), (np.full(4, -1), 99, "at least 0"), (np.arange(4), 10, "at least 99")],
)
def test_impossible_tables_are_refused(category: np.ndarray, draws: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare_diversity("x", category, np.arange(4), np.arange(4) < 2, 1, draws=draws)
