"""Lists of models that also name the aliases, and what an alias looks like."""

import json
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web

from backends.errors import BackendError
from backends.protocols import WIRES
from backends.request import Outgoing
from backends.rewrite import models, rename
from experiment.arms import Arms, same_model
from gateway.aliased import JSON, status_of
from gateway.dialect import stamp
from gateway.proxy import end_to_end, error, forward, target
from gateway.router import read
from gateway.state import GATEWAY, Gateway

_Entry = Callable[[Gateway, str, Arms, list[Any]], dict[str, Any]]


async def tags(request: web.Request) -> web.StreamResponse:
    """``GET /api/tags``: the upstream's models and every alias, which looks like its base arm's model."""
    return await _listed(request, "models", _tag)


async def openai_models(request: web.Request) -> web.StreamResponse:
    """``GET /v1/models``: the upstream's models and every alias."""
    return await _listed(request, "data", _model)


async def _listed(request: web.Request, key: str, entry: _Entry) -> web.StreamResponse:
    gateway = request.app[GATEWAY]
    url = target(gateway.settings, request.rel_url)
    headers = end_to_end(request.headers.items(), request.headers.get("Connection", ""))
    headers.popall("Accept-Encoding", None)  # the list is changed, so it must come uncompressed
    try:
        async with gateway.upstream.get(url, headers=headers, allow_redirects=False) as upstream:
            data, status = await upstream.read(), upstream.status
    except (aiohttp.ClientError, OSError):
        message = f"the upstream {url.origin()} does not answer: start it or correct [gateway] upstream_url"
        return error(502, message)
    return web.Response(status=status, body=_with_aliases(gateway, data, key, entry), headers={"Content-Type": JSON})


def _with_aliases(gateway: Gateway, data: bytes, key: str, entry: _Entry) -> bytes:
    try:
        value = json.loads(data)
        listed = value[key]
        if not isinstance(listed, list):
            return data
    except (ValueError, KeyError, TypeError):
        return data  # an error of the upstream's, or another service: as it is
    added = [entry(gateway, alias, gateway.proposed[name], listed) for alias, name in gateway.aliases.items()]
    return json.dumps({**value, key: [*listed, *added]}).encode()


def _tag(gateway: Gateway, alias: str, arms: Arms, listed: list[Any]) -> dict[str, Any]:
    model = arms.arm(arms.base).model
    base = next((m for m in listed if isinstance(m, dict) and same_model(model, str(m.get("name", "")))), None)
    if base is None:
        details = {"parent_model": "", "format": "", "family": "", "families": [], "parameter_size": ""}
        details["quantization_level"] = ""
        base = {"modified_at": stamp(gateway.clock()), "size": 0, "digest": "", "details": details}
    return {**base, "name": f"{alias}:latest", "model": f"{alias}:latest"}


def _model(gateway: Gateway, alias: str, arms: Arms, listed: list[Any]) -> dict[str, Any]:
    return {"id": alias, "object": "model", "created": int(gateway.clock().timestamp()), "owned_by": "equipoise"}


async def show(request: web.Request) -> web.StreamResponse:
    """``POST /api/show``: an alias is shown as its base arm's model; every other model passes through."""
    gateway = request.app[GATEWAY]
    data, complete = await read(request, gateway.settings.max_body_bytes)
    named = _named(data)
    experiment = next((name for model in named if (name := gateway.experiment_of(model))), None)
    if experiment is None or not complete:
        return await forward(gateway, request, data, complete)
    arms = gateway.proposed[experiment]
    base = arms.arm(arms.base)
    if base.backend != "ollama":
        return error(404, f"model {named[0]!r} is an alias whose base arm is not served by Ollama: nothing to show")
    out = Outgoing("/api/show", _asked(data, base.model), {})
    try:
        shown = await gateway.client.whole(
            WIRES["ollama"], base.url, out, model=base.model, seconds=gateway.settings.answer_timeout_s, headers={}
        )
    except BackendError as failure:
        return error(status_of(failure), str(failure))
    return web.Response(body=shown, headers={"Content-Type": JSON})


def _named(data: bytes) -> list[str]:
    # Older clients say 'name' here; newer ones say 'model'.
    names = list(models(data))
    try:
        name = json.loads(data).get("name")
    except (ValueError, AttributeError, RecursionError):
        name = None
    return [*names, name] if isinstance(name, str) else names


def _asked(data: bytes, model: str) -> bytes:
    value = json.loads(rename(data, model))
    return json.dumps({**value, "model": model, **({"name": model} if "name" in value else {})}).encode()
