"""A refusal is a block of its call; a poem that says 'I cannot' is none."""

import re

import pytest

from gateway.refusal import HEAD, MAX_LENGTH, is_refusal

REFUSALS = [
    "I'm sorry, but I can't help with that.",
    "I’m sorry, I can’t assist with that request.",
    "I cannot fulfill this request.",
    "Sorry – I am unable to help with this.",
    "I'm not able to transform this prompt because it contains violence.",
    "Your request violates our youth protection rules. Try another idea.",
    "This content is not suitable for children.",
    "Es tut mir leid, aber ich kann dir dabei nicht helfen.",
    "Diese Anfrage kann ich nicht bearbeiten.",
    "Ich kann diese Idee nicht umsetzen, weil sie Gewalt zeigt.",
    "Tut mir leid, ich kann deinen Text so nicht umschreiben.",
    "Dabei kann ich leider nicht helfen.",
    "Deine Eingabe verstößt gegen den Jugendschutz.",
]
ANSWERS = [
    "",
    "   ",
    "I cannot sleep while the moon is writing letters.",
    "The river can't help but sing.",
    "I can't help this feeling of light that pours over the roofs.",
    "I will not write letters to this rain.",
    "I will not write the story of this image.",
    "I cannot write this text in the snow.",
    "The dragon will not answer the question of the moth.",
    "Ich kann nicht schlafen, der Mond schreibt Briefe.",
    "Ich kann die Wolken nicht schreiben, sie ziehen zu schnell.",
    "Ich kann diese Farben nicht umschreiben: sie brennen.",
    "Ich darf die Tür nicht öffnen, sagt das Kind.",
    "Ein Haus, das ich nicht betreten kann. Die Tür hilft nicht.",
]


@pytest.mark.parametrize("text", REFUSALS)
def test_refusals_are_found(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize("text", ANSWERS)
def test_answers_are_none(text: str) -> None:
    assert not is_refusal(text)


def test_a_long_answer_is_none() -> None:
    assert is_refusal(REFUSALS[0] + " " * MAX_LENGTH)
    assert not is_refusal(REFUSALS[0] + " Ein Haus." * (MAX_LENGTH // 10))


def test_a_phrase_far_behind_is_none() -> None:
    assert not is_refusal("Ein Haus. " * (HEAD // 10) + REFUSALS[0])


def test_an_installation_can_name_its_own() -> None:
    assert is_refusal("🚫 Schutzhinweis: …", (re.compile("^🚫"),))
    assert not is_refusal("Schutzhinweis", (re.compile("^🚫"),))
