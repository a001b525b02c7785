"""Everything that is no Stage 2 call: passed on to the upstream, untouched and unlogged, streamed both ways."""

import json
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from gateway.config import GatewaySettings
from gateway.state import GATEWAY, Gateway

log = logging.getLogger("equipoise.gateway")

_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade"}
)  # fmt: skip
"""RFC 9110, 7.6.1: these speak about one connection, not about the message."""
_AUTOMATIC: Final = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


def new_session(connect_s: float) -> aiohttp.ClientSession:
    """A pool for what passes through: bodies stay as they are, no header is added, no answer is too slow."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_AUTOMATIC,
        auto_decompress=False,
    )


def target(settings: GatewaySettings, path: URL) -> URL:
    """Where a path goes. Scheme, host and port always come from the configuration, whatever the request says.

    Args:
        settings: upstreams.
        path: the request's url; only its path and query are used.
    """
    prefix = max((p for p in settings.upstreams if path.raw_path.startswith(p)), key=len, default=None)
    base = URL(settings.upstream_url if prefix is None else settings.upstreams[prefix])
    return URL.build(
        scheme=base.scheme,
        user=base.user,
        password=base.password,
        host=base.host or "",
        port=base.port,
        path=base.raw_path.rstrip("/") + "/" + path.raw_path.lstrip("/"),
        query_string=path.raw_query_string,
        encoded=True,
    )


def end_to_end(headers: Iterable[tuple[str, str]], connection: str) -> CIMultiDict[str]:
    """The headers that go on: all but those of this one connection, and our own.

    Args:
        headers: of a request or an answer.
        connection: its Connection header, which may name more of them.
    """
    named = {name.strip().lower() for name in connection.split(",")}
    dropped = _HOP_BY_HOP | named | {"host"}
    return CIMultiDict(
        (name, value)
        for name, value in headers
        if name.lower() not in dropped and not name.lower().startswith("x-equipoise-")
    )


async def pass_through(request: web.Request) -> web.StreamResponse:
    """Handler for every path that is not ours."""
    return await forward(request.app[GATEWAY], request, None, True)


async def forward(gateway: Gateway, request: web.Request, head: bytes | None, complete: bool) -> web.StreamResponse:
    """Pass a request on and its answer back.

    Args:
        gateway: settings and parts.
        request: the host's.
        head: what has been read of its body; None if nothing has.
        complete: whether ``head`` is the whole body.
    """
    gateway.metrics.passed.inc()
    data: bytes | AsyncIterator[bytes] | None
    if head is None:
        data = _body(request, b"") if request.body_exists else None
    else:
        data = head if complete else _body(request, head)
    url = target(gateway.settings, request.rel_url)
    try:
        upstream = await _ask(gateway, request, url, data)
    except (aiohttp.ClientError, OSError, ValueError):
        log.warning("the upstream %s does not answer", url.origin())
        return _down(f"the upstream {url.origin()} does not answer: start it or correct [gateway] upstream_url")
    try:
        return await _back(request, upstream)
    finally:
        upstream.close()


async def _ask(
    gateway: Gateway, request: web.Request, url: URL, data: bytes | AsyncIterator[bytes] | None
) -> aiohttp.ClientResponse:
    headers = end_to_end(request.headers.items(), request.headers.get("Connection", ""))
    for last in (False, True):
        try:
            return await gateway.upstream.request(
                request.method, url, data=data, headers=headers, allow_redirects=False
            )
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # A kept connection that the upstream closed in this moment. A body that was streamed can't be sent again.
            if last or not (data is None or isinstance(data, bytes)):
                raise
    raise AssertionError("unreachable: the second attempt returns or raises")


async def _body(request: web.Request, head: bytes) -> AsyncIterator[bytes]:
    if head:
        yield head
    async for chunk in request.content.iter_any():
        yield chunk


async def _back(request: web.Request, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = end_to_end(upstream.headers.items(), upstream.headers.get("Connection", ""))
    response = web.StreamResponse(status=upstream.status, reason=upstream.reason, headers=headers)
    await response.prepare(request)
    try:
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
    except aiohttp.ClientError:
        # The upstream broke off; the host must see a broken answer too, not a short one that looks complete.
        if request.transport is not None:
            request.transport.close()
    return response


def _down(message: str) -> web.Response:
    return error(502, message)


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An error in Ollama's form, which the hosts of this upstream can read."""
    return web.Response(
        status=status,
        body=json.dumps({"error": message}).encode(),
        headers={**(headers or {}), "Content-Type": "application/json; charset=utf-8"},
    )
