"""A warehouse in a temporary folder, with a clock that tests turn."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from experiment.config import ExperimentSettings
from experiment.events import Call, Outcome
from warehouse.config import WarehouseSettings
from warehouse.keeper import By
from warehouse.store import Warehouse

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ME = By("Ada", "researcher-1", "a test")


class Clock:
    """Aware time that only tests move."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


def settings(**more: Any) -> dict[str, ExperimentSettings]:
    arms = {"base": {"model": "qwen3:4b", "weight": 90}, "lora": {"model": "qwen3:4b-v1", "weight": 10}}
    return {"stage2": ExperimentSettings.model_validate({"arms": arms} | more)}


class Bench:
    """Opens warehouses over one folder and makes events."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, Clock()
        self.store: Warehouse | None = None

    def open(self, experiments: dict[str, ExperimentSettings] | None = None, **options: Any) -> Warehouse:
        self.store = Warehouse(self.folder, WarehouseSettings(**options), experiments or settings(), clock=self.clock)
        return self.store

    def close(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None

    def call(self, id: str, **more: Any) -> Call:
        values: dict[str, Any] = {
            "id": id, "ts": self.clock.now, "experiment": "stage2", "epoch": 1, "arm": "base", "model": "qwen3:4b",
            "reason": "split", "device": f"abc{id}_2026-03-02", "run": f"run_{id}", "safety_level": "kids",
            "input": f"Ein Hund {id}", "context": "Beschreibe, was man hört.", "output": f"Ein Hund, man hört {id}",
        }  # fmt: skip
        return Call.model_validate(values | more)

    def adapter_call(self, id: str, **more: Any) -> Call:
        return self.call(id, **({"arm": "lora", "model": "qwen3:4b-v1"} | more))

    def outcome(self, id: str, kind: str, **more: Any) -> Outcome:
        values: dict[str, Any] = {"id": id, "ts": self.clock.now, "experiment": "stage2", "kind": kind}
        if kind in ("block", "not_blocked"):
            values |= {"stage": "stage3", "method": "llm_safety_check", "code": "86a"}
        return Outcome.model_validate(values | more)

    def send(self, *events: Call | Outcome) -> list[tuple[str, int]]:
        assert self.store is not None
        return [(result.id, result.status) for result in self.store.submit(events).result(30)]

    def verdicts_flow(self) -> None:
        """A base call with a verdict: without a source of verdicts arming is refused."""
        self.send(self.call("first", epoch=0), self.outcome("first-v", "not_blocked", call="first"))

    def arm(self, adapter: str = "qwen3:4b-v1", **more: Any) -> str:
        assert self.store is not None
        command = self.store.guarding.arm("stage2", "lora", adapter, ME, **more)
        return str(self.store.writer.command(command).result(30))

    def tick(self) -> None:
        assert self.store is not None
        self.store.tick().result(30)

    def state(self) -> str:
        assert self.store is not None
        return self.store.guarding.effective("stage2")["lora"].state

    def open_arms(self) -> frozenset[str]:
        assert self.store is not None
        permit = self.store.permits.read("stage2")
        return permit.open_arms if permit is not None else frozenset()

    def blocks(self, count: int, prefix: str = "b", epoch: int = 1) -> None:
        """So many adapter calls from as many devices, each blocked."""
        for i in range(count):
            self.send(
                self.adapter_call(f"{prefix}{i}", epoch=epoch),
                self.outcome(f"{prefix}{i}-v", "block", call=f"{prefix}{i}"),
            )


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    bench.open()
    yield bench
    bench.close()


@pytest.fixture
def armed(bench: Bench) -> Bench:
    bench.verdicts_flow()
    bench.arm()
    return bench


Rows = Callable[[str], list[dict[str, Any]]]


@pytest.fixture
def rows(bench: Bench) -> Rows:
    def ask(query: str) -> list[dict[str, Any]]:
        assert bench.store is not None
        return bench.store.queries.rows(query)

    return ask
