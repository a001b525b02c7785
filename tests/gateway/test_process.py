"""The gateway as a process: killed, restarted, stopped, refused."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import ollama
import pytest
from aiohttp import web

from gateway.outbox import STOPPED
from tests.gateway.harness import ALIAS, PROMPT, House, backend, wait_until

ROOT = Path(__file__).resolve().parents[2]
RAW_DEVICE = "0b1f6a52-7f7e-4c1c-9b2e-5f1f0a3c9d11_2026-03-01"
RAW_RUN = "run_1772355000000_a1b2c3"


def start(house: House, *more: str, backend: str = "") -> tuple[subprocess.Popen[str], str]:
    script = ROOT / "tests" / "gateway" / "serving.py"
    arguments = [
        sys.executable,
        str(script),
        str(house.folder),
        backend or house.double.url,
        house.api_server.url,
        *more,
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def test_killed_in_the_middle_of_traffic_it_loses_no_answered_call_and_doubles_none(
    house: House, processes: list[subprocess.Popen[str]]
) -> None:
    house.permit("adapter")
    house.api.status = 503
    process, url = start(house)
    processes.append(process)
    answered: list[str] = []
    enough = threading.Event()

    def work(number: int) -> None:
        with httpx.Client(timeout=10) as client, contextlib.suppress(httpx.HTTPError):
            while True:
                body = {"model": ALIAS, "prompt": PROMPT, "stream": number % 2 == 0}
                response = client.post(f"{url}/api/generate", json=body)
                answered.append(response.headers["X-Equipoise-Call"])
                if len(answered) >= 60:
                    enough.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    assert enough.wait(30)
    process.send_signal(signal.SIGKILL)
    for thread in threads:
        thread.join(15)
    assert process.wait(10) == -signal.SIGKILL
    again, _ = start(house)
    processes.append(again)
    house.api.status = 0
    wait_until(lambda: set(answered) <= set(house.api.bodies), "every answered call arrives")
    wait_until(lambda: not list(house.outbox.glob("calls-*")), "the outbox is empty")
    again.send_signal(signal.SIGTERM)
    assert again.wait(15) == 0
    ids = [call.id for call in house.api.calls]
    assert len(ids) == len(set(ids))
    assert not list((house.outbox / "open").iterdir())


def test_killed_in_the_middle_of_a_stream_it_keeps_the_call_that_a_child_has_read_half_of(
    house: House, processes: list[subprocess.Popen[str]]
) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b'{"model":"m","response":"Ein ","done":false}\n')
            await asyncio.sleep(0.01)

    slow = house.serve(backend(endless))
    process, url = start(house, backend=slow.url)
    processes.append(process)
    body = {"model": ALIAS, "prompt": PROMPT}
    with httpx.stream("POST", f"{url}/api/generate", json=body, timeout=10) as response:
        lines = response.iter_lines()
        next(lines)
        call = response.headers["X-Equipoise-Call"]
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    again, _ = start(house)
    processes.append(again)
    [kept] = house.delivered(1)
    assert (kept.id, kept.input, kept.error) == (call, "Ein Haus im Wald", STOPPED)
    assert (kept.arm, kept.reason) == ("base", "default")


def test_no_raw_id_reaches_the_disk_or_the_log(house: House, processes: list[subprocess.Popen[str]]) -> None:
    house.permit("adapter")
    house.api.status = 503
    process, url = start(house)
    processes.append(process)
    headers = {"X-Equipoise-Unit": RAW_DEVICE, "X-Equipoise-Run": RAW_RUN, "X-Equipoise-Parent-Run": f"{RAW_RUN}0"}
    ollama.Client(url, headers=headers).generate(ALIAS, PROMPT)
    httpx.post(f"{url}/v1/assignments", json={"run": RAW_RUN, "device": RAW_DEVICE})
    httpx.post(f"{url}/api/generate", json={"model": "other", "prompt": "Das Geheimnis der Katze"})
    data = b"".join(path.read_bytes() for path in house.folder.rglob("*") if path.is_file())
    assert b"Ein Haus im Wald" in data
    process.send_signal(signal.SIGTERM)
    out, log = process.communicate(timeout=15)
    everything = data + out.encode() + log.encode()
    for secret in (RAW_DEVICE, RAW_DEVICE.split("_")[0], RAW_RUN, "Geheimnis"):
        assert secret.encode() not in everything
    assert "Ein Haus" not in log
    assert process.returncode == 0


def test_a_taken_port_is_said_in_one_line(house: House, processes: list[subprocess.Popen[str]]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process, _ = start(house, str(taken.getsockname()[1]))
        processes.append(process)
        _, log = process.communicate(timeout=15)
    assert process.returncode == 1
    assert "can't listen on 127.0.0.1" in log
    assert "stop what runs there or set another [gateway] port" in log
    assert "Traceback" not in log


def test_a_second_gateway_on_the_same_outbox_is_said_in_one_line(
    house: House, processes: list[subprocess.Popen[str]]
) -> None:
    first, _ = start(house)
    second, _ = start(house)
    processes += [first, second]
    _, log = second.communicate(timeout=15)
    assert second.returncode == 1
    assert "is used by another gateway" in log
    assert "Traceback" not in log
