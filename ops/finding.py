"""What a check of ``doctor`` found."""

from typing import Literal, NamedTuple

Level = Literal["ok", "warning", "problem"]
"""problem: something does not work or is not safe; warning: it works, but look at it."""


class Finding(NamedTuple):
    """One fact, and what to do about it."""

    level: Level
    what: str
    """What was looked at."""
    detail: str
    todo: str = ""
    """What to do; '' where nothing is."""
