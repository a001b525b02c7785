"""The log of one call: written once, whatever happens, before the answer leaves."""

import asyncio

from aiohttp import web

from experiment.events import Call
from gateway.record import Arrival, Happened, call_of
from gateway.state import Gateway


class CallLog:
    """Keeps one call.

    Args:
        gateway: settings and parts.
        arrival: the call.
    """

    def __init__(self, gateway: Gateway, arrival: Arrival) -> None:
        self._gateway = gateway
        self.arrival = arrival
        self.written = False
        """Whether the call has had its end."""
        self.kept = False
        """Whether it stands on disk."""

    @property
    def seconds(self) -> float:
        """Since the call arrived."""
        return asyncio.get_running_loop().time() - self.arrival.started

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
        result = "error" if call.error else "refused" if call.refused else "answered"
        metrics = self._gateway.metrics
        metrics.calls.labels(call.experiment, call.arm, call.reason, self.arrival.dialect.name, result).inc()
        metrics.latency.labels(call.experiment).observe(happened.seconds)
        return self.kept

    def _call(self, happened: Happened) -> Call:
        return call_of(
            self.arrival,
            happened,
            splitter=self._gateway.splitter,
            pseudonymiser=self._gateway.pseudonymiser,
            refusals=self._gateway.refusals,
        )


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
