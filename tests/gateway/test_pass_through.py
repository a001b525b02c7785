"""What is no Stage 2 call passes through untouched and unlogged."""

import asyncio
import gzip
import json
import logging
import socket

import aiohttp
import httpx
import pytest
from aiohttp import web
from yarl import URL

from gateway.config import GatewaySettings
from gateway.proxy import target
from tests.gateway.harness import ADAPTER, ALIAS, House, backend, wait_until

SECRET = "Der Name des Kindes ist Alma"


class Echo:
    """An upstream that remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append((request.method, request.raw_path, dict(request.headers), body))
        headers = {"X-Upstream": "1", "Server": "ollama", "Connection": "X-Private", "X-Private": "no"}
        return web.Response(status=418, body=b"\x00\xff" + body, headers=headers)


def quiet(house: House) -> None:
    assert not house.api.calls
    assert house.state.outbox.pending == 0


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/", "/api/pull", "/api/blobs/sha256:ab?x=%2F..%2f&y=ä", "/any/where//twice", "/v1/embeddings"]
)
def test_method_path_headers_and_body_come_through(house: House, method: str, path: str) -> None:
    echo = Echo()
    upstream = house.serve(backend(echo))
    url = house.start(upstream_url=upstream.url)
    answer = httpx.request(
        method, url + path, content=SECRET.encode(), headers={"X-Own": "1", "Te": "trailers", "X-Equipoise-Unit": "raw"}
    )
    [(seen_method, seen_path, headers, body)] = echo.seen
    assert (seen_method, body) == (method, SECRET.encode())
    assert URL(seen_path, encoded=True) == URL(str(httpx.URL(path)), encoded=True)
    assert headers["X-Own"] == "1"
    assert not {"Te", "X-Equipoise-Unit"} & set(headers)
    assert headers["Host"] == URL(upstream.url).authority
    assert (answer.status_code, answer.content) == (418, b"\x00\xff" + SECRET.encode())
    assert answer.headers["X-Upstream"] == "1"
    assert answer.headers["Server"] == "ollama"
    assert "X-Private" not in answer.headers
    quiet(house)


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/v1/chat/completions", "/api/llm/generate"])
@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"prompt": SECRET, "model": "gpt-oss:20b", "nested": {"model": ALIAS}}).encode(),
        b"this is not JSON " + SECRET.encode(),
        b"",
        b'["model", "' + ALIAS.encode() + b'"]',
    ],
)
def test_other_models_and_odd_bodies_come_through(house: House, path: str, body: bytes) -> None:
    echo = Echo()
    url = house.start(upstream_url=house.serve(backend(echo)).url)
    answer = httpx.post(url + path, content=body)
    assert answer.content == b"\x00\xff" + body
    assert [(seen[1], seen[3]) for seen in echo.seen] == [(path, body)]
    quiet(house)


def test_nothing_of_it_is_logged(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    url = house.start(upstream_url=house.serve(backend(Echo())).url)
    httpx.post(f"{url}/api/chat?q=Alma", json={"model": "m", "messages": [{"role": "user", "content": SECRET}]})
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("equipoise")]
    assert not any("Alma" in message for message in ours)
    files = [path.read_bytes() for path in house.folder.rglob("*") if path.is_file()]
    assert not any(b"Alma" in data for data in files)
    assert b"Alma" not in house.state.metrics.page()


def test_a_large_body_of_another_model_passes_and_a_large_aliased_one_is_refused(house: House) -> None:
    echo = Echo()
    url = house.start(upstream_url=house.serve(backend(echo)).url)
    image = "A" * 10_000_000
    passed = httpx.post(f"{url}/api/chat", json={"model": "llava", "messages": [{"images": [image]}]}, timeout=30)
    assert passed.status_code == 418
    assert len(echo.seen[0][3]) > 10_000_000
    for body in ({"model": ALIAS, "prompt": image}, {"prompt": image, "model": ALIAS}):
        refused = httpx.post(f"{url}/api/generate", json=body, timeout=30)
        assert refused.status_code == 413
        assert refused.json() == {"error": "the request is larger than 8388608 bytes: send a shorter prompt"}
    assert len(echo.seen) == 1
    quiet(house)


def test_both_ways_are_streamed(house: House) -> None:
    """The answer's first bytes arrive before the request's last have been sent."""

    async def mirror(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        async for chunk in request.content.iter_any():
            await response.write(chunk)
        return response

    url = house.start(upstream_url=house.serve(backend(mirror)).url)

    async def talk() -> list[bytes]:
        reader, writer = await asyncio.open_connection(URL(url).host, URL(url).port)
        writer.write(b"POST /api/create HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        writer.write(b"5\r\nfirst\r\n")
        heads = await reader.readuntil(b"\r\n\r\n")
        first = await reader.readuntil(b"first\r\n")
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")
        last = await reader.readuntil(b"last\r\n")
        writer.close()
        return [heads, first, last]

    heads, _, _ = house.loop.run(asyncio.wait_for(talk(), 10))
    assert heads.startswith(b"HTTP/1.1 200")


def test_compressed_answers_stay_compressed(house: House) -> None:
    packed = gzip.compress(b"x" * 1000)

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    url = house.start(upstream_url=house.serve(backend(answer)).url)
    with httpx.stream("GET", f"{url}/x") as response:
        assert b"".join(response.iter_raw()) == packed
        assert response.headers["Content-Encoding"] == "gzip"


def test_an_upstream_that_is_down_is_said_in_ollamas_form(house: House) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{probe.getsockname()[1]}"
    url = house.start(upstream_url=gone)
    for path in ("/api/version", "/api/tags"):
        answer = httpx.get(url + path)
        assert answer.status_code == 502
        assert answer.json() == {
            "error": f"the upstream {gone} does not answer: start it or correct [gateway] upstream_url"
        }


def test_an_upstream_that_breaks_off_looks_broken_to_the_host(house: House) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    url = house.start(upstream_url=house.serve(backend(half)).url)
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{url}/x")


def test_a_kept_connection_that_the_upstream_closed_is_opened_again(house: House) -> None:
    async def once(request: web.Request) -> web.StreamResponse:
        await request.read()
        # What a server with a keep-alive limit does: the answer promises to stay, then the connection is gone.
        transport = request.transport
        assert transport is not None
        asyncio.get_running_loop().call_later(0.02, transport.close)
        return web.json_response({"model": ADAPTER, "response": "ja", "done": True})

    server = house.serve(backend(once))
    url = house.start(upstream_url=server.url)
    for _ in range(3):
        assert httpx.post(f"{url}/api/generate", json={"model": "m", "prompt": "x"}).status_code == 200
        asyncio.run(asyncio.sleep(0.03))


@pytest.mark.parametrize(
    "request_line",
    [
        "GET http://evil.example/secret HTTP/1.1",
        "GET //evil.example/secret HTTP/1.1",
        "GET /\\evil.example HTTP/1.1",
        "GET /@evil.example/ HTTP/1.1",
        "GET /..//evil.example HTTP/1.1",
        "GET http:evil.example HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "CONNECT evil.example:80 HTTP/1.1",
    ],
)
def test_no_request_line_leads_to_another_host(house: House, request_line: str) -> None:
    echo = Echo()
    upstream = house.serve(backend(echo))
    url = house.start(upstream_url=upstream.url)
    with socket.create_connection((URL(url).host, URL(url).port), timeout=10) as wire:
        wire.sendall(f"{request_line}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := wire.recv(65536):
            answer += chunk
    assert answer.startswith((b"HTTP/1.1 418", b"HTTP/1.1 400", b"HTTP/1.0 400", b"HTTP/1.1 404"))
    assert b"Traceback" not in answer
    assert all(seen[2]["Host"] == URL(upstream.url).authority for seen in echo.seen)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/tags", "http://127.0.0.1:11434/api/tags"),
        ("/api/llm/models?x=1", "http://gpu:17803/api/llm/models?x=1"),
        ("/api/llm/deep/a", "https://user:pw@deep/base/api/llm/deep/a"),
    ],
)
def test_the_longest_prefix_chooses_the_upstream(path: str, expected: str) -> None:
    upstreams = {"/api/llm/": "http://gpu:17803", "/api/llm/deep/": "https://user:pw@deep/base/"}
    assert str(target(GatewaySettings(upstreams=upstreams), URL(path))) == expected


def test_a_host_that_hangs_up_frees_the_upstream(house: House) -> None:
    ended: list[int] = []

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x")
                await asyncio.sleep(0.01)
        finally:
            ended.append(1)

    runner = web.AppRunner(backend(endless), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    url = house.start(upstream_url=house.serve(backend(endless), runner).url)

    async def hang_up() -> None:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/x") as response:
            await response.content.readany()

    asyncio.run(hang_up())
    wait_until(lambda: bool(ended), "the upstream's handler ended")
