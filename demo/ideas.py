"""What made-up children write and what the host would put around it: seeded, German first, English second."""

import random
from typing import Final, NamedTuple

Language = str
"""'de' or 'en'."""

_WHO: Final = {
    "de": ("eine Katze", "ein alter Roboter", "drei Wale", "meine Oma", "ein Drache", "ein Fahrrad", "eine Bäckerin",
           "eine Ameise", "ein Leuchtturm", "zwei Krähen", "ein müder Riese", "ein Astronaut", "ein Igel", "ein Kind"),
    "en": ("a cat", "an old robot", "three whales", "my grandmother", "a dragon", "a bicycle", "a baker",
           "an ant", "a lighthouse", "two crows", "a tired giant", "an astronaut", "a hedgehog", "a child"),
}  # fmt: skip
_DOES: Final = {
    "de": ("tanzt", "schläft", "sucht einen Schlüssel", "spielt Trompete", "wartet auf den Bus", "malt den Himmel an",
           "erzählt eine Geschichte", "feiert Geburtstag", "baut ein Papierhaus", "lernt schwimmen", "pflanzt Bäume"),
    "en": ("dances", "sleeps", "looks for a key", "plays the trumpet", "waits for the bus", "paints the sky",
           "tells a story", "has a birthday", "builds a paper house", "learns to swim", "plants trees"),
}  # fmt: skip
_EDGY: Final = {
    "de": ("spielt Pirat mit einem Säbel", "ruft eine geheime Telefonnummer an"),
    "en": ("plays pirate with a sabre", "calls a secret phone number"),
}
EDGY_SHARE: Final = 0.012
"""Ideas that a strict check stops whichever arm answers: the base rate of blocks."""
_WHERE: Final = {
    "de": ("auf dem Mond", "im Regen", "unter der Treppe", "am Bahnhof", "im Wald", "auf dem Dach", "in der Küche",
           "am Meer", "im Museum", "auf einem Markt", "in der Schule", "zwischen den Wolken"),
    "en": ("on the moon", "in the rain", "under the stairs", "at the station", "in the forest", "on the roof",
           "in the kitchen", "by the sea", "in a museum", "at a market", "at school", "between the clouds"),
}  # fmt: skip

_CONTEXTS: Final = {
    "collage": {
        "de": "Übersetze die Idee in eine Collage: Materialien, Schnittkanten, was sich überlagert.",
        "en": "Turn the idea into a collage: materials, cut edges, what overlaps.",
    },
    "quiet_light": {
        "de": "Beschreibe die Idee nur über Licht und Stille, ohne Gefühle zu benennen.",
        "en": "Describe the idea through light and silence alone, naming no feelings.",
    },
    "from_below": {
        "de": "Erzähle die Idee aus der Sicht von jemandem, der sehr klein ist.",
        "en": "Tell the idea from the point of view of somebody very small.",
    },
    "sound_map": {
        "de": "Mache aus der Idee eine Karte von Geräuschen, von nah nach fern.",
        "en": "Make the idea a map of sounds, from near to far.",
    },
    # Empty by design, as some of the host's configs are: the child writes its own.
    "user_defined": {"de": "", "en": ""},
}
_INSTRUCTION: Final = (
    "Rewrite the text by the rules of the context. Keep who and what it is about; answer with the text alone."
)


class Idea(NamedTuple):
    """One text of a child and the rule it is to be rewritten by."""

    text: str
    config: str
    context: str
    language: Language


def idea(rng: random.Random, language: Language, config: str) -> Idea:
    """A new idea: about 1,800 different ones per language."""
    does = rng.choice(_EDGY[language] if rng.random() < EDGY_SHARE else _DOES[language])
    words = (rng.choice(_WHO[language]), does, rng.choice(_WHERE[language]))
    return Idea(" ".join(words), config, _CONTEXTS[config][language], language)


def configs() -> tuple[str, ...]:
    """Names of the interception configs of the made-up host."""
    return tuple(_CONTEXTS)


def changed(rng: random.Random, text: str, language: Language) -> str:
    """The child's own edit of a text: a few words more."""
    extra = {
        "de": ("ganz bunt", "bei Nacht", "mit viel Glitzer"),
        "en": ("very colourful", "at night", "with much glitter"),
    }
    return f"{text}, {rng.choice(extra[language])}"


def on_the_wire(given: Idea) -> str:
    """The prompt of a Stage 2 call: three blocks, each behind its own label line."""
    return (
        f"Task:\n{_INSTRUCTION}\n\nContext:\n{given.context}\n\n"
        f"Important: Respond in the language of the prompt.\n\nPrompt:\n{given.text}"
    )
