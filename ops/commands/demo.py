"""``equipoise demo``: the whole house on made-up traffic, in a folder of its own."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from ops.demo_house import ADAPTER_MODEL, BASE_MODEL, EXPERIMENT, choose_ports, fresh_folder, write_settings
from ops.known import PREFIX
from ops.options import Json
from ops.services import announce, children, logger
from ops.settings import Loaded, load_settings
from ops.supervisor import Child, Supervisor

EXAMPLE: Final = "Example: equipoise demo --seed 7"
HARMFUL_AFTER: Final = 30
"""Harmless answers of the adapter: long enough to see it work, short enough to see it stopped within two minutes."""
LATENCY_MS: Final = 600
"""Median time of a made-up answer at speed 1."""


def demo(
    seed: Annotated[int, typer.Option("--seed", help="What the made-up children do.")] = 1,
    speed: Annotated[float, typer.Option("--speed", help="2 is twice as fast.", min=0.1, max=100)] = 1.0,
    duration: Annotated[
        float,
        typer.Option("--duration", help="Seconds of traffic, then everything stops [default: without end].", min=0),
    ] = 0.0,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Without the dashboard.")] = False,
    folder: Annotated[
        Path, typer.Option("--folder", help="Where its data goes; wiped at each start if a demo made it.")
    ] = Path("demo-data"),
    as_json: Json = False,
) -> None:
    """Show everything on synthetic traffic.

    Made-up children work through the gateway; an adapter is armed, turns harmful, is watched and rolled back.
    """
    log = logger(as_json, sys.stderr.isatty())
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        log("", f"{name} is not used: the demo has settings of its own")
        del os.environ[name]
    place, ports = fresh_folder(folder), choose_ports()
    loaded = load_settings(write_settings(place, ports))
    log("", f"DEMO: synthetic traffic, data in {place}")
    for line in ports.moved():
        log("", line)
    dashboard = not no_dashboard
    house = [
        _backend(ports.backend, seed, speed),
        *children(loaded, dashboard=dashboard),
        _workshop(loaded, place, seed, speed, duration),
    ]
    asyncio.run(Supervisor(house, log, announce(loaded, log, dashboard=dashboard)).run())
    log("", "stopped; nothing is left running")


def _backend(port: int, seed: int, speed: float) -> Child:
    arguments = {
        "--port": str(port),
        "--base": BASE_MODEL,
        "--adapter": ADAPTER_MODEL,
        "--seed": str(seed),
        "--latency-ms": str(LATENCY_MS / speed),
        "--spread-ms": str(LATENCY_MS / speed / 3),
        "--harmful-after": str(HARMFUL_AFTER),
    }
    return Child("ollama", "demo.ollama_double", _flat(arguments), f"http://127.0.0.1:{port}/api/tags")


def _workshop(loaded: Loaded, place: Path, seed: int, speed: float, duration: float) -> Child:
    settings = loaded.settings
    arguments = {
        "--api": settings.api_url(),
        "--gateway": settings.gateway_url(),
        "--experiment": EXPERIMENT,
        "--version": ADAPTER_MODEL,
        "--harmful-after": str(HARMFUL_AFTER),
        "--key": str(settings.service.data / "key"),
        "--spool": str(place / "host-spool"),
        "--seed": str(seed),
        "--speed": str(speed),
        "--duration": str(duration),
    }
    return Child("workshop", "demo.run", _flat(arguments), final=True)


def _flat(arguments: dict[str, str]) -> tuple[str, ...]:
    return tuple(part for pair in arguments.items() for part in pair)
