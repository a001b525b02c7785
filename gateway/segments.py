"""Append-only JSONL segments on disk, and the mark of what has been delivered. Files only; no network, no clock.

A line is in the kernel's hands when ``append`` returns, so killing the process loses nothing; ``sync`` puts it on the
platter as well. A line cut off by a crash is skipped at the next start: the call it belongs to was never answered.
"""

import contextlib
import errno
import json
import os
import re
import sys
from collections import deque
from pathlib import Path
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"^calls-(\d{12})\.jsonl$")
_MARK: Final = "delivered.json"


class OutboxBusy(RuntimeError):
    """Another gateway uses the folder."""


class Batch(NamedTuple):
    """Consecutive lines of one segment."""

    segment: int
    end: int
    """Offset behind the last of them."""
    lines: list[bytes]
    """Without line ends."""


class Segments:
    """The spool's files.

    Args:
        folder: made with mode 0700 where it is missing.
        segment_bytes: a segment is closed at this size.

    Raises:
        OutboxBusy: another gateway holds the folder.
        OSError: the folder can't be written.
    """

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(folder)
        self._delivered = 0
        """Offset within the oldest segment."""
        self._sizes: deque[tuple[int, int]] = deque()
        """(number, bytes) of every segment, oldest first."""
        self._file = -1
        self._mark_file = -1
        self.torn = 0
        """Lines cut off by a crash that were skipped."""
        self.count = 0
        """Undelivered lines."""
        self._find()

    def _find(self) -> None:
        found = sorted((int(m[1]), p) for p in self._folder.iterdir() if (m := _NAME.match(p.name)))
        marked, offset = self._read_mark()
        for number, path in found:
            size = path.stat().st_size
            if number < marked or (number == marked and offset >= size) or size == 0:
                path.unlink()
                continue
            self._sizes.append((number, size))
            if number == marked:
                self._delivered = offset
        self._next = max((found[-1][0] if found else 0), marked) + 1
        for index, (number, _) in enumerate(self._sizes):
            self.count += self._count(number, self._delivered if index == 0 else 0)

    def _read_mark(self) -> tuple[int, int]:
        try:
            value = json.loads((self._folder / _MARK).read_bytes())
            return int(value["segment"]), int(value["offset"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0, 0  # delivering twice is harmless: calls have ids

    def _count(self, number: int, offset: int) -> int:
        data = self._path(number).read_bytes()[offset:]
        if data and not data.endswith(b"\n"):
            self.torn += 1
        return data.count(b"\n")

    def _path(self, number: int) -> Path:
        return self._folder / f"calls-{number:012d}.jsonl"

    @property
    def pending_bytes(self) -> int:
        """Undelivered bytes on disk."""
        return sum(size for _, size in self._sizes) - self._delivered

    def append(self, line: bytes) -> None:
        """Put a line (without line end) behind all others.

        Raises:
            OSError: disk full or unwritable; the folder is as it was.
        """
        if self._file < 0 or self._sizes[-1][1] >= self._segment_bytes:
            self._open_next()
        number, size = self._sizes[-1]
        data = line + b"\n"
        try:
            written = os.write(self._file, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            # A part of the line may be on disk. Take it back; if even that fails, the next line gets a new segment.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, size)
            self._close_file()
            raise
        self._sizes[-1] = (number, size + len(data))
        self.count += 1

    def _open_next(self) -> None:
        self._close_file()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(self._path(self._next), flags, 0o600)
        self._sizes.append((self._next, 0))
        self._next += 1

    def _close_file(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def next_batch(self, max_lines: int, max_bytes: int) -> Batch | None:
        """The oldest undelivered lines, all of one segment; None if there are none.

        Args:
            max_lines: at most so many.
            max_bytes: no further line is taken once the batch is that large (the first always is).
        """
        while self._sizes:
            number, size = self._sizes[0]
            try:
                data = self._read(number, size, max_bytes)
            except FileNotFoundError:
                data = b""  # someone deleted it: nothing of it is left to deliver
            lines: list[bytes] = []
            taken = 0
            for line in data.split(b"\n")[:-1]:
                if len(lines) >= max_lines or (lines and taken + len(line) > max_bytes):
                    break
                lines.append(line)
                taken += len(line) + 1
            if lines:
                return Batch(number, self._delivered + taken, lines)
            self._drop_oldest()  # empty, deleted, or nothing but a torn line
        self.count = 0
        return None

    def _read(self, number: int, size: int, at_least: int) -> bytes:
        with open(self._path(number), "rb") as file:
            file.seek(self._delivered)
            data = file.read(min(at_least, size - self._delivered))
            while b"\n" not in data and (more := file.read(min(at_least, size - self._delivered - len(data)))):
                data += more  # one line larger than a batch
            return data

    def mark(self, batch: Batch) -> None:
        """Forget what has been delivered. A segment delivered as a whole is deleted, texts and all.

        Raises:
            OSError: the mark can't be written; the batch would be delivered again after a restart, which is harmless.
        """
        self.count -= len(batch.lines)
        self._delivered = batch.end
        number, size = self._sizes[0]
        if batch.end >= size:
            self._drop_oldest()
            return
        # In place and of one length, so that one write replaces the other: renaming a new file over the old one took
        # 2.5 ms where this was measured, in the thread that answers hosts. A mark torn by a power cut delivers again.
        if self._mark_file < 0:
            self._mark_file = os.open(self._folder / _MARK, os.O_WRONLY | os.O_CREAT, 0o600)
        os.lseek(self._mark_file, 0, os.SEEK_SET)
        os.write(self._mark_file, json.dumps({"segment": number, "offset": batch.end}).ljust(80).encode())

    def _drop_oldest(self) -> None:
        number, _ = self._sizes[0]
        if len(self._sizes) == 1:
            self._close_file()
        self._path(number).unlink(missing_ok=True)
        self._sizes.popleft()
        self._delivered = 0

    def sync(self) -> None:
        """Put the newest segment's bytes on the disk itself: against power cuts. Blocks; may run in a thread."""
        if self._file < 0:
            return
        copy = os.dup(self._file)  # the original may be closed meanwhile
        try:
            os.fsync(copy)
        finally:
            os.close(copy)

    def close(self) -> None:
        """Close the files and let another gateway have the folder."""
        self._close_file()
        for handle in (self._mark_file, self._lock):
            if handle >= 0:
                os.close(handle)
        self._mark_file = self._lock = -1


def _lock(folder: Path) -> int:
    if sys.platform == "win32":
        return -1  # no fcntl there; one gateway per folder is then the operator's promise
    import fcntl

    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise OutboxBusy(
            f"the outbox {folder} is used by another gateway: stop that one, or give this one another data folder"
        ) from error
    return handle
