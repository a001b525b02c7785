"""What people and programs read: experiments, live results, calls, exclusions."""

import io
from datetime import date, datetime
from typing import Annotated, Any, Literal

import pyarrow as pa
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from collector.access import AsResearcher, AsViewer, Store, arm_of, experiment_of
from collector.analysis import compare
from collector.problems import Problem
from collector.quality import quality
from collector.results import live
from experiment.pseudonym import is_pseudonym
from warehouse.keeper import By
from warehouse.queries import CALL_FILTERS, Scope
from warehouse.rows import naive
from warehouse.store import Warehouse

router = APIRouter()

ARROW = "application/vnd.apache.arrow.stream"
Dimension = Literal["day", "config", "language", "safety_level", "template_version", "device_kind"]
EpochChoice = Annotated[str, Query(pattern=r"^(current|all|\d{1,9})$", description="current, all or a number")]


def epoch_number(store: Warehouse, name: str, epoch: str) -> int:
    """0 for 'all', else the epoch's number; 'current' without any epoch is 0 as well."""
    if epoch == "all":
        return 0
    if epoch == "current":
        current = store.keeper.epoch(name)
        return current.number if current is not None else 0
    return int(epoch)


def describe(store: Warehouse, name: str) -> dict[str, Any]:
    """One experiment: what is proposed, what is frozen, whether it is synthetic."""
    settings, epoch = store.experiments[name], store.keeper.epoch(name)
    proposed = settings.proposed(name)
    arms = (epoch.arms if epoch is not None else proposed).arms
    guards = store.guarding.effective(name)
    return {
        "name": name,
        "alias": settings.alias,
        "unit": settings.unit,
        "base": settings.base,
        "epoch": epoch.number if epoch is not None else 0,
        "opened": epoch.opened if epoch is not None else None,
        "synthetic": store.keeper.synthetic,
        "arms": [
            {"name": arm.name, "model": arm.model, "backend": arm.backend, "weight": arm.weight,
             "state": guards[arm.name].state if arm.name in guards else "base"}
            for arm in arms
        ],
        "proposed": [{"name": arm.name, "model": arm.model, "weight": arm.weight} for arm in proposed.arms],
        "plan": settings.plan.model_dump(mode="json"),
    }  # fmt: skip


@router.get("/v1/experiments", tags=["experiments"])
def list_experiments(store: Store, _: AsViewer) -> list[dict[str, Any]]:
    """Every configured experiment."""
    return [describe(store, name) for name in store.experiments]


@router.get("/v1/experiments/{name}", tags=["experiments"])
def get_experiment(name: str, store: Store, _: AsViewer) -> dict[str, Any]:
    """One experiment."""
    return describe(store, experiment_of(store, name))


@router.get("/v1/experiments/{name}/results", tags=["experiments"])
def get_results(
    name: str,
    store: Store,
    _: AsViewer,
    epoch: EpochChoice = "current",
    traffic: Literal["workshop", "all"] = "workshop",
    origin: Literal["live", "import", "replay"] = "live",
    hours: Annotated[float, Query(gt=0, le=24 * 3660)] = 24 * 3660,
    by: Dimension | None = None,
    over_time: bool = True,
    analysis: bool = True,
    as_treated: bool = False,
    segments: bool = False,
) -> dict[str, Any]:
    """Both arms side by side with intervals and counts, over time, and by one dimension if asked.

    ``analysis`` is the comparison one can publish (concurrent phases only, clustered, re-randomised; ``as_treated`` by
    the model that answered, ``segments`` by host config, language and safety level); a page that only watches leaves it
    out.
    """
    experiment_of(store, name)
    scope = Scope(name, epoch_number(store, name, epoch), traffic == "workshop", origin)
    answer = live(store, scope, hours, by, over_time=over_time)
    if analysis:
        arms = store.keeper.guards(name)
        answer["analysis"] = [compare(store, name, arm, as_treated=as_treated, by=segments) for arm in arms]
    return answer


@router.get("/v1/experiments/{name}/quality", tags=["experiments"])
def get_quality(name: str, store: Store, _: AsViewer) -> dict[str, Any]:
    """Whether the data can be trusted, for every adapter: sample ratio, missing verdicts, regimes, mode collapse."""
    experiment_of(store, name)
    adapters = [quality(store, name, arm) for arm in store.keeper.guards(name)]
    return {"experiment": name, "synthetic": store.keeper.synthetic, "adapters": adapters}


