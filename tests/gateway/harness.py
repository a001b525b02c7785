"""A gateway, a backend and an owner service on loopback, in one thread with its own loop."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from demo.ollama_double import DoubleSettings, create_double
from experiment.arms import Arms
from experiment.config import ExperimentSettings
from experiment.events import Call
from experiment.permit import Permit
from experiment.pseudonym import Pseudonymiser
from gateway.access import tokens
from gateway.app import create_app
from gateway.config import GatewaySettings, OutboxSettings
from gateway.serve import runner_of
from gateway.state import GATEWAY, Gateway, Paths

T = TypeVar("T")

KEY = bytes(range(32))
PSEUDONYMISER = Pseudonymiser(KEY)
BASE, ADAPTER, ALIAS = "qwen3:4b", "qwen3:4b-ai4artsed-v1", "equipoise-stage2"
TOKEN = "host-token"
FIXED = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


class Loop:
    """An event loop in a thread, so that synchronous clients can be tested against servers in it."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def call(self, function: Callable[[], T]) -> T:
        async def work() -> T:
            return function()

        return self.run(work())

    def serve(self, app: web.Application, runner: web.AppRunner | None = None) -> "Server":
        return self.run(_serve(app, runner))

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


class Server:
    def __init__(self, app: web.Application, runner: web.AppRunner, url: str) -> None:
        self.app, self.runner, self.url = app, runner, url


async def _serve(app: web.Application, runner: web.AppRunner | None) -> Server:
    runner = runner or web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return Server(app, runner, f"http://127.0.0.1:{runner.addresses[0][1]}")


class FakeApi:
    """A small owner service: checks every call with the real model and answers as the contract says."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.bodies: dict[str, str] = {}
        self.posts = 0
        self.status = 0
        """Another status for every post, 0 for none."""
        self.refuse: Callable[[Call], bool] = lambda call: False
        self.authorization: set[str] = set()

    def app(self) -> web.Application:
        app = web.Application(client_max_size=8 * 2**20)
        app.router.add_post("/v1/calls", self._post)
        return app

    async def _post(self, request: web.Request) -> web.Response:
        self.posts += 1
        self.authorization.add(request.headers.get("Authorization", ""))
        if self.status:
            return web.json_response({"detail": "as the test wants"}, status=self.status)
        items = []
        for value in json.loads(await request.read()):
            call = Call.model_validate(value)
            if self.refuse(call):
                items.append({"id": call.id, "status": 422, "detail": "unknown experiment"})
                continue
            known = self.bodies.get(call.id)
            status = 201 if known is None else 200 if known == call.digest() else 409
            if known is None:
                self.bodies[call.id] = call.digest()
                self.calls.append(call)
            items.append({"id": call.id, "status": status})
        statuses = {item["status"] for item in items}
        return web.json_response({"items": items}, status=statuses.pop() if len(statuses) == 1 else 207)


def experiment(backend: str, **more: Any) -> ExperimentSettings:
    """Two arms; by default every unit falls to the adapter, so that what happens does not hang on a hash."""
    arms = {
        "base": {"model": BASE, "url": backend, "weight": more.pop("base_weight", 0)},
        "adapter": {"model": ADAPTER, "url": backend, "weight": 1},
    }
    for name, changes in more.pop("arms", {}).items():
        arms[name] |= changes
    return ExperimentSettings.model_validate({"alias": ALIAS, "arms": arms} | more)


class House:
    """Everything around one gateway, for one test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.loop = Loop()
        self.api = FakeApi()
        self.permits = folder / "permits"
        self.permits.mkdir()
        self.outbox = folder / "outbox"
        self.now = lambda: datetime.now(UTC)
        self._servers: list[Server] = []
        self.api_server = self.serve(self.api.app())
        self.double = self.serve(create_double(DoubleSettings(latency_ms=10, spread_ms=0, clock=lambda: FIXED)))
        self.experiments = {"stage2": experiment(self.double.url)}
        self.gateway: Server | None = None

    @property
    def url(self) -> str:
        assert self.gateway is not None
        return self.gateway.url

    @property
    def state(self) -> Gateway:
        assert self.gateway is not None
        return self.gateway.app[GATEWAY]

    def serve(self, app: web.Application, runner: web.AppRunner | None = None) -> Server:
        server = self.loop.serve(app, runner)
        self._servers.append(server)
        return server

    def start(self, *, open_mode: bool = False, **settings: Any) -> str:
        outbox = {"linger_ms": 1, "retry_s": 0.05, "retry_max_s": 0.1, "drain_s": 1} | settings.pop("outbox", {})
        section = GatewaySettings.model_validate(
            {
                "port": 0,
                "upstream_url": self.double.url,
                "outbox": OutboxSettings.model_validate(outbox),
                "allow_assignments_without_token": open_mode,
            }
            | settings
        )
        app = create_app(
            section,
            self.experiments,
            Paths(self.permits, self.outbox),
            PSEUDONYMISER,
            self.api_server.url,
            "api-token",
            None if open_mode else tokens([TOKEN]),
            self.now,
        )
        self.gateway = self.serve(app, runner_of(app))
        return self.gateway.url

    def stop(self) -> None:
        """Stop the gateway gracefully."""
        assert self.gateway is not None
        self.loop.run(self.gateway.runner.cleanup())
        self._servers.remove(self.gateway)
        self.gateway = None

    def permit(
        self, *open_arms: str, name: str = "stage2", epoch: int = 1, arms: Arms | None = None, **more: Any
    ) -> Path:
        """Write a permit as the owner service does: a new file under the old name."""
        section = arms or self.experiments[name].proposed(name)
        permit = Permit(epoch=epoch, arms=section, open_arms=frozenset(open_arms), **more)
        return self.write_permit(permit.model_dump_json(), name)

    def write_permit(self, content: str, name: str = "stage2") -> Path:
        path = self.permits / f"{name}.json"
        new = path.with_suffix(".new")
        new.write_text(content)
        os.replace(new, path)
        return path

    def delivered(self, count: int) -> list[Call]:
        """The calls that reached the API, once there are that many."""
        wait_until(lambda: len(self.api.calls) >= count, f"{count} calls, {len(self.api.calls)} came")
        return list(self.api.calls)

    def close(self) -> None:
        for server in reversed(self._servers):
            self.loop.run(server.runner.cleanup())
        self.loop.close()


def wait_until(holds: Callable[[], bool], what: str, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.005)


async def until(holds: Callable[[], bool]) -> None:
    """The same within a coroutine."""
    end = time.monotonic() + 10
    while not holds():  # what is waited for happens in another thread's loop
        assert time.monotonic() < end, "never happened"
        await asyncio.sleep(0.001)


def age_file(path: Path, seconds: float) -> None:
    """Make a file look as old as that; negative: from the future."""
    then = (datetime.now(UTC) - timedelta(seconds=seconds)).timestamp()
    os.utime(path, (then, then))


def backend(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    """A backend that does what a test wants, whatever is asked."""
    app = web.Application(client_max_size=64 * 2**20)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app.router.add_route("*", "/{path:.*}", handle)
    return app


PROMPT = "Task:\nRewrite it.\n\nContext:\nWie ein Tier es sieht\n\nPrompt:\nEin Haus im Wald"
