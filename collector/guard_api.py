"""The guard: its state in a sentence, its evidence and history, and a person's actions."""

import csv
import io
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from collector.access import AsPerson, AsViewer, Store, arm_of, experiment_of
from collector.experiments_api import as_csv_time
from collector.guard_view import guard_view
from collector.problems import Problem
from warehouse.errors import Busy, StoreError
from warehouse.keeper import By
from warehouse.queries import Row
from warehouse.store import Warehouse

router = APIRouter()

Action = Literal["arm", "pause", "resume", "rollback", "base_only_today", "opt_out", "opt_in"]
LEADER_ACTIONS: Final = frozenset({"pause", "rollback", "base_only_today", "opt_out"})
ANSWER_S: Final = 30.0


class GuardAction(BaseModel):
    """What a person asks of the guard; name and reason are kept in the log beside the token's id."""

    model_config = ConfigDict(extra="forbid")

    action: Action
    arm: str = Field(default="", max_length=63)
    """The adapter's arm; may be left out where there is one adapter only."""
    reason: str = Field(min_length=3, max_length=1000)
    actor: str = Field(min_length=1, max_length=200)
    adapter: str = Field(default="", max_length=200)
    """For 'arm': the adapter version, named by the person."""
    override: bool = False
    """For 'arm': insist on a version that was rolled back with grade 'confirmed'."""
    device: str = Field(default="", max_length=300)
    """For 'opt_out' and 'opt_in'."""


@router.get("/v1/experiments/{name}/guard", tags=["guard"])
def get_guard(
    name: str, store: Store, _: AsViewer, history: Annotated[int, Query(ge=0, le=10_000)] = 50
) -> dict[str, Any]:
    """The guard's state in a sentence, its evidence and its history, newest first."""
    return guard_view(store, experiment_of(store, name), history)


@router.get("/v1/experiments/{name}/guard/events", tags=["guard"], response_class=Response)
def get_guard_events(
    name: str, store: Store, _: AsPerson, epoch: Annotated[int, Query(ge=0, le=2**31)] = 0
) -> Response:
    """Counted prompt-runs as CSV in commit order: ``guard replay`` reads it.

    ``epoch`` 0: each adapter's since it was armed, as its guard counts them (over epochs that another adapter's arming
    opened); a number: that epoch alone.
    """
    experiment_of(store, name)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    mark = ["true"] if store.keeper.synthetic else []
    writer.writerow(["event_id", "ts", "arm", "device", "prompt", "blocked", *(["synthetic"] if mark else [])])
    for row in _counted(store, name, epoch):
        values = [row["event_id"], as_csv_time(row["ts"]), row["arm"], row["device"], row["prompt"]]
        writer.writerow([*values, int(row["blocked"]), *mark])
    headers = {"X-Equipoise-Synthetic": "true"} if store.keeper.synthetic else {}
    return Response(text.getvalue(), media_type="text/csv", headers=headers)


def _counted(store: Warehouse, name: str, epoch: int) -> list[Row]:
    if epoch:
        return store.queries.guard_events(name, epoch)
    current = store.keeper.epoch(name)
    begun = {arm: guard.epoch for arm, guard in store.keeper.guards(name).items() if guard.epoch}
    if current is None or not begun:
        return []
    first = min(begun.values())
    rows = store.queries.guard_events(name, first, current.number)
    return [row for row in rows if row["epoch"] >= begun.get(row["arm"], first)]


@router.post("/v1/experiments/{name}/guard", tags=["guard"])
def post_guard(name: str, item: GuardAction, store: Store, who: AsPerson) -> JSONResponse:
    """Arm, pause, resume, roll back, 'base only today', opt a device out.

    A roll-back answers 202 on the permit alone: it holds even with the database down, and is logged when it can be.
    """
    experiment_of(store, name)
    if who.role == "leader" and item.action not in LEADER_ACTIONS:
        raise Problem(
            403, f"a workshop leader may {', '.join(sorted(LEADER_ACTIONS))}; '{item.action}' takes a researcher"
        )
    by = By(item.actor.strip(), who.token_id, item.reason.strip())
    if not by.actor or len(by.reason) < 3:
        raise Problem(422, "a name and a reason of at least 3 letters are needed: they are kept in the guard's log")
    if item.action == "rollback":
        return _roll_back(store, name, arm_of(store, name, item.arm), by)
    sentence = store.writer.command(_command(store, name, item, by)).result(timeout=ANSWER_S)
    return JSONResponse({"action": item.action, "sentence": sentence})


def _roll_back(store: Warehouse, name: str, arm: str, by: By) -> JSONResponse:
    logged = store.guarding.rollback_now(name, arm, by)
    try:
        logged.result(timeout=2.0)
        adapters = guard_view(store, name, 0)["adapters"]
        text = next(adapter["sentence"] for adapter in adapters if adapter["arm"] == arm)
    except (FutureTimeout, Busy, StoreError) as error:  # the permit is closed whatever the store says
        text = (
            "The permit is closed: every call goes to the base arm. "
            f"The log will have it once the store answers ({error or 'it is slow'})."
        )
    return JSONResponse({"action": "rollback", "arm": arm, "sentence": text}, status_code=202)


def _command(store: Warehouse, name: str, item: GuardAction, by: By) -> Any:
    guarding = store.guarding
    match item.action:
        case "base_only_today":
            return guarding.base_only_today(name, by)
        case "opt_out" | "opt_in":
            if not item.device:
                raise Problem(422, "say which 'device' (the host's device id of today, or its pseudonym)")
            return guarding.opt_out(name, store.names.device(item.device), by, out=item.action == "opt_out")
    arm = arm_of(store, name, item.arm)
    match item.action:
        case "arm":
            if not item.adapter:
                model = store.experiments[name].proposed(name).arm(arm).model
                raise Problem(422, f"arming names the adapter: send 'adapter' (configured for {arm!r}: {model!r})")
            return guarding.arm(name, arm, item.adapter, by, override=item.override)
        case "pause":
            return guarding.pause(name, arm, by)
        case _:
            return guarding.resume(name, arm, by)
