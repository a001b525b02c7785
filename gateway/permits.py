"""The state of an experiment's permit now: one stat per request, parsed only when the bytes changed."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from experiment.arms import Arm
from experiment.permit import MAX_AGE_S, Permit, PermitError, read_permit


class PermitState(NamedTuple):
    """What the permit file says at this moment."""

    permit: Permit | None
    """None: the base arm answers."""
    disarmed: bool
    """Without a permit: True if the folder is there and has no file for the experiment (reason 'default')."""
    problem: str
    """Why there is no permit, '' if there is one: for readiness."""
    age_s: float | None
    """Seconds since the heartbeat, None without a file."""

    def allows(self, arm: Arm, device: str, now: datetime) -> bool:
        """Whether this very arm (same model, same parameters) may still answer this device.

        Args:
            arm: the adapter as it was frozen when the call was assigned.
            device: the device's pseudonym, '' if unknown.
            now: aware time.
        """
        permit = self.permit
        return (
            permit is not None
            and arm.name in permit.open_arms
            and arm in permit.arms.arms
            and not (permit.base_only_until is not None and now < permit.base_only_until)
            and not (bool(device) and device in permit.opted_out)
        )


class _Known(NamedTuple):
    stamp: tuple[int, int, int]
    """(modification time in ns, inode, size): the same stamp means the same file, unread."""
    content: bytes
    permit: Permit | None
    problem: str


class Permits:
    """Reads ``{folder}/{experiment}.json``.

    Args:
        folder: the owner service's permits folder.
        clock: aware time; a permit's age is this minus the file's modification time.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime]) -> None:
        self._folder = folder
        self._clock = clock
        self._known: dict[str, _Known] = {}
        self.parsed = 0
        """How often content was parsed: a heartbeat must not add to it."""

    def state(self, experiment: str) -> PermitState:
        """The permit of an experiment at this moment. Never raises, never awaits.

        Args:
            experiment: name from the configuration.
        """
        path = os.path.join(self._folder, f"{experiment}.json")
        try:
            status = os.stat(path)
            known = self._read(experiment, path, status)
        except FileNotFoundError:
            self._known.pop(experiment, None)
            return self._absent()
        except OSError as error:
            return PermitState(None, False, f"the permit can't be read: {error.strerror}", None)
        age = self._clock().timestamp() - status.st_mtime
        if known.permit is None:
            return PermitState(None, False, known.problem, age)
        if known.permit.arms.experiment != experiment:
            return PermitState(None, False, f"the permit is for experiment {known.permit.arms.experiment!r}", age)
        try:
            _check_age(age)
        except PermitError as error:
            return PermitState(None, False, str(error), age)
        return PermitState(known.permit, False, "", age)

    def _read(self, experiment: str, path: str, status: os.stat_result) -> _Known:
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        known = self._known.get(experiment)
        if known is not None and known.stamp == stamp:
            return known
        with open(path, "rb") as file:
            content = file.read()
        if known is not None and known.content == content:
            known = known._replace(stamp=stamp)  # only a heartbeat
        else:
            self.parsed += 1
            try:
                known = _Known(stamp, content, read_permit(content, 0.0), "")
            except PermitError as error:
                known = _Known(stamp, content, None, str(error))
        self._known[experiment] = known
        return known

    def _absent(self) -> PermitState:
        if self._folder.is_dir():
            return PermitState(None, True, "nothing is armed: there is no permit", None)
        return PermitState(None, False, f"the permits folder {self._folder} is missing: is the service running?", None)


def _check_age(age: float) -> None:
    if age > MAX_AGE_S:
        limit = f"limit {MAX_AGE_S:.0f} s"
        raise PermitError(f"the permit's heartbeat is {age:.0f} s old ({limit}): is the service running?")
    if age < -MAX_AGE_S:
        raise PermitError(f"the permit's heartbeat lies {-age:.0f} s in the future: did the clock jump?")
