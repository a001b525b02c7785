"""R3: a mixture Shiryaev–Roberts e-detector for bursts.

SR_q ← (1 + SR_q)·(q/p₀ if blocked else (1−q)/(1−p₀)), q over a grid, equal weights; the statistic is their mean.
Under a block rate ≤ p₀ the expected number of prompt-runs to a false alarm at threshold 10⁴ is at least 10⁴.
Source: Shin, Ramdas & Rinaldo, *E-detectors: a nonparametric framework for sequential change detection*.
"""

from fractions import Fraction
from typing import Final

GRID: Final = (1.4, 2.0, 3.0, 5.0, 10.0)
"""Alternatives as multiples of the limit: .07, .10, .15, .25, .50 at 5 %."""

_CEILING: Final = 1e300


class Detector:
    """The running statistic of one arm; :meth:`add` per counted prompt-run, :attr:`value` to read.

    A device contributes at most ``cap`` blocks; its further blocks are skipped (without the cap R3 alone caused 33 %
    false rollbacks at a true 1 %, sticky by device). Where no device is known the cap is off.
    """

    def __init__(self, limit: Fraction, cap: int) -> None:
        p0 = float(limit)
        grid = [min(p0 * factor, 0.99) for factor in GRID]
        self._if_blocked = tuple(q / p0 for q in grid)
        self._if_passed = tuple((1 - q) / (1 - p0) for q in grid)
        self._cap = cap
        self._sr = (0.0,) * len(grid)

    def copy(self) -> "Detector":
        """An independent copy, for a transaction that may fail."""
        other = object.__new__(Detector)
        other.__dict__.update(self.__dict__)
        return other

    def add(self, *, blocked: bool, device_blocks_before: int) -> None:
        """Fold in one prompt-run.

        Args:
            blocked: the pair's verdict.
            device_blocks_before: blocks this device has contributed in this epoch; 0 where no device is known.
        """
        if blocked and device_blocks_before >= self._cap:
            return
        factors = self._if_blocked if blocked else self._if_passed
        self._sr = tuple(min((1 + sr) * factor, _CEILING) for sr, factor in zip(self._sr, factors, strict=True))

    @property
    def value(self) -> float:
        """The mixture statistic, ≥ 0."""
        return sum(self._sr) / len(self._sr)
