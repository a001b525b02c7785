"""Streamed answers are byte-identical to the backend's but for the model name."""

import asyncio
import json

import aiohttp
import pytest
from aiohttp import web

from tests.gateway.harness import ADAPTER, ALIAS, PROMPT, House, backend, experiment


def post(url: str, path: str, body: bytes) -> tuple[bytes, dict[str, str]]:
    async def ask() -> tuple[bytes, dict[str, str]]:
        async with aiohttp.ClientSession() as session, session.post(url + path, data=body) as response:
            assert response.status == 200
            return await response.read(), dict(response.headers)

    return asyncio.run(ask())


def asked(model: str, stream: bool, path: str) -> bytes:
    body: dict[str, object] = {"model": model, "stream": stream, "options": {"temperature": 0.30}}
    body |= {"prompt": PROMPT} if path == "/api/generate" else {"messages": [{"role": "user", "content": PROMPT}]}
    return json.dumps(body).encode()


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
def test_the_doubles_bytes_come_through(house: House, path: str, stream: bool) -> None:
    house.permit("adapter")
    through, headers = post(house.start(), path, asked(ALIAS, stream, path))
    direct, _ = post(house.double.url, path, asked(ADAPTER, stream, path))
    assert through == direct.replace(f'"{ADAPTER}"'.encode(), f'"{ALIAS}"'.encode())
    assert through != direct
    assert headers["X-Equipoise-Call"].startswith("c_")
    assert headers["Content-Type"].startswith("application/x-ndjson" if stream else "application/json")


ODD = [
    b'{ "model" : "qwen3:4b-ai4artsed-v1" ,\t"created_at":"x",'
    b'"response":"\\u00e4 \\"model\\":\\"qwen3:4b-ai4artsed-v1\\"","done":false, "eval":1.50e+2}\r\n',
    b"\n",
    '{"response":" ü","mod\\u0065l":"qwen3:4b-ai4artsed-v1","done":false,"x":{"model":"inner"}}\n'.encode(),
    b'{"model":"qwen3:4b-ai4artsed-v1","response":"","done":true,"done_reason":"stop","eval_count":3}',
]


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_odd_bytes_survive_whatever_the_chunks(house: House, size: int) -> None:
    data = b"".join(ODD)

    async def answer(request: web.Request) -> web.StreamResponse:
        await request.read()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for start in range(0, len(data), size):
            await response.write(data[start : start + size])
        return response

    odd = house.serve(backend(answer))
    house.experiments = {"stage2": experiment(odd.url)}
    house.permit("adapter")
    through, _ = post(house.start(), "/api/generate", asked(ALIAS, True, "/api/generate"))
    name = f'"{ALIAS}"'.encode()
    expected = [
        ODD[0].replace(b'"model" : "qwen3:4b-ai4artsed-v1"', b'"model" : ' + name),
        ODD[1],
        ODD[2].replace(b'l":"qwen3:4b-ai4artsed-v1"', b'l":' + name),
        ODD[3].replace(b'"qwen3:4b-ai4artsed-v1"', name),
    ]
    assert through == b"".join(expected)
    [call] = house.delivered(1)
    assert call.output == 'ä "model":"qwen3:4b-ai4artsed-v1" ü'
    assert call.error is None


SSE = [
    b": a comment\n\n",
    b'data: {"id":"1","model":"qwen3:4b-ai4artsed-v1","choices":[{"delta":{"role":"assistant","content":"Ein "}}]}\n\n',
    b'data:{"id":"1","choices":[{"delta":{"content":"Haus"},"finish_reason":null}],'
    b'"model": "qwen3:4b-ai4artsed-v1"}\r\n\r\n',
    b'data: {"id":"1","model":"qwen3:4b-ai4artsed-v1","choices":[{"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"1","model":"qwen3:4b-ai4artsed-v1","choices":[],'
    b'"usage":{"prompt_tokens":5,"completion_tokens":2}}\n\n',
    b"data: [DONE]\n\n",
]


@pytest.mark.parametrize("done", [True, False])
def test_openai_events_come_through(house: House, done: bool) -> None:
    events = SSE if done else SSE[:-1]  # some servers leave [DONE] out

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.path == "/v1/chat/completions"
        assert (await request.json())["model"] == ADAPTER
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for event in events:
            await response.write(event)
        return response

    server = house.serve(backend(answer))
    house.experiments = {"stage2": experiment(server.url, arms={"adapter": {"backend": "openai"}})}
    house.permit("adapter")
    body = {"model": ALIAS, "stream": True, "messages": [{"role": "user", "content": PROMPT}]}
    through, headers = post(house.start(), "/v1/chat/completions", json.dumps(body).encode())
    assert through == b"".join(events).replace(b'"qwen3:4b-ai4artsed-v1"', f'"{ALIAS}"'.encode())
    assert headers["Content-Type"] == "text/event-stream"
    [call] = house.delivered(1)
    assert (call.output, call.tokens_in, call.tokens_out, call.model) == ("Ein Haus", 5, 2, ADAPTER)
    assert call.error is None


def test_the_request_reaches_the_backend_unchanged_but_for_the_model(house: House) -> None:
    seen: list[bytes] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append(await request.read())
        return web.json_response({"model": ADAPTER, "response": "Ja", "done": True})

    server = house.serve(backend(answer))
    house.experiments = {"stage2": experiment(server.url)}
    house.permit("adapter")
    body = b'{ "prompt":"\\u00e4\xc3\xa4", "stream" :false, "options":{"temperature":0.70,"seed":1e3},"model":"%s"}'
    post(house.start(), "/api/generate", body % ALIAS.encode())
    assert seen == [body % ADAPTER.encode()]
