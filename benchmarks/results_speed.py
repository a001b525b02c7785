"""How long `results` and per-arm rates take on 1 and 10 million calls, alone and while 500 calls/s are written.

``python -m benchmarks.results_speed [--calls 1000000] [--json]``: fills a warehouse of its own in a temporary folder
(seeded; devices of 20 calls, favourites 10 %, regenerations 20 %, verdicts for all), serves it, and asks over HTTP. The
raw limit beside it is DuckDB's own count of the calls per arm on the same file and machine.
"""

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import httpx
import uvicorn

from collector.app import create_app
from collector.config import ServiceConfig
from warehouse.engine import open_store
from warehouse.store import FILE_NAME

ARMS = {"base": {"model": "b", "weight": 90}, "lora": {"model": "l", "weight": 10}}
LIMITS_MS = {1_000_000: {"results": 2000, "rates": 200}, 10_000_000: {"results": 3000, "rates": 1000}}

CALLS = """
INSERT INTO calls BY NAME
SELECT
    i + 10 AS seq, 'c' || i AS id, '' AS digest, TIMESTAMP '2026-01-01' + to_seconds(CAST(i AS BIGINT) * 8640000 // {n})
    AS ts, 'stage2' AS experiment, 1 AS epoch, arm, arm AS arm_treated, CASE arm WHEN 'lora' THEN 'l' ELSE 'b' END
    AS model, 'split' AS reason, 0 AS bucket, 'lora' AS eligible, 'r_' || md5('r' || i) AS unit,
    'd_' || md5('d' || (i // 20)) AS device, 'browser' AS device_kind, 'r_' || md5('r' || i) AS run, '' AS parent_run,
    'p_' || md5('p' || i) AS prompt, '' AS output_key, 'config-' || (i // 20) % 40 AS config,
    CASE WHEN i % 5 = 0 THEN 'en' ELSE 'de' END AS language, NULL AS translated,
    CASE (i // 20) % 3 WHEN 0 THEN 'youth' ELSE 'kids' END AS safety_level, 't1' AS template_version,
    '{{}}' AS parameters,
    'Idee ' || i AS input, NULL AS context, 'Antwort ' || i AS output, FALSE AS refused,
    4000 + hash(i || 'l') % 3000 AS latency_ms, 100 AS tokens_in, 100 AS tokens_out, NULL AS error, 'live' AS origin,
    TRUE AS synthetic, ts AS received
FROM (SELECT i, CASE WHEN hash(i || 'a') % 10 = 0 THEN 'lora' ELSE 'base' END AS arm FROM range({n}) t(i))
"""
OUTCOMES = """
INSERT INTO outcomes BY NAME
SELECT 10 + {n} + row_number() OVER () AS seq, kind || i AS id, '' AS digest,
    TIMESTAMP '2026-01-01' + to_seconds(CAST(i AS BIGINT) * 8640000 // {n} + 30) AS ts, 'stage2' AS experiment,
    kind, 'c' || i AS call, '' AS run, '' AS child_run, 'c' || i AS call_id, i + 10 AS call_seq,
    CASE kind WHEN 'not_blocked' THEN 'stage3' ELSE '' END AS stage, '' AS method, '' AS code, 'live' AS origin,
    TRUE AS synthetic, ts AS received
FROM (
    SELECT i, 'favourite' AS kind FROM range({n}) t(i) WHERE hash(i || 'f') % 10 = 0
    UNION ALL SELECT i, 'regeneration' FROM range({n}) t(i) WHERE hash(i || 'g') % 5 = 0
    UNION ALL SELECT i, 'not_blocked' FROM range({n}) t(i)
)
"""


def fill(folder: Path, calls: int) -> float:
    """Make the warehouse; returns seconds. The epoch is armed by hand in the tables, as a real log would have it."""
    began = time.perf_counter()
    settings = config(folder)
    app = create_app(settings)
    with running(app) as url:
        http = httpx.Client(base_url=url, timeout=60)
        first = {"id": "first", "ts": datetime.now(UTC).isoformat(), "experiment": "stage2", "arm": "base"}
        http.post("/v1/calls", json=first | {"safety_level": "kids", "input": "x"})
        http.post("/v1/outcomes", json={
            "id": "v", "ts": first["ts"], "experiment": "stage2", "kind": "not_blocked", "call": "first",
            "stage": "stage3",
        })  # fmt: skip
        armed = http.post("/v1/experiments/stage2/guard", json={
            "action": "arm", "arm": "lora", "adapter": "l", "reason": "benchmark", "actor": "benchmark"
        })  # fmt: skip
        armed.raise_for_status()
    connection = open_store(folder / FILE_NAME, datetime.now(UTC))
    for index in ("calls_id", "calls_run", "outcomes_id", "outcomes_run", "outcomes_child_run", "outcomes_call"):
        connection.execute(f"DROP INDEX IF EXISTS {index}")
    connection.execute("DELETE FROM calls")
    connection.execute("DELETE FROM outcomes")
    connection.execute(CALLS.format(n=calls))
    connection.execute(OUTCOMES.format(n=calls))
    connection.execute(
        "INSERT INTO prompt_runs SELECT md5('k' || id), seq, ts, 'stage2', 1, arm, device, prompt, FALSE, id "
        "FROM calls WHERE arm = 'base'"
    )
    connection.execute("CHECKPOINT")
    connection.close()
    open_store(folder / FILE_NAME, datetime.now(UTC)).close()
    return time.perf_counter() - began


