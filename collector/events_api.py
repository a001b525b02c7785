"""``POST /v1/calls`` and ``/v1/outcomes``: one object or a list, answered after the commit is on disk."""

import asyncio
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from collector.access import AsHost, Store
from collector.problems import Problem, problem_response
from experiment.events import Call, Outcome
from warehouse.ingest import Event, ItemResult
from warehouse.store import Warehouse

router = APIRouter()

MAX_BODY: Final = 8 << 20
MAX_ITEMS: Final = 1000


def _body_docs(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    listed = {"type": "array", "items": schema, "minItems": 1, "maxItems": MAX_ITEMS}
    content = {"application/json": {"schema": {"oneOf": [schema, listed]}}}
    return {"requestBody": {"required": True, "content": content}}


ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "known already: nothing changed"},
    201: {"description": "stored; on disk"},
    207: {"description": "a list with mixed results: a status per item"},
    409: {"description": "this id is known with another content; the first is kept"},
    413: {"description": "body over 8 MB or list over 1,000 items"},
    422: {"description": "not a valid event, or unknown experiment or arm"},
    503: {"description": "queue or disk full; retry after the header's seconds"},
}


async def read_body(request: Request) -> bytes:
    """The body, refused as soon as it exceeds the limit.

    Raises:
        Problem: 413.
    """
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > MAX_BODY:
            raise Problem(413, f"the body is larger than {MAX_BODY >> 20} MB: send smaller batches")
        chunks.append(chunk)
    return b"".join(chunks)


def _parse(body: bytes) -> tuple[list[Any], bool]:
    """(items, was it a list).

    Raises:
        Problem: 422 not JSON, 413 too many items.
    """
    try:
        content = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Problem(422, f"the body is not valid JSON: {error}") from error
    if isinstance(content, dict):
        return [content], False
    if not isinstance(content, list) or not content:
        raise Problem(422, "the body must be one object or a list of at least one")
    if len(content) > MAX_ITEMS:
        raise Problem(413, f"{len(content)} items in one request, at most {MAX_ITEMS}: send smaller batches")
    return content, True


def _validate(item: Any, model: type[Call] | type[Outcome]) -> Event | ItemResult:
    try:
        return model.model_validate(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        name = item.get("id", "") if isinstance(item, dict) else ""
        detail = f"{place}: {first['msg']}{more}" if place else f"{first['msg']}{more}"
        return ItemResult(str(name)[:128], 422, detail)


async def _store(store: Warehouse, items: list[Any], model: type[Call] | type[Outcome]) -> list[ItemResult]:
    checked = [_validate(item, model) for item in items]
    events = [item for item in checked if isinstance(item, Call | Outcome)]
    results = await asyncio.wrap_future(store.submit(events)) if events else []
    stored = iter(results)
    return [item if isinstance(item, ItemResult) else next(stored) for item in checked]


def _json(result: ItemResult) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": result.id, "status": result.status}
    if result.detail:
        answer["detail"] = result.detail
    if result.pending:
        answer["pending"] = True
    return answer


async def _answer(request: Request, store: Warehouse, model: type[Call] | type[Outcome]) -> JSONResponse:
    items, listed = _parse(await read_body(request))
    results = await _store(store, items, model)
    if listed:
        statuses = {result.status for result in results}
        status = statuses.pop() if len(statuses) == 1 and statuses <= {200, 201} else 207
        return JSONResponse({"items": [_json(result) for result in results]}, status_code=status)
    result = results[0]
    if result.status in (409, 422):
        return problem_response(result.status, result.detail, id=result.id)
    return JSONResponse(_json(result), status_code=result.status)


@router.post("/v1/calls", tags=["events"], openapi_extra=_body_docs(Call), responses=ANSWERS, status_code=201)
async def post_calls(request: Request, store: Store, _: AsHost) -> JSONResponse:
    """Store one Stage 2 call or a list of at most 1,000. Safe to repeat: a known id changes nothing."""
    return await _answer(request, store, Call)


@router.post("/v1/outcomes", tags=["events"], openapi_extra=_body_docs(Outcome), responses=ANSWERS, status_code=201)
async def post_outcomes(request: Request, store: Store, _: AsHost) -> JSONResponse:
    """Store one outcome or a list of at most 1,000; one whose call is not there yet is kept as pending."""
    return await _answer(request, store, Outcome)
