"""The input of every estimate: calls folded into cells, so that a million calls reach Python as few rows.

One row is a number of *assignment units* (runs, or device-days under sticky assignment) that share stratum, device and
arm and contributed the same: ``units`` units of ``n`` calls each, with ``y`` the sum of the outcome over those n calls.
Per run with a yes/no outcome that is at most two rows per device, arm and stratum; sticky it is one row per device.
The SQL that builds it is a GROUP BY on the unit inside a GROUP BY on (stratum, device, arm, n, y).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from experiment.arms import Unit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Stratum(NamedTuple):
    """Calls that may be compared: one weight phase of one epoch under one template version."""

    phase: str
    epoch: int
    template: str
    weights: tuple[int, ...]
    """The integer weights in force, in the order of ``Observations.arms``."""


@dataclass(frozen=True)
class Observations:
    """Cells of calls assigned by ``split`` (STATISTICS.md 3); all arrays have one element per cell.

    A unit belongs to the stratum of its first call: that is where it was drawn.

    Raises:
        ValueError: lengths differ, a code points nowhere, a count is below 1, or an outcome is not finite.
    """

    arms: tuple[str, ...]
    strata: tuple[Stratum, ...]
    unit: Unit
    stratum: Ints
    """Index into ``strata``."""
    device: Ints
    """Any integer code of the device-day (the cluster)."""
    arm: Ints
    """Index into ``arms``."""
    units: Ints
    """Assignment units in the cell, ≥ 1."""
    n: Ints
    """Calls of each unit, ≥ 1."""
    y: Floats
    """Sum of the outcome over the n calls of each unit."""
    y_squared: Floats | None = None
    """Sum of squared outcomes over the n calls of each unit; None for a yes/no outcome, where it equals y."""

    def __post_init__(self) -> None:
        size = self.stratum.size
        columns = {"device": self.device, "arm": self.arm, "units": self.units, "n": self.n, "y": self.y}
        if self.y_squared is not None:
            columns["y_squared"] = self.y_squared
        for name, column in columns.items():
            if column.shape != (size,):
                raise ValueError(f"column {name} has shape {column.shape}, stratum has ({size},)")
        for stratum in self.strata:
            if len(stratum.weights) != len(self.arms) or min(stratum.weights) < 0:
                raise ValueError(f"stratum {stratum}: one weight >= 0 is needed for each of the arms {self.arms}")
        if size == 0:
            return
        if not (self.stratum.min() >= 0 and self.stratum.max() < len(self.strata)):
            raise ValueError(f"stratum codes must be 0 … {len(self.strata) - 1}")
        if not (self.arm.min() >= 0 and self.arm.max() < len(self.arms)):
            raise ValueError(f"arm codes must be 0 … {len(self.arms) - 1}")
        if self.units.min() < 1 or self.n.min() < 1:
            raise ValueError("units and n must be at least 1 in every cell")
        if not np.isfinite(self.y).all():
            raise ValueError("outcomes must be finite: leave calls without an outcome out, or count them as 0")

    def compare(self, arm: str, base: str) -> "Comparison":
        """Two arms, concurrent only: strata in which both weights were above 0.

        With more arms the comparison conditions on the unit being in one of the two, which leaves a share of
        w_arm / (w_arm + w_base) for the arm, again independently for every unit.

        Raises:
            ValueError: unknown arm, or both the same.
        """
        for name in (arm, base):
            if name not in self.arms:
                raise ValueError(f"unknown arm {name!r}; the experiment has {', '.join(self.arms)}")
        if arm == base:
            raise ValueError(f"an arm is compared with another one, not with itself ({arm!r})")
        one, zero = self.arms.index(arm), self.arms.index(base)
        weights = np.array([stratum.weights for stratum in self.strata], dtype=np.int64).reshape(-1, len(self.arms))
        concurrent = (weights[:, one] > 0) & (weights[:, zero] > 0)
        keep = concurrent[self.stratum] & ((self.arm == one) | (self.arm == zero))
        used, stratum = np.unique(self.stratum[keep], return_inverse=True)
        codes, device = np.unique(self.device[keep], return_inverse=True)
        return Comparison(
            arm=arm,
            base=base,
            unit=self.unit,
            share=weights[used, one] / (weights[used, one] + weights[used, zero]),
            pair_weights=tuple(int(w) for w in weights[used, one] + weights[used, zero]),
            strata=tuple(self.strata[i] for i in used),
            stratum=stratum.astype(np.int64),
            device=device.astype(np.int64),
            devices=int(codes.size),
            treated=self.arm[keep] == one,
            units=self.units[keep],
            n=self.n[keep],
            y=self.y[keep],
            y_squared=None if self.y_squared is None else self.y_squared[keep],
        )


@dataclass(frozen=True)
class Comparison:
    """Two arms in concurrent strata; codes are dense (strata 0 … S − 1, devices 0 … D − 1)."""

    arm: str
    base: str
    unit: Unit
    share: Floats
    """Per stratum: probability that a unit of either arm was assigned to ``arm``, in (0, 1)."""
    pair_weights: tuple[int, ...]
    """Per stratum: weight of the two arms together."""
    strata: tuple[Stratum, ...]
    stratum: Ints
    device: Ints
    devices: int
    treated: Bools
    units: Ints
    n: Ints
    y: Floats
    y_squared: Floats | None = None

    @property
    def calls(self) -> Ints:
        """Calls of each cell."""
        return self.units * self.n

    @property
    def totals(self) -> Floats:
        """Sum of the outcome of each cell."""
        return self.units * self.y

    @property
    def binary(self) -> bool:
        """Whether the outcome is yes/no."""
        return self.y_squared is None


def reduce_calls(
    *,
    arms: tuple[str, ...],
    strata: tuple[Stratum, ...],
    unit: Unit,
    stratum: Ints,
    device: Ints,
    unit_key: Ints,
    arm: Ints,
    y: npt.ArrayLike,
    split: Bools | None = None,
    binary: bool = True,
) -> Observations:
    """Fold calls into cells; what the warehouse does in SQL.

    Args:
        arms: names of the arms.
        strata: what the stratum codes mean.
        unit: what was randomised.
        stratum: code per call.
        device: code per call.
        unit_key: code of the assignment unit per call (of the first call's run for those that inherit its arm).
        arm: code per call.
        y: outcome per call.
        split: True where the reason of the assignment was ``split``; other calls are left out. None: all are.
        binary: the outcome is 0 or 1.

    Raises:
        ValueError: a unit with two arms in one stratum, or an outcome other than 0 and 1 where ``binary``.
    """
    keep = np.ones(stratum.size, np.bool_) if split is None else split
    stratum, device, unit_key, arm = stratum[keep], device[keep], unit_key[keep], arm[keep]
    value = np.asarray(y, dtype=np.float64)[keep]
    if binary and not np.isin(value, (0.0, 1.0)).all():
        raise ValueError("a yes/no outcome must be 0 or 1 for every call; pass binary=False for a measured one")
    _, unit_code = np.unique(unit_key, return_inverse=True)
    key, first, which = np.unique(unit_code * max(len(strata), 1) + stratum, return_index=True, return_inverse=True)
    if (arm != arm[first][which]).any():
        raise ValueError("an assignment unit has calls in two arms of one stratum: inherit the arm, or filter first")
    size = key.size
    columns = [stratum[first], device[first], arm[first], np.bincount(which, minlength=size)]
    sums = [np.bincount(which, value, minlength=size)]
    if not binary:
        sums.append(np.bincount(which, value**2, minlength=size))
    cell, count = _distinct([*columns, *sums])
    return Observations(
        arms=arms,
        strata=strata,
        unit=unit,
        stratum=columns[0][cell].astype(np.int64),
        device=columns[1][cell].astype(np.int64),
        arm=columns[2][cell].astype(np.int64),
        units=count,
        n=columns[3][cell].astype(np.int64),
        y=sums[0][cell].astype(np.float64),
        y_squared=None if binary else sums[1][cell].astype(np.float64),
    )


def _distinct(columns: list[npt.NDArray[np.generic]]) -> tuple[Ints, Ints]:
    """One index per distinct row of the columns, and how many rows are equal to it."""
    if columns[0].size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    order = np.lexsort(columns)
    changed = np.zeros(order.size, np.bool_)
    changed[0] = True
    for column in columns:
        ordered = column[order]
        changed[1:] |= ordered[1:] != ordered[:-1]
    start = np.flatnonzero(changed)
    return order[start].astype(np.int64), np.diff(np.append(start, order.size)).astype(np.int64)
