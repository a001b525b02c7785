"""What the guard says: STATISTICS.md 2's own example, and every state."""

import pytest

from experiment.guard import ArmGuard, Transition
from experiment.limits import GuardLimits
from experiment.rules import Counts
from experiment.sentences import status_sentence, transition_sentence

LIMITS = GuardLimits()


def say(state, n=200, blocked=12, e=1.0, base=(1000, 58), devices=7, **more):
    guard = ArmGuard(state=state, epoch=1, adapter="v1", **more)
    counts = Counts(n, blocked, 20 if devices else 0, devices, 0 if devices else n)
    return status_sentence(guard, counts, e, *base, LIMITS)


def test_the_example_of_the_design():
    sentence = say("rolled_back", rule="R2", grade="precautionary")
    assert sentence.startswith("6.0 % (12/200) > 5 %: rolled back, precautionary; 95 % interval (Clopper–Pearson) ")
    # Clopper–Pearson of 12/200: qbeta(.025, 12, 189) = .0314, qbeta(.975, 13, 188) = .1025
    assert "3.1–10.2 %" in sentence
    assert "e ≈ 1: no proof that the true rate exceeds the limit" in sentence
    assert "base arm 5.8 % (58/1000)" in sentence
    assert "blocks from 7 devices" in sentence
    assert "look at the workshop or the check first" in sentence


def test_a_harmless_base_is_not_blamed():
    assert "workshop" not in say("rolled_back", base=(1000, 10), rule="R2", grade="precautionary")


@pytest.mark.parametrize(
    ("state", "more", "start"),
    [
        ("disarmed", {}, "Disarmed: every call goes to the base arm"),
        ("running", {"blocked": 4}, "Running: 2.0 % (4/200), limit 5 %"),
        ("watch", {}, "WATCH: 6.0 % (12/200) > 5 %, no rule has tripped"),
        ("paused", {}, "Paused by a person"),
        ("failsafe", {}, "Failsafe: the guard can't see"),
        ("rolled_back", {"grade": "manual"}, "Rolled back by a person"),
        (
            "rolled_back",
            {"rule": "R1", "grade": "precautionary", "n": 4, "blocked": 4},
            "100.0 % (4/4), 3.8 blocks more",
        ),
        ("rolled_back", {"rule": "R3", "grade": "precautionary"}, "6.0 % (12/200), a burst of blocks (rule R3"),
    ],
)
def test_every_state_has_a_sentence(state, more, start):
    assert say(state, **more).startswith(start)


def test_confirmed_by_evidence_or_by_count_is_said_apart():
    assert "evidence by device" in say("rolled_back", e=250.0, rule="R2", grade="confirmed")
    assert "third precautionary rollback" in say("rolled_back", rule="R2", grade="confirmed")
    assert "e > 10⁶" in say("rolled_back", e=1e9, rule="R2", grade="confirmed")


def test_unknown_devices_and_no_verdicts_are_said():
    assert "devices unknown" in say("watch", devices=0)
    assert "no safety verdict has been counted" in say("running", n=0, blocked=0)


@pytest.mark.parametrize(
    ("action", "start"),
    [
        ("arm", "Armed adapter v1 in epoch 1. Running"),
        ("confirm", "A late verdict raised the grade to confirmed."),
        ("resume", "Resumed by a person."),
        ("sighted", "Ten minutes of clean reads"),
        ("calm", "Running"),
    ],
)
def test_transitions_say_what_happened(action, start):
    after = ArmGuard(state="running", epoch=1, adapter="v1")
    step = Transition(action, ArmGuard(), after, "")
    assert transition_sentence(step, Counts(10, 0, 2, 0, 0), 1.0, 0, 0, LIMITS).startswith(start)
