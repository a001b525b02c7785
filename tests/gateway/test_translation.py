"""Every dialect works with an arm of every protocol; what can't be carried is not dropped in silence."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.gateway.harness import ADAPTER, ALIAS, BASE, PROMPT, House, backend, experiment

TEXT = "Ein Haus, ganz leise."
PATHS = {"generate": "/api/generate", "chat": "/api/chat", "openai": "/v1/chat/completions", "gpu": "/api/llm/generate"}


def speaking(seen: list[tuple[str, dict[str, Any]]]) -> web.Application:
    """A backend of all three protocols."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        seen.append((request.path, body))
        if request.path == "/api/llm/generate":
            return web.json_response({"response": TEXT})
        if request.path == "/v1/chat/completions":
            return await openai(request, body)
        return await ollama(request, body)

    async def openai(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        usage = {"prompt_tokens": 11, "completion_tokens": 4}
        if not body["stream"]:
            choice = {"message": {"content": TEXT}, "finish_reason": "length"}
            return web.json_response({"model": body["model"], "choices": [choice], "usage": usage})
        chunks: list[dict[str, Any]] = [
            {"model": body["model"], "choices": [{"delta": {"content": part}}]} for part in (TEXT[:5], TEXT[5:])
        ]
        chunks.append({"model": body["model"], "choices": [{"delta": {}, "finish_reason": "length"}]})
        if body.get("stream_options", {}).get("include_usage"):
            chunks.append({"model": body["model"], "choices": [], "usage": usage})
        lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
        return web.Response(text="".join([*lines, "data: [DONE]\n\n"]), content_type="text/event-stream")

    async def ollama(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        def wrapped(text: str) -> dict[str, Any]:
            return {"response": text} if "generate" in request.path else {"message": {"content": text}}

        end = {"done": True, "done_reason": "length", "prompt_eval_count": 11, "eval_count": 4}
        if not body.get("stream", True):
            return web.json_response({"model": body["model"], **wrapped(TEXT), **end})
        parts = [{"model": body["model"], **wrapped(part), "done": False} for part in (TEXT[:5], TEXT[5:])]
        lines = [*parts, {"model": body["model"], **wrapped(""), **end}]
        return web.Response(text="".join(json.dumps(line) + "\n" for line in lines))

    return backend(answer)


def ask(url: str, dialect: str, stream: bool, **more: Any) -> tuple[int, str]:
    body: dict[str, Any] = {"model": ALIAS}
    if dialect in ("generate", "gpu"):
        body["prompt"] = PROMPT
    else:
        body["messages"] = [{"role": "system", "content": "Nur Licht"}, {"role": "user", "content": PROMPT}]
    if dialect != "gpu":
        body["stream"] = stream
    if dialect in ("generate", "chat"):
        body["options"] = {"temperature": 0.4, "num_predict": 50, "mirostat": 1}
    else:
        body |= {"temperature": 0.4, "max_tokens": 50}
    body |= more

    async def send() -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.post(url + PATHS[dialect], json=body) as response:
            return response.status, await response.text()

    return asyncio.run(send())


def text_of(dialect: str, stream: bool, body: str) -> str:
    if not stream:
        value = json.loads(body)
        if dialect == "openai":
            return str(value["choices"][0]["message"]["content"])
        return str(value["response"] if dialect in ("generate", "gpu") else value["message"]["content"])
    if dialect == "openai":
        lines = [line[6:] for line in body.splitlines() if line]
        assert lines.pop() == "[DONE]"
        chunks = [json.loads(line) for line in lines]
        assert chunks[-1]["choices"][0]["finish_reason"] in ("length", "stop")
        return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    parts = [json.loads(line) for line in body.splitlines()]
    assert [part["done"] for part in parts] == [False] * (len(parts) - 1) + [True]
    return "".join(part["response"] if dialect == "generate" else part["message"]["content"] for part in parts)


@pytest.mark.parametrize("protocol", ["ollama", "openai", "gpu_service"])
@pytest.mark.parametrize(
    ("dialect", "stream"), [(d, s) for d in PATHS for s in (False, True) if (d, s) != ("gpu", True)]
)
def test_every_dialect_with_every_protocol(house: House, dialect: str, protocol: str, stream: bool) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    server = house.serve(speaking(seen))
    house.experiments = {"stage2": experiment(server.url, arms={"adapter": {"backend": protocol}})}
    house.permit("adapter")
    status, body = ask(house.start(), dialect, stream)
    assert status == 200
    assert text_of(dialect, stream, body) == TEXT
    assert ADAPTER not in body
    assert (f'"{ALIAS}"' in body) or (protocol, dialect) == ("gpu_service", "gpu")
    [(path, sent)] = seen
    assert path == {"openai": PATHS["openai"], "gpu_service": PATHS["gpu"]}.get(
        protocol, PATHS["chat" if dialect in ("chat", "openai") else "generate"]
    )
    assert sent["model"] == ADAPTER
    assert PROMPT in json.dumps(sent, ensure_ascii=False).replace("\\n", "\n")
    temperature, length = (
        (sent["options"]["temperature"], sent["options"]["num_predict"])
        if protocol == "ollama"
        else (sent["temperature"], sent["max_tokens"])
    )
    assert (temperature, length) == (0.4, 50)
    [call] = house.delivered(1)
    assert (call.arm, call.model, call.output, call.input) == ("adapter", ADAPTER, TEXT, "Ein Haus im Wald")
    if protocol != "gpu_service":
        asked_for_usage = not (stream and dialect == protocol == "openai")  # that request goes on as it came
        assert (call.tokens_in, call.tokens_out) == ((11, 4) if asked_for_usage else (None, None))


@pytest.mark.parametrize("dialect", ["generate", "chat"])
def test_ollamas_own_parameters_are_not_sent_to_others(house: House, dialect: str) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    arms = {"adapter": {"backend": "openai", "parameters": {"num_ctx": 4096, "top_k": 20, "num_predict": 70}}}
    house.experiments = {"stage2": experiment(house.serve(speaking(seen)).url, arms=arms)}
    house.permit("adapter")
    ask(house.start(), dialect, False, think=False, keep_alive="5m")
    [(_, sent)] = seen
    others = {name: value for name, value in sent.items() if name not in ("model", "messages")}
    assert others == {"stream": False, "temperature": 0.4, "max_tokens": 70, "top_k": 20}


def test_the_arms_parameters_win_over_the_hosts_for_both_arms(house: House) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    url = house.serve(speaking(seen)).url
    parameters = {"temperature": 0.7, "max_tokens": 120, "think": False}
    house.experiments = {"stage2": experiment(url, parameters=parameters)}
    gateway = house.start()
    house.permit("adapter")
    ask(gateway, "generate", False, think=True)
    house.permit()
    ask(gateway, "generate", False, think=True)
    for (_, sent), model in zip(seen, (ADAPTER, BASE), strict=True):
        assert sent["model"] == model
        assert sent["options"] == {"temperature": 0.7, "num_predict": 120, "mirostat": 1}
        assert sent["think"] is False
    expected = {"temperature": 0.7, "max_tokens": 120, "mirostat": 1, "think": False}
    assert [call.parameters for call in house.delivered(2)] == [expected, expected]


@pytest.mark.parametrize("more", [{"images": ["aGFsbG8="]}, {"format": "json"}])
def test_what_another_protocol_cant_carry_goes_to_the_base(house: House, more: dict[str, Any]) -> None:
    seen: list[tuple[str, dict[str, Any]]] = []
    url = house.serve(speaking(seen)).url
    house.experiments = {"stage2": experiment(url, arms={"adapter": {"backend": "openai"}})}
    house.permit("adapter")
    assert ask(house.start(), "generate", False, **more)[0] == 200
    [call] = house.delivered(1)
    assert (call.arm, call.reason, call.model) == ("adapter", "fallback", BASE)
    assert seen[0][1] | more == seen[0][1]


def test_what_even_the_base_cant_carry_is_refused(house: House) -> None:
    url = house.serve(speaking([])).url
    house.experiments = {"stage2": experiment(url, arms={"base": {"backend": "gpu_service"}})}
    status, body = ask(house.start(), "openai", False, tools=[{"type": "function"}])
    assert status == 400
    assert "the request has tools, which can't be carried" in json.loads(body)["error"]["message"]
    assert "tools" in (house.delivered(1)[0].error or "")


def test_a_hosts_key_reaches_an_openai_backend_and_no_other(house: House) -> None:
    keys: dict[str, str | None] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        keys[request.path] = request.headers.get("Authorization")
        return web.json_response({"model": "m", "response": TEXT, "choices": [{"message": {"content": TEXT}}]})

    url = house.serve(backend(answer)).url
    house.experiments = {"stage2": experiment(url, arms={"adapter": {"backend": "openai"}})}
    gateway = house.start()

    async def send(path: str, body: dict[str, Any]) -> None:
        headers = {"Authorization": "Bearer secret"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(gateway + path, json=body) as response,
        ):
            assert response.status == 200

    messages = [{"role": "user", "content": "Hallo"}]
    house.permit("adapter")
    asyncio.run(send(PATHS["openai"], {"model": ALIAS, "messages": messages}))
    house.permit()
    asyncio.run(send(PATHS["gpu"], {"model": ALIAS, "prompt": "Hallo"}))
    assert keys == {"/v1/chat/completions": "Bearer secret", "/api/generate": None}
    house.delivered(2)
    assert "secret" not in repr(house.api.calls)
