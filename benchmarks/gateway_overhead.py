"""What the gateway costs: calls through it against calls straight to the backend, interleaved in one run.

Four processes: the backend double (200 ± 60 ms, drawn from seed and prompt, so that a prompt takes equally long either
way), a small sink in place of the owner service, the gateway as it is served, and this load with 16 concurrent calls
over warm connections. Each worker asks every prompt both ways, in random order. It needs two cores that nobody else
uses; with more processes than cores one measures their queue. ``python -m benchmarks.gateway_overhead``

The median overhead is the median over prompts of (through the gateway − direct). The difference of the two medians
stands beside it: it is the noisier estimate of the same, since the backend's own 60 ms do not cancel out in it.
"""

import argparse
import asyncio
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import aiohttp
from aiohttp import web

from experiment.config import ExperimentSettings
from experiment.permit import Permit
from experiment.pseudonym import Pseudonymiser
from gateway.config import GatewaySettings
from gateway.serve import run
from gateway.state import Paths

ROOT = Path(__file__).resolve().parents[1]
ALIAS, BASE, ADAPTER = "equipoise-stage2", "qwen3:4b", "qwen3:4b-ai4artsed-v1"
MEDIAN_LIMIT_MS, P99_LIMIT_MS = 3.0, 12.0
PROMPT = "Task:\nRewrite.\n\nContext:\n{context}\n\nPrompt:\nEin Haus im Wald, Nummer {number}"
CONTEXT = "Beschreibe die Idee nur über Licht und Stille, ohne Gefühle zu benennen. " * 20
"""About 1,500 characters, as long as a real one."""


class Result(NamedTuple):
    """Milliseconds, pooled over all calls of one way."""

    calls: int
    median: float
    p99: float


def settings(backend: str) -> ExperimentSettings:
    arms = {
        "base": {"model": BASE, "url": backend, "weight": 9},
        "adapter": {"model": ADAPTER, "url": backend, "weight": 1},
    }
    return ExperimentSettings.model_validate({"alias": ALIAS, "arms": arms})


def gateway_process(folder: Path, backend: str, api: str) -> None:
    section = GatewaySettings(port=0, upstream_url=backend, allow_assignments_without_token=True)
    paths = Paths(folder / "permits", folder / "outbox")
    experiments = {"stage2": settings(backend)}
    run(
        section,
        experiments,
        paths,
        Pseudonymiser(bytes(32)),
        api,
        "t",
        None,
        on_ready=lambda url: print(url, flush=True),
    )


async def sink_process() -> None:
    """Takes calls in 10 ms, about what a commit costs."""

    async def take(request: web.Request) -> web.Response:
        items = [{"id": call["id"], "status": 201} for call in json.loads(await request.read())]
        await asyncio.sleep(0.01)
        return web.json_response({"items": items}, status=201)

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/calls", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


