"""Children in order, readiness, prefixed logs, restarts with back-off, and a clean stop that leaves nothing behind."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import httpx

from ops.errors import UserError

LINE_LIMIT: Final = 1 << 20
_TAIL: Final = 5


class Child(NamedTuple):
    """What to run and how to know that it works."""

    name: str
    module: str
    """Python module, run tied to this process by :mod:`ops.child`."""
    arguments: Sequence[str] = ()
    ready_url: str = ""
    """Answers 200 when the child is ready; '' : ready as soon as it runs."""
    environment: Mapping[str, str] = {}
    """Added to this process's environment."""
    final: bool = False
    """True: its end is the end of the house (the demo's workshop); it is not restarted."""


class Patience(NamedTuple):
    """How long the supervisor waits for what, seconds."""

    ready: float = 90.0
    """For a child to become ready for the first time."""
    stop: float = 12.0
    """Between SIGTERM and SIGKILL."""
    first_restart: float = 0.5
    """Before the first restart; doubled for each further one."""
    longest_restart: float = 30.0
    healthy: float = 60.0
    """A child that ran this long starts again with :attr:`first_restart`."""


Log = Callable[[str, str], None]
"""Gets a child's name ('' : the supervisor itself) and one line."""


@dataclass
class _Running:
    child: Child
    process: asyncio.subprocess.Process
    reader: asyncio.Task[None]
    started: float
    tail: list[str] = field(default_factory=list)


class Supervisor:
    """Runs children until told to stop.

    Args:
        children: started in this order, each after the one before is ready; stopped in the reverse order.
        log: gets every line.
        on_ready: called once, when all are ready.
        patience: waiting times; None: the usual ones.
    """

    def __init__(
        self,
        children: Sequence[Child],
        log: Log,
        on_ready: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
    ) -> None:
        self._children = children
        self._log = log
        self._on_ready = on_ready
        self._patience = patience or Patience()
        self._stopping = asyncio.Event()
        self._running: dict[str, _Running] = {}
        self._failure = ""

    def stop(self) -> None:
        """Ask for the end; a second call stops waiting for children to finish by themselves."""
        if self._stopping.is_set():
            self._signal_all(signal.SIGKILL)
        self._stopping.set()

    async def run(self) -> None:
        """Start all, watch them, and return when they were stopped.

        Raises:
            UserError: a child could not start, or the final one failed; what it said last is in the message.
                Everything is stopped by then.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.stop)
        watchers: list[asyncio.Task[None]] = []
        try:
            for child in self._children:
                if self._stopping.is_set():
                    return
                await self._first_start(child)
                watchers.append(asyncio.create_task(self._watch(child)))
            if not self._stopping.is_set():
                self._on_ready()
            await self._stopping.wait()
            if self._failure:
                raise UserError(self._failure)
        finally:
            self._stopping.set()
            for watcher in watchers:
                watcher.cancel()
            await asyncio.gather(*watchers, return_exceptions=True)
            await self._stop_all()
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                loop.remove_signal_handler(number)

    async def _spawn(self, child: Child) -> _Running:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            # Our rooms have everyday names: a client.py in the working directory must not be taken for one of them.
            "-P",
            "-m",
            "ops.child",
            str(os.getpid()),
            child.module,
            *child.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LINE_LIMIT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONPATH": _python_path(), **child.environment},
            # Its own session: Ctrl-C reaches the supervisor alone, which then stops the children in order.
            start_new_session=True,
        )
        tail: list[str] = []
        reader = asyncio.create_task(self._read(child.name, process, tail))
        running = _Running(child, process, reader, asyncio.get_running_loop().time(), tail)
        self._running[child.name] = running
        return running

    async def _read(self, name: str, process: asyncio.subprocess.Process, tail: list[str]) -> None:
        assert process.stdout is not None
        while True:
            try:
                raw = await process.stdout.readline()
            except ValueError:  # a line longer than the limit: asyncio has dropped it
                continue
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip()
            if line:
                tail[:] = [*tail[1 - _TAIL :], line]
                self._log(name, line)

    async def _first_start(self, child: Child) -> None:
        running = await self._spawn(child)
        ready = asyncio.create_task(self._until_ready(child))
        ended = asyncio.create_task(running.process.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        tasks = (ready, ended, stopping)
        try:
            done, _ = await asyncio.wait(tasks, timeout=self._patience.ready, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
        if stopping in done:
            return
        if ended in done and not child.final:
            await running.reader
            said = running.tail[-1] if running.tail else "it said nothing"
            raise UserError(f"{child.name} could not start (exit {running.process.returncode}): {said}")
        if not done:
            raise UserError(
                f"{child.name} was not ready after {self._patience.ready:.0f} s ({child.ready_url}): "
                "see its lines above, or run 'equipoise doctor'"
            )
        if child.ready_url:
            self._log("", f"{child.name} is ready")

    async def _until_ready(self, child: Child) -> None:
        if not child.ready_url:
            return
        # Loopback addresses are asked directly, whatever proxy the environment names.
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as http:
            while True:
                try:
                    if (await http.get(child.ready_url)).status_code == 200:
                        return
                except httpx.HTTPError:
                    pass
                await asyncio.sleep(0.1)

    async def _watch(self, child: Child) -> None:
        wait = self._patience.first_restart
        loop = asyncio.get_running_loop()
        while True:
            running = self._running[child.name]
            code = await running.process.wait()
            await running.reader
            if child.final:
                if code:
                    said = running.tail[-1] if running.tail else "it said nothing"
                    self._failure = f"{child.name} failed ({_how(code)}): {said}"
                self._log("", f"{child.name} has ended: stopping everything")
                self._stopping.set()
                return
            if loop.time() - running.started >= self._patience.healthy:
                wait = self._patience.first_restart
            self._log("", f"{child.name} ended by itself ({_how(code)}): starting it again in {wait:g} s")
            await asyncio.sleep(wait)
            wait = min(wait * 2, self._patience.longest_restart)
            await self._spawn(child)

    async def _stop_all(self) -> None:
        for name in reversed(list(self._running)):
            running = self._running[name]
            if running.process.returncode is None:
                _signal_group(running.process.pid, signal.SIGTERM)
                try:
                    await asyncio.wait_for(running.process.wait(), self._patience.stop)
                except TimeoutError:
                    self._log("", f"{name} did not stop within {self._patience.stop:.0f} s: killed")
            # Whatever a child has started itself goes with it.
            _signal_group(running.process.pid, signal.SIGKILL)
            await running.process.wait()
            running.reader.cancel()
            await asyncio.gather(running.reader, return_exceptions=True)

    def _signal_all(self, number: signal.Signals) -> None:
        for running in self._running.values():
            if running.process.returncode is None:
                _signal_group(running.process.pid, number)


def _python_path() -> str:
    own = str(Path(__file__).resolve().parents[1])
    return os.pathsep.join([own, *filter(None, [os.environ.get("PYTHONPATH")])])


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _how(code: int) -> str:
    return f"exit {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
