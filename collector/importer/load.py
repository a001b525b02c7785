"""``import_host``: once through a host's exports."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from collector.importer.classify import Classifier
from collector.importer.convert import Converter
from collector.importer.favourites import UNKNOWN_RUN, Favourite, Favourites, read_favourites
from collector.importer.join import LiveCalls
from collector.importer.ledger import Facts, Fate, FavouriteCount, Ledger
from collector.importer.report import ImportReport
from collector.importer.scan import glance, read_folder
from collector.importer.settle import Found, Settler
from collector.importer.sink import Sink
from collector.importer.tree import RunFolder, Tree, Unreadable
from collector.importer.values import NotJson, decode
from experiment.pseudonym import Pseudonymiser

DEFAULT_TIMEZONE: Final = "Europe/Berlin"
_CHUNK: Final = 200
Progress = Callable[[int, int], None]
"""Called with (run folders done, run folders in all)."""


def import_host(
    path: Path,
    client: Sink,
    *,
    experiment: str,
    pseudonymiser: Pseudonymiser,
    timezone: str = DEFAULT_TIMEZONE,
    on_progress: Progress | None = None,
) -> ImportReport:
    """Import every run of a host's exports. May be called again: nothing is doubled.

    Args:
        path: the host's ``exports/json`` folder, or one that holds it. It is only read.
        client: where the events go, such as ``client.http.Client``.
        experiment: the experiment they belong to.
        pseudonymiser: under the installation's key.
        timezone: IANA name of the zone in which the host writes times without one.
        on_progress: told how far it is.

    Returns:
        What became of every run folder and every favourite.

    Raises:
        ValueError: no such folder, no exports in it, or no such time zone.
        Exception: whatever the client raises when the service is away; calling again goes on from there.
    """
    books = Books(path, client, experiment, pseudonymiser, timezone, watching=False)
    folders = books.tree.runs()
    books.ledger.passed_over = dict(books.tree.passed_over)
    books.settle(folders, datetime.now(UTC), on_progress)
    books.settle_favourites()
    return books.ledger.report()


class Books:
    """What an import and a watch have in common: the tree, the zone, the settler, the ledger.

    Args:
        path: the host's exports.
        sink: where events go.
        experiment: which they belong to.
        names: pseudonyms.
        timezone: IANA name.
        watching: see :class:`~collector.importer.settle.Settler`.

    Raises:
        ValueError: no such folder, or no such time zone.
    """

    def __init__(
        self, path: Path, sink: Sink, experiment: str, names: Pseudonymiser, timezone: str, *, watching: bool
    ) -> None:
        self.zone = zone_of(timezone)
        self.tree = Tree(path)
        self.ledger = Ledger(names)
        self.converter = Converter(experiment, names, self.zone)
        self._classifier = Classifier()
        live = LiveCalls(sink, experiment, names)
        self.settler = Settler(sink, self.converter, self._classifier, live, self.ledger, watching=watching)

    def settle(self, folders: Sequence[RunFolder], now: datetime, on_progress: Progress | None = None) -> None:
        """Read and settle these folders in the order of their time."""
        done = 0
        ordered = self._in_order(folders)
        for chunk in _chunks(ordered):
            found: list[Found] = []
            for folder in chunk:
                run = read_folder(self.tree, folder, self.zone)
                if isinstance(run, str):
                    self.ledger.write(folder, Fate("skipped", run), Facts())
                else:
                    found.append(Found(folder, run))
            self.settler.settle(found, now)
            done += len(chunk)
            if on_progress is not None:
                on_progress(done, len(ordered))

    def _in_order(self, folders: Sequence[RunFolder]) -> list[RunFolder]:
        """By time: a repeat comes after what it repeats. Learns the configs' kinds on the way."""
        keyed = []
        for folder in folders:
            seen = glance(self.tree, folder, self.zone)
            self._classifier.learn(interception_config=seen.interception_config, output_configs=seen.output_configs)
            keyed.append((seen.when or _midnight(folder.date, self.zone), folder))
        return [folder for _, folder in sorted(keyed)]

    def read_favourites(self) -> Favourites | str:
        """What favorites.json holds, or why it was not read."""
        try:
            return read_favourites(decode(self.tree.favourites()), self.zone)
        except NotJson:
            return "broken JSON"
        except Unreadable as reason:
            return str(reason)

    def settle_favourites(self) -> Favourites | None:
        """Post every favourite that has a run here; None if the file was not read."""
        favourites = self.read_favourites()
        if isinstance(favourites, str):
            self.ledger.favourites = FavouriteCount(file=favourites)
            return None
        attributed = 0
        reasons: list[str] = list(favourites.rejected)
        fresh = []
        for favourite in favourites.entries:
            fate = self.settler.fates.get(favourite.run)
            if fate is None or fate.address is None:
                reasons.append(UNKNOWN_RUN if fate is None else f"its run: {fate.reason}")
                continue
            outcome = self.converter.favourite(favourite.ts, fate.address)
            attributed += 1
            if not self.ledger.has_outcome(outcome.id):
                fresh.append(outcome)
        for start in range(0, len(fresh), _CHUNK):
            self.settler.post(fresh[start : start + _CHUNK])
        counts = {reason: reasons.count(reason) for reason in set(reasons)}
        self.ledger.favourites = FavouriteCount(favourites.seen, attributed, counts)
        return favourites

    def take_back(self, gone: Sequence[Favourite], now: datetime) -> None:
        """Post that these favourites are no longer there."""
        fates = [(favourite, self.settler.fates.get(favourite.run)) for favourite in gone]
        self.settler.post(
            [
                self.converter.favourite(favourite.ts, fate.address, taken_back=now)
                for favourite, fate in fates
                if fate is not None and fate.address is not None
            ]
        )


def zone_of(name: str) -> tzinfo:
    """The time zone of that IANA name.

    Raises:
        ValueError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}: give an IANA name such as Europe/Berlin") from error


def _midnight(date: str, zone: tzinfo) -> datetime:
    try:
        return datetime.fromisoformat(date).replace(tzinfo=zone)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def _chunks(folders: Sequence[RunFolder]) -> Iterator[Sequence[RunFolder]]:
    for start in range(0, len(folders), _CHUNK):
        yield folders[start : start + _CHUNK]
