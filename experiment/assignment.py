"""Which arm answers a call: integer bucketing of a SHA-256 hash, with the reason beside the answer.

hash = first 4 bytes, big-endian, of SHA-256("salt:unit"); (hash · total) >> 32 falls into the weights' cumulative
ranges in the order of the configuration. With two arms, in either order, raising the adapter's weight takes units
from the base only; with three, a raised weight may also move units between adapters (put the base between them to
avoid it). The golden vectors are tests/vectors/assignment.json.
"""

import hashlib
from collections.abc import Iterator, Mapping, Set
from typing import Literal, NamedTuple

from experiment.arms import Arms

Reason = Literal["split", "guard", "override", "condition", "default", "error", "fallback"]
"""split: by hash · guard: the arm is not open · override: a person put this device, class or day on base ·
condition: the arm does not serve this host config, language or level · default: nothing is armed ·
error: no valid permit · fallback: the arm's model was missing, another arm's model answered."""


class Assignment(NamedTuple):
    """An arm and why: value and reason together, as OpenFeature answers."""

    arm: str
    reason: Reason
    bucket: int
    """The hash, 0 … 2³²−1: with the epoch's weights it re-draws the split."""
    eligible: tuple[str, ...] = ()
    """Adapters that chance could have given to this call, in the order of the configuration. Arms are compared only
    among calls that could have got both (concurrent and open): a base call of a paused hour is not such a call."""


def bucket(salt: str, unit: str) -> int:
    """The unit's position on the circle, 0 … 2³²−1.

    Args:
        salt: the epoch's assignment salt.
        unit: the unit's stored pseudonym (never the raw id, so that assignments can be re-drawn from what is kept).

    Raises:
        ValueError: empty unit: every call would land in the same bucket.
    """
    if not unit:
        raise ValueError("the assignment unit is empty: send a run or device id, or leave the field out")
    return int.from_bytes(hashlib.sha256(f"{salt}:{unit}".encode()).digest()[:4], "big")


def split(arms: Arms, unit: str) -> tuple[str, int]:
    """(arm by weight alone, bucket): what the hash says before guard, condition or override."""
    position = bucket(arms.salt, unit)
    total = sum(arm.weight for arm in arms.arms)
    slot = (position * total) >> 32
    for arm in arms.arms:
        if slot < arm.weight:
            return arm.name, position
        slot -= arm.weight
    raise AssertionError("unreachable: slot < total")


def assign(
    arms: Arms,
    unit: str,
    *,
    open_arms: Set[str],
    attributes: Mapping[str, str] | None = None,
    base_only: bool = False,
) -> Assignment:
    """The arm for one call.

    Args:
        arms: the epoch's frozen arms.
        unit: pseudonym of the run or device (a regeneration passes the run it repeats, so it inherits that arm).
        open_arms: adapters whose guard lets traffic through; all others' shares go to the base.
        attributes: ``config``, ``language``, ``safety_level`` of the call, for the arms' conditions.
        base_only: a person put this device, class or day on the base arm.

    Raises:
        ValueError: empty unit.
    """
    name, position = split(arms, unit)
    chance = () if base_only else tuple(_eligible(arms, open_arms, attributes or {}))
    if name in chance or (name == arms.base and chance):
        return Assignment(name, "split", position, chance)
    if base_only:
        return Assignment(arms.base, "override", position, chance)
    wanted = {name} if name != arms.base else {arm.name for arm in arms.adapters if arm.weight}
    return Assignment(arms.base, _why_not(wanted & open_arms, wanted), position, chance)


def _eligible(arms: Arms, open_arms: Set[str], attributes: Mapping[str, str]) -> Iterator[str]:
    for arm in arms.adapters:
        if arm.weight and arm.name in open_arms and arm.condition.holds(attributes):
            yield arm.name


def _why_not(still_open: Set[str], wanted: Set[str]) -> Reason:
    """Why none of the wanted adapters may serve: not even one in the plan, conditions, or the guard."""
    if not wanted:
        return "default"
    return "condition" if still_open else "guard"