def start(*arguments: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    if not url:
        raise SystemExit(f"{' '.join(arguments)} did not start")
    return process, url


async def load(
    gateway: str, backend: str, calls: int, concurrent: int, stream: bool, seed: int
) -> dict[str, list[float]]:
    """Seconds of every call, by way; the n-th of both is the same prompt."""
    order = random.Random(seed)
    ways = {"direct": (backend, BASE), "gateway": (gateway, ALIAS)}
    numbers = iter(range(-2 * concurrent, calls))  # the first ones warm the pools up
    taken: dict[str, dict[int, float]] = {way: {} for way in ways}
    connector = aiohttp.TCPConnector(limit=0)

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            for way in order.sample(list(ways), 2):
                url, model = ways[way]
                body = {"model": model, "stream": stream, "prompt": PROMPT.format(context=CONTEXT, number=number)}
                began = time.perf_counter()
                async with session.post(f"{url}/api/generate", json=body) as response:
                    assert response.status == 200, await response.text()
                    await response.read()
                if number >= 0:
                    taken[way][number] = time.perf_counter() - began

    async with aiohttp.ClientSession(connector=connector) as session:
        await asyncio.gather(*(work(session) for _ in range(concurrent)))
    return {way: [times[number] for number in sorted(times)] for way, times in taken.items()}


def summary(seconds: list[float]) -> Result:
    ordered = sorted(seconds)
    return Result(len(ordered), statistics.median(ordered) * 1000, ordered[math.ceil(0.99 * len(ordered)) - 1] * 1000)


def measure(calls: int, concurrent: int, stream: bool, seed: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "permits").mkdir()
        started: list[subprocess.Popen[str]] = []
        done = threading.Event()
        try:
            double, backend = start("-m", "demo.ollama_double", "--seed", str(seed))
            sink, api = start("-m", "benchmarks.gateway_overhead", "--role", "sink")
            started += [double, sink]
            # Only the base is compared: both ways ask the same model, so the backend does the same work. The permit is
            # there and fresh all the time, as in a running experiment whose adapter is not open.
            permit = Permit(epoch=1, arms=settings(backend).proposed("stage2"))
            path = folder / "permits" / "stage2.json"
            path.write_text(permit.model_dump_json())
            gateway, url = start("-m", "benchmarks.gateway_overhead", "--role", "gateway", str(folder), backend, api)
            started.append(gateway)
            threading.Thread(target=heartbeat, args=(path, done), daemon=True).start()
            taken = asyncio.run(load(url, backend, calls, concurrent, stream, seed))
        finally:
            done.set()
            for process in reversed(started):
                process.terminate()
                process.wait(20)
    direct, through = summary(taken["direct"]), summary(taken["gateway"])
    paired = [(g - d) * 1000 for g, d in zip(taken["gateway"], taken["direct"], strict=True)]
    return {
        "calls": calls,
        "concurrent": concurrent,
        "stream": stream,
        "direct": direct._asdict(),
        "gateway": through._asdict(),
        "paired_median_difference_ms": statistics.median(paired),
        "median_difference_ms": through.median - direct.median,
        "p99_difference_ms": through.p99 - direct.p99,
        "median_ratio": through.median / direct.median,
        "p99_ratio": through.p99 / direct.p99,
        "holds": statistics.median(paired) <= MEDIAN_LIMIT_MS and through.p99 - direct.p99 <= P99_LIMIT_MS,
    }


def heartbeat(path: Path, done: threading.Event) -> None:
    while not done.wait(5):
        path.touch()


def table(results: list[dict[str, object]]) -> str:
    lines = [
        "| answers | calls | direct median / p99 | through the gateway | difference | ratio | same prompt, median |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in results:
        direct, through = one["direct"], one["gateway"]
        assert isinstance(direct, dict)
        assert isinstance(through, dict)
        lines.append(
            f"| {'streamed' if one['stream'] else 'whole'} | {one['calls']} "
            f"| {direct['median']:.1f} / {direct['p99']:.1f} ms | {through['median']:.1f} / {through['p99']:.1f} ms "
            f"| {one['median_difference_ms']:+.1f} / {one['p99_difference_ms']:+.1f} ms "
            f"| {one['median_ratio']:.3f} / {one['p99_ratio']:.3f} | {one['paired_median_difference_ms']:+.2f} ms |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Overhead of the gateway")
    parser.add_argument("--calls", type=int, default=1200, help="each way")
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--stream", action="store_true", help="measure streamed answers too")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--role", choices=["gateway", "sink"], help=argparse.SUPPRESS)
    parser.add_argument("places", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.role == "sink":
        asyncio.run(sink_process())
    elif given.role == "gateway":
        gateway_process(Path(given.places[0]), *given.places[1:])
    else:
        kinds = [False, True] if given.stream else [False]
        results = [measure(given.calls, given.concurrent, stream, given.seed) for stream in kinds]
        print(json.dumps(results, indent=2) if given.json else table(results))
        if not given.json:
            allowed = f"median +{MEDIAN_LIMIT_MS:g} ms (same prompt), p99 +{P99_LIMIT_MS:g} ms, whole answers"
            print(f"\nAllowed: {allowed}: {'holds' if results[0]['holds'] else 'DOES NOT HOLD'}.")
        return 0 if results[0]["holds"] else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
