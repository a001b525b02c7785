"""What ``doctor`` sees on this machine: folders, permissions, disk, ports, the warehouse file, permits, clock."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from experiment.arms import Arms
from experiment.permit import MAX_AGE_S, Permit, PermitError, read_permit
from ops.finding import Finding
from ops.listen import is_free
from ops.processes import listener, lock_holder
from ops.settings import Settings

_SECRETS: Final = ("key", "tokens.json")
_CLOCK_S: Final = 2.0


def data_folder(settings: Settings) -> Iterator[Finding]:
    """Whether the data folder is there, writable, and its secrets are this user's alone."""
    data = settings.service.data
    if not data.is_dir():
        above = next(folder for folder in (data, *data.parents) if folder.is_dir())
        if os.access(above, os.W_OK):
            yield Finding("ok", "data folder", f"{data} is not there yet; the first start makes it")
        else:
            yield Finding(
                "problem",
                "data folder",
                f"{above} can't be written",
                "give this user the right, or set [service] data",
            )
        return
    try:
        with tempfile.TemporaryFile(dir=data) as file:
            file.write(b"x")
            drift = os.fstat(file.fileno()).st_mtime - time.time()
    except OSError as error:
        yield Finding("problem", "data folder", f"{data} can't be written: {error.strerror}", "check rights and disk")
        return
    yield Finding("ok", "data folder", f"{data} can be written")
    if abs(drift) > _CLOCK_S:
        yield Finding(
            "problem",
            "clock",
            f"the file system of {data} says it is {drift:+.0f} s: permits would look too old or from the future",
            "keep the data folder on a local disk, or set both clocks by NTP",
        )
    for name in _SECRETS:
        path = data / name
        if not path.exists():
            yield Finding("ok", name, "is not there yet; the first start makes it")
        elif path.stat().st_mode & 0o077:
            yield Finding("problem", name, f"{path} can be read by other users", f"run: chmod 600 {path}")
        elif not os.access(path, os.R_OK):
            yield Finding("warning", name, f"{path} can't be read by this user", "run doctor as the service's user")
        else:
            yield Finding("ok", name, f"{path} is this user's alone")


def disk(settings: Settings) -> Iterator[Finding]:
    """Free space where the data lies, and how much waits for the service."""
    data = settings.service.data
    here = next(folder for folder in (data, *data.parents) if folder.is_dir())
    free = shutil.disk_usage(here).free / 1e9
    limit = settings.alerts.disk_free_gb
    if free < limit:
        todo = "make room: with a full disk no event is kept, and the gateway serves the base arm alone"
        yield Finding("problem", "disk", f"{free:.1f} GB free at {here}, {limit:g} GB are wanted", todo)
    else:
        yield Finding("ok", "disk", f"{free:.1f} GB free at {here}")
    waiting = sum(_size(folder) for folder in (data / "outbox", data / "spool")) / 1e6
    if waiting > settings.alerts.waiting_mb:
        todo = "is the owner service running, and does it accept the token? It is delivered when it does"
        yield Finding("problem", "outbox", f"{waiting:.1f} MB wait for the service", todo)
    else:
        yield Finding("ok", "outbox", f"{waiting:.1f} MB in outbox and spool")


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*") if folder.is_dir() else ():
        try:
            total += path.stat().st_size
        except OSError:  # delivered and deleted in this moment
            continue
    return total


def ports(settings: Settings) -> Iterator[Finding]:
    """Whether each port is free, or taken by us."""
    service, gateway = settings.service, settings.gateway
    wanted = (
        ("api_port", service.host, service.api_port, "serve"),
        ("gateway_port", gateway.host, gateway.port, "gateway"),
        ("dashboard_port", service.host, service.dashboard_port, "dashboard"),
    )
    for name, host, port, command in wanted:
        if port == 0 or is_free(host, port):
            yield Finding("ok", f"port {port}", f"is free ({name})")
            continue
        holder = listener(port)
        if holder is not None and "equipoise" in holder.command and command in holder.command.split():
            yield Finding("ok", f"port {port}", f"is ours: {holder}")
        else:
            who = str(holder) if holder else "another user's process"
            yield Finding("problem", f"port {port}", f"is taken by {who}", f"stop it, or set [service] {name}")


def warehouse(settings: Settings) -> Iterator[Finding]:
    """Who holds the DuckDB file."""
    url = settings.warehouse.url
    if "://" in url or url.startswith("ducklake:"):
        return
    path = Path(url) if url else settings.service.data / "equipoise.duckdb"
    if not path.exists():
        yield Finding("ok", "warehouse", f"{path} is not there yet; the first start makes it")
        return
    holder, server = lock_holder(path), listener(settings.service.api_port)
    if holder is None:
        yield Finding("ok", "warehouse", f"{path} is held by nobody")
    elif server is not None and server.pid == holder.pid:
        yield Finding("ok", "warehouse", f"{path} is held by the owner service, {holder}")
    else:
        todo = "one process owns the warehouse: stop that one, or speak to its API"
        yield Finding("problem", "warehouse", f"{path} is held by {holder}, which is not the service", todo)


def permits(settings: Settings, running: bool) -> Iterator[Finding]:
    """Each experiment's permit and its heartbeat.

    Args:
        settings: all of them.
        running: whether the owner service answers; without it an old permit is expected.
    """
    for name, experiment in settings.experiment.items():
        path = settings.service.data / "permits" / f"{name}.json"
        what = f"permit of {name}"
        try:
            content, age = path.read_bytes(), time.time() - path.stat().st_mtime
        except FileNotFoundError:
            yield Finding("ok", what, "there is none: nothing is armed, every call gets the base arm")
            continue
        except OSError as error:
            yield Finding("problem", what, f"{path} can't be read: {error.strerror}", "check the folder's rights")
            continue
        if age > MAX_AGE_S and not running:
            yield Finding("ok", what, f"{age:.0f} s old, as the service is not running: every call gets the base arm")
            continue
        try:
            permit = read_permit(content, age)
        except PermitError as error:
            yield Finding("problem", what, str(error), "until then every call gets the base arm; see the service's log")
            continue
        served = f"epoch {permit.epoch}, open: {', '.join(sorted(permit.open_arms)) or 'the base arm alone'}"
        if running and age > settings.alerts.permit_age_s:
            yield Finding("problem", what, f"its heartbeat is {age:.0f} s old ({served})", "see the service's log")
        else:
            yield Finding("ok", what, f"{served}, heartbeat {max(age, 0):.0f} s ago")
        yield from _changed(what, permit, experiment.proposed(name))


def _changed(what: str, permit: Permit, proposed: Arms) -> Iterator[Finding]:
    """What the settings say otherwise than the epoch that is in force."""
    if permit.arms.salt != proposed.salt:
        todo = "put the old salt back unless that is meant: units that an earlier epoch knows would change arms"
        yield Finding("warning", what, f"the salt was changed since epoch {permit.epoch}", todo)
    elif permit.arms != proposed:
        todo = "arm the adapter again to let the settings take effect"
        yield Finding("warning", what, f"the settings' arms are not those of epoch {permit.epoch}, which serves", todo)


def clock() -> Iterator[Finding]:
    """Whether the clock can be right: not before this file was written."""
    now, written = datetime.now(UTC), datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    if (written - now).total_seconds() > 86_400:
        yield Finding(
            "problem",
            "clock",
            f"it is {now:%Y-%m-%d %H:%M} UTC, before this program was installed",
            "set it, best by NTP",
        )
    else:
        yield Finding("ok", "clock", f"{now:%Y-%m-%d %H:%M:%S} UTC")
