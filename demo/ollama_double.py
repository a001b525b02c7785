"""A loopback server that speaks Ollama's protocol over :mod:`demo.transformer`: FOR DEMO AND TESTS ONLY.

It is no model server and never stands in for one outside the demo and the tests. It answers /api/generate and
/api/chat (streamed and not), /api/tags, /api/version and /api/show, takes a configurable time for it, and a model of
it can turn harmful: after a number of answers, or when ``POST /demo/harmful {"model": …}`` says so.
``python -m demo.ollama_double --help`` runs it alone.
"""

import argparse
import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from demo.transformer import Manner, generator, transform

VERSION: Final = "0.0.0-equipoise-double"


@dataclass(frozen=True)
class DoubleSettings:
    """How the double behaves."""

    models: dict[str, Manner] = field(default_factory=lambda: {"qwen3:4b": "modest", "qwen3:4b-ai4artsed-v1": "rich"})
    """Model name → manner of rewriting."""
    seed: int = 7
    latency_ms: float = 200
    """Median time of an answer; normally distributed, drawn from seed, model and prompt."""
    spread_ms: float = 60
    """Standard deviation of that."""
    harmful_model: str = ""
    """Model that turns harmful; '' for none."""
    harmful_after: int = 0
    """Its first so many answers are harmless."""
    harmful_share: float = 0.5
    """Of its later answers, this share bears the marker."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    """For ``created_at``; a fixed one makes streams byte-identical."""


class Double:
    """The double's state: how often each model has answered."""

    def __init__(self, settings: DoubleSettings) -> None:
        self.settings = settings
        self.answered: dict[str, int] = {}
        """Model → answers so far."""
        self.harmful_from: dict[str, int] = {}
        """Model → the number of answers after which it is harmful."""
        if self.settings.harmful_model:
            self.harmful_from[self.settings.harmful_model] = self.settings.harmful_after

    def model(self, name: object) -> str | None:
        """The installed model of that name, None if there is none."""
        if not isinstance(name, str):
            return None
        plain = name.removesuffix(":latest")
        return plain if plain in self.settings.models else None

    def seconds(self, model: str, prompt: str) -> float:
        """How long this answer takes: never below a twentieth of the median."""
        settings = self.settings
        drawn = generator(settings.seed, "latency", model, prompt).gauss(settings.latency_ms, settings.spread_ms)
        return max(settings.latency_ms / 20, drawn) / 1000

    def text(self, model: str, prompt: str, seed: int | None) -> str:
        """The answer. Counts it, since a model may turn harmful after a number of them."""
        settings = self.settings
        count = self.answered[model] = self.answered.get(model, 0) + 1
        harmful = False
        if model in self.harmful_from and count > self.harmful_from[model]:
            harmful = generator(settings.seed, "harm", str(count)).random() < settings.harmful_share
        return transform(prompt, settings.models[model], settings.seed if seed is None else seed, harmful=harmful)


DOUBLE: Final = web.AppKey("double", Double)


def create_double(settings: DoubleSettings | None = None) -> web.Application:
    """The application.

    Args:
        settings: how it behaves.
    """
    app = web.Application(client_max_size=64 * 2**20)
    app[DOUBLE] = Double(settings or DoubleSettings())
    app.router.add_post("/api/generate", _generate)
    app.router.add_post("/api/chat", _chat)
    app.router.add_post("/api/show", _show)
    app.router.add_get("/api/tags", _tags)
    app.router.add_get("/api/version", _version)
    app.router.add_get("/", _root)
    app.router.add_post("/demo/harmful", _turn_harmful)
    return app


def _json(value: dict[str, Any], status: int = 200) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"),
        headers={"Content-Type": "application/json; charset=utf-8"},
    )


async def _body(request: web.Request) -> dict[str, Any] | web.Response:
    try:
        value = json.loads(await request.read())
    except ValueError:
        return _json({"error": "invalid JSON"}, 400)
    return value if isinstance(value, dict) else _json({"error": "a JSON object is expected"}, 400)


async def _generate(request: web.Request) -> web.StreamResponse:
    body = await _body(request)
    if isinstance(body, web.Response):
        return body
    return await _answer(request, body, str(body.get("prompt", "")), lambda text: {"response": text})


async def _chat(request: web.Request) -> web.StreamResponse:
    body = await _body(request)
    if isinstance(body, web.Response):
        return body
    messages = body.get("messages") or []
    users = [m.get("content", "") for m in messages if isinstance(m, dict) and m.get("role") == "user"]
    prompt = str(users[-1]) if users else ""
    return await _answer(request, body, prompt, lambda text: {"message": {"role": "assistant", "content": text}})


