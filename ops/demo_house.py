"""The demo's folder, free ports and settings file: everything of it lies in one folder that says whose it is."""

import json
import os
import shutil
from pathlib import Path
from typing import Final, NamedTuple

from collector.config import ServiceSettings
from ops.errors import UserError
from ops.listen import free_port, is_free

MARKER: Final = ".equipoise-demo"
EXPERIMENT: Final = "stage2"
ALIAS: Final = "equipoise-stage2"
BASE_MODEL: Final = "demo-base"
ADAPTER_MODEL: Final = "demo-adapter-1"
ADAPTER_PERCENT: Final = 40
"""A real test starts lower; here one wants to see something within two minutes."""


class Ports(NamedTuple):
    """Where the demo listens, all on loopback."""

    api: int
    gateway: int
    dashboard: int
    backend: int

    def moved(self) -> list[str]:
        """Which of them are not the usual ones."""
        usual = ServiceSettings()
        pairs = (
            ("API", usual.api_port, self.api),
            ("gateway", usual.gateway_port, self.gateway),
            ("dashboard", usual.dashboard_port, self.dashboard),
        )
        return [f"port {wanted} is taken: the {name} is on {got}" for name, wanted, got in pairs if wanted != got]


def choose_ports() -> Ports:
    """The usual ports where they are free, any free ones otherwise; the backend never has a usual one."""
    service = ServiceSettings()
    taken: set[int] = set()

    def choose(usual: int) -> int:
        port = usual if usual and is_free(service.host, usual) else free_port(service.host)
        while port in taken:
            port = free_port(service.host)
        taken.add(port)
        return port

    return Ports(choose(service.api_port), choose(service.gateway_port), choose(service.dashboard_port), choose(0))


def fresh_folder(folder: Path) -> Path:
    """An empty demo folder: made, or wiped if an earlier demo made it.

    Raises:
        UserError: the folder is there and no demo made it, so that nothing of anybody's is deleted.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{folder} is no folder: give the demo another one with --folder")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / MARKER).is_file():
            raise UserError(f"{folder} is not empty and no demo made it: give the demo another one with --folder")
        running = _running(folder / MARKER)
        if running:
            raise UserError(
                f"a demo (process {running}) is running in {folder}: stop it first, or give this one another --folder"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = f"Made by 'equipoise demo', which deletes this folder at its next start.\npid {os.getpid()}\n"
    (folder / MARKER).write_text(text)
    return folder.absolute()


def _running(marker: Path) -> int:
    """Process id of the demo that uses the folder; 0 if it has ended."""
    last = marker.read_text().split()[-1:]
    pid = int(last[0]) if last and last[0].isdigit() else 0
    if not pid or pid == os.getpid():
        return 0
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return 0
    return pid if b"equipoise" in command else 0


def write_settings(folder: Path, ports: Ports) -> Path:
    """The demo's own ``equipoise.toml``: development mode on loopback, everything marked synthetic."""
    backend = f"http://127.0.0.1:{ports.backend}"
    path = folder / "equipoise.toml"
    arms = (("base", BASE_MODEL, 100 - ADAPTER_PERCENT), ("adapter", ADAPTER_MODEL, ADAPTER_PERCENT))
    lines = [
        "# Made by 'equipoise demo'. The traffic is made up, and everything says so.",
        "[service]",
        f"api_port = {ports.api}",
        f"gateway_port = {ports.gateway}",
        f"dashboard_port = {ports.dashboard}",
        "development = true",
        "synthetic = true",
        "[gateway]",
        f"upstream_url = {json.dumps(backend)}",
        f"[experiment.{EXPERIMENT}]",
        f"alias = {json.dumps(ALIAS)}",
    ]
    for name, model, weight in arms:
        lines += [
            f"[experiment.{EXPERIMENT}.arms.{name}]",
            f"model = {json.dumps(model)}",
            f"url = {json.dumps(backend)}",
            f"weight = {weight}",
        ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
