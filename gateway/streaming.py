"""A streamed answer on its way to the host: renamed line by line, or translated; the last line waits for the log."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from backends.answer import NotAnAnswer, Piece
from backends.errors import BackendError, BackendTimeout
from gateway.attempt import Opened, Treated
from gateway.calls import CallLog, answer_headers, gone
from gateway.dialect import Totals
from gateway.record import Happened
from gateway.state import Gateway


@dataclass(slots=True)
class _Heard:
    """What a stream has said so far."""

    texts: list[str] = field(default_factory=list)
    model: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    done_reason: str = ""
    done: bool = False
    error: str | None = None

    def add(self, piece: Piece) -> None:
        self.texts.append(piece.text)
        self.model = piece.model or self.model
        self.tokens_in = self.tokens_in if piece.tokens_in is None else piece.tokens_in
        self.tokens_out = self.tokens_out if piece.tokens_out is None else piece.tokens_out
        self.done_reason = piece.done_reason or self.done_reason
        self.done = self.done or piece.done
        if piece.error is not None:
            self.error = "the backend broke off with an error"


class Relay:
    """One stream from a backend to the host.

    Args:
        gateway: settings and parts.
        request: the host's.
        log: writes the call, once.
        treated: the opened stream.
    """

    def __init__(self, gateway: Gateway, request: web.Request, log: CallLog, treated: Treated[Opened]) -> None:
        self._gateway = gateway
        self._request = request
        self._log = log
        self._treated = treated
        self._opened = treated.got
        self._same = self._opened.wire.name == log.arrival.dialect.wire
        self._heard = _Heard()

    async def run(self) -> web.StreamResponse:
        """Relay to the end. The call is logged whatever happens, before the host sees the stream's end."""
        arrival, outbox = self._log.arrival, self._gateway.outbox
        response = web.StreamResponse(headers=self._headers())
        try:
            self._log.begin(self._happened(None))
            await response.prepare(self._request)
            await self._relay(response)
            await response.write_eof()
        except ConnectionError:  # of the host's side: the backend's are BackendErrors
            self._log.write(self._happened("client went away"))
        except asyncio.CancelledError:
            self._log.write(self._happened(gone(self._request)))
            raise
        finally:
            self._opened.close()
            self._log.write(self._happened("the gateway failed mid-stream"))  # nothing if it has been written
            outbox.end(arrival.id)
        return response

    def _headers(self) -> dict[str, str]:
        stream = self._opened.stream
        kind = stream.content_type if self._same and stream is not None else self._log.arrival.dialect.stream_type
        logged = self._gateway.outbox.writable
        headers = answer_headers(self._gateway, self._log.arrival, self._treated.arm, logged=logged)
        return headers | {"Content-Type": kind, "Cache-Control": "no-cache"}

    async def _relay(self, response: web.StreamResponse) -> None:
        failure: str | None = None
        try:
            await self._send(response, self._opened.first)
            while lines := await self._next():
                await self._send(response, [(line, self._opened.wire.decode_line(line)) for line in lines])
        except BackendError as error:
            failure = error.summary
        except NotAnAnswer:
            failure = "the backend sent something that is not of its protocol"
        if failure is None and self._heard.done_reason and not self._log.written:
            # Some OpenAI-compatible servers end without [DONE]; the finish reason says that the answer is complete.
            await self._send(response, [(b"", Piece(done=True))])
        if not self._log.written:
            failure = failure or "the backend's stream ended before its answer was complete"
            self._log.write(self._happened(failure))
            await response.write(self._log.arrival.dialect.broken(failure))

    async def _next(self) -> list[bytes]:
        stream = self._opened.stream
        if stream is None:
            return []
        seconds = self._gateway.settings.answer_timeout_s
        try:
            async with asyncio.timeout(seconds):
                return await stream.lines()
        except TimeoutError:
            arm = self._treated.answered
            raise BackendTimeout(arm.url, arm.model, seconds) from None

    async def _send(self, response: web.StreamResponse, lines: list[tuple[bytes, Piece | None]]) -> None:
        out = []
        for line, piece in lines:
            if piece is not None and not self._heard.done:
                self._heard.add(piece)
            out.append(self._outgoing(line, piece))
        if (self._heard.done or self._heard.error) and not self._log.written:
            self._log.write(self._happened(self._heard.error))
        data = b"".join(out)
        if data:
            await response.write(data)

    def _outgoing(self, line: bytes, piece: Piece | None) -> bytes:
        arrival = self._log.arrival
        if self._same:
            return self._opened.wire.rename_line(line, arrival.asked.name)
        if piece is None:
            return b""
        now = self._gateway.clock()
        if piece.error is not None:
            return arrival.dialect.broken("the backend broke off with an error")
        data = arrival.dialect.piece(piece.text, arrival.asked, arrival.id, now) if piece.text else b""
        if piece.done:
            heard = self._heard
            totals = Totals(heard.tokens_in, heard.tokens_out, heard.done_reason, self._log.seconds)
            data += arrival.dialect.end(arrival.asked, arrival.id, now, totals)
        return data

    def _happened(self, error: str | None) -> Happened:
        heard, treated = self._heard, self._treated
        return Happened(
            arm=treated.arm,
            reason=treated.reason,
            model=heard.model or treated.answered.model,
            parameters=self._opened.parameters,
            seconds=self._log.seconds,
            output="".join(heard.texts),
            tokens_in=heard.tokens_in,
            tokens_out=heard.tokens_out,
            error=error,
        )