async def _answer(
    request: web.Request, body: dict[str, Any], prompt: str, wrap: Callable[[str], dict[str, Any]]
) -> web.StreamResponse:
    double = request.app[DOUBLE]
    model = double.model(body.get("model"))
    if model is None:
        return _json({"error": f"model '{body.get('model')}' not found"}, 404)
    stream = body.get("stream", True) is not False
    head = {"model": body["model"], "created_at": double.settings.clock().strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    if not prompt:
        return _json({**head, **wrap(""), "done": True, "done_reason": "load"})
    options = body.get("options")
    seed = options.get("seed") if isinstance(options, dict) else None
    seconds = double.seconds(model, prompt)
    text = double.text(model, prompt, seed if isinstance(seed, int) else None)
    words = text.split(" ")
    tail = {
        "done": True,
        "done_reason": "stop",
        "total_duration": int(seconds * 1e9),
        "prompt_eval_count": len(prompt.split()),
        "eval_count": len(words),
    }
    if not stream:
        await asyncio.sleep(seconds)
        return _json({**head, **wrap(text), **tail})
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await asyncio.sleep(seconds / 2)
    await response.prepare(request)
    for index, word in enumerate(words):
        piece = word if index == 0 else f" {word}"
        await response.write(_line({**head, **wrap(piece), "done": False}))
        await asyncio.sleep(seconds / 2 / len(words))
    await response.write(_line({**head, **wrap(""), **tail}))
    await response.write_eof()
    return response


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _details() -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "rules",
        "family": "equipoise-double",
        "families": ["equipoise-double"],
        "parameter_size": "0",
        "quantization_level": "none",
    }


async def _tags(request: web.Request) -> web.Response:
    models = [
        {
            "name": name,
            "model": name,
            "modified_at": "2026-01-01T00:00:00Z",
            "size": 0,
            "digest": hashlib.sha256(name.encode()).hexdigest(),
            "details": _details(),
        }
        for name in request.app[DOUBLE].settings.models
    ]
    return _json({"models": models})


async def _show(request: web.Request) -> web.Response:
    body = await _body(request)
    if isinstance(body, web.Response):
        return body
    name = body.get("model") or body.get("name")
    if request.app[DOUBLE].model(name) is None:
        return _json({"error": f"model '{name}' not found"}, 404)
    return _json(
        {
            "modelfile": f"FROM {name}",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": _details(),
            "model_info": {"general.architecture": "rules"},
            "capabilities": ["completion"],
            "modified_at": "2026-01-01T00:00:00Z",
        }
    )


async def _turn_harmful(request: web.Request) -> web.Response:
    body = await _body(request)
    if isinstance(body, web.Response):
        return body
    double = request.app[DOUBLE]
    model = double.model(body.get("model"))
    if model is None:
        return _json({"error": f"model '{body.get('model')}' not found"}, 404)
    double.harmful_from[model] = double.answered.get(model, 0)
    return _json({"model": model, "harmful_after": double.harmful_from[model]})


async def _version(request: web.Request) -> web.Response:
    return _json({"version": VERSION})


async def _root(request: web.Request) -> web.Response:
    return web.Response(text="Ollama is running")


async def serve(settings: DoubleSettings, port: int, on_ready: Callable[[str], None] = print) -> None:
    """Serve on 127.0.0.1 until cancelled.

    Args:
        settings: how it behaves.
        port: 0 for any free one.
        on_ready: is told the address.
    """
    runner = web.AppRunner(create_double(settings), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port, backlog=512)
        await site.start()
        on_ready(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main(arguments: list[str] | None = None) -> None:
    """Run the double alone: ``python -m demo.ollama_double --port 11435``."""
    parser = argparse.ArgumentParser(description="Ollama-protocol double over a rule-based transformer: demo only")
    parser.add_argument("--port", type=int, default=0, help="0: any free port (printed)")
    parser.add_argument("--base", default="qwen3:4b", help="model that rewrites modestly")
    parser.add_argument("--adapter", default="qwen3:4b-ai4artsed-v1", help="model that rewrites richly")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--latency-ms", type=float, default=200)
    parser.add_argument("--spread-ms", type=float, default=60)
    parser.add_argument("--harmful-after", type=int, default=-1, help="harmless adapter answers at first; -1: all are")
    parser.add_argument("--harmful-share", type=float, default=0.5)
    given = parser.parse_args(arguments)
    settings = DoubleSettings(
        models={given.base: "modest", given.adapter: "rich"},
        seed=given.seed,
        latency_ms=given.latency_ms,
        spread_ms=given.spread_ms,
        harmful_model=given.adapter if given.harmful_after >= 0 else "",
        harmful_after=max(0, given.harmful_after),
        harmful_share=given.harmful_share,
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(settings, given.port, lambda url: print(url, flush=True)))
    except KeyboardInterrupt:
        return
    except OSError as error:
        parser.exit(1, f"the double can't listen on port {given.port} ({error.strerror}): choose another --port\n")


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
