"""The log of one call: written once, whatever happens, before the answer leaves."""

import asyncio
from typing import Final

from aiohttp import web

from experiment.events import Call
from gateway.record import Arrival, Happened, draft, finished
from gateway.state import Gateway

_MODEL_WORKS_S: Final = 0.005
"""By then the request has left for the backend and nothing is to be done but to wait."""


class CallLog:
    """Keeps one call.

    Args:
        gateway: settings and parts.
        arrival: the call.
    """

    def __init__(self, gateway: Gateway, arrival: Arrival) -> None:
        self._gateway = gateway
        self.arrival = arrival
        self._draft: Call | None = None
        self._loop = asyncio.get_running_loop()
        self._later = self._loop.call_later(_MODEL_WORKS_S, self._drafted)
        self.written = False
        """Whether the call has had its end."""
        self.kept = False
        """Whether it stands on disk."""

    @property
    def seconds(self) -> float:
        """Since the call arrived."""
        return self._loop.time() - self.arrival.started

    def begin(self, happened: Happened) -> None:
        """Note that pieces of the answer are about to leave."""
        self._gateway.outbox.begin(self._call(happened))

    def write(self, happened: Happened) -> bool:
        """Keep the call; the second time nothing happens.

        Returns:
            Whether it stands on disk.
        """
        if self.written:
            return self.kept
        self.written = True
        call = self._call(happened)
        self.kept = self._gateway.outbox.append(call)
        self._loop.call_soon(self._count, call, happened.seconds)  # after the answer has left
        return self.kept

    def _count(self, call: Call, seconds: float) -> None:
        result = "error" if call.error else "refused" if call.refused else "answered"
        metrics = self._gateway.metrics
        metrics.calls.labels(call.experiment, call.arm, call.reason, self.arrival.dialect.name, result).inc()
        metrics.latency.labels(call.experiment).observe(seconds)

    def _drafted(self) -> Call:
        if self._draft is None:
            gateway = self._gateway
            self._draft = draft(self.arrival, splitter=gateway.splitter, pseudonymiser=gateway.pseudonymiser)
        return self._draft

    def _call(self, happened: Happened) -> Call:
        self._later.cancel()
        gateway = self._gateway
        return finished(self._drafted(), happened, pseudonymiser=gateway.pseudonymiser, refusals=gateway.refusals)


def answer_headers(gateway: Gateway, arrival: Arrival, arm: str, *, logged: bool) -> dict[str, str]:
    """What an answer tells beside its body. Never the arm, unless a person switched that on for debugging."""
    headers = {"X-Equipoise-Call": arrival.id}
    if not logged:
        headers["X-Equipoise-Logged"] = "no"
    if gateway.settings.expose_arm:
        headers["X-Equipoise-Arm"] = arm
    return headers


def gone(request: web.Request) -> str:
    """Why an answer can't be given any more."""
    transport = request.transport
    return "client went away" if transport is None or transport.is_closing() else "the gateway was stopped"
