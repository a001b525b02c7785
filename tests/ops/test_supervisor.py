"""``up``'s supervisor: order, readiness, restarts, a clean stop, and nothing left behind."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from ops.errors import UserError
from ops.listen import free_port
from ops.supervisor import Child, Patience, Supervisor

ROOT = Path(__file__).parents[2]
SERVER = """
import http.server, os, signal, sys
port, name = int(sys.argv[1]), sys.argv[2]
def stop(*_):
    print("stopping", flush=True)
    raise SystemExit(0)
signal.signal(signal.SIGTERM, stop)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
print("pid", os.getpid(), flush=True)
http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
STUBBORN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("pid", os.getpid(), flush=True)
while True: time.sleep(0.1)
"""
FAILS = """
import sys
print("no such file: give another", file=sys.stderr)
sys.exit(2)
"""
CRASHES = "raise ValueError('several\\nlines')"
ENDS = "print('that is all')"
PARENT = """
import os, subprocess, sys, time
print("pid", os.getpid(), flush=True)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print("pid", child.pid, flush=True)
time.sleep(300)
"""


class Lines:
    """What the supervisor logged, and the processes that said their ids."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str]] = []

    def __call__(self, name: str, line: str) -> None:
        self.all.append((name, line))

    def pids(self, name: str) -> list[int]:
        return [int(line.split()[1]) for who, line in self.all if who == name and line.startswith("pid ")]

    def text(self) -> str:
        return "\n".join(f"{name}: {line}" for name, line in self.all)


class Bench(NamedTuple):
    server: Callable[[str], Child]
    module: Callable[[str, str], Child]
    lines: Lines


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for name, text in (
        ("server", SERVER),
        ("stubborn", STUBBORN),
        ("fails", FAILS),
        ("crashes", CRASHES),
        ("ends", ENDS),
        ("parent", PARENT),
    ):
        (tmp_path / f"eq_test_{name}.py").write_text(text)

    def server(name: str) -> Child:
        port = free_port("127.0.0.1")
        return Child(name, "eq_test_server", (str(port), name), f"http://127.0.0.1:{port}/")

    return Bench(server, lambda name, module: Child(name, f"eq_test_{module}"), Lines())


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie that nobody has waited for does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


def run(
    children: list[Child], lines: Lines, then: Callable[[Supervisor], object], patience: Patience | None = None
) -> None:
    async def main() -> None:
        ready = asyncio.Event()
        supervisor = Supervisor(children, lines, ready.set, patience)
        task = asyncio.create_task(supervisor.run())
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        try:
            if not task.done():
                result = then(supervisor)
                if asyncio.iscoroutine(result):
                    await result
        finally:
            supervisor.stop()
            await asyncio.wait_for(task, 30)

    asyncio.run(main())


def test_children_start_in_order_and_stop_in_the_reverse_order(bench: Bench) -> None:
    run([bench.server("one"), bench.server("two")], bench.lines, lambda supervisor: None)
    words = [f"{name}:{line.split()[0]}" for name, line in bench.lines.all]
    assert words == ["one:pid", ":one", "two:pid", ":two", "two:stopping", "one:stopping"]
    assert not any(alive(pid) for name in ("one", "two") for pid in bench.lines.pids(name))


def test_a_child_that_dies_is_started_again(bench: Bench) -> None:
    async def kill(_: Supervisor) -> None:
        os.kill(bench.lines.pids("one")[0], signal.SIGKILL)
        await until(lambda: len(bench.lines.pids("one")) == 2)

    run([bench.server("one")], bench.lines, kill, Patience(first_restart=0.05))
    assert "one ended by itself (signal SIGKILL): starting it again in 0.05 s" in bench.lines.text()


def test_restarts_back_off(bench: Bench, tmp_path: Path) -> None:
    async def wait(_: Supervisor) -> None:
        (tmp_path / "broken").touch()
        os.kill(bench.lines.pids("one")[0], signal.SIGKILL)
        await until(lambda: bench.lines.text().count("starting it again") >= 4)

    # From now on it ends as soon as it starts.
    (tmp_path / "eq_test_server.py").write_text(
        f"import os\nif os.path.exists({str(tmp_path / 'broken')!r}): os._exit(3)\n" + SERVER
    )
    run([bench.server("one")], bench.lines, wait, Patience(first_restart=0.05, longest_restart=0.2))
    waits = [line.split()[-2] for name, line in bench.lines.all if name == "" and "starting it again" in line]
    assert waits[:4] == ["0.05", "0.1", "0.2", "0.2"]


