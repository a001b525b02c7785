"""The device-level e-value behind the grade 'confirmed': evidence that the true block rate exceeds the limit.

For device d let Y_d = Σ(x − p₀) over its first 5 counted prompt-runs; E = mean over λ of Π_d (1 + λ·Y_d). E runs on
across the epochs of one adapter version and over late verdicts. Ville's bound (P(E ever ≥ 100) ≤ 1 %) holds when
devices are closed; in real time it rests on simulation (docs/methods/guard.md).
Sources: Waudby-Smith & Ramdas, *Estimating means of bounded random variables by betting*; Ville 1939.
"""

import math
from fractions import Fraction
from typing import Final

BETS: Final = (0.15, 0.4, 1.0, 2.0, 3.5)
"""λ at p₀ = .05. A larger limit or window scales them down so that 1 + λ·Y_d stays positive."""


class DeviceEvidence:
    """Evidence about one adapter version; only devices that are known take part.

    State is a histogram of (counted, blocked) per device, so E is exact whatever order late verdicts come in.
    """

    def __init__(self, limit: Fraction, window: int) -> None:
        self._limit = float(limit)
        self._window = window
        scale = min(1.0, 0.25 / (window * self._limit))
        self._bets = tuple(bet * scale for bet in BETS)
        self._devices: dict[str, tuple[int, int]] = {}
        self._histogram: dict[tuple[int, int], int] = {}

    def copy(self) -> "DeviceEvidence":
        """An independent copy, for a transaction that may fail."""
        other = object.__new__(DeviceEvidence)
        other.__dict__.update(self.__dict__)
        other._devices = dict(self._devices)
        other._histogram = dict(self._histogram)
        return other

    def add(self, *, device: str, blocked: bool) -> None:
        """Fold in one counted prompt-run; '' (no device known) and a device's sixth and later ones change nothing."""
        if not device:
            return
        before = self._devices.get(device, (0, 0))
        if before[0] >= self._window:
            return
        after = (before[0] + 1, before[1] + int(blocked))
        self._devices[device] = after
        if before[0]:
            self._histogram[before] -= 1
        self._histogram[after] = self._histogram.get(after, 0) + 1

    @property
    def e_value(self) -> float:
        """E ≥ 0; 1.0 without any device. Infinity is reported as 1e300 so that it survives JSON."""
        total = 0.0
        for bet in self._bets:
            log = math.fsum(
                devices * math.log1p(bet * (blocked - counted * self._limit))
                for (counted, blocked), devices in self._histogram.items()
                if devices
            )
            total += math.exp(min(log, 690.0))
        return min(total / len(self._bets), 1e300)
