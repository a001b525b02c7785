"""Every call passes through here before its answer leaves: appended, limited, and never dropped without a trace."""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from experiment.events import Call
from gateway.config import OutboxSettings
from gateway.segments import Batch, Segments

log = logging.getLogger("equipoise.gateway")

STOPPED: Final = "the gateway stopped mid-stream"


class Outbox:
    """The spool, with its limits, dead letters and the streams that are under way.

    Args:
        folder: ``data/outbox``; ``dead/`` and ``open/`` lie in it.
        settings: limits.
        clock: aware time, for the names of dead letters.

    Raises:
        OutboxBusy: another gateway holds the folder.
        OSError: the folder can't be written.
    """

    def __init__(self, folder: Path, settings: OutboxSettings, clock: Callable[[], datetime]) -> None:
        self._settings = settings
        self._clock = clock
        self._segments = Segments(folder, settings.segment_bytes)
        self._dead = folder / "dead"
        self._open = folder / "open"
        for path in (self._dead, self._open):
            path.mkdir(exist_ok=True, mode=0o700)
        self.wake = asyncio.Event()
        """Set when there is something to deliver."""
        self._disk_problem = ""
        self.not_logged = 0
        """Answered and not kept, since the start."""
        self.dead_letters = 0
        """Refused by the API, since the start."""
        self._adopt_unfinished()
        if self._segments.count:
            self.wake.set()

    @property
    def writable(self) -> bool:
        """Whether the next call can be kept, as far as we know."""
        return not self.problem

    @property
    def problem(self) -> str:
        """Why calls can't be kept, '' if they can."""
        if self.pending_bytes >= self._settings.max_bytes:
            figures = f"{self.pending_bytes} undelivered bytes, limit {self._settings.max_bytes}"
            return f"the outbox is full ({figures}): start the service, which empties it"
        return self._disk_problem

    @property
    def pending(self) -> int:
        """Undelivered calls."""
        return self._segments.count

    @property
    def pending_bytes(self) -> int:
        """Undelivered bytes."""
        return self._segments.pending_bytes

    @property
    def torn(self) -> int:
        """Lines cut off by a crash, found at the start. Their calls were never answered."""
        return self._segments.torn

    def append(self, call: Call) -> bool:
        """Keep a call. Synchronous, so that nothing comes between the last look at the permit and the answer.

        Returns:
            False if it can't be kept (outbox full, disk full): the answer says so, and ``not_logged`` counts it.
        """
        if self.pending_bytes >= self._settings.max_bytes:
            self._lost()
            return False
        try:
            self._segments.append(call.model_dump_json(exclude_defaults=True).encode())
        except OSError as error:
            self._disk_problem = _unwritable(error)
            self._lost()
            return False
        if self._disk_problem:
            log.warning("the outbox can be written again")
            self._disk_problem = ""
        self.wake.set()
        return True

    def _lost(self) -> None:
        self.not_logged += 1
        if self.not_logged & (self.not_logged - 1) == 0:  # at 1, 2, 4, 8 …: a full disk must not fill the log too
            log.error("%d calls were answered and not kept: %s", self.not_logged, self.problem)

    # Streams under way: their answer leaves piece by piece, so what is known stands on disk from the first piece on.

    def begin(self, call: Call) -> None:
        """Note a stream whose first piece is about to leave."""
        try:
            (self._open / f"{call.id}.json").write_bytes(call.model_dump_json(exclude_defaults=True).encode())
        except OSError as error:
            self._disk_problem = _unwritable(error)

    def end(self, call: str) -> None:
        """Forget a stream whose call has been appended."""
        try:
            (self._open / f"{call}.json").unlink(missing_ok=True)
        except OSError as error:
            # At the next start it would be appended again; the API then knows the id and keeps the first.
            log.warning("a finished stream's note can't be deleted: %s", error.strerror)

    def _adopt_unfinished(self) -> None:
        for path in sorted(self._open.iterdir()):
            try:
                call = Call.model_validate_json(path.read_bytes())
            except ValueError:
                call = None  # cut off while it was written: nothing had left yet
            if call is None or self.append(call.model_copy(update={"error": STOPPED})):
                path.unlink()

    # Delivery

    def next_batch(self, max_lines: int | None = None) -> Batch | None:
        """The oldest undelivered calls."""
        return self._segments.next_batch(max_lines or self._settings.batch_calls, self._settings.batch_bytes)

    def mark(self, batch: Batch) -> None:
        """Forget a delivered batch."""
        try:
            self._segments.mark(batch)
        except OSError as error:
            log.warning("the outbox's mark can't be written: %s (a restart delivers some calls twice)", error.strerror)

    def bury(self, line: bytes, status: int, reason: str) -> None:
        """Put a call that the API refuses aside, with the reason.

        Raises:
            OSError: it can't be written; the call stays in the outbox.
        """
        now = self._clock()
        try:
            call: Any = json.loads(line)
        except ValueError:
            call = line.decode(errors="replace")
        letter = {"at": now.isoformat(), "status": status, "reason": reason[:2000], "call": call}
        path = self._dead / f"{now.date().isoformat()}.jsonl"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, json.dumps(letter).encode() + b"\n")
        finally:
            os.close(handle)
        self.dead_letters += 1
        log.error("the API refused a call (%d): it lies in %s with the reason", status, path)

    def forget_old_letters(self) -> None:
        """Delete dead letters older than the limit: they hold texts of children."""
        oldest = (self._clock() - timedelta(days=self._settings.dead_letter_days)).date().isoformat()
        try:
            for path in self._dead.glob("*.jsonl"):
                if path.stem < oldest:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.error("old dead letters in %s hold texts and can't be deleted: %s", self._dead, error.strerror)

    def sync(self) -> None:
        """Against power cuts, while nothing can be delivered. Blocks; runs in a thread."""
        try:
            self._segments.sync()
        except OSError as error:
            log.warning("the outbox can't be brought to the disk: %s", error.strerror)

    def close(self) -> None:
        """Let another gateway have the folder."""
        self._segments.close()


def _unwritable(error: OSError) -> str:
    return f"the outbox can't be written: {error.strerror}. Free space or correct the folder's rights"
