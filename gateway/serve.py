"""The gateway as a process: uvloop where present, signals, a port that is taken, a graceful end."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from experiment.config import ExperimentSettings
from experiment.pseudonym import Pseudonymiser
from gateway.app import Misconfigured, create_app
from gateway.config import GatewaySettings
from gateway.segments import OutboxBusy
from gateway.state import Paths, TokenCheck

_CALLS_END_S: Final = 5.0
"""How long a stopping gateway lets calls under way finish; then they are logged as stopped."""


class CannotStart(RuntimeError):
    """The gateway can't start; the text says why and what to do."""


def run(
    settings: GatewaySettings,
    experiments: Mapping[str, ExperimentSettings],
    paths: Paths,
    pseudonymiser: Pseudonymiser,
    api_url: str,
    api_token: str | Callable[[], str],
    token_check: TokenCheck | None,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    on_ready: Callable[[str], None] = lambda url: None,
) -> None:
    """Serve until SIGINT or SIGTERM, then let calls finish and deliver what is in the outbox for some seconds.

    Args:
        settings: the ``[gateway]`` section.
        experiments: the ``[experiment.NAME]`` sections.
        paths: permits and outbox.
        pseudonymiser: under the installation's key.
        api_url: the owner service.
        api_token: for the owner service; a function is asked at every delivery.
        token_check: see :func:`gateway.app.create_app`.
        clock: aware time.
        on_ready: is told the address once requests are answered.

    Raises:
        CannotStart: port taken, outbox in use or not writable, settings that make no gateway.
    """
    try:
        app = create_app(settings, experiments, paths, pseudonymiser, api_url, api_token, token_check, clock)
    except Misconfigured as error:
        raise CannotStart(str(error)) from error
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(app, settings, on_ready))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows
        return None
    return uvloop.new_event_loop


async def _serve(app: web.Application, settings: GatewaySettings, on_ready: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
            loop.add_signal_handler(number, stop.set)
    runner = runner_of(app)
    try:
        with contextlib.ExitStack() as stack:
            listening = stack.enter_context(_socket(settings))
            await _start(runner, listening, settings)
            # What stands now stays: without this, every full collection walks through all of it while hosts wait.
            gc.collect()
            gc.freeze()
            on_ready(_address(listening))
            await stop.wait()
    finally:
        await runner.cleanup()


def runner_of(app: web.Application) -> web.AppRunner:
    """The runner with what this application relies on.

    No access log (it would hold addresses); aiohttp's own error log goes nowhere for the same reason, our rim writes
    what matters; a host that hangs up cancels its handler; bodies are left compressed, as they are passed on.
    """
    quiet = logging.getLogger("equipoise.gateway.http")
    quiet.disabled = True
    return web.AppRunner(
        app,
        access_log=None,
        logger=quiet,
        handler_cancellation=True,
        auto_decompress=False,
        shutdown_timeout=_CALLS_END_S,
        keepalive_timeout=75,
    )


def _socket(settings: GatewaySettings) -> socket.socket:
    """Bound before anything else starts, so that a second gateway fails at once and touches nothing."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host.strip("[]"), settings.port))
    except OSError as error:
        listening.close()
        raise CannotStart(
            f"the gateway can't listen on {settings.host}:{settings.port} ({error.strerror}): "
            "stop what runs there or set another [gateway] port"
        ) from error
    return listening


async def _start(runner: web.AppRunner, listening: socket.socket, settings: GatewaySettings) -> None:
    try:
        await runner.setup()
        await web.SockSite(runner, listening, backlog=512).start()
    except OutboxBusy as error:
        raise CannotStart(str(error)) from error
    except OSError as error:
        raise CannotStart(f"the gateway can't start: {error.strerror} ({error.filename or settings.host})") from error


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
