"""The real service in this process (its lifespan included) behind an HTTP client, and one behind real uvicorn."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from collector.app import create_app
from collector.config import ServiceConfig

ARMS = {"base": {"model": "qwen3:4b", "weight": 90}, "lora": {"model": "qwen3:4b-v1", "weight": 10}}


def config(data: Path, **service: Any) -> ServiceConfig:
    return ServiceConfig.model_validate(
        {"service": {"data": str(data), **service}, "experiment": {"stage2": {"arms": ARMS}}}
    )


class Live:
    """A service on a loopback port and a client that speaks to it."""

    def __init__(self, url: str, app: Any, data: Path) -> None:
        self.url, self.app, self.data = url, app, data
        self.http = httpx.Client(base_url=url, timeout=30)

    @property
    def store(self) -> Any:
        return self.app.state.warehouse

    def call(self, id: str, **more: Any) -> dict[str, Any]:
        return {
            "id": id, "ts": datetime.now(UTC).isoformat(), "experiment": "stage2", "epoch": 1, "arm": "base",
            "model": "qwen3:4b", "device": f"abc{id}_2026-03-02", "run": f"run_{id}", "safety_level": "kids",
            "input": f"Ein Hund {id}", "output": f"Ein Hund, man hört {id}",
        } | more  # fmt: skip

    def outcome(self, id: str, kind: str, **more: Any) -> dict[str, Any]:
        values = {"id": id, "ts": datetime.now(UTC).isoformat(), "experiment": "stage2", "kind": kind}
        if kind in ("block", "not_blocked"):
            values |= {"stage": "stage3", "method": "llm_safety_check", "code": "86a"}
        return values | more

    def guard(self, **action: Any) -> httpx.Response:
        body = {"action": "arm", "arm": "lora", "reason": "a test", "actor": "Ada"} | action
        return self.http.post("/v1/experiments/stage2/guard", json=body)

    def arm(self) -> httpx.Response:
        self.http.post("/v1/calls", json=self.call("first", epoch=0))
        self.http.post("/v1/outcomes", json=self.outcome("first-v", "not_blocked", call="first"))
        return self.guard(adapter="qwen3:4b-v1")

    def blocks(self, count: int) -> list[httpx.Response]:
        answers = []
        for i in range(count):
            self.http.post("/v1/calls", json=self.call(f"b{i}", arm="lora", model="qwen3:4b-v1"))
            answers.append(self.http.post("/v1/outcomes", json=self.outcome(f"b{i}-v", "block", call=f"b{i}")))
        return answers


@contextmanager
def serving(settings: ServiceConfig) -> Iterator[Live]:
    app = create_app(settings)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    live = Live(f"http://127.0.0.1:{port}", app, settings.service.data)
    try:
        yield live
    finally:
        live.http.close()
        server.should_exit = True
        thread.join(20)


Serve = Callable[..., Any]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    """Development mode: no tokens."""
    with serving(config(tmp_path, development=True)) as service:
        yield service


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Live]:
    """With tokens."""
    with serving(config(tmp_path)) as service:
        yield service
