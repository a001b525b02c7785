"""Replay: the same fold over a file of verdicts, to show that a live run's trips follow from its events."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from experiment.counting import PromptRun, pair_key
from experiment.guard import ArmGuard, Evidence, fold
from experiment.limits import GuardLimits


class ReplayEvent(NamedTuple):
    """One row: ``event_id,ts,arm,device,prompt,blocked``; file order is ``seq``."""

    event_id: str
    ts: datetime
    arm: str
    device: str
    prompt: str
    blocked: bool | None
    """None: no verdict."""


class ReplayResult(NamedTuple):
    """One arm's outcome. event_id, n, blocked, devices are those at the trip; without one, counts at the file's end.

    ``grade`` and ``e_value`` are those at the file's end.
    """

    state: str
    rule: str | None
    grade: str | None
    event_id: str | None
    n: int
    blocked: int
    devices: int
    e_value: float
    blocked_devices: int


class _Running:
    def __init__(self, limits: GuardLimits) -> None:
        self.guard = ArmGuard(state="running", epoch=1)
        self.evidence = Evidence(limits)
        self.seen: set[tuple[str, str]] = set()
        self.at_trip: tuple[str, int, int, int, int] | None = None


def replay(events: Iterable[ReplayEvent], limits: GuardLimits) -> dict[str, ReplayResult]:
    """Fold every arm of the events, each with its own guard, and report where it tripped.

    Args:
        events: rows in commit order; repeats of a (device, prompt) pair are skipped as the warehouse skips them.
        limits: thresholds.

    Returns:
        One result per arm, in order of first appearance (an arm with rows but no verdict appears with n = 0).
    """
    arms: dict[str, _Running] = {}
    for event in events:
        running = arms.setdefault(event.arm, _Running(limits))
        if event.blocked is None:
            continue
        key = pair_key(event.device, event.prompt, event.ts)
        if key in running.seen:
            continue
        running.seen.add(key)
        run = PromptRun(event.event_id, event.arm, key[0], key[1], event.blocked, event.ts)
        step = fold(running.guard, running.evidence, run)
        if step is None:
            continue
        running.guard = step.after
        if step.action == "trip":
            counts = running.evidence.counts
            running.at_trip = (event.event_id, counts.n, counts.blocked, counts.devices, counts.blocked_devices)
    return {name: _result(running) for name, running in arms.items()}


def _result(running: _Running) -> ReplayResult:
    counts = running.evidence.counts
    event_id, n, blocked, devices, blocked_devices = running.at_trip or (
        None,
        counts.n,
        counts.blocked,
        counts.devices,
        counts.blocked_devices,
    )
    return ReplayResult(
        state=running.guard.state,
        rule=running.guard.rule,
        grade=running.guard.grade,
        event_id=event_id,
        n=n,
        blocked=blocked,
        devices=devices,
        e_value=running.evidence.e_value,
        blocked_devices=blocked_devices,
    )
