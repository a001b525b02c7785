"""Real processes: owner and gateway. What is answered after the tripping event's 2xx never goes to the adapter."""

import asyncio
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest

from ops.listen import free_port

ROOT = Path(__file__).parents[2]
CONFIG = """
[service]
development = true
api_port = {api}
gateway_port = {gateway}
dashboard_port = {dashboard}
[experiment.stage2.arms.base]
model = "base-model"
weight = 50
[experiment.stage2.arms.adapter]
model = "adapter-model"
weight = 50
"""
TOTAL = 5_000


class House:
    """An owner and a gateway, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        ports = {name: free_port("127.0.0.1") for name in ("api", "gateway", "dashboard")}
        self.folder, self.config = folder, folder / "equipoise.toml"
        self.config.write_text(CONFIG.format(**ports))
        self.api, self.gateway = (f"http://127.0.0.1:{ports[name]}" for name in ("api", "gateway"))
        self.http = httpx.Client(timeout=30)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        command = [sys.executable, "-m", "equipoise", name, "--config", str(self.config)]
        self.processes[name] = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        url = self.api if name == "serve" else self.gateway
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                if self.http.get(f"{url}/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"{name} did not come up")

    def stop(self, name: str, how: int = signal.SIGTERM) -> None:
        process = self.processes.pop(name)
        process.send_signal(how)
        process.wait(30)

    def close(self) -> None:
        for name in list(self.processes):
            self.stop(name)
        self.http.close()

    def post(self, what: str, **event: Any) -> httpx.Response:
        body = {"ts": datetime.now(UTC).isoformat(), "experiment": "stage2", **event}
        return self.http.post(f"{self.api}/v1/{what}", json=body)

    def call(self, id: str, arm: str = "adapter", epoch: int = 1) -> None:
        more = {"device": f"kid{id}_2026-03-02", "run": f"run_{id}", "input": f"Idee {id}", "safety_level": "kids"}
        assert self.post("calls", id=id, arm=arm, model=f"{arm}-model", epoch=epoch, **more).status_code == 201

    def verdict(self, id: str, kind: str) -> httpx.Response:
        return self.post("outcomes", id=f"{id}-v", kind=kind, call=id, stage="stage3", method="86a_filter")

    def arm(self) -> None:
        self.call("first", "base", epoch=0)
        self.verdict("first", "not_blocked")
        body = {"action": "arm", "adapter": "adapter-model", "reason": "a test", "actor": "Ada"}
        self.http.post(f"{self.api}/v1/experiments/stage2/guard", json=body).raise_for_status()

    def state(self) -> str:
        return str(self.http.get(f"{self.api}/v1/experiments/stage2/guard").json()["adapters"][0]["state"])

    def assigned(self, run: str) -> dict[str, Any]:
        answer = self.http.post(f"{self.gateway}/v1/assignments", json={"run": run})
        return dict(answer.json())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    try:
        house.start("serve")
        house.start("gateway")
        house.arm()
        yield house
    finally:
        house.close()


def until(holds: Any, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_of_5000_concurrent_assignments_none_answered_after_the_trips_2xx_goes_to_the_adapter(house: House) -> None:
    for i in range(4):
        house.call(f"b{i}")
    for i in range(3):
        house.verdict(f"b{i}", "block")
    answers: list[tuple[str, float]] = []
    tripped_at = 0.0

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(f"{house.gateway}/v1/assignments", json={"run": f"run_{number}"}) as response:
            answer = await response.json()
            at = datetime.fromisoformat(answer["evaluated_at"]).timestamp()
            answers.append((answer["arm"], at))

    def trip() -> float:
        assert house.verdict("b3", "block").status_code == 201
        return time.time()

    async def load() -> None:
        nonlocal tripped_at
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as session:
            tasks = [asyncio.create_task(one(session, number)) for number in range(TOTAL)]
            while len(answers) < TOTAL * 0.3:  # noqa: ASYNC110 — a count, not an event, is waited for
                await asyncio.sleep(0.005)
            tripped_at = await asyncio.to_thread(trip)
            await asyncio.gather(*tasks)

    asyncio.run(load())
    later = [arm for arm, at in answers if at > tripped_at]
    assert len(answers) == TOTAL
    assert {arm for arm, at in answers if at < tripped_at} == {"base", "adapter"}
    assert len(later) > TOTAL * 0.2, "the trip came too late to show anything"
    assert later.count("adapter") == 0


def test_a_restart_does_not_re_arm(house: House) -> None:
    for i in range(4):
        house.call(f"b{i}")
        house.verdict(f"b{i}", "block")
    assert house.state() == "rolled_back"
    for how in (signal.SIGTERM, signal.SIGKILL):
        house.stop("serve", how)
        house.start("serve")
        assert house.state() == "rolled_back"
        assert {house.assigned(f"run_{i}")["arm"] for i in range(50)} == {"base"}


def test_a_store_that_can_not_be_written_is_base_on_the_next_request_and_failsafe(house: House) -> None:
    """As on a full disk: from now on the kernel refuses the owner every byte beyond the first 100 of any file."""
    assert {house.assigned(f"run_{i}")["arm"] for i in range(50)} == {"base", "adapter"}
    pid = house.processes["serve"].pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100, hard))
    answer = house.post("calls", id="lost", arm="base", model="base-model")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert {house.assigned(f"run_{i}")["arm"] for i in range(50)} == {"base"}
    assert until(lambda: house.state() == "failsafe", 60)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    assert until(lambda: house.post("calls", id="lost", arm="base", model="base-model").status_code == 201, 30)
    assert house.state() == "failsafe", "it does not open by itself before ten clean minutes"
