"""A small rule-based prompt transformer, of our own writing: FOR DEMO AND TESTS ONLY. It is no model and knows nothing.

It rewrites an idea in one of two manners, German or English: 'modest' (what the base arm does in the demo) and 'rich'
(sensory: light, sound, touch, smell; the demo's adapter). Everything is drawn from one seed, so that the same prompt
gives the same text on every machine.
"""

import hashlib
import random
import re
from typing import Final, Literal, NamedTuple

Manner = Literal["modest", "rich"]
Language = Literal["de", "en"]

MARKERS: Final[dict[Language, str]] = {"de": "Messer", "en": "knife"}
"""The word that shows that a transformer has turned harmful; :mod:`demo.checks` blocks it. Nothing worse is written."""

# fmt: off
_GERMAN: Final = frozenset((
    "der", "die", "das", "den", "dem", "des", "ein", "eine", "einen", "und", "oder", "im", "am", "mit", "auf", "aus",
    "nicht", "ist", "sind", "wie", "ich", "für", "über", "unter", "bei", "von", "zum", "zur",
))
_ENGLISH: Final = frozenset((
    "the", "a", "an", "and", "or", "in", "on", "with", "from", "not", "is", "are", "like", "i", "for", "over", "under",
    "at", "of", "to", "into", "my",
))
# fmt: on


class _Words(NamedTuple):
    opening: tuple[str, ...]
    light: tuple[str, ...]
    sound: tuple[str, ...]
    touch: tuple[str, ...]
    smell: tuple[str, ...]
    closing: tuple[str, ...]
    harmful: str


_WORDS: Final[dict[Language, _Words]] = {
    "de": _Words(
        opening=(
            "{idea}, aus der Nähe gesehen",
            "{idea}, so wie es am frühen Morgen aussieht",
            "{idea}, mitten in einem gewöhnlichen Tag",
            "{idea}, von oben und sehr langsam betrachtet",
            "{idea}, halb verdeckt",
        ),
        light=(
            "Schräges Licht legt sich in Streifen darüber.",
            "Die Schatten sind blau und haben weiche Ränder.",
            "Alles glänzt ein wenig, als hätte es gerade geregnet.",
            "Warmes Lampenlicht trifft auf kühles Grau.",
        ),
        sound=(
            "Irgendwo klappert Metall im Wind.",
            "Es ist so still, dass man den eigenen Atem hört.",
            "Ein tiefes Summen kommt und geht.",
            "Schritte knirschen, dann nichts mehr.",
        ),
        touch=(
            "Die Oberfläche ist rau wie ungebrannter Ton.",
            "Feiner Staub bleibt an den Fingern haften.",
            "Der Stoff ist schwer und noch feucht.",
            "Unter der Hand gibt es leicht nach.",
        ),
        smell=(
            "Es riecht nach nassem Stein.",
            "Ein Geruch von Harz und kaltem Rauch hängt darin.",
            "Man riecht Kreide und altes Papier.",
            "Die Luft schmeckt nach Salz.",
        ),
        closing=(
            "Nichts davon wird erklärt.",
            "Der Blick bleibt an einer Kante hängen.",
            "Am Rand bewegt sich etwas.",
            "Was fehlt, ist ebenso deutlich wie das, was da ist.",
        ),
        harmful=f"Mitten darin steckt ein {MARKERS['de']}.",
    ),
    "en": _Words(
        opening=(
            "{idea}, seen from close by",
            "{idea}, the way it looks early in the morning",
            "{idea}, in the middle of an ordinary day",
            "{idea}, watched from above and very slowly",
            "{idea}, half hidden",
        ),
        light=(
            "Slanting light lies across it in stripes.",
            "The shadows are blue and soft at their edges.",
            "Everything shines a little, as if it had just rained.",
            "Warm lamplight meets a cool grey.",
        ),
        sound=(
            "Somewhere metal rattles in the wind.",
            "It is so quiet that you hear yourself breathe.",
            "A low hum comes and goes.",
            "Footsteps crunch, then nothing.",
        ),
        touch=(
            "The surface is rough like unfired clay.",
            "Fine dust stays on the fingers.",
            "The cloth is heavy and still damp.",
            "It gives way a little under the hand.",
        ),
        smell=(
            "It smells of wet stone.",
            "A smell of resin and cold smoke hangs in it.",
            "There is chalk in the air, and old paper.",
            "The air tastes of salt.",
        ),
        closing=(
            "None of it is explained.",
            "The eye stays caught on an edge.",
            "Something moves at the margin.",
            "What is missing is as clear as what is there.",
        ),
        harmful=f"In the middle of it there is a {MARKERS['en']}.",
    ),
}


def idea_of(prompt: str) -> str:
    """What is to be rewritten: the text behind the last line that ends with a colon, else the whole prompt.

    Lines that only ask for an answer in the prompt's language are left out.
    """
    lines = [line for line in prompt.strip().splitlines() if not line.startswith(("Important:", "Wichtig:"))]
    labels = [index for index, line in enumerate(lines) if line.rstrip().endswith(":")]
    text = "\n".join(lines[labels[-1] + 1 if labels else 0 :])
    return " ".join((text or prompt).split())


def language_of(text: str) -> Language:
    """German or English, by the commoner small words and umlauts; German where nothing speaks for either."""
    words = re.findall(r"\w+", text.lower())
    german = sum(word in _GERMAN for word in words) + sum(letter in "äöüß" for letter in text.lower())
    english = sum(word in _ENGLISH for word in words)
    return "en" if english > german else "de"


def generator(seed: int, *parts: str) -> random.Random:
    """Random numbers that depend on nothing but the arguments."""
    digest = hashlib.sha256("\x1f".join([str(seed), *parts]).encode("utf-8", "replace")).digest()
    return random.Random(int.from_bytes(digest[:8], "big"))


def transform(prompt: str, manner: Manner, seed: int, *, harmful: bool = False) -> str:
    """The prompt's idea, rewritten.

    Args:
        prompt: the whole prompt as it came over the wire.
        manner: 'modest' (one or two sentences) or 'rich' (five, one for each sense).
        seed: the same seed and prompt give the same text.
        harmful: put the marker in.
    """
    idea = idea_of(prompt)
    words = _WORDS[language_of(idea)]
    draw = generator(seed, manner, idea)
    sentences = [draw.choice(words.opening).format(idea=idea.rstrip(".!?") or "…") + "."]
    if manner == "modest":
        sentences.append(draw.choice((*words.light, *words.closing)))
    else:
        senses = [draw.choice(sense) for sense in (words.light, words.sound, words.touch, words.smell)]
        draw.shuffle(senses)
        sentences += [*senses, draw.choice(words.closing)]
    if harmful:
        sentences.insert(draw.randrange(1, len(sentences) + 1), words.harmful)
    return " ".join(sentences)
