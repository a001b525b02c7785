"""The permit: what the owner service allows the gateway to do, as one small file's content.

Absent, unreadable or older than 60 s means base arm. Its modification time is the heartbeat, so a heartbeat
never rewrites it; its content changes only when an epoch, a guard state or an override does.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from experiment.arms import Arms
from experiment.assignment import Assignment, assign, bucket

MAX_AGE_S: Final = 60.0
"""A permit whose heartbeat is older than this, or as far in the future, does not count."""


class Permit(BaseModel):
    """What may be assigned now: the epoch's frozen arms and those of them that are open."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    epoch: int = Field(ge=1)
    arms: Arms
    open_arms: frozenset[str] = frozenset()
    base_only_until: AwareDatetime | None = None
    """A workshop leader's 'base only today': until then every unit gets the base arm."""
    opted_out: frozenset[str] = frozenset()
    """Pseudonyms of devices that a person put on the base arm."""
    synthetic: bool = False
    """True in the demo: the traffic is made up, and every page and export says so."""


class PermitError(ValueError):
    """The permit can't be used; the text says why. The caller falls back to the base arm."""


def read_permit(content: str | bytes, age_s: float) -> Permit:
    """Parse a permit file's content.

    Args:
        content: the file's bytes.
        age_s: now − modification time, seconds; negative when the file claims the future.

    Raises:
        PermitError: too old, from the future, or not a permit.
    """
    if not age_s <= MAX_AGE_S:  # also refuses NaN
        raise PermitError(
            f"the permit's heartbeat is {age_s:.0f} s old (limit {MAX_AGE_S:.0f} s): is the service running?"
        )
    if age_s < -MAX_AGE_S:
        raise PermitError(f"the permit's heartbeat lies {-age_s:.0f} s in the future: did the clock jump?")
    try:
        return Permit.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]["msg"]
        raise PermitError(f"the permit is not readable: {error.error_count()} errors, first: {first}") from error


def assign_by_permit(
    permit: Permit,
    unit: str,
    *,
    device: str = "",
    attributes: Mapping[str, str] | None = None,
    now: datetime,
) -> Assignment:
    """The arm for one call under a valid permit.

    Args:
        permit: a permit that :func:`read_permit` accepted.
        unit: pseudonym that is hashed (STATISTICS.md 5).
        device: the device's pseudonym, '' if unknown; for opt-outs.
        attributes: ``config``, ``language``, ``safety_level`` of the call.
        now: aware time, for 'base only today'.

    Raises:
        ValueError: empty unit.
    """
    base_only = (permit.base_only_until is not None and now < permit.base_only_until) or (
        bool(device) and device in permit.opted_out
    )
    return assign(permit.arms, unit, open_arms=permit.open_arms, attributes=attributes, base_only=base_only)


def assign_without_permit(base: str, salt: str, unit: str, *, disarmed: bool) -> Assignment:
    """Base arm, because no permit allows anything else ('default' when nothing is armed, 'error' when unreadable).

    Raises:
        ValueError: empty unit.
    """
    return Assignment(base, "default" if disarmed else "error", bucket(salt, unit))
