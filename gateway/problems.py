"""problem+json, and the outermost rim: whatever happens inside, no traceback leaves the gateway."""

import asyncio
import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.state import GATEWAY

log = logging.getLogger("equipoise.gateway")


def problem(status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> web.Response:
    """An ``application/problem+json`` answer (RFC 9457).

    Args:
        status: HTTP status.
        detail: what happened and what to do.
        headers: beside the content type.
        more: further members.
    """
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        headers={**(headers or {}), "Content-Type": "application/problem+json"},
    )


@web.middleware
async def rim(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The outermost middleware: unexpected errors are counted, logged without texts, and answered as a problem."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return problem(error.status, f"{error.reason}: see gateway/README.md for the paths this gateway serves")
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception as error:  # the rim
        request.app[GATEWAY].metrics.unexpected.inc()
        # Neither the message nor the traceback's source lines: both may hold a prompt. Type and place are enough.
        log.error("unexpected %s at %s", type(error).__name__, _place(error))
        return problem(500, "the gateway met an unexpected error; its log names the place. Nothing you sent is in it.")


def _place(error: BaseException) -> str:
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
