"""The demo's director: children at work, an adapter that is armed, turns harmful and is stopped, told step by step.

It runs in its own process, beside the real services: ``python -m demo.run --help``. It may arm the guard because the
traffic is made up; elsewhere a person does (and the log names the director as ``demo (automatic)``).
"""

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from client.errors import Refused, ServiceError
from client.host import Equipoise
from client.http import Client
from demo.workshop import Workshop

ACTOR: Final = "demo (automatic)"
REASON: Final = "synthetic traffic: the demo arms its own guard; elsewhere a person does"


class Plan(NamedTuple):
    """When what happens, seconds after the children begin, at speed 1."""

    arm_s: float = 12.0
    """Base-only traffic until then, so that verdicts flow."""
    tell_every_s: float = 15.0


class Stage(NamedTuple):
    """Where everything stands."""

    api: str
    gateway: str
    experiment: str
    adapter: str
    """The adapter's arm."""
    version: str
    """The adapter version that is armed."""
    harmful_after: int
    """Answers after which the backend's adapter turns harmful; it is the backend that counts them."""


class Director:
    """Follows the plan and tells what happens.

    Args:
        stage: addresses and names.
        plan: times.
        speed: 2 is twice as fast.
    """

    def __init__(self, stage: Stage, plan: Plan, speed: float) -> None:
        self._stage, self._plan, self._speed = stage, plan, speed
        self._client = Client(stage.api, timeout=10, patience=5)
        self._told = ""

    async def direct(self) -> None:
        """Arm, then watch for as long as it takes."""
        told = asyncio.create_task(self._tell())
        watch = asyncio.create_task(self._watch())
        try:
            await asyncio.sleep(self._plan.arm_s / self._speed)
            await self._arm()
            await asyncio.gather(told, watch)
        finally:
            told.cancel()
            watch.cancel()
            self._client.close()

    async def _arm(self) -> None:
        while True:
            try:
                answer = await asyncio.to_thread(
                    self._client.act_on_guard,
                    self._stage.experiment,
                    action="arm",
                    arm=self._stage.adapter,
                    reason=REASON,
                    actor=ACTOR,
                    adapter=self._stage.version,
                )
            except Refused as error:
                # Until the first verdict has arrived the guard would be blind, and says so.
                say(f"not armed yet: {error.detail}")
                await asyncio.sleep(2 / self._speed)
            else:
                say(f"the demo has armed its own guard: {answer['sentence']}")
                say(f"after {self._stage.harmful_after} answers the adapter will turn harmful: watch the dashboard")
                return

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(0.5)
            try:
                guard = await asyncio.to_thread(self._client.guard, self._stage.experiment)
            except ServiceError as error:
                say(f"the service does not answer: {error}")
                await asyncio.sleep(2)
                continue
            adapter = next(item for item in guard["adapters"] if item["arm"] == self._stage.adapter)
            if adapter["state"] != self._told and adapter["state"] != "disarmed":
                say(f"guard: {adapter['state'].upper().replace('_', ' ')}. {adapter['sentence']}")
            if adapter["state"] == "rolled_back" and self._told != "rolled_back":
                say("every call goes to the base arm now; the workshop goes on without noticing")
            self._told = adapter["state"]

    async def _tell(self) -> None:
        while True:
            await asyncio.sleep(self._plan.tell_every_s / self._speed)
            try:
                results = await asyncio.to_thread(
                    self._client.results, self._stage.experiment, epoch="all", analysis="false"
                )
            except ServiceError:
                continue  # the watch says so already
            say("; ".join(arm_words(arm) for arm in results["arms"]))


def arm_words(arm: dict[str, Any]) -> str:
    """``base: 61 calls, 1 of 55 prompt-runs blocked, 7 favourites``."""
    runs = arm["prompt_runs"]
    return (
        f"{arm['arm']}: {arm['calls']} calls, {runs['k']} of {runs['n']} prompt-runs blocked, "
        f"{arm['favourites']['k']} favourites"
    )


def say(line: str) -> None:
    """A line for the console."""
    print(line, flush=True)


async def perform(stage: Stage, key: Path, spool: Path, *, seed: int, speed: float, duration: float) -> None:
    """Let the children work and the director direct until SIGINT, SIGTERM or the duration's end.

    Args:
        stage: addresses and names.
        key: the installation's key file.
        spool: folder for the host client's waiting events.
        seed: what the children do.
        speed: 2 is twice as fast.
        duration: seconds; 0: without end.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if duration:
        loop.call_later(duration, stop.set)
    with Equipoise(stage.api, spool=spool, experiment=stage.experiment, key=key, gateway_url=stage.gateway) as host:
        workshop = Workshop(stage.gateway, host, seed=seed, speed=speed, say=say)
        director = asyncio.create_task(Director(stage, Plan(), speed).direct())
        director.add_done_callback(lambda _: stop.set())
        try:
            await workshop.run(stop)
        finally:
            director.cancel()
            (outcome,) = await asyncio.gather(director, return_exceptions=True)
        say(", ".join(f"{count} {name}" for name, count in sorted(workshop.counts.items())))
        health = host.health()
        if not health.ok:
            say(f"host client: {health.message}")
    if isinstance(outcome, ServiceError):
        raise SystemExit(f"the demo's director stopped: {outcome}")
    if isinstance(outcome, Exception):
        raise outcome


def main(arguments: Sequence[str] | None = None) -> None:
    """The process's command line."""
    parser = argparse.ArgumentParser(
        prog="demo.run", description="Synthetic workshop traffic against running services."
    )
    parser.add_argument("--api", default="http://127.0.0.1:17811")
    parser.add_argument("--gateway", default="http://127.0.0.1:17812")
    parser.add_argument("--experiment", default="stage2")
    parser.add_argument("--adapter", default="adapter", help="the adapter's arm")
    parser.add_argument("--version", required=True, help="the adapter version, which is its model's name")
    parser.add_argument("--harmful-after", type=int, default=0, help="told to the audience; the backend counts")
    parser.add_argument("--key", type=Path, required=True, help="the installation's key file")
    parser.add_argument("--spool", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=1.0)
    parser.add_argument("--duration", type=float, default=0.0)
    given = parser.parse_args(arguments)
    stage = Stage(given.api, given.gateway, given.experiment, given.adapter, given.version, given.harmful_after)
    asyncio.run(perform(stage, given.key, given.spool, seed=given.seed, speed=given.speed, duration=given.duration))


if __name__ == "__main__":
    main()
