"""The made-up host's safety checks: small word lists instead of models, with the codes that real checks report."""

from typing import Final, NamedTuple

from demo.transformer import MARKERS

GUARDED: Final = frozenset({"kids", "youth"})
"""Levels with a Stage 3; adult has none."""


class Blocked(NamedTuple):
    """Which check said no, as the host would report it."""

    method: str
    code: str


_STAGE1: Final = ("waffe", "gewehr", "rifle", "weapon")
_STAGE3: Final[tuple[tuple[Blocked, tuple[str, ...]], ...]] = (
    (Blocked("86a_filter", "86a"), ("verbotenes symbol", "forbidden symbol")),
    (Blocked("llm_safety_check", "dsgvo"), ("telefonnummer", "phone number")),
    (
        Blocked("llm_safety_check", "llamaguard"),
        ("säbel", "sabre", *(marker.casefold() for marker in MARKERS.values())),
    ),
)
IMAGE: Final = Blocked("vlm", "vlm")
IMAGE_SHARE: Final = 0.004
"""Pictures that the image check stops whatever the text was."""


def stage1(text: str) -> bool:
    """Whether the child's own text stops before any assignment: such a run never reaches Stage 2."""
    return _first(text, _STAGE1)


def stage3(text: str, safety_level: str) -> Blocked | None:
    """The first check that stops the text; None if all let it pass or the level has no Stage 3."""
    if safety_level not in GUARDED:
        return None
    return next((blocked for blocked, words in _STAGE3 if _first(text, words)), None)


def _first(text: str, words: tuple[str, ...]) -> bool:
    folded = text.casefold()
    return any(word in folded for word in words)
