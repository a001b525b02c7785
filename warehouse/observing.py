"""From the warehouse to :class:`experiment.observations.Observations`: SQL folds, this file gives codes to names."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from experiment.arms import Arms
from experiment.observations import Observations, Stratum
from warehouse.engine import sql
from warehouse.queries import DIMENSIONS, Queries, Row
from warehouse.rows import naive

BINARY: Final = ("favourites", "regenerations", "edits", "blocks", "refusals")
"""Yes/no outcomes that one scan of the calls answers together."""

Array = npt.NDArray[Any]


class Window(NamedTuple):
    """Which calls estimates are about."""

    experiment: str
    since_epoch: int
    """First epoch of the adapter version under test (after the last conclusion)."""
    until: datetime
    """Calls before this time."""
    maturity_days: int = 7
    """Favourites count if they came within so many days of their call, for calls that are that old."""
    as_treated: bool = False
    """Arms by the model that answered, instead of by assignment."""


class Cells(NamedTuple):
    """Folded calls: integer columns of one length, and what their cell codes mean."""

    columns: dict[str, Array]
    """cell (position in ``names``), cluster (dense, in the order of first calls), mature, units, n, and outcomes."""
    names: list[Row]
    """Per cell: epoch, eligible, template, arm, segment; in a fixed order."""

    @property
    def segments(self) -> list[str]:
        """Values of the dimension that the cells were split by, in alphabetical order."""
        return sorted({row["segment"] for row in self.names})


def _text(name: str, window: Window, dimension: str) -> str:
    arm = "arm_treated" if window.as_treated else "arm"
    return sql(name).replace("$arm", arm).replace("$segment", DIMENSIONS[dimension])


def _cells(queries: Queries, window: Window, dimension: str, table: pa.Table) -> Cells:
    names = queries.rows(_text("cell_names", window, dimension), [window.experiment, window.since_epoch])
    names.sort(key=lambda row: (row["epoch"], row["eligible"], row["template"], row["arm"], row["segment"]))
    columns: dict[str, Array] = {name: table.column(name).to_numpy() for name in table.column_names}
    hashes = np.array([row["cell"] for row in names], dtype=np.uint64)
    order = np.argsort(hashes)
    columns["cell"] = order[np.searchsorted(hashes[order], columns["cell"].astype(np.uint64))] if names else hashes
    columns["cluster"] = _by_first(columns["cluster"], columns["first"])
    return Cells(columns, names)


def _by_first(cluster: Array, first: Array) -> Array:
    """Dense codes in the order of the clusters' first calls, so that a sequence can be drawn as it developed."""
    _, code = np.unique(cluster, return_inverse=True)
    size = int(code.max()) + 1 if code.size else 0
    begun = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(begun, code, first)
    rank = np.empty(size, np.int64)
    rank[np.argsort(begun, kind="stable")] = np.arange(size)
    return rank[code]


def binary_cells(queries: Queries, window: Window, dimension: str = "none") -> Cells:
    """Cells with the counts of every outcome in :data:`BINARY`; one scan."""
    cut = window.until - timedelta(days=window.maturity_days)
    values = [naive(cut), window.maturity_days, window.experiment, window.since_epoch, naive(window.until)]
    return _cells(queries, window, dimension, queries.arrow(_text("cells", window, dimension), values))


def latency_cells(queries: Queries, window: Window, dimension: str = "none") -> Cells:
    """Sums of latency per stratum, device and arm."""
    values = [window.experiment, window.since_epoch, naive(window.until)]
    return _cells(queries, window, dimension, queries.arrow(_text("latency_cells", window, dimension), values))


def observations(
    cells: Cells, metric: str, epochs: Mapping[int, Arms], arms: tuple[str, ...], segment: str | None = None
) -> Observations:
    """One metric's cells as the estimates take them.

    Favourites are those of mature calls alone: the same window for both arms.

    Args:
        cells: of :func:`binary_cells` (metric in :data:`BINARY`) or :func:`latency_cells` (metric 'latency').
        metric: column of the outcome.
        epochs: frozen arms per epoch, for the weights that were in force.
        arms: names in the order of the result's codes.
        segment: one value of the dimension; None: all cells.
    """
    names, columns = cells.names, cells.columns
    wanted = np.array(
        [row["arm"] in arms and segment in (None, row["segment"]) and row["epoch"] in epochs for row in names],
        dtype=np.bool_,
    )
    keep = wanted[columns["cell"]] if names else np.zeros(0, np.bool_)
    if metric == "favourites":
        keep = keep & columns["mature"].astype(np.bool_)
    keys = [(row["epoch"], row["eligible"], row["template"]) for row in names]
    # An epoch that was never opened here (a backup behind the gateway's outbox) has no weights to compare by.
    order = sorted({key for key in keys if key[0] in epochs})
    place = {key: position for position, key in enumerate(order)}
    arm_code = {name: position for position, name in enumerate(arms)}
    stratum_of = np.array([place.get(key, -1) for key in keys], dtype=np.int64)
    arm_of = np.array([arm_code.get(row["arm"], -1) for row in names], dtype=np.int64)
    cell = columns["cell"][keep]
    return Observations(
        arms=arms,
        strata=tuple(_stratum(key, epochs, arms) for key in order),
        unit=next(iter(epochs.values())).unit if epochs else "run",
        stratum=stratum_of[cell],
        device=columns["cluster"][keep].astype(np.int64),
        arm=arm_of[cell],
        units=columns["units"][keep].astype(np.int64),
        n=columns["n"][keep].astype(np.int64),
        y=columns[metric][keep].astype(np.float64),
        y_squared=columns["latency_squared"][keep].astype(np.float64) if metric == "latency" else None,
    )


def _stratum(key: tuple[int, str, str], epochs: Mapping[int, Arms], arms: tuple[str, ...]) -> Stratum:
    """Weights in force for these calls: an adapter that chance could not have given had weight 0."""
    epoch, eligible, template = key
    frozen, chance = epochs[epoch], set(eligible.split(","))
    known = {arm.name: arm.weight for arm in frozen.arms if arm.name == frozen.base or arm.name in chance}
    return Stratum(f"epoch {epoch}: {eligible}", epoch, template, tuple(known.get(name, 0) for name in arms))
