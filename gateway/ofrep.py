"""OpenFeature's remote evaluation protocol: a flag is an experiment, its value the arm's name."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway.assignments import Assigned, Unanswerable, assign, not_allowed, steady
from gateway.problems import problem
from gateway.router import read
from gateway.state import GATEWAY, Gateway
from gateway.units import ATTRIBUTES, Subject, subject_of

REASONS: Final[Mapping[str, str]] = {
    "split": "SPLIT",
    "guard": "DISABLED",
    "override": "TARGETING_MATCH",
    "condition": "TARGETING_MATCH",
    "default": "DEFAULT",
    "error": "ERROR",
    "fallback": "ERROR",
}
"""Our reasons in OpenFeature's words; ours stand in the metadata."""

_IDS: Final = ("device", "run", "parent_run")


class Refusal(Exception):
    """An error in OFREP's form."""

    def __init__(self, code: str, details: str, status: int = 400) -> None:
        self.code = code
        self.details = details
        self.status = status
        super().__init__(details)


async def evaluate_one(request: web.Request) -> web.Response:
    """``POST /ofrep/v1/evaluate/flags/{key}``."""
    gateway = request.app[GATEWAY]
    denied = not_allowed(gateway, request)
    if denied is not None:
        return denied
    data, complete = await read(request, gateway.settings.max_body_bytes)
    # From here to the return nothing is awaited: what is answered is what the permit says now.
    key = request.match_info["key"]
    try:
        if key not in gateway.proposed:
            known = ", ".join(gateway.proposed)
            raise Refusal("FLAG_NOT_FOUND", f"there is no such experiment; configured: {known}", 404)
        context = _context(gateway, data, complete)
        subject = _subject(gateway, context)
        flag = steady(gateway, [key], lambda: _flag(gateway, key, subject))
    except Refusal as refusal:
        return _refusal(refusal, key)
    gateway.metrics.assignments.labels(key, flag["metadata"]["reason"]).inc()
    return _json(200, {**flag, "cacheable": False})


async def evaluate_all(request: web.Request) -> web.Response:
    """``POST /ofrep/v1/evaluate/flags``, with ETag."""
    gateway = request.app[GATEWAY]
    denied = not_allowed(gateway, request)
    if denied is not None:
        return denied
    data, complete = await read(request, gateway.settings.max_body_bytes)
    # From here to the return nothing is awaited, as above.
    try:
        context = _context(gateway, data, complete)
        subject = _subject(gateway, context)
        if not (subject.run_unit or subject.device_unit):
            raise Refusal("TARGETING_KEY_MISSING", "send 'targetingKey' in the context: the run or device to assign")
        keys = list(gateway.proposed)
        flags = steady(gateway, keys, lambda: [_flag_or_error(gateway, key, subject) for key in keys])
    except Refusal as refusal:
        return _refusal(refusal, None)
    tag = _etag(flags)
    if _matches(request.headers.get("If-None-Match", ""), tag):
        return web.Response(status=304, headers={"ETag": tag})
    return _json(200, {"flags": flags}, {"ETag": tag})


async def unknown(request: web.Request) -> web.Response:
    """Every other path below /ofrep/."""
    return problem(404, "this gateway serves POST /ofrep/v1/evaluate/flags and /ofrep/v1/evaluate/flags/{key}")


def _context(gateway: Gateway, data: bytes, complete: bool) -> Mapping[str, Any]:
    if not complete:
        limit = gateway.settings.max_body_bytes
        raise Refusal("PARSE_ERROR", f"the request is larger than {limit} bytes", 413)
    try:
        body = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise Refusal("PARSE_ERROR", "the body is not valid JSON") from error
    if not isinstance(body, dict):
        raise Refusal("PARSE_ERROR", "the body must be an object with 'context'")
    context = body.get("context")
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise Refusal("INVALID_CONTEXT", "'context' must be an object")
    return context


def _subject(gateway: Gateway, context: Mapping[str, Any]) -> Subject:
    values: dict[str, str] = {}
    for name in ("targetingKey", *_IDS, *ATTRIBUTES):
        value = context.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or len(value) > 1000:
            raise Refusal("INVALID_CONTEXT", f"'{name}' must be a text of at most 1000 characters")
        values[name] = value
    return subject_of(
        gateway.pseudonymiser,
        gateway.roots,
        unit=values.get("targetingKey", ""),
        device=values.get("device", ""),
        run=values.get("run", ""),
        parent_run=values.get("parent_run", ""),
        attributes={name: values.get(name, "") for name in ATTRIBUTES},
    )


def _flag(gateway: Gateway, key: str, subject: Subject) -> dict[str, Any]:
    try:
        assigned = assign(gateway, key, subject)
    except Unanswerable as error:
        raise Refusal("TARGETING_KEY_MISSING", str(error).replace("'unit'", "'targetingKey'")) from error
    return _as_flag(key, assigned)


def _flag_or_error(gateway: Gateway, key: str, subject: Subject) -> dict[str, Any]:
    try:
        return _flag(gateway, key, subject)
    except Refusal as refusal:
        return {"key": key, "errorCode": refusal.code, "errorDetails": refusal.details}


def _as_flag(key: str, assigned: Assigned) -> dict[str, Any]:
    decision = assigned.decision
    return {
        "key": key,
        "value": decision.arm.name,
        "variant": decision.arm.name,
        "reason": REASONS[decision.assignment.reason],
        "metadata": {
            "reason": decision.assignment.reason,
            "epoch": decision.epoch,
            "model": decision.arm.model,
            "bucket": decision.assignment.bucket,
            "unit": decision.unit,
            "evaluated_at": assigned.at.isoformat(),
        },
    }


def _etag(flags: list[dict[str, Any]]) -> str:
    """Of what was decided, not of when."""
    lasting = [
        {**flag, "metadata": {k: v for k, v in flag.get("metadata", {}).items() if k != "evaluated_at"}}
        for flag in flags
    ]
    digest = hashlib.sha256(json.dumps(lasting, sort_keys=True).encode()).hexdigest()
    return f'"{digest[:32]}"'


def _matches(header: str, tag: str) -> bool:
    return any(part.strip().removeprefix("W/") in (tag, "*") for part in header.split(","))


def _refusal(refusal: Refusal, key: str | None) -> web.Response:
    body = {"errorCode": refusal.code, "errorDetails": refusal.details}
    return _json(refusal.status, body if key is None else {"key": key, **body})


def _json(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status, body=json.dumps(body).encode(), headers={**(headers or {}), "Content-Type": "application/json"}
    )
