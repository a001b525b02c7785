"""From the warehouse to :class:`experiment.observations.Observations`: SQL folds, this file gives codes to names."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from experiment.arms import Arms
from experiment.observations import Observations, Stratum
from warehouse.engine import sql
from warehouse.queries import DIMENSIONS, Queries
from warehouse.rows import naive

BINARY: Final = ("favourites", "regenerations", "edits", "blocks", "refusals")
"""Yes/no outcomes that one scan of the calls answers together."""


class Window(NamedTuple):
    """Which calls estimates are about."""

    experiment: str
    since_epoch: int
    """First epoch of the adapter version under test (after the last conclusion)."""
    until: datetime
    """Calls before this time; for favourites now − maturity, the same for both arms."""
    maturity_days: int = 7
    """Favourites count if they came within so many days of their call."""
    as_treated: bool = False
    """Arms by the model that answered, instead of by assignment."""


def _text(name: str, window: Window, dimension: str) -> str:
    arm = "arm_treated" if window.as_treated else "arm"
    return sql(name).replace("$arm", arm).replace("$segment", DIMENSIONS[dimension])


def binary_cells(queries: Queries, window: Window, dimension: str = "none") -> pa.Table:
    """Cells with the counts of every outcome in :data:`BINARY`; one scan."""
    values = [window.maturity_days, window.experiment, window.since_epoch, naive(window.until)]
    return queries.arrow(_text("cells", window, dimension), values)


def latency_cells(queries: Queries, window: Window, dimension: str = "none") -> pa.Table:
    """Sums of latency per stratum, device and arm."""
    values = [window.experiment, window.since_epoch, naive(window.until)]
    return queries.arrow(_text("latency_cells", window, dimension), values)


def segments(cells: pa.Table) -> list[str]:
    """Values of the dimension that the cells were split by, in alphabetical order."""
    return sorted(set(cells.column("segment").to_pylist()))


def observations(
    cells: pa.Table, metric: str, epochs: Mapping[int, Arms], arms: tuple[str, ...], segment: str | None = None
) -> Observations:
    """One metric's cells as the estimates take them.

    Args:
        cells: of :func:`binary_cells` (metric in :data:`BINARY`) or :func:`latency_cells` (metric 'latency').
        metric: column of the outcome.
        epochs: frozen arms per epoch, for the weights that were in force.
        arms: names in the order of the result's codes.
        segment: one value of the dimension; None: all cells.
    """
    if segment is not None:
        cells = cells.filter(pa.compute.equal(cells.column("segment"), segment))
    known = np.isin(np.array(cells.column("arm").to_pylist(), dtype=object), list(arms)) if cells.num_rows else None
    if known is not None and not known.all():
        cells = cells.filter(pa.array(known))
    keys = list(zip(*(cells.column(name).to_pylist() for name in ("epoch", "eligible", "template")), strict=True))
    names = sorted(set(keys))
    strata = tuple(_stratum(key, epochs, arms) for key in names)
    code = {key: position for position, key in enumerate(names)}
    # Devices get codes in the order of their first call, so that a sequence can be drawn as it developed.
    _, device = np.unique(_ints(cells, "first"), return_inverse=True)
    arm_code = {name: position for position, name in enumerate(arms)}
    unit = next(iter(epochs.values())).unit if epochs else "run"
    return Observations(
        arms=arms,
        strata=strata,
        unit=unit,
        stratum=np.array([code[key] for key in keys], dtype=np.int64),
        device=device.astype(np.int64),
        arm=np.array([arm_code[name] for name in cells.column("arm").to_pylist()], dtype=np.int64),
        units=_ints(cells, "units"),
        n=_ints(cells, "n"),
        y=_floats(cells, metric),
        y_squared=_floats(cells, "latency_squared") if metric == "latency" else None,
    )


def _stratum(key: tuple[int, str, str], epochs: Mapping[int, Arms], arms: tuple[str, ...]) -> Stratum:
    """Weights in force for these calls: an adapter that chance could not have given had weight 0."""
    epoch, eligible, template = key
    frozen, chance = epochs[epoch], set(eligible.split(","))
    weights = tuple(
        arm.weight if arm.name == frozen.base or arm.name in chance else 0
        for arm in (next((a for a in frozen.arms if a.name == name), frozen.arm(frozen.base)) for name in arms)
    )
    return Stratum(f"epoch {epoch}: {eligible}", epoch, template, weights)


def _ints(cells: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return cells.column(name).to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _floats(cells: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return cells.column(name).to_numpy().astype(np.float64)  # type: ignore[no-any-return]
