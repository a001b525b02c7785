"""The running count behind a report: an entry per run folder and per outcome, so that looking twice counts once."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from collector.importer.convert import Address
from collector.importer.report import ImportReport, Remark, Tally
from collector.importer.tree import RunFolder
from experiment.pseudonym import Pseudonymiser, device_kind

Status = Literal[
    "imported", "known", "conflict", "joined", "regeneration", "waiting", "unattributed", "skipped", "refused"
]
MAX_REMARKS: Final = 200


class Fate(NamedTuple):
    """What became of a run folder."""

    status: Status
    reason: str = ""
    address: Address | None = None
    """Where the run's outcomes go; None if nowhere."""


class Facts(NamedTuple):
    """What is counted of a run folder beside its fate."""

    missing: tuple[str, ...] = ()
    device_differs: bool = False
    verdict_unknown: bool = False
    without_output: bool = False
    not_a_block: str = ""
    template: str = ""


class FavouriteCount(NamedTuple):
    """What became of favorites.json."""

    seen: int = 0
    attributed: int = 0
    unattributed: Mapping[str, int] = {}
    file: str = ""


class Ledger:
    """Keeps the books of one import or of one watch.

    Args:
        names: remarks name runs by pseudonym.
    """

    def __init__(self, names: Pseudonymiser) -> None:
        self._names = names
        self._fates: dict[RunFolder, Fate] = {}
        self._facts: dict[RunFolder, Facts] = {}
        self._outcomes: dict[str, tuple[str, int]] = {}
        self.favourites = FavouriteCount()
        self.passed_over: Mapping[str, int] = {}

    def write(self, folder: RunFolder, fate: Fate, facts: Facts | None = None) -> None:
        """Enter a folder's fate, in place of an earlier one."""
        self._fates[folder] = fate
        if facts is not None:
            self._facts[folder] = facts

    def outcome(self, name: str, kind: str, status: int) -> None:
        """Enter the answer to an outcome; the first answer says whether it was new."""
        self._outcomes.setdefault(name, (kind, status))

    def has_outcome(self, name: str) -> bool:
        """Whether the service has answered this outcome for good."""
        return name in self._outcomes

    def is_waiting(self, folder: RunFolder) -> bool:
        """Whether the folder is to be looked at again."""
        fate = self._fates.get(folder)
        return fate is not None and fate.status == "waiting"

    def forget(self, gone: set[RunFolder]) -> None:
        """Folders that are no longer there are no longer accounted for."""
        for folder in gone:
            self._fates.pop(folder, None)
            self._facts.pop(folder, None)

    def report(self) -> ImportReport:
        """The books as a report."""
        by_status = Counter(fate.status for fate in self._fates.values())
        reasons: dict[str, Counter[str]] = defaultdict(Counter)
        for fate in self._fates.values():
            if fate.reason:
                reasons[fate.status][fate.reason] += 1
        facts = self._facts.values()
        calls = [fact for folder, fact in self._facts.items() if self._fates[folder].status in ("imported", "known")]
        return ImportReport(
            folders=len(self._fates),
            imported=by_status["imported"],
            known=by_status["known"],
            conflicts=by_status["conflict"],
            joined=by_status["joined"],
            regenerations=by_status["regeneration"],
            waiting=by_status["waiting"],
            unattributed=dict(reasons["unattributed"]),
            skipped=dict(reasons["skipped"]),
            refused=dict(reasons["refused"]),
            outcomes=self._tallies(),
            verdict_unknown=sum(fact.verdict_unknown for fact in facts),
            errors_not_blocks=dict(Counter(fact.not_a_block for fact in facts if fact.not_a_block)),
            favourites=self.favourites.seen,
            favourites_attributed=self.favourites.attributed,
            favourites_unattributed=dict(self.favourites.unattributed),
            favourites_file=self.favourites.file,
            missing_files=dict(Counter(reason for fact in facts for reason in fact.missing)),
            without_output=sum(fact.without_output for fact in calls),
            device_differs=sum(fact.device_differs for fact in facts),
            device_kinds=dict(Counter(device_kind(folder.device) for folder in self._fates)),
            templates=dict(Counter(fact.template for fact in calls)),
            passed_over=dict(self.passed_over),
            remarks=self._remarks(),
        )

    def _tallies(self) -> dict[str, Tally]:
        counts = Counter(self._outcomes.values())
        kinds = sorted({kind for kind, _ in counts})
        return {
            kind: Tally(
                new=counts[kind, 201],
                known=counts[kind, 200] + counts[kind, 409],
                refused=sum(n for (other, status), n in counts.items() if other == kind and status == 422),
            )
            for kind in kinds
        }

    def _remarks(self) -> tuple[Remark, ...]:
        said = [
            Remark(folder.date, self._names.run(folder.run), f"{fate.status}: {fate.reason}")
            for folder, fate in sorted(self._fates.items())
            if fate.reason
        ]
        said += [
            Remark(folder.date, self._names.run(folder.run), f"text not read: {reason}")
            for folder, fact in sorted(self._facts.items())
            for reason in fact.missing
        ]
        return tuple(said[:MAX_REMARKS])
