"""/healthz, /readyz, /metrics."""

import json
from functools import partial
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.state import GATEWAY, Gateway


async def healthz(request: web.Request) -> web.Response:
    """The process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """200 while calls can be kept, 503 when they can't.

    A missing permit or an absent API is told and does not make the gateway unready: it goes on answering.
    """
    state = readiness(request.app[GATEWAY])
    return web.Response(
        status=200 if state["ready"] else 503,
        body=json.dumps(state).encode(),
        headers={"Content-Type": "application/json"},
    )


def readiness(gateway: Gateway) -> dict[str, Any]:
    """What /readyz says."""
    outbox, delivery = gateway.outbox, gateway.delivery
    permits = {}
    for name in gateway.proposed:
        state = gateway.permits.state(name)
        permits[name] = {
            "valid": state.permit is not None,
            "epoch": state.permit.epoch if state.permit is not None else 0,
            "open_arms": sorted(state.permit.open_arms) if state.permit is not None else [],
            "age_s": None if state.age_s is None else round(state.age_s, 1),
            "problem": state.problem,
        }
    return {
        "ready": outbox.writable,
        "degraded": bool(outbox.problem or delivery.problem or outbox.not_logged),
        "outbox": {
            "pending": outbox.pending,
            "pending_bytes": outbox.pending_bytes,
            "problem": outbox.problem,
            "not_logged": outbox.not_logged,
            "dead_letters": outbox.dead_letters,
        },
        "delivery": {"delivered": delivery.delivered, "problem": delivery.problem},
        "permits": permits,
    }


async def metrics(request: web.Request) -> web.Response:
    """For Prometheus."""
    return web.Response(body=request.app[GATEWAY].metrics.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})


def watch(gateway: Gateway) -> None:
    """Show what outbox, delivery and permits count themselves."""
    outbox, page = gateway.outbox, gateway.metrics
    page.watch("outbox_pending", "Undelivered calls", lambda: float(outbox.pending))
    page.watch("outbox_bytes", "Undelivered bytes", lambda: float(outbox.pending_bytes))
    page.watch("calls_not_logged", "Calls answered and not kept", lambda: float(outbox.not_logged))
    page.watch("dead_letters", "Calls the API refused", lambda: float(outbox.dead_letters))
    page.watch("outbox_torn_lines", "Lines cut off by a crash, found at the start", lambda: float(outbox.torn))
    page.watch("delivered", "Calls the API has taken", lambda: float(gateway.delivery.delivered))
    for name in gateway.proposed:
        page.permit_age.labels(name).set_function(partial(_age, gateway, name))


def _age(gateway: Gateway, name: str) -> float:
    age = gateway.permits.state(name).age_s
    return -1.0 if age is None else age
