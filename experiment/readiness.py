"""Whether there is enough to print a number: asymptotic intervals need devices and, for rare outcomes, events.

Below the limits the answer is a sentence, not a number. With 10 treated devices an interval excludes zero far too often
(STATISTICS.md 3); with few expected events so does any interval that estimates the variance within an arm, because an
arm without a single event seems to have none: at a favourite rate of 0.5 % and a 10 % share, that is the rule.
"""

from typing import Final, Literal, NamedTuple

MIN_DEVICES: Final = 30
"""Devices with a call in the smaller arm."""

MIN_EVENTS: Final = 5.0
"""Events expected in the smaller arm at the rate of both arms together (yes/no outcomes)."""

State = Literal["ready", "no concurrent calls", "too few devices", "too few events"]


class Readiness(NamedTuple):
    """Whether intervals may be shown, and what is missing."""

    state: State
    devices: int
    """Devices in the arm that has fewer."""
    expected_events: float
    """Events expected in the arm with fewer calls; NaN for a measured outcome."""
    sentence: str

    @property
    def ready(self) -> bool:
        """True if nothing is missing."""
        return self.state == "ready"


def readiness(devices: int, calls: int, expected_events: float | None) -> Readiness:
    """Judge what there is.

    Args:
        devices: devices in the arm that has fewer of them.
        calls: calls in the arm that has fewer of them.
        expected_events: calls of the smaller arm × rate of both arms together; None for a measured outcome.
    """
    events = float("nan") if expected_events is None else expected_events
    if calls == 0:
        return Readiness("no concurrent calls", devices, events, "no calls yet in which both arms could be drawn")
    if devices < MIN_DEVICES:
        text = f"too few devices: {devices} of {MIN_DEVICES} in the smaller arm"
        return Readiness("too few devices", devices, events, text)
    if expected_events is not None and expected_events < MIN_EVENTS:
        text = f"too few events: {events:.1f} of {MIN_EVENTS:.0f} expected in the smaller arm"
        return Readiness("too few events", devices, events, text)
    return Readiness("ready", devices, events, f"{devices} devices in the smaller arm")
