"""The host's export folder on disk. The only file of the importer that touches it, and it only ever reads.

No symbolic link below the folder is followed, only regular files are opened (a named pipe would wait for ever), and
each read has a limit, so that nothing in the folder can lead elsewhere or fill the memory.
"""

import os
import re
import stat
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

MAX_METADATA: Final = 4_000_000
"""Bytes of one metadata.json or error.json."""
MAX_FAVOURITES: Final = 64_000_000
"""Bytes of favorites.json."""
MAX_TEXT_FILE: Final = 800_016
"""Bytes of one text: 200,000 characters of at most 4 bytes, and a little."""
_DATE: Final = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_PARTS: Final = frozenset({"final", "prompting_process"})


class Unreadable(Exception):
    """A file that was not read; ``str()`` is the reason in a few words, such as 'missing' or 'too large'."""


class RunFolder(NamedTuple):
    """Where a run lies: ``{date}/{device}/{run}`` below the export's root."""

    date: str
    device: str
    run: str


class Signature(NamedTuple):
    """What changes when a run folder does: modification times in nanoseconds, 0 where there is no such file."""

    metadata: int
    error: int
    folder: int


class Tree:
    """A host's exports.

    Args:
        path: ``exports/json`` itself, or a folder that holds it (``exports``, or the host's own).

    Raises:
        ValueError: there is no such folder, or it holds neither date folders nor favorites.json.
    """

    def __init__(self, path: Path) -> None:
        self.root = _find(path)
        self.passed_over: Counter[str] = Counter()

    def runs(self) -> list[RunFolder]:
        """Every run folder, by date, device and run; what lies between them is counted in ``passed_over``."""
        self.passed_over = Counter()
        found: list[RunFolder] = []
        for date in self._folders(self.root):
            if not _DATE.match(date):
                self.passed_over["not a date folder"] += 1
                continue
            for device in self._folders(self.root / date):
                found.extend(RunFolder(date, device, run) for run in self._folders(self.root / date / device))
        return found

    def _folders(self, path: Path) -> list[str]:
        try:
            with os.scandir(path) as entries:
                return sorted(entry.name for entry in entries if self._is_folder(entry))
        except OSError as error:
            self.passed_over[f"folder not readable ({error.strerror})"] += 1
            return []

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        try:
            if entry.is_dir(follow_symlinks=False):
                # A name that is not UTF-8 cannot be an id of the host, and no event could carry it.
                entry.name.encode()
                return True
            if entry.is_symlink():
                self.passed_over["a link"] += 1
            elif entry.name != "favorites.json":
                self.passed_over["a file among folders"] += 1
        except UnicodeEncodeError:
            self.passed_over["a name that is not UTF-8"] += 1
        except OSError:
            self.passed_over["not readable"] += 1
        return False

    def signature(self, folder: RunFolder) -> Signature:
        """When the run's files changed last."""
        base = self.root.joinpath(*folder)
        return Signature(_changed(base / "metadata.json"), _changed(base / "error.json"), _changed(base))

    def metadata(self, folder: RunFolder) -> bytes:
        """The bytes of metadata.json.

        Raises:
            Unreadable: missing, a link, too large, no access.
        """
        return _read(self.root.joinpath(*folder, "metadata.json"), MAX_METADATA)

    def error(self, folder: RunFolder) -> bytes:
        """The bytes of error.json; like :meth:`metadata`."""
        return _read(self.root.joinpath(*folder, "error.json"), MAX_METADATA)

    def text(self, folder: RunFolder, part: str, name: str) -> bytes:
        """The bytes of one text in ``final`` or ``prompting_process``.

        Args:
            folder: the run.
            part: which of the two.
            name: as metadata.json has it: it may be anything, and anything but a plain file name is refused.

        Raises:
            Unreadable: missing, a link, too large, no access, or not a plain name.
        """
        if part not in _PARTS or name in ("", ".", "..") or any(mark in name for mark in "/\\\x00") or len(name) > 255:
            raise Unreadable("not a plain file name")
        parent = self.root.joinpath(*folder, part)
        try:
            if not stat.S_ISDIR(os.lstat(parent).st_mode):
                raise Unreadable("in a link, not a folder")
        except (OSError, ValueError) as error:
            raise Unreadable("missing") from error
        return _read(parent / name, MAX_TEXT_FILE)

    def favourites(self) -> bytes:
        """The bytes of favorites.json; like :meth:`metadata`."""
        return _read(self.root / "favorites.json", MAX_FAVOURITES)

    def favourites_changed(self) -> int:
        """When favorites.json changed last, in nanoseconds; 0 without one."""
        return _changed(self.root / "favorites.json")


def _find(path: Path) -> Path:
    if not path.is_dir():
        raise ValueError(f"{path} is no folder: give the host's exports/json folder")
    for candidate in (path, path / "json", path / "exports" / "json"):
        if candidate.is_dir() and _looks_right(candidate):
            return candidate.resolve()
    raise ValueError(
        f"{path} holds no exports: expected folders named by date (2026-03-14) or favorites.json; "
        "give the host's exports/json folder"
    )


def _looks_right(path: Path) -> bool:
    with os.scandir(path) as entries:
        return any(_DATE.match(entry.name) or entry.name == "favorites.json" for entry in entries)


def _changed(path: Path) -> int:
    try:
        return os.lstat(path).st_mtime_ns
    except (OSError, ValueError):
        return 0


def _read(path: Path, limit: int) -> bytes:
    try:
        about = os.lstat(path)
        if stat.S_ISLNK(about.st_mode):
            raise Unreadable("a link")
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable("not a regular file")
        if about.st_size > limit:
            raise Unreadable("too large")
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags), "rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise Unreadable("missing") from error
    except (OSError, ValueError) as error:
        raise Unreadable("no access") from error
    if len(data) > limit:
        raise Unreadable("too large")
    return data
