"""What the guard counts: one prompt-run = a distinct (device, prompt) pair with an attributable verdict."""

from datetime import UTC, datetime
from typing import Final, NamedTuple

NEVER_METHODS: Final = frozenset({"disabled", "llm_check_failed"})
"""Checks that did not take place (switched off, or failed closed in an outage): never a verdict."""

GUARDED_LEVELS: Final = frozenset({"kids", "youth"})
"""Safety levels with a Stage 3."""

UNGUARDED_LEVELS: Final = frozenset({"adult", "research"})
"""Safety levels without a Stage 3: no verdict is expected there and none counts. A level that is unknown counts: a
verdict can only have come from a check."""


class PromptRun(NamedTuple):
    """One counted or countable verdict, in the order the warehouse committed it."""

    event_id: str
    """The outcome that decided the pair."""
    arm: str
    device: str
    """Pseudonym of the device-day; '' where no device is known."""
    prompt: str
    """Prompt key; where no device is known the pair is (prompt key, UTC day)."""
    blocked: bool
    ts: datetime | None = None


def verdict(kind: str, stage: str, method: str, safety_level: str) -> bool | None:
    """True: blocked; False: passed; None: says nothing about the arm.

    Stage 1 runs before assignment and never counts. A Stage 2 refusal (youth protection inside the model) is a block of
    that call. Nothing counts in adult and research: no call ever passes a check there, and blocks without the passes
    beside them are no rate. An unknown method counts: a host that renames a check must not switch the guard off without
    a word (docs/decisions/0003-unknown-methods.md).

    Args:
        kind: the outcome's kind.
        stage: stage1, stage2, stage3, image or ''.
        method: the check's method as the host names it.
        safety_level: kids, youth, adult, research or unknown.
    """
    if kind not in ("block", "not_blocked") or stage == "stage1" or method in NEVER_METHODS:
        return None
    if safety_level in UNGUARDED_LEVELS:
        return None
    return kind == "block"


def pair_key(device: str, prompt: str, ts: datetime) -> tuple[str, str]:
    """What makes a prompt-run distinct within an epoch and arm.

    Where no device is known (a gateway without headers) the pair is (prompt key, UTC day).

    Returns:
        (device, prompt) or ('', 'prompt@YYYY-MM-DD').
    """
    return (device, prompt) if device else ("", f"{prompt}@{ts.astimezone(UTC).date().isoformat()}")
