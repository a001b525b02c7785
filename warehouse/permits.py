"""Permit files: written by the owner alone, read by the gateway at every assignment.

Stop early, arm late: a narrower permit is written before the transaction that closes an arm commits, a wider one after
the transaction that opens it has. Deleting the file is the emergency stop.
"""

import os
import threading
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from experiment.permit import Permit


class PermitFolder:
    """``{data}/permits/{experiment}.json``; the modification time is the heartbeat."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        # The API's roll-back and the writer may both want to write.
        self._lock = threading.Lock()

    def path(self, experiment: str) -> Path:
        """The experiment's permit file."""
        return self.folder / f"{experiment}.json"

    def read(self, experiment: str) -> Permit | None:
        """The permit on disk whatever its age; None if there is none or it can't be read."""
        try:
            return Permit.model_validate_json(self.path(experiment).read_bytes())
        except (OSError, ValidationError):
            return None

    def age_s(self, experiment: str, now: float) -> float | None:
        """Seconds since the last heartbeat; None without a file."""
        try:
            return now - self.path(experiment).stat().st_mtime
        except OSError:
            return None

    def write(self, permit: Permit) -> None:
        """Replace the file atomically.

        A full disk must not keep an old, wider permit alive: if the new one can't be written, the file is removed.

        Raises:
            OSError: it could neither be written nor removed.
        """
        path = self.path(permit.arms.experiment)
        scratch = path.with_suffix(".tmp")
        with self._lock:
            try:
                with open(scratch, "w", encoding="utf-8") as file:
                    file.write(permit.model_dump_json())
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(scratch, path)
            except OSError:
                with suppress(FileNotFoundError):
                    path.unlink()
                raise

    def close_arms(self, experiment: str, arms: frozenset[str] | None = None) -> None:
        """Take arms (None: all) out of the permit on disk, without the database: what a roll-back answers on."""
        permit = self.read(experiment)
        if permit is None:
            with suppress(FileNotFoundError):
                self.path(experiment).unlink()
            return
        still_open = frozenset() if arms is None else permit.open_arms - arms
        if still_open != permit.open_arms:
            with suppress(OSError):  # write() has removed the file then, which stops as well
                self.write(permit.model_copy(update={"open_arms": still_open}))

    def heartbeat(self, experiment: str) -> bool:
        """Renew the modification time; False if the file is gone (somebody pulled the emergency stop)."""
        try:
            os.utime(self.path(experiment))
        except FileNotFoundError:
            return False
        return True
