"""Asking arms: the assigned one, then the base where it has to be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from backends.answer import Answer, NotAnAnswer, Piece
from backends.client import LineStream
from backends.errors import BackendError, BackendTimeout, BadAnswer, Untranslatable
from backends.protocols import WIRES, Wire
from backends.request import Outgoing, merged
from backends.rewrite import rename
from experiment.arms import Arm
from gateway.record import Arrival
from gateway.state import Gateway

log = logging.getLogger("equipoise.gateway")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Treated(Generic[T]):
    """What was got, from which arm, and as which arm it counts."""

    got: T
    answered: Arm
    """The arm whose model answered."""
    arm: str
    """The arm assigned: after a fallback still the adapter."""
    reason: str


class BaseFailed(Exception):
    """The base arm gave no answer either: nothing is left to try."""

    def __init__(self, error: BackendError, arm: str, reason: str) -> None:
        self.error = error
        self.arm = arm
        self.reason = reason
        super().__init__(error.summary)


class Whole(NamedTuple):
    """A whole answer and the host's bytes for it, under the alias."""

    answer: Answer
    data: bytes
    parameters: Mapping[str, Any]


class Opened(NamedTuple):
    """A streamed answer whose first piece is there."""

    wire: Wire
    stream: LineStream | None
    """None: the backend does not stream, ``first`` is all."""
    first: list[tuple[bytes, Piece | None]]
    parameters: Mapping[str, Any]

    def close(self) -> None:
        """Give the backend's connection up."""
        if self.stream is not None:
            self.stream.close()


async def by_permit(
    gateway: Gateway,
    arrival: Arrival,
    ask: Callable[[Arm, float], Awaitable[T]],
    discard: Callable[[T], None],
) -> Treated[T]:
    """Ask the assigned arm, and the base if that fails or if the permit closes before its answer leaves.

    After the adapter's answer is there, nothing is awaited between the last look at the permit and the return.

    Args:
        gateway: settings and parts.
        arrival: the call.
        ask: asks one arm within so many seconds.
        discard: lets an answer go that must not be used.

    Raises:
        BaseFailed: the base gave no answer.
    """
    decision, settings = arrival.decision, gateway.settings
    arm, reason = decision.assignment.arm, decision.assignment.reason
    if decision.to_adapter:
        try:
            got = await ask(decision.arm, settings.adapter_timeout_s)
        except BackendError as error:
            _note(gateway, arrival, decision.arm, error)
            reason = "fallback"
        else:
            state = gateway.permits.state(decision.experiment)
            if state.allows(decision.arm, arrival.subject.device, gateway.clock()):
                return Treated(got, decision.arm, arm, reason)
            discard(got)
            arm, reason = decision.base.name, "guard"
    try:
        return Treated(await ask(decision.base, settings.answer_timeout_s), decision.base, arm, reason)
    except BackendError as error:
        _note(gateway, arrival, decision.base, error)
        raise BaseFailed(error, arm, reason) from error


def _note(gateway: Gateway, arrival: Arrival, arm: Arm, error: BackendError) -> None:
    gateway.metrics.backend_errors.labels(arrival.decision.experiment, arm.name, error.kind).inc()
    log.warning("experiment %s, arm %s: %s", arrival.decision.experiment, arm.name, error.summary)


def _outgoing(arrival: Arrival, arm: Arm, wire: Wire) -> Outgoing:
    asked, dialect = arrival.asked, arrival.dialect
    if wire.name == dialect.wire:
        body = wire.edit(asked.data, asked.body, arm.model, arm.parameters)
        return Outgoing(dialect.path, body, merged(asked.request.parameters, arm.parameters))
    if asked.request.extras:
        raise Untranslatable(arm.url, arm.model, wire.name, ", ".join(asked.request.extras))
    return wire.encode(asked.request, arm.model, arm.parameters)


def _headers(arrival: Arrival, wire: Wire) -> dict[str, str]:
    # A key for an OpenAI-compatible service belongs to that protocol; Ollama and the GPU service need none.
    both_openai = wire.name == "openai" and arrival.dialect.wire == "openai"
    return {"Authorization": arrival.authorization} if both_openai and arrival.authorization else {}


async def ask_whole(gateway: Gateway, arrival: Arrival, arm: Arm, seconds: float) -> Whole:
    """A whole answer of one arm.

    Raises:
        BackendError: none came.
    """
    wire = WIRES[arm.backend]
    out = _outgoing(arrival, arm, wire)
    data = await gateway.client.whole(
        wire, arm.url, out, model=arm.model, seconds=seconds, headers=_headers(arrival, wire)
    )
    try:
        answer = wire.decode(data)
    except NotAnAnswer as error:
        raise BadAnswer(arm.url, arm.model, str(error)) from error
    if wire.name == arrival.dialect.wire:
        return Whole(answer, rename(data, arrival.asked.name), out.parameters)
    elapsed = asyncio.get_running_loop().time() - arrival.started
    return Whole(answer, arrival.dialect.whole(answer, arrival.asked, gateway.clock(), elapsed), out.parameters)


async def open_stream(gateway: Gateway, arrival: Arrival, arm: Arm, seconds: float) -> Opened:
    """A streamed answer of one arm, waited for until its first piece is there.

    Raises:
        BackendError: none came.
    """
    wire = WIRES[arm.backend]
    out = _outgoing(arrival, arm, wire)
    headers = _headers(arrival, wire)
    if not wire.streams:
        data = await gateway.client.whole(wire, arm.url, out, model=arm.model, seconds=seconds, headers=headers)
        return Opened(wire, None, _as_pieces(wire, arm, data), out.parameters)
    deadline = asyncio.get_running_loop().time() + seconds
    stream = await gateway.client.stream(wire, arm.url, out, model=arm.model, seconds=seconds, headers=headers)
    try:
        async with asyncio.timeout_at(deadline):
            return Opened(wire, stream, await _first(wire, arm, stream), out.parameters)
    except TimeoutError as error:
        stream.close()
        raise BackendTimeout(arm.url, arm.model, seconds) from error
    except BaseException:
        stream.close()
        raise


async def _first(wire: Wire, arm: Arm, stream: LineStream) -> list[tuple[bytes, Piece | None]]:
    """Lines up to the chunk with the first piece."""
    found: list[tuple[bytes, Piece | None]] = []
    while lines := await stream.lines():
        try:
            found += [(line, wire.decode_line(line)) for line in lines]
        except NotAnAnswer as error:
            raise BadAnswer(arm.url, arm.model, str(error)) from error
        piece = next((piece for _, piece in found if piece is not None), None)
        if piece is None:
            continue
        if piece.error is not None:
            raise BadAnswer(arm.url, arm.model, "an error in place of an answer")
        return found
    raise BadAnswer(arm.url, arm.model, "an empty stream")


def _as_pieces(wire: Wire, arm: Arm, data: bytes) -> list[tuple[bytes, Piece | None]]:
    try:
        answer = wire.decode(data)
    except NotAnAnswer as error:
        raise BadAnswer(arm.url, arm.model, str(error)) from error
    end = Piece(tokens_in=answer.tokens_in, tokens_out=answer.tokens_out, done=True, done_reason=answer.done_reason)
    return [(b"", Piece(text=answer.text, model=answer.model)), (b"", end)]
