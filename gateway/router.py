"""The model endpoints: whose request is this? An alias's call, or something that passes through."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from backends.rewrite import models
from gateway.access import foreign_origin
from gateway.aliased import answer, error_response
from gateway.dialect import Dialect
from gateway.proxy import forward
from gateway.state import GATEWAY

_DRAINED = 64 * 2**20
"""Of a body that is refused, so much is read before the answer: a client that is still sending reads no answer."""


def endpoint(dialect: Dialect) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of one dialect's path."""

    async def handle(request: web.Request) -> web.StreamResponse:
        gateway = request.app[GATEWAY]
        limit = gateway.settings.max_body_bytes
        head, complete = await read(request, limit)
        named = list(models(head))
        experiment = next((name for model in named if (name := gateway.experiment_of(model))), None)
        if experiment is None and (complete or named):
            return await forward(gateway, request, head, complete)
        if experiment is None or not complete:
            await _drain(request)
            return error_response(dialect, f"the request is larger than {limit} bytes: send a shorter prompt", 413)
        if foreign_origin(gateway, request):
            return error_response(dialect, "web pages of other places may not ask for this model", 403)
        return await answer(gateway, request, dialect, experiment, head)

    return handle


async def read(request: web.Request, limit: int) -> tuple[bytes, bool]:
    """(body or its beginning, whether that is all).

    Args:
        request: the host's.
        limit: bytes; reading stops behind them.
    """
    parts: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        parts.append(chunk)
        size += len(chunk)
        if size > limit:
            return b"".join(parts), False
    return b"".join(parts), True


async def _drain(request: web.Request) -> None:
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > _DRAINED:
            return
