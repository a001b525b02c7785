"""The owner service where none runs: the same application as a uvicorn thread on a loopback port, stopped afterwards.

Who owns the warehouse is decided by the lock on its file and by nothing else: the service is started here first, and
if the file is held, the API of the process that holds it is used. A real server rather than an in-process ASGI client:
that buffers whole streams and runs no lifespan.
"""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvicorn

from client.errors import Held, ServiceDown, ServiceError
from client.http import Client

if TYPE_CHECKING:
    from fastapi import FastAPI

    from collector.config import ServiceConfig
    from collector.tokens import Role

_START_S: Final = 60.0
"""A migration copies the file first, which takes a while with a large one."""
_STOP_S: Final = 30.0
_here: set[Path] = set()
"""Data folders open in this process: DuckDB would let a second service in, and two writers would count twice."""


@contextmanager
def embedded(config: "ServiceConfig", *, role: "Role" = "researcher", timeout: float = 30.0) -> Iterator[Client]:
    """A client of the installation's owner service, which is started for the time of the ``with`` if none runs.

    Args:
        config: the sections of equipoise.toml that the service needs.
        role: whose token the client bears; erasing takes 'admin'.
        timeout: seconds for each of the client's requests.

    Raises:
        Held: another process holds the warehouse and its API is not to be had; the text names process and command.
        ServiceDown: the service does not start; the text says why.
        ValueError: the configuration cannot be served, or this process has the folder open already.
    """
    from collector.app import create_app, load_tokens
    from warehouse.errors import StoreError, StoreHeld

    folder = config.service.data.resolve()
    if folder in _here:
        raise ValueError(f"{folder} is open in this process already: use that client")
    app = create_app(config)
    tokens = load_tokens(config.service)
    token = tokens.token(role) if tokens is not None else ""
    service = _Service(app)
    _here.add(folder)
    try:
        try:
            client = Client(service.start(), token, timeout)
        except StoreHeld as error:
            client = _running(config, token, timeout, str(error))
        except StoreError as error:
            raise ServiceDown(str(error)) from error
        with client:
            yield client
    finally:
        service.stop()
        _here.discard(folder)


def _running(config: "ServiceConfig", token: str, timeout: float, held: str) -> Client:
    """A client of the service that holds the file.

    Raises:
        Held: it does not answer, or does not know this installation's token.
    """
    host = config.service.host
    host = "127.0.0.1" if host == "0.0.0.0" else f"[{host}]" if ":" in host else host
    url = f"http://{host}:{config.service.api_port}"
    client = Client(url, token, timeout, patience=5.0)
    try:
        # Not its health: only an answer to our token says that it is this installation's service.
        client.experiments()
    except ServiceError as error:
        client.close()
        held = " ".join(held.split())  # the holder's command may have line breaks in it
        raise Held(f"{held} Its API at {url} could not be used: {error}") from error
    return client


class _Service:
    """The application in a thread with an event loop of its own.

    Args:
        app: what :func:`collector.app.create_app` made.
    """

    def __init__(self, app: "FastAPI") -> None:
        self._app = app
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                lifespan="off",  # run below, where an error of it can be caught instead of being printed
                log_config=None,
                log_level="warning",
                access_log=False,  # access logs hold addresses, and no address is ever kept
                server_header=False,
                timeout_graceful_shutdown=20,
            )
        )
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> str:
        """Start and wait until it answers.

        Returns:
            Its address.

        Raises:
            ServiceDown: it did not start in time.
            Exception: what kept its lifespan from starting.
        """
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, args=(listener,), name="equipoise-service", daemon=True)
        self._thread.start()
        deadline = time.monotonic() + _START_S
        while not self._server.started:
            if self._error is not None:
                raise self._error
            if time.monotonic() > deadline:
                raise ServiceDown(f"the embedded service did not start within {_START_S:.0f} s; is the disk slow?")
            time.sleep(0.005)
        host, port = listener.getsockname()
        return f"http://{host}:{port}"

    def _run(self, listener: socket.socket) -> None:
        try:
            asyncio.run(self._serve(listener))
        except BaseException as error:
            # The rim of the thread: start() raises it where somebody can see it.
            self._error = error
        finally:
            listener.close()

    async def _serve(self, listener: socket.socket) -> None:
        async with self._app.router.lifespan_context(self._app):
            await self._server.serve(sockets=[listener])

    def stop(self) -> None:
        """Finish what is under way, store what is queued, close the warehouse."""
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(_STOP_S)
