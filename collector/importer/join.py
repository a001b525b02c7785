"""Which live call a run belongs to, where the host sends no headers.

Exactly one live call without a run, with equal output and prompt keys, in the ten minutes before the export's own time
of the answer: that one. None or several: none, with the reason. A guess would charge one arm with another's outcomes.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from collector.importer.run import StoredRun
from collector.importer.sink import Sink
from collector.importer.values import as_time
from experiment.pseudonym import Pseudonymiser

WINDOW: Final = timedelta(minutes=10)
SLACK: Final = timedelta(seconds=5)
"""The gateway may note the call a moment after the host has stored the answer."""
MARGIN: Final = timedelta(days=1)
"""Runs this much older than the first live call are not asked for: a late delivery is never that late."""
NONE: Final = "no live call with its text in the ten minutes before"
SEVERAL: Final = "several live calls with its text in the ten minutes before"
TAKEN: Final = "its live call belongs to another run already"
NO_TEXT: Final = "its input or the model's own output is not stored, so no live call can be found"


class Match(NamedTuple):
    """The answer to 'which live call?'."""

    call: str = ""
    """Its id; '' if none, or if calls bear the run's id themselves."""
    by_run: bool = False
    """Live calls bear the run's id: no link is needed."""
    reason: str = ""
    """Why none."""


def choose(rows: Iterable[Mapping[str, Any]], run: str, taken: Mapping[str, str]) -> Match:
    """The one call among those with equal keys and time that may belong to this run.

    Args:
        rows: the calls.
        run: the run's pseudonym.
        taken: run by call, for calls that are given away.
    """
    free = {str(row["id"]) for row in rows if not row.get("run")}
    mine = [call for call in free if taken.get(call) == run]
    if mine:
        return Match(mine[0])
    left = [call for call in free if call not in taken]
    if len(left) == 1:
        return Match(left[0])
    if left:
        return Match(reason=SEVERAL)
    return Match(reason=TAKEN if free else NONE)


class LiveCalls:
    """Looks for a run's live call.

    Args:
        sink: where to look.
        experiment: among whose calls.
        names: for the keys.
    """

    def __init__(self, sink: Sink, experiment: str, names: Pseudonymiser) -> None:
        self._sink = sink
        self._experiment = experiment
        self._names = names
        self._first: datetime | None = None
        self._asked = False
        self.taken: dict[str, str] = {}

    def refresh(self) -> None:
        """Live calls may have come where there were none."""
        self._asked = self._first is not None

    def match(self, run: StoredRun) -> Match:
        """The run's live call, or why there is none."""
        name = self._names.run(run.run)
        if not self._any_around(run.ts):
            return Match(reason=NONE)
        if any(True for _ in self._sink.calls(experiment=self._experiment, run=name, origin="live", page=1)):
            return Match(by_run=True)
        if run.output is None or run.input is None:
            return Match(reason=NO_TEXT)
        rows: dict[str, Mapping[str, Any]] = {}
        # On the wire stands what the model was given: the translation, where one was made.
        for text in {run.input, run.translation or run.input}:
            found = self._sink.calls(
                experiment=self._experiment,
                prompt=self._names.prompt(text),
                output_key=self._names.output(run.output),
                since=run.ts - WINDOW,
                until=run.ts + SLACK,
                origin="live",
            )
            rows |= {str(row["id"]): row for row in found}
        return choose(rows.values(), name, self.taken)

    def _any_around(self, ts: datetime) -> bool:
        """Whether there can be a live call at that time: spares a question per run of the time before the gateway."""
        if not self._asked:
            self._asked = True
            row = next(iter(self._sink.calls(experiment=self._experiment, origin="live", page=1)), None)
            self._first = as_time(str(row["ts"]), UTC) if row is not None else None
        return self._first is not None and ts >= self._first - MARGIN
