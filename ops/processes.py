"""Who holds a port or a file, read from ``/proc``; where there is no ``/proc``, nobody is named."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_PROC: Final = Path("/proc")
_LISTENING: Final = "0A"


class Holder(NamedTuple):
    """A process that has what we need."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


def command_of(pid: int) -> str:
    """A process's command line, at most 160 characters; 'command unknown' where it can't be read."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return "command unknown"
    text = raw.replace(b"\0", b" ").decode(errors="replace").strip()
    return text if len(text) <= 160 else f"{text[:159]}…"


def listener(port: int) -> Holder | None:
    """The process that listens on a TCP port of this machine; None if none does or it can't be seen."""
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    for pid in _pids():
        if inodes & set(_socket_inodes(pid)):
            return Holder(pid, command_of(pid))
    return None


def lock_holder(path: Path) -> Holder | None:
    """The process that holds a POSIX lock on a file, as DuckDB does; None if none does or it can't be seen."""
    try:
        status = path.stat()
        locks = (_PROC / "locks").read_text()
    except OSError:
        return None
    # A line reads: "1: POSIX  ADVISORY  WRITE 1234 08:01:5678 0 EOF" (device in hexadecimal, inode in decimal).
    wanted = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    for line in locks.splitlines():
        parts = line.split()
        if wanted in parts:
            pid = int(parts[parts.index(wanted) - 1])
            if pid > 0:
                return Holder(pid, command_of(pid))
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (_PROC / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]


def _pids() -> Iterator[int]:
    try:
        names = os.listdir(_PROC)
    except OSError:
        return
    for name in names:
        if name.isdigit():
            yield int(name)


def _socket_inodes(pid: int) -> Iterator[str]:
    folder = _PROC / str(pid) / "fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            target = os.readlink(folder / name)
        except OSError:
            continue
        if target.startswith("socket:["):
            yield target[8:-1]
