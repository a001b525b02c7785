"""The guard's fold for thousands of runs at once: rules R1–R3 and the device-level e-value, vectorised over runs.

Its arithmetic repeats :mod:`experiment.rules`, :mod:`experiment.detector` and :mod:`experiment.evidence` for speed;
``tests/experiment/test_guard_simulation.py`` proves it equal to the real fold, event for event.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.guard_streams import Streams
from experiment.detector import GRID
from experiment.evidence import BETS
from experiment.limits import GuardLimits

NEVER = 2**62
"""The prompt-run of something that did not happen."""


@dataclass(frozen=True)
class Watched:
    """What is evaluated; leaving a part out saves time or isolates a rule.

    Attributes:
        counts: R1 and R2.
        detector: R3.
        cap: R3's cap per device; None: without it.
        evidence: the e-value.
        late: verdicts that still come in after the trip.
        stop_when_tripped: end as soon as every run has tripped and its late verdicts are in.
    """

    counts: bool = True
    detector: bool = True
    cap: int | None = 2
    evidence: bool = False
    late: int = 0
    stop_when_tripped: bool = True


class Folded(NamedTuple):
    """Per run; prompt-runs are counted from 1, :data:`NEVER` if it did not happen."""

    trip: NDArray[np.int64]
    """The prompt-run at which the first rule trips."""
    rule: NDArray[np.int8]
    """1, 2 or 3; 0 without a trip."""
    exceeded: NDArray[np.int64]
    """The first prompt-run at which E reaches the confirmation threshold."""
    confirmed: NDArray[np.bool_]
    """Whether E stood at the threshold at the trip or at one of the late verdicts after it."""
    e_value: NDArray[np.float64]
    """E after the last prompt-run that was folded."""


class _Detector:
    def __init__(self, runs: int, devices: int, limits: GuardLimits, cap: int | None) -> None:
        p0 = float(limits.limit)
        grid = np.minimum(p0 * np.array(GRID), 0.99)[:, None]
        self._if_blocked, self._if_passed = grid / p0, (1 - grid) / (1 - p0)
        self._sr = np.zeros((len(grid), runs))
        self._blocks = np.zeros((runs, devices), dtype=np.int32)
        self._rows = np.arange(runs)
        self._cap = cap

    def add(self, device: NDArray[np.int32], blocked: NDArray[np.bool_]) -> NDArray[np.float64]:
        before = self._blocks[self._rows, device]
        moved = (1 + self._sr) * np.where(blocked, self._if_blocked, self._if_passed)
        if self._cap is not None:
            moved = np.where(blocked & (before >= self._cap), self._sr, moved)
        self._sr = np.minimum(moved, 1e300)
        self._blocks[self._rows, device] = before + blocked
        return np.asarray(self._sr.mean(axis=0))


class _Evidence:
    def __init__(self, runs: int, devices: int, limits: GuardLimits) -> None:
        window, p0 = limits.e_window, float(limits.limit)
        bets = np.array(BETS)[:, None] * min(1.0, 0.25 / (window * p0))
        counted, blocked = np.divmod(np.arange((window + 1) ** 2), window + 1)
        possible = np.where(blocked <= counted, blocked - counted * p0, 0.0)
        self._table = np.log1p(bets * possible)  # one column per (counted, blocked)
        self._window = window
        self._state = np.zeros((runs, devices), dtype=np.int32)
        self._log = np.zeros((len(BETS), runs))
        self._rows = np.arange(runs)

    def add(self, device: NDArray[np.int32], blocked: NDArray[np.bool_]) -> NDArray[np.float64]:
        before = self._state[self._rows, device]
        open_ = before // (self._window + 1) < self._window
        after = np.where(open_, before + (self._window + 1) + blocked, before)
        self._log += self._table[:, after] - self._table[:, before]
        self._state[self._rows, device] = after
        return np.asarray(np.exp(np.minimum(self._log, 690.0)).mean(axis=0))


def fold_streams(streams: Streams, watched: Watched, limits: GuardLimits | None = None) -> Folded:
    """Fold every run's stream.

    Args:
        streams: prompt-runs by run.
        watched: what to evaluate.
        limits: thresholds; None: the defaults.
    """
    limits = limits or GuardLimits()
    runs, length = streams.device.shape
    devices = int(streams.device.max()) + 1
    detector = _Detector(runs, devices, limits, watched.cap) if watched.detector else None
    evidence = _Evidence(runs, devices, limits) if watched.evidence else None
    a, b = limits.limit.numerator, limits.limit.denominator
    surplus = np.zeros(runs, dtype=np.int64)  # b·S − a·n
    trip, exceeded = np.full(runs, NEVER), np.full(runs, NEVER)
    rule, confirmed, e_value = np.zeros(runs, np.int8), np.zeros(runs, bool), np.ones(runs)
    for step in range(length):
        n = step + 1
        device, blocked = streams.device[:, step], streams.blocked[:, step]
        surplus += b * blocked - a
        now = np.zeros(runs, np.int8)
        if detector is not None:
            now[detector.add(device, blocked) >= limits.detector] = 3
        if watched.counts and n < limits.min_n:
            now[surplus * limits.excess.denominator >= limits.excess.numerator * b] = 1
        elif watched.counts:
            now[surplus > 0] = 2
        new = (now > 0) & (trip == NEVER)
        trip[new], rule[new] = n, now[new]
        if evidence is not None:
            e_value = evidence.add(device, blocked)
            proof = e_value >= limits.confirm
            exceeded[proof & (exceeded == NEVER)] = n
            confirmed |= proof & (trip != NEVER) & (n - trip <= watched.late)
        if watched.stop_when_tripped and trip.max() + watched.late <= n:
            break
    return Folded(trip, rule, exceeded, confirmed, e_value)
