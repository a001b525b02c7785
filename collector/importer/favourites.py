"""favorites.json: who kept what, as far as it says so. Notes, users and thumbnails in it are not read."""

from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from collector.importer.values import as_label, as_list, as_object, as_time

NOT_READABLE: Final = "entry without a run id"
NO_TIME: Final = "no readable time"
TWICE: Final = "the run is listed twice"
UNKNOWN_RUN: Final = "its run is not in the export"


class Favourite(NamedTuple):
    """One favourite: the raw run id and when it was added, UTC."""

    run: str
    ts: datetime


class Favourites(NamedTuple):
    """What the file holds."""

    entries: tuple[Favourite, ...]
    rejected: tuple[str, ...]
    """Why an entry is none, one reason per entry."""

    @property
    def seen(self) -> int:
        """Entries in the file."""
        return len(self.entries) + len(self.rejected)


def read_favourites(content: object, zone: tzinfo) -> Favourites:
    """The favourites in favorites.json's content.

    Args:
        content: ``{favorites: [{run_id, added_at, …}]}``.
        zone: the host writes local times without a zone.
    """
    found: dict[str, Favourite] = {}
    rejected: list[str] = []
    for entry in map(as_object, as_list(as_object(content).get("favorites"))):
        run = as_label(entry.get("run_id"))
        ts = as_time(entry.get("added_at"), zone)
        if not run:
            rejected.append(NOT_READABLE)
        elif ts is None:
            rejected.append(NO_TIME)
        elif run in found:
            rejected.append(TWICE)
        else:
            found[run] = Favourite(run, ts)
    return Favourites(tuple(found.values()), tuple(rejected))


def removed(before: Sequence[Favourite], now: Sequence[Favourite]) -> list[Favourite]:
    """Favourites that were there and are gone: the host deletes a favourite that is taken back."""
    left: Mapping[str, Favourite] = {favourite.run: favourite for favourite in now}
    return [favourite for favourite in before if favourite.run not in left]
