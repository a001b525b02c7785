"""One run's way into the service: it belongs to a live call, or is imported, or repeats another; then its outcomes."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from collector.importer.classify import Class, Classifier
from collector.importer.convert import Address, Converter
from collector.importer.join import NO_TEXT, NONE, TAKEN, WINDOW, LiveCalls, Match
from collector.importer.ledger import Facts, Fate, Ledger, Status
from collector.importer.periods import template_version
from collector.importer.run import StoredRun
from collector.importer.sink import Answer, Sink
from collector.importer.tree import RunFolder
from experiment.counting import GUARDED_LEVELS
from experiment.events import Call, Outcome

TWICE: Final = "the run lies in another folder too"
ROOT_LOST: Final = "it repeats a run that has no call here"
ROOT_WAITS: Final = "it repeats a run that is to be looked at again"
LATE: Final = timedelta(minutes=2)
"""How long after its window a live call may still be on its way (the gateway's outbox)."""
_STATUS: Final[dict[int, Status]] = {201: "imported", 200: "known", 409: "conflict"}


class Found(NamedTuple):
    """A run and where it lies."""

    folder: RunFolder
    run: StoredRun


class Settler:
    """Settles runs in the order of their time.

    Args:
        sink: where events go.
        converter: makes them.
        classifier: knows the runs before.
        live: looks for live calls.
        ledger: keeps the books.
        watching: a run without a live call waits for one and is then listed; False: it is imported.
    """

    def __init__(
        self,
        sink: Sink,
        converter: Converter,
        classifier: Classifier,
        live: LiveCalls,
        ledger: Ledger,
        *,
        watching: bool,
    ) -> None:
        self._sink, self._convert, self._classifier = sink, converter, classifier
        self._live, self._ledger, self._watching = live, ledger, watching
        self._folders: dict[str, RunFolder] = {}
        self.fates: dict[str, Fate] = {}
        """By raw run id, in memory only; favourites are attributed by it."""

    def settle(self, runs: Sequence[Found], now: datetime) -> None:
        """Post what these runs say; enter their fates.

        Args:
            runs: in the order of their time.
            now: for whether a live call may still come.
        """
        self._live.refresh()
        mine = [found for found in runs if self._claim(found)]
        classes = {found.run.run: self._classifier.classify(found.run) for found in mine}
        calls: list[tuple[Found, Call]] = []
        for found in mine:
            kind = classes[found.run.run]
            if kind.kind == "call":
                fate = self._place(found, calls, now)
                if fate is not None:
                    self._enter(found, fate)
            elif kind.kind != "regeneration":
                self._enter(found, Fate("skipped" if kind.kind == "neither" else "unattributed", kind.reason))
        self._import(calls)
        outcomes = [
            outcome
            for found in mine
            for outcome in self._outcomes(found, classes[found.run.run])
        ]  # fmt: skip
        self.post(outcomes)

    def _claim(self, found: Found) -> bool:
        """The first folder of a run has it; a copy is skipped."""
        first = self._folders.setdefault(found.run.run, found.folder)
        if first != found.folder:
            self._ledger.write(found.folder, Fate("skipped", TWICE), Facts())
        return first == found.folder

    def _place(self, found: Found, calls: list[tuple[Found, Call]], now: datetime) -> Fate | None:
        """The fate of a Stage 2 call's run; None if it is put among ``calls`` to be imported."""
        run = found.run
        match = self._live.match(run)
        if match.by_run:
            return Fate("joined", address=Address(self._convert.names.run(run.run)))
        if match.call:
            return self._link(match, run)
        if match.reason == NONE and self._watching and now - run.ts < WINDOW + LATE:
            return Fate("waiting", "its live call may still come")
        if not self._watching and match.reason in (NONE, NO_TEXT):
            calls.append((found, self._convert.call(run, self._classifier.config_of(run))))
            return None
        return Fate("unattributed", match.reason)

    def _link(self, match: Match, run: StoredRun) -> Fate:
        link = self._convert.link(match.call, run)
        answer = self._sink.post_outcomes([link])[0]
        if answer.status == 409:
            # An earlier import gave this call to another run; the service keeps the first.
            self._live.taken.setdefault(match.call, "")
            return Fate("unattributed", TAKEN)
        if answer.status == 422:
            return Fate("refused", answer.detail)
        self._ledger.outcome(link.id, "link", answer.status)
        self._live.taken[match.call] = link.child_run
        return Fate("joined", address=Address(link.child_run, match.call))

    def _import(self, calls: Sequence[tuple[Found, Call]]) -> None:
        if not calls:
            return
        answers = self._sink.post_calls([call for _, call in calls])
        for (found, call), answer in zip(calls, answers, strict=True):
            status = _STATUS.get(answer.status)
            if status is None:
                self._enter(found, Fate("refused", answer.detail))
            else:
                self._enter(found, Fate(status, address=Address(call.run)))

    def _outcomes(self, found: Found, kind: Class) -> list[Outcome]:
        if kind.kind == "regeneration":
            root = self.fates.get(kind.root)
            if root is None or root.address is None:
                waits = root is not None and root.status == "waiting"
                self._enter(found, Fate("waiting", ROOT_WAITS) if waits else Fate("unattributed", ROOT_LOST))
                return []
            regeneration = self._convert.regeneration(found.run, root.address)
            address = Address(regeneration.child_run, root.address.call)
            self._enter(found, Fate("regeneration", address=address))
            return [regeneration, *self._convert.outcomes(found.run, address)]
        fate = self.fates.get(found.run.run)
        return self._convert.outcomes(found.run, fate.address) if fate is not None and fate.address is not None else []

    def post(self, outcomes: Sequence[Outcome]) -> Sequence[Answer]:
        """Post outcomes and enter the answers."""
        if not outcomes:
            return []
        answers = self._sink.post_outcomes(outcomes)
        for outcome, answer in zip(outcomes, answers, strict=True):
            self._ledger.outcome(outcome.id, outcome.kind, answer.status)
        return answers

    def _enter(self, found: Found, fate: Fate) -> None:
        run = found.run
        self.fates[run.run] = fate
        is_call = fate.status in ("imported", "known", "conflict", "joined")
        facts = Facts(
            missing=run.missing,
            device_differs=run.device_differs,
            verdict_unknown=is_call and run.safety_level in GUARDED_LEVELS and not run.outputs and run.error is None,
            without_output=run.output is None and not (run.error is not None and run.error.is_block),
            not_a_block=run.error.reason if run.error is not None else "",
            template=template_version(run.ts, self._convert.zone),
        )
        self._ledger.write(found.folder, fate, facts)
