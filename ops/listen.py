"""A bound port, or one line that names who has it."""

import errno
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from ops.errors import UserError
from ops.logs import LastError
from ops.processes import listener


def bind(host: str, port: int, what: str) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Args:
        host: address to listen on.
        port: 0 … 65535.
        what: the setting that the message names, such as ``[service] api_port``.

    Raises:
        UserError: the port is taken (naming the process) or the address can't be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        # Listening now: two of us may both bind with SO_REUSEADDR, but only one listens.
        sock.listen(2048)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(port_taken(port, what)) from None
        raise UserError(
            f"{what}: can't listen on {host}:{port}: {error.strerror}; choose another host or port"
        ) from None
    sock.setblocking(False)
    return sock


def port_taken(port: int, what: str) -> str:
    """The sentence for a taken port."""
    holder = listener(port)
    who = str(holder) if holder else "another process (not visible from here)"
    return f"port {port} is taken by {who}: stop it, or set {what} to another port"


def is_free(host: str, port: int) -> bool:
    """Whether a port can be listened on now."""
    try:
        bind(host, port, "").close()
    except UserError:
        return False
    return True


def free_port(host: str) -> int:
    """A port that is free now."""
    sock = bind(host, 0, "")
    port = int(sock.getsockname()[1])
    sock.close()
    return port


def serve_asgi(app: Callable[..., Any], sock: socket.socket) -> None:
    """Serve an app on a bound socket until SIGINT or SIGTERM. Logging is set up before.

    Raises:
        UserError: the app could not start; its own words.
    """
    heard = LastError()
    logging.getLogger("uvicorn.error").addHandler(heard)
    config = uvicorn.Config(
        app,
        access_log=False,  # it would keep addresses, and paths may hold ids
        log_config=None,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=8,
    )
    try:
        uvicorn.Server(config).run(sockets=[sock])
    except SystemExit:  # uvicorn's way of saying that the app's start failed
        raise UserError(heard.line or "the service could not start; its log says more") from None