class ConclusionIn(BaseModel):
    """A person closes the experiment; what it said is kept with it."""

    model_config = ConfigDict(extra="forbid")

    arm: str = Field(default="", max_length=63)
    reason: str = Field(min_length=3, max_length=1000)
    actor: str = Field(min_length=1, max_length=200)


@router.post("/v1/experiments/{name}/conclude", tags=["experiments"], status_code=201)
def post_conclusion(name: str, item: ConclusionIn, store: Store, who: AsResearcher) -> dict[str, Any]:
    """Close the experiment: adapters are paused, the verdict by the plan is kept; arming again begins a new one."""
    experiment_of(store, name)
    arm = arm_of(store, name, item.arm)
    by = By(item.actor, who.token_id, item.reason)
    return store.conclude(name, arm, by, lambda: compare(store, name, arm)["standing"]["sentence"])


@router.get("/v1/calls", tags=["calls"], responses={200: {"content": {ARROW: {}}}})
def get_calls(
    request: Request,
    store: Store,
    _: AsResearcher,
    experiment: str | None = None,
    run: str | None = None,
    prompt: str | None = None,
    output_key: str | None = None,
    origin: str | None = None,
    arm: str | None = None,
    device: str | None = None,
    config: str | None = None,
    reason: str | None = None,
    id: str | None = None,
    since: AwareDatetime | None = None,
    until: AwareDatetime | None = None,
    cursor: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> Any:
    """Calls in commit order, as JSON or (Accept: application/vnd.apache.arrow.stream) Arrow.

    ``run``, ``device``, ``prompt`` and ``output_key`` may be raw or pseudonyms.
    """
    given = {
        "experiment": experiment, "run": run and store.names.run(run), "prompt": prompt and store.names.prompt(prompt),
        "output_key": output_key and store.names.output(output_key), "origin": origin, "arm": arm,
        "device": device and store.names.device(device), "config": config, "reason": reason, "id": id,
    }  # fmt: skip
    filters = {key: value for key, value in given.items() if value is not None and key in CALL_FILTERS}
    query, values = store.queries.calls(filters, since=since, until=until, after_seq=cursor, limit=limit)
    if ARROW in request.headers.get("accept", ""):
        return Response(_stream(store.queries.arrow(query, values)), media_type=ARROW)
    rows = store.queries.rows(query, values)
    return {"items": rows, "next": rows[-1]["seq"] if len(rows) == limit else None, "synthetic": store.keeper.synthetic}


def _stream(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


class ExclusionIn(BaseModel):
    """A device, a day, or a device on a day that estimates leave out; never guard history."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=1, max_length=128)
    experiment: str
    device: str = Field(default="", max_length=300)
    day: date | None = None
    reason: str = Field(min_length=3, max_length=1000)
    actor: str = Field(min_length=1, max_length=200)


@router.get("/v1/exclusions", tags=["exclusions"])
def get_exclusions(experiment: str, store: Store, _: AsResearcher) -> dict[str, Any]:
    """Exclusions with who and why."""
    return {"items": store.queries.exclusions(experiment_of(store, experiment))}


@router.post("/v1/exclusions", tags=["exclusions"], status_code=201)
def post_exclusion(item: ExclusionIn, store: Store, who: AsResearcher) -> dict[str, Any]:
    """Exclude a device, a day or a device's day from estimates."""
    experiment_of(store, item.experiment)
    if not item.device and item.day is None:
        raise Problem(422, "an exclusion needs a device, a day or both")
    device = item.device if is_pseudonym(item.device) else store.names.device(item.device)

    def command(cursor: Any) -> int:
        known = cursor.execute("SELECT 1 FROM exclusions WHERE id = ?", [item.id]).fetchone()
        if known:
            return 200
        cursor.execute(
            "INSERT INTO exclusions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [store.keeper.next_seq(), item.id, naive(store.clock()), item.experiment, device, item.day, item.actor,
             who.token_id, item.reason],
        )  # fmt: skip
        return 201

    return {"id": item.id, "status": store.writer.command(command).result(timeout=30)}


def as_csv_time(moment: datetime) -> str:
    """A time as ISO 8601 with Z."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
