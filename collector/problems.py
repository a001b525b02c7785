"""Errors as problem+json (RFC 9457): what happened and what to do; never a traceback."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from experiment.guard import GuardRefused
from warehouse.errors import Busy, Rejected, StoreError

_LOG = logging.getLogger("equipoise.collector")


class Problem(Exception):
    """An answer other than success.

    Args:
        status: HTTP status.
        detail: one or two sentences: what happened, what to do.
        headers: extra headers, such as Retry-After.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers or {}


def problem_response(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """A problem+json answer."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return JSONResponse(body, status_code=status, headers=headers, media_type="application/problem+json")


def _first_error(errors: Any) -> str:
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def install(app: FastAPI) -> None:
    """Register the handlers that turn every exception into a problem."""
    handlers: dict[type[Exception], Callable[[Request, Any], Awaitable[JSONResponse]]] = {}

    async def on_problem(_: Request, error: Problem) -> JSONResponse:
        return problem_response(error.status, error.detail, error.headers)

    async def on_http(_: Request, error: HTTPException) -> JSONResponse:
        return problem_response(error.status_code, str(error.detail), dict(error.headers or {}))

    async def on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem_response(422, _first_error(error.errors()))

    async def on_busy(_: Request, error: Busy) -> JSONResponse:
        return problem_response(503, str(error), {"Retry-After": "1"})

    async def on_store(_: Request, error: StoreError) -> JSONResponse:
        return problem_response(503, str(error), {"Retry-After": "10"})

    async def on_overflow(_: Request, error: OverflowError) -> JSONResponse:
        return problem_response(422, "a number or a time is out of range")

    async def on_refused(_: Request, error: GuardRefused) -> JSONResponse:
        return problem_response(409, str(error))

    async def on_rejected(_: Request, error: Rejected) -> JSONResponse:
        return problem_response(422, str(error))

    async def on_bug(_: Request, error: Exception) -> JSONResponse:
        # The rim: the traceback goes to our log (it holds no texts), the caller gets a sentence.
        _LOG.error("unexpected error", exc_info=error)
        return problem_response(500, "an unexpected error; the service's log says more")

    handlers = {
        Problem: on_problem, HTTPException: on_http, RequestValidationError: on_invalid, Busy: on_busy,
        StoreError: on_store, GuardRefused: on_refused, OverflowError: on_overflow, Rejected: on_rejected,
        Exception: on_bug,
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
