"""What a frozen snapshot is made of: one experiment's tables as Arrow streams, and what rebuilds its numbers."""

import io
from typing import Annotated, Any, Final, Literal, get_args

import pyarrow as pa
from fastapi import APIRouter, Query
from fastapi.responses import Response

from collector.access import AsResearcher, Store, experiment_of
from collector.experiments_api import ARROW
from warehouse.keeper import CODE_VERSION
from warehouse.store import Warehouse

router = APIRouter()

Table = Literal[
    "calls", "outcomes", "prompt_runs", "epochs", "guard_log", "overrides", "exclusions", "conclusions", "annotations"
]
TABLES: Final[tuple[Table, ...]] = get_args(Table)
TEXTS: Final = ("input", "context", "output")
"""Columns of calls that hold what children and models wrote."""
PAGE: Final = 100_000
"""Commit numbers in one answer, so that neither side holds a long table twice."""

# A digest covers the texts as well: kept beside everything else it covers, it would let somebody test a guess at them.
_HIDDEN: Final = {"calls": ("digest",), "outcomes": ("digest",)}
_OF_EXPERIMENT: Final = {"annotations": "call IN (SELECT id FROM calls WHERE experiment = ?)"}


def _last_seq(store: Warehouse) -> int:
    parts = " UNION ALL ".join(f"SELECT max(seq) AS seq FROM {name}" for name in TABLES if name != "epochs")
    return int(store.queries.rows(f"SELECT coalesce(max(seq), 0) AS seq FROM ({parts})")[0]["seq"])


@router.get("/v1/snapshot", tags=["snapshot"])
def get_snapshot(experiment: str, store: Store, _: AsResearcher) -> dict[str, Any]:
    """When the snapshot is taken, up to which commit, and the configuration and version that its numbers rest on."""
    settings, writer = store.experiments[experiment_of(store, experiment)], store.writer
    return {
        "experiment": experiment,
        "taken": store.clock(),
        "seq": _last_seq(store),
        "tables": list(TABLES),
        "page": PAGE,
        "settings": settings.model_dump(mode="json"),
        "config_digest": settings.digest(),
        "code_version": CODE_VERSION,
        "synthetic": store.keeper.synthetic,
        # Shown by the quality checks; known to the running service alone.
        "counters": {"repeated": writer.repeated, "conflicts": writer.conflicts},
    }


@router.get(
    "/v1/snapshot/{table}",
    tags=["snapshot"],
    response_class=Response,
    responses={200: {"content": {ARROW: {}}}},
)
def get_snapshot_table(
    table: Table,
    experiment: str,
    store: Store,
    _: AsResearcher,
    texts: bool = False,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    until: Annotated[int, Query(ge=0)] = 2**62,
) -> Response:
    """One table of an experiment as an Arrow stream: rows committed after ``after`` and up to ``until``.

    An answer spans at most ``page`` commit numbers: ask again with ``after`` raised by it. ``epochs`` come whole.
    """
    experiment_of(store, experiment)
    hidden = [*_HIDDEN.get(table, ()), *(TEXTS if table == "calls" and not texts else ())]
    columns = f"* EXCLUDE ({', '.join(hidden)})" if hidden else "*"
    values: list[Any] = [experiment]
    where, order = _OF_EXPERIMENT.get(table, "experiment = ?"), "epoch"
    if table != "epochs":
        where, order = f"{where} AND seq > ? AND seq <= ?", "seq"
        values += [after, min(until, after + PAGE)]
    found = store.queries.arrow(f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {order}", values)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, found.schema) as writer:
        writer.write_table(found)
    return Response(sink.getvalue(), media_type=ARROW)