def test_a_child_that_cannot_start_ends_everything_with_its_own_words(bench: Bench) -> None:
    failing = bench.module("two", "fails")._replace(ready_url="http://127.0.0.1:9/")
    with pytest.raises(UserError, match=r"two could not start \(exit 2\): no such file: give another"):
        run([bench.server("one"), failing], bench.lines, lambda supervisor: None)
    assert not alive(bench.lines.pids("one")[0])


def test_a_child_that_crashes_says_so_in_one_line(bench: Bench) -> None:
    child = bench.module("one", "crashes")._replace(ready_url="http://127.0.0.1:9/")
    words = r"one could not start \(exit 1\): eq_test_crashes: ValueError: several lines \(eq_test_crashes.py:1\)"
    with pytest.raises(UserError, match=words):
        run([child], bench.lines, lambda supervisor: None)
    assert "Traceback" not in bench.lines.text()


def test_a_child_that_never_gets_ready_is_named(bench: Bench) -> None:
    child = bench.module("one", "stubborn")._replace(ready_url="http://127.0.0.1:9/")
    with pytest.raises(UserError, match=r"one was not ready after"):
        run([child], bench.lines, lambda supervisor: None, Patience(ready=1.5, stop=0.2))
    assert not any(alive(pid) for pid in bench.lines.pids("one"))


def test_a_child_that_will_not_stop_is_killed(bench: Bench) -> None:
    async def wait(_: Supervisor) -> None:
        await until(lambda: bool(bench.lines.pids("one")))

    run([bench.module("one", "stubborn")], bench.lines, wait, Patience(stop=0.3))
    assert "one did not stop within" in bench.lines.text()
    assert not alive(bench.lines.pids("one")[0])


def test_grandchildren_go_too(bench: Bench) -> None:
    async def wait(_: Supervisor) -> None:
        await until(lambda: len(bench.lines.pids("one")) == 2)

    run([bench.module("one", "parent")], bench.lines, wait)
    # The grandchild was sent SIGKILL; the kernel carries that out a moment later.
    asyncio.run(until(lambda: not any(alive(pid) for pid in bench.lines.pids("one")), 5))


def test_the_end_of_a_final_child_is_the_end(bench: Bench) -> None:
    async def wait(_: Supervisor) -> None:
        await until(lambda: "stopping everything" in bench.lines.text())

    run([bench.server("one"), bench.module("last", "ends")._replace(final=True)], bench.lines, wait)
    assert ("last", "that is all") in bench.lines.all


def test_a_final_child_that_fails_is_an_error(bench: Bench) -> None:
    async def wait(_: Supervisor) -> None:
        await until(lambda: "stopping everything" in bench.lines.text())

    with pytest.raises(UserError, match=r"last failed \(exit 2\): no such file"):
        run([bench.module("last", "fails")._replace(final=True)], bench.lines, wait)


def test_children_stop_when_their_parent_is_killed(tmp_path: Path) -> None:
    (tmp_path / "eq_test_server.py").write_text(SERVER)
    port = free_port("127.0.0.1")
    program = (
        "import asyncio\nfrom ops.supervisor import Child, Supervisor\n"
        f"child = Child('one', 'eq_test_server', ('{port}', 'one'), 'http://127.0.0.1:{port}/')\n"
        "asyncio.run(Supervisor([child], lambda n, l: print(n, l, flush=True)).run())\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as up:
        assert up.stdout is not None
        child = int(up.stdout.readline().split()[-1])
        assert "ready" in up.stdout.readline()
        os.kill(up.pid, signal.SIGKILL)
        end = time.monotonic() + 15
        while alive(child) and time.monotonic() < end:
            time.sleep(0.05)
        left = alive(child)
        if left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
    assert not left
