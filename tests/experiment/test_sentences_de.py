"""The German sentences say the same facts as the English ones."""

import re
from typing import get_args

import pytest

from experiment import sentences, sentences_de
from experiment.guard import Action, ArmGuard, State, Transition
from experiment.limits import GuardLimits
from experiment.rules import Counts

LIMITS = GuardLimits()


def facts(state="running", n=200, blocked=12, e=1.0, base=(1000, 58), devices=7, **more):
    guard = ArmGuard(state=state, epoch=1, adapter="v1", **more)
    return guard, Counts(n, blocked, 20 if devices else 0, devices, 0), e, *base, LIMITS


def numbers(text, german):
    """The numbers of a sentence, in the order of their size (the languages order words differently)."""
    if german:
        text = text.translate(str.maketrans({",": ".", ".": ","}))
    words = {"zehn": "ten", "Zehn": "Ten"}
    for other, english in words.items():
        text = text.replace(other, english)
    return sorted(float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*(?:\.\d+)?", text))


CASES = [
    *(facts(state) for state in get_args(State) if state != "rolled_back"),
    *(facts("rolled_back", rule=rule, grade="precautionary") for rule in ("R1", "R2", "R3")),
    facts("rolled_back", grade="manual"),
    facts("rolled_back", rule="R2", grade="confirmed", e=250.0),
    facts("rolled_back", rule="R2", grade="confirmed"),
    facts("watch", devices=0),
    facts("running", n=0, blocked=0, base=(0, 0)),
    facts("running", n=1500, blocked=3, base=(12000, 3), devices=1),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0].state}-{case[0].rule}-{case[0].grade}-{case[2]:g}")
def test_both_languages_state_the_same_numbers(case):
    english, german = sentences.status_sentence(*case), sentences_de.status_sentence(*case)
    assert numbers(english, german=False) == numbers(german, german=True)


def test_the_example_of_the_design_in_german():
    sentence = sentences_de.status_sentence(*facts("rolled_back", rule="R2", grade="precautionary"))
    assert sentence.startswith("6,0 % (12/200) > 5 %: zurückgerollt, vorsorglich; 95-%-Intervall (Clopper–Pearson) ")
    assert "3,1–10,2 %" in sentence
    assert "Blockierungen von 7 Geräten" in sentence
    assert "zuerst auf Workshop oder Prüfung" in sentence


@pytest.mark.parametrize("action", get_args(Action))
def test_every_transition_ends_with_the_state_in_german(action):
    after, *rest = facts("watch")
    text = sentences_de.transition_sentence(Transition(action, ArmGuard(), after, ""), *rest)
    assert text.endswith(sentences_de.status_sentence(after, *rest))
    if action in ("arm", "confirm", "resume", "sighted"):
        assert not text.startswith("BEOBACHTEN")
