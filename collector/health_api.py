"""Is it alive, is it ready, and how is it doing: ``/healthz``, ``/readyz``, ``/metrics``."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest

from collector.access import AsViewer, Store
from warehouse.errors import StoreError

router = APIRouter(tags=["health"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(store: Store) -> JSONResponse:
    """The store answers and the guard can see; 503 and why otherwise."""
    problems = []
    try:
        store.queries.rows("SELECT 1")
    except StoreError as error:
        problems.append(str(error))
    if store.guarding.blindness is not None:
        problems.append(f"the guard is blind: {store.guarding.blindness.reason}")
    body: dict[str, Any] = {"ready": not problems, "waiting": store.writer.waiting, "problems": problems}
    return JSONResponse(body, status_code=503 if problems else 200)


@router.get("/metrics")
def metrics(request: Request, store: Store, _: AsViewer) -> Response:
    """Prometheus metrics: rows, queue, guard states, permit age, time of the last evaluation."""
    registry = CollectorRegistry()
    rows = Gauge("equipoise_rows", "Rows per table", ["table"], registry=registry)
    for table, n in store.queries.sizes().items():
        rows.labels(table).set(n)
    Gauge("equipoise_queue_events", "Events waiting for the writer", registry=registry).set(store.writer.waiting)
    last = getattr(request.app.state, "watchdog", None)
    if last is not None:
        age = Gauge("equipoise_evaluation_age_seconds", "Seconds since the guard's last evaluation", registry=registry)
        age.set(time.monotonic() - last.last_tick)
    state = Gauge(
        "equipoise_guard_state", "1 for the adapter's present state", ["experiment", "arm", "state"], registry=registry
    )
    share = Gauge("equipoise_block_share", "Blocked prompt-runs since arming", ["experiment", "arm"], registry=registry)
    permit = Gauge(
        "equipoise_permit_age_seconds", "Seconds since the permit's heartbeat", ["experiment"], registry=registry
    )
    for name in store.experiments:
        age_s = store.permits.age_s(name, time.time())
        if age_s is not None:
            permit.labels(name).set(age_s)
        for arm, guard in store.guarding.effective(name).items():
            state.labels(name, arm, guard.state).set(1)
            counts = store.keeper.evidence(name, arm).counts
            if counts.n:
                share.labels(name, arm).set(counts.blocked / counts.n)
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
