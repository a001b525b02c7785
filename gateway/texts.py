"""What a text must lose to be storable. A call is never lost because of what stands in it."""

from typing import NamedTuple

from experiment.events import MAX_TEXT

MAX_LABEL = 200
_REPLACEMENT = "\ufffd"


class Storable(NamedTuple):
    """A text that the warehouse takes, and whether it had to change for it."""

    text: str
    changed: bool


def clean(text: str) -> str:
    """NUL and lone surrogates, which no UTF-8 store takes, become U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", _REPLACEMENT)
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "".join(_REPLACEMENT if "\ud800" <= letter <= "\udfff" else letter for letter in text)
    return text


def storable(text: str) -> Storable:
    """The text cleaned and cut to the length the warehouse takes (200,000 characters)."""
    kept = clean(text)[:MAX_TEXT]
    return Storable(kept, kept != text)


def label(text: str | None) -> str:
    """A header's value as a short label, 'unknown' if there is none."""
    return clean((text or "").strip())[:MAX_LABEL] or "unknown"
