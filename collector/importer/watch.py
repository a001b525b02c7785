"""``watch_host``: again and again through a host's exports while live calls come in through the gateway.

A run belongs to a live call or is listed; nothing is imported. Folders that did not change are not read again.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from collector.importer.favourites import Favourite, removed
from collector.importer.ledger import Facts, Fate
from collector.importer.load import DEFAULT_TIMEZONE, Books
from collector.importer.report import ImportReport
from collector.importer.scan import read_folder
from collector.importer.sink import Sink
from collector.importer.tree import RunFolder, Signature
from experiment.pseudonym import Pseudonymiser

BEING_WRITTEN: Final = "still being written"
Clock = Callable[[], datetime]


def watch_host(
    path: Path,
    client: Sink,
    *,
    experiment: str,
    pseudonymiser: Pseudonymiser,
    interval_s: float,
    stop: threading.Event,
    timezone: str = DEFAULT_TIMEZONE,
    settle_s: float = 60.0,
    on_progress: Callable[[ImportReport], None] | None = None,
    on_error: Callable[[str], None] | None = None,
    clock: Clock = lambda: datetime.now(UTC),
) -> ImportReport:
    """Join runs to live calls until told to stop. May be stopped and started again: nothing is doubled.

    Args:
        path: the host's ``exports/json`` folder, or one that holds it. It is only read.
        client: where the events go.
        experiment: the experiment they belong to.
        pseudonymiser: under the installation's key.
        interval_s: seconds from the end of one look to the next.
        stop: set it to end; the look under way is finished.
        timezone: IANA name of the zone in which the host writes times without one.
        settle_s: a folder without output and error.json is left alone until it has not changed for so long.
        on_progress: told the report after each look.
        on_error: told in a sentence why a look was not finished; the next one goes on.
        clock: aware time now.

    Returns:
        The report of all that was seen.

    Raises:
        ValueError: no such folder, no exports in it, or no such time zone.
    """
    watch = Watch(Books(path, client, experiment, pseudonymiser, timezone, watching=True), settle_s)
    while True:
        try:
            watch.look(clock())
        except Exception as error:
            # The rim of the watch: the service may be away for a while, and a watch that ended then would be missed.
            if on_error is not None:
                on_error(" ".join(str(error).split()) or type(error).__name__)
        if on_progress is not None:
            on_progress(watch.report())
        if stop.wait(interval_s):
            return watch.report()


class Watch:
    """One watch's memory.

    Args:
        books: tree, settler and ledger.
        settle_s: see :func:`watch_host`.
    """

    def __init__(self, books: Books, settle_s: float) -> None:
        self._books = books
        self._settle = timedelta(seconds=settle_s)
        self._seen: dict[RunFolder, Signature] = {}
        self._waiting: set[RunFolder] = set()
        self._favourites: tuple[Favourite, ...] = ()

    def look(self, now: datetime) -> None:
        """Settle what is new, has changed, or was waiting."""
        tree, ledger = self._books.tree, self._books.ledger
        folders = tree.runs()
        ledger.passed_over = dict(tree.passed_over)
        ledger.forget(set(self._seen) - set(folders))
        signatures = {folder: tree.signature(folder) for folder in folders}
        changed = [f for f in folders if f in self._waiting or self._seen.get(f) != signatures[f]]
        ready = [folder for folder in changed if self._is_done(folder, signatures[folder], now)]
        for folder in set(changed) - set(ready):
            ledger.write(folder, Fate("waiting", BEING_WRITTEN), Facts())
        self._books.settle(ready, now)
        self._seen = signatures
        self._waiting = {folder for folder in changed if ledger.is_waiting(folder)}
        self._look_at_favourites(now)

    def _is_done(self, folder: RunFolder, signature: Signature, now: datetime) -> bool:
        """Whether the run has come to an end, or at least to rest."""
        if now - datetime.fromtimestamp(max(signature) / 1e9, UTC) >= self._settle:
            return True
        run = read_folder(self._books.tree, folder, self._books.zone)
        return not isinstance(run, str) and (bool(run.outputs) or run.error is not None)

    def _look_at_favourites(self, now: datetime) -> None:
        favourites = self._books.settle_favourites()
        # A file that cannot be read just now does not say that anything was taken back.
        if favourites is not None:
            self._books.take_back(removed(self._favourites, favourites.entries), now)
            self._favourites = favourites.entries

    def report(self) -> ImportReport:
        """What was seen so far."""
        return self._books.ledger.report()
