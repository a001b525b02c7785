"""One pool of connections to all backends; failures come out as :mod:`backends.errors`, nothing else."""

import asyncio
from collections.abc import Mapping
from typing import Final

import aiohttp

from backends.answer import said
from backends.errors import BackendDown, BackendStatus, BackendTimeout, BadAnswer, ModelMissing
from backends.protocols import Wire
from backends.request import Outgoing

MAX_ANSWER: Final = 32 * 2**20
"""Bytes of one answer, or of one line of a stream. A Stage 2 answer has a few thousand."""

_NO_COMPRESSION: Final = ("Accept-Encoding",)


def new_session(connect_s: float) -> aiohttp.ClientSession:
    """A pool for backends: no cookies, no redirects by habit, no limit (the host's threads are the limit).

    Args:
        connect_s: seconds until a connection must stand.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=_NO_COMPRESSION,
        auto_decompress=True,
    )


class LineStream:
    """A streamed answer, as the complete lines of each chunk that arrives. Close it whatever happens."""

    def __init__(self, response: aiohttp.ClientResponse, url: str, model: str) -> None:
        self._response = response
        self._url = url
        self._model = model
        self._rest = b""

    @property
    def content_type(self) -> str:
        """The backend's own Content-Type."""
        return self._response.headers.get("Content-Type", "application/x-ndjson")

    async def lines(self) -> list[bytes]:
        """The next complete lines with their line ends; the last may lack one. Empty at the end of the stream.

        Raises:
            BackendError: the connection broke or a line is longer than :data:`MAX_ANSWER`.
        """
        while True:
            try:
                chunk = await self._response.content.readany()
            except (aiohttp.ClientError, OSError) as error:
                raise BackendDown(self._url, self._model) from error
            if not chunk:
                rest, self._rest = self._rest, b""
                return [rest] if rest else []
            *complete, self._rest = (self._rest + chunk).split(b"\n")
            if len(self._rest) > MAX_ANSWER:
                raise BadAnswer(self._url, self._model, "a line without end")
            if complete:
                return [line + b"\n" for line in complete]

    def close(self) -> None:
        """Give the connection up; an unfinished answer is cancelled at the backend by that."""
        self._response.close()


class Client:
    """Asks models. One per process; closes nothing that it was given.

    Args:
        session: a pool from :func:`new_session`.
    """

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def whole(
        self, wire: Wire, url: str, out: Outgoing, *, model: str, seconds: float, headers: Mapping[str, str]
    ) -> bytes:
        """The bytes of a whole answer with status 200.

        Args:
            wire: the protocol, to read errors by.
            url: the backend's base address.
            out: path and body.
            model: for messages.
            seconds: until the last byte.
            headers: beside the content type.

        Raises:
            BackendError: anything else.
        """
        try:
            async with asyncio.timeout(seconds):
                response = await self._post(url, out, model, headers)
                try:
                    body = await _read(response, url, model)
                    _check(wire, response.status, body, url, model)
                    return body
                finally:
                    response.release()
        except TimeoutError as error:
            raise BackendTimeout(url, model, seconds) from error

    async def stream(
        self, wire: Wire, url: str, out: Outgoing, *, model: str, seconds: float, headers: Mapping[str, str]
    ) -> LineStream:
        """A stream that has begun with status 200.

        Args:
            wire: the protocol, to read errors by.
            url: the backend's base address.
            out: path and body.
            model: for messages.
            seconds: until the answer's head stands.
            headers: beside the content type.

        Raises:
            BackendError: anything else.
        """
        try:
            async with asyncio.timeout(seconds):
                response = await self._post(url, out, model, headers)
                if response.status != 200:
                    try:
                        _check(wire, response.status, await _read(response, url, model), url, model)
                    finally:
                        response.close()
                return LineStream(response, url, model)
        except TimeoutError as error:
            raise BackendTimeout(url, model, seconds) from error

    async def _post(self, url: str, out: Outgoing, model: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        for last in (False, True):
            try:
                return await self._session.post(
                    url + out.path,
                    data=out.body,
                    headers={"Content-Type": "application/json", **headers},
                    allow_redirects=False,
                )
            except TimeoutError as error:  # aiohttp's own: the connection did not stand in time
                raise BackendDown(url, model) from error
            except (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError) as error:
                # A kept connection that the server closed in this moment looks like this; asking twice is harmless.
                if last:
                    raise BackendDown(url, model) from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                raise BackendDown(url, model) from error
        raise AssertionError("unreachable: the second attempt returns or raises")


async def _read(response: aiohttp.ClientResponse, url: str, model: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in response.content.iter_any():
            size += len(chunk)
            if size > MAX_ANSWER:
                response.close()
                raise BadAnswer(url, model, f"more than {MAX_ANSWER} bytes")
            parts.append(chunk)
    except (aiohttp.ClientError, OSError) as error:
        raise BackendDown(url, model) from error
    return b"".join(parts)


def _check(wire: Wire, status: int, body: bytes, url: str, model: str) -> None:
    if status == 200:
        return
    message = said(body)
    if wire.missing(status, message):
        raise ModelMissing(url, model, message)
    raise BackendStatus(url, model, status, message)
