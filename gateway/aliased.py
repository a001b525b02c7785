"""One aliased call from arrival to answer."""

import asyncio
import json
import uuid
from collections.abc import Mapping
from functools import partial
from typing import Any

from aiohttp import web

from backends.answer import Answer
from backends.errors import BackendError, BackendStatus, ModelMissing
from backends.protocols import WIRES
from backends.request import Outgoing
from backends.rewrite import rename
from gateway.attempt import BaseFailed, Opened, Whole, ask_whole, by_permit, open_stream
from gateway.calls import CallLog, answer_headers, gone
from gateway.decide import decide
from gateway.dialect import Asked, BadRequest, Dialect
from gateway.record import Arrival, Happened
from gateway.state import Gateway
from gateway.streaming import Relay
from gateway.texts import clean
from gateway.units import subject_of_headers, yes_or_no

JSON = "application/json; charset=utf-8"


async def answer(
    gateway: Gateway, request: web.Request, dialect: Dialect, experiment: str, data: bytes
) -> web.StreamResponse:
    """Assign, ask, log, answer.

    Args:
        gateway: settings and parts.
        request: the host's; its body has been read.
        dialect: how it asks.
        experiment: whose alias it named.
        data: the body.
    """
    try:
        asked = dialect.parse(data, _object(data))
    except BadRequest as error:
        return error_response(dialect, str(error), 400)
    if asked.loads_only:
        return await _load(gateway, dialect, experiment, asked)
    log = CallLog(gateway, _arrive(gateway, request, dialect, experiment, asked))
    try:
        if asked.request.stream:
            return await _streamed(gateway, request, log)
        return await _whole(gateway, request, log)
    except BaseFailed as failed:
        return _failed(gateway, log, failed)
    except asyncio.CancelledError:
        decision = log.arrival.decision
        reason, seconds = decision.assignment.reason, log.seconds
        log.write(Happened(decision.arm.name, reason, "", {}, seconds, error=gone(request)))
        raise


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest("the body is not valid JSON") from error
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _arrive(gateway: Gateway, request: web.Request, dialect: Dialect, experiment: str, asked: Asked) -> Arrival:
    now = gateway.clock()
    call = f"c_{uuid.uuid4().hex}"
    headers = request.headers
    subject = subject_of_headers(headers, gateway.pseudonymiser, gateway.roots)
    own_unit = gateway.pseudonymiser.run(call)
    if not subject.parent_run:
        prompt = gateway.pseudonymiser.prompt(clean(gateway.splitter.split(asked.prompt).input))
        unit = gateway.roots.again(subject.device, prompt, subject.run, subject.run_unit or own_unit)
        subject = subject._replace(run_unit=unit)
    decision = decide(
        gateway.proposed[experiment],
        gateway.permits.state(experiment),
        subject,
        own_unit=own_unit,
        loggable=gateway.outbox.writable,
        now=now,
    )
    return Arrival(
        id=call,
        ts=now,
        started=asyncio.get_running_loop().time(),
        dialect=dialect,
        asked=asked,
        subject=subject,
        decision=decision,
        template=headers.get("X-Equipoise-Template", ""),
        translated=yes_or_no(headers.get("X-Equipoise-Translated")),
        authorization=headers.get("Authorization", ""),
    )


async def _whole(gateway: Gateway, request: web.Request, log: CallLog) -> web.Response:
    arrival = log.arrival
    treated = await by_permit(gateway, arrival, partial(ask_whole, gateway, arrival), _forget)
    got = treated.got
    # From here to the return nothing is awaited: the permit was looked at a moment ago.
    kept = log.write(
        Happened(
            arm=treated.arm,
            reason=treated.reason,
            model=got.answer.model or treated.answered.model,
            parameters=got.parameters,
            seconds=log.seconds,
            output=got.answer.text,
            tokens_in=got.answer.tokens_in,
            tokens_out=got.answer.tokens_out,
            error=gone(request) if request.transport is None else None,
        )
    )
    headers = answer_headers(gateway, arrival, treated.arm, logged=kept)
    return web.Response(body=got.data, headers=headers | {"Content-Type": JSON})


def _forget(got: Whole) -> None:
    """A whole answer needs no letting go."""


async def _streamed(gateway: Gateway, request: web.Request, log: CallLog) -> web.StreamResponse:
    arrival = log.arrival
    treated = await by_permit(gateway, arrival, partial(open_stream, gateway, arrival), Opened.close)
    return await Relay(gateway, request, log, treated).run()


def _failed(gateway: Gateway, log: CallLog, failed: BaseFailed) -> web.Response:
    error, arrival = failed.error, log.arrival
    kept = log.write(Happened(failed.arm, failed.reason, "", {}, log.seconds, error=error.summary))
    headers = answer_headers(gateway, arrival, failed.arm, logged=kept)
    return error_response(arrival.dialect, f"{error}", status_of(error), headers)


def status_of(error: BackendError) -> int:
    """The status for the host when nothing is left to try: the backend's own where it gave one."""
    if isinstance(error, ModelMissing):
        return 404
    if isinstance(error, BackendStatus) and 400 <= error.status < 600:
        return error.status
    return error.http_status


def error_response(
    dialect: Dialect, message: str, status: int, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error in the dialect's own form."""
    return web.Response(
        status=status, body=dialect.error(message, status), headers={**(headers or {}), "Content-Type": JSON}
    )


async def _load(gateway: Gateway, dialect: Dialect, experiment: str, asked: Asked) -> web.Response:
    """Ollama's 'load the model': the base arm's model is loaded; nothing is answered, so nothing is logged."""
    arms = gateway.proposed[experiment]
    base = arms.arm(arms.base)
    wire = WIRES[base.backend]
    seconds = gateway.settings.answer_timeout_s
    if wire.name != dialect.wire:
        empty = Answer("", asked.name, done_reason="load")
        return web.Response(body=dialect.whole(empty, asked, gateway.clock(), 0.0), headers={"Content-Type": JSON})
    out = Outgoing(dialect.path, wire.edit(asked.data, asked.body, base.model, {}), {})
    try:
        data = await gateway.client.whole(wire, base.url, out, model=base.model, seconds=seconds, headers={})
    except BackendError as error:
        return error_response(dialect, str(error), status_of(error))
    return web.Response(body=rename(data, asked.name), headers={"Content-Type": JSON})
