"""Whatever a backend does, a small named error comes out, or the answer's bytes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from backends.client import Client, new_session
from backends.errors import (
    BackendDown,
    BackendError,
    BackendStatus,
    BackendTimeout,
    BadAnswer,
    ModelMissing,
    Untranslatable,
)
from backends.protocols import WIRES
from backends.request import Outgoing

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
OUT = Outgoing("/api/generate", b"{}", {})


@asynccontextmanager
async def backend(handler: Handler) -> AsyncIterator[str]:
    async def handle(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    app = web.Application()
    app.router.add_post("/api/generate", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def whole(url: str, wire: str = "ollama", seconds: float = 5) -> bytes:
    async with new_session(1) as session:
        return await Client(session).whole(WIRES[wire], url, OUT, model="m", seconds=seconds, headers={})


async def lines(url: str, seconds: float = 5) -> list[bytes]:
    async with new_session(1) as session:
        stream = await Client(session).stream(WIRES["ollama"], url, OUT, model="m", seconds=seconds, headers={})
        found = []
        try:
            while some := await stream.lines():
                found += some
        finally:
            stream.close()
        return found


def against(handler: Handler, ask: Callable[[str], Awaitable[object]]) -> object:
    async def both() -> object:
        async with backend(handler) as url:
            return await ask(url)

    return asyncio.run(both())


async def slow(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(5)
    return web.Response()


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


async def half(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"half")
    assert request.transport is not None
    request.transport.close()
    return response


def answering(status: int, body: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body)

    return answer


@pytest.mark.parametrize("ask", [whole, lines])
@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (answering(404, '{"error":"model \'m\' not found"}'), ModelMissing),
        (answering(404, "404 page not found"), BackendStatus),
        (answering(500, '{"error":"no memory"}'), BackendStatus),
        (answering(302, ""), BackendStatus),
        (hangs_up, BackendDown),
        (half, BackendDown),
    ],
)
def test_errors_have_names(
    ask: Callable[[str], Awaitable[object]], handler: Handler, expected: type[BackendError]
) -> None:
    with pytest.raises(expected) as caught:
        against(handler, ask)
    assert caught.value.summary.endswith((".", "url", "model"))


@pytest.mark.parametrize("ask", [whole, lines])
def test_a_slow_backend_is_a_timeout(ask: Callable[..., Awaitable[object]]) -> None:
    with pytest.raises(BackendTimeout, match=r"within 0\.05 s"):
        against(slow, lambda url: ask(url, seconds=0.05))


def test_a_closed_port_and_a_name_without_address_are_down() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://nowhere.invalid", "http://["):
        with pytest.raises(BackendDown):
            asyncio.run(whole(url))


def test_an_answer_without_end_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.client.MAX_ANSWER", 1000)
    endless = answering(200, "x" * 5000)
    for ask in (whole, lines):
        with pytest.raises(BadAnswer):
            against(endless, ask)


def test_lines_are_whole_whatever_the_chunks() -> None:
    data = b'{"a":"\r"}\n\n{"b":"\xc3\xa4"}\r\n{"c":1}'

    async def drop_by_drop(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for byte in data:
            await response.write(bytes([byte]))
        return response

    assert against(drop_by_drop, lines) == [b'{"a":"\r"}\n', b"\n", b'{"b":"\xc3\xa4"}\r\n', b'{"c":1}']


def test_what_a_backend_said_stays_out_of_the_summary() -> None:
    for error in (
        ModelMissing("u", "m", "secret"),
        BackendStatus("u", "m", 500, "secret"),
        BackendDown("u", "m", "secret"),
    ):
        assert "secret" not in error.summary
        assert "secret" in str(error)
        assert "m" in error.summary
    assert "images" in str(Untranslatable("u", "m", "openai", "images"))


def test_a_password_in_a_url_stays_out_of_every_message() -> None:
    error = BackendDown("http://me:secret@gpu:8000", "m")
    assert "secret" not in f"{error} {error.summary} {error.url}"
    assert "http://gpu:8000" in str(error)