def config(folder: Path) -> ServiceConfig:
    """A service of its own, in development mode."""
    return ServiceConfig.model_validate(
        {
            "service": {"data": str(folder), "development": True, "synthetic": True},
            "experiment": {"stage2": {"arms": ARMS, "plan": {"end_n": 100_000}}},
        }
    )


class running:
    """The application under uvicorn on a free loopback port, for a with-block."""

    def __init__(self, app: Any) -> None:
        self._server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        return f"http://127.0.0.1:{self._server.servers[0].sockets[0].getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(60)


def timed(ask: Callable[[], object], times: int) -> float:
    """Median milliseconds."""
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        ask()
        spans.append((time.perf_counter() - began) * 1000)
    return statistics.median(spans)


class Writing:
    """500 calls a second, in lists of 25, until told to stop."""

    def __init__(self, url: str, per_s: int = 500) -> None:
        self._url, self._per_s, self.sent = url, per_s, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.began = time.perf_counter()

    def __enter__(self) -> "Writing":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as http:
            while not self._stop.is_set():
                now = datetime.now(UTC)
                items = [
                    {
                        "id": f"w{self.sent + i}", "ts": now.isoformat(), "experiment": "stage2", "epoch": 1,
                        "arm": "base", "model": "b", "reason": "split", "eligible": ["lora"], "safety_level": "kids",
                        "device": f"kid{(self.sent + i) // 20}_2026-03-02", "run": f"w{self.sent + i}", "input": "x",
                    }
                    for i in range(25)
                ]  # fmt: skip
                http.post("/v1/calls", json=items).raise_for_status()
                self.sent += 25
                ahead = self.sent / self._per_s - (time.perf_counter() - self.began)
                self._stop.wait(max(ahead, 0))


def measure(calls: int) -> dict[str, Any]:
    """All figures for one size."""
    with tempfile.TemporaryDirectory(prefix="equipoise-bench-") as name:
        folder = Path(name)
        filled = fill(folder, calls)
        raw_connection = duckdb.connect(str(folder / FILE_NAME), read_only=True)
        raw = timed(lambda: raw_connection.execute("SELECT arm, count(*) FROM calls GROUP BY arm").fetchall(), 7)
        raw_connection.close()
        began = time.perf_counter()
        with running(create_app(config(folder))) as url:
            ready = time.perf_counter() - began
            http = httpx.Client(base_url=url, timeout=120)
            path = "/v1/experiments/stage2/results"

            def ask(**params: Any) -> None:
                http.get(path, params=params).raise_for_status()

            ask(analysis=True)
            results = timed(lambda: ask(analysis=True), 5)
            quiet = timed(lambda: ask(analysis=False, over_time=False), 7)
            page = timed(lambda: ask(analysis=False), 7)
            with Writing(url) as writing:
                time.sleep(2)
                busy = timed(lambda: ask(analysis=False, over_time=False), 15)
                rate = writing.sent / (time.perf_counter() - writing.began)
        return {
            "calls": calls, "fill_s": round(filled, 1), "ready_s": round(ready, 2), "raw_count_ms": round(raw, 1),
            "results_ms": round(results), "rates_ms": round(quiet), "live_page_ms": round(page),
            "rates_while_writing_ms": round(busy),
            "written_per_s": round(rate), "results_to_raw": round(results / raw, 1),
        }  # fmt: skip


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="*", default=[1_000_000])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [measure(calls) for calls in options.calls]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    names = list(rows[0])
    print("| " + " | ".join(names) + " |\n|" + " --- |" * len(names))
    for row in rows:
        print("| " + " | ".join(str(row[name]) for name in names) + " |")
    missed = [
        f"{row['calls']}: {name} {value} ms > {limit} ms"
        for row in rows
        for name, limit in LIMITS_MS.get(row["calls"], {}).items()
        for value in [row["results_ms"] if name == "results" else row["rates_while_writing_ms"]]
        if value > limit
    ]
    print("\n".join(missed) or "all within their limits")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
