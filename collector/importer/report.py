"""What an import did: every run folder accounted for exactly once, every outcome and every favourite."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Tally(NamedTuple):
    """Outcomes of one kind."""

    new: int = 0
    known: int = 0
    """Already there from an earlier import."""
    refused: int = 0
    """The service did not accept them."""


class Remark(NamedTuple):
    """One folder that something is to be said about, under the run's pseudonym: reports are kept and passed on."""

    date: str
    run: str
    what: str


@dataclass(frozen=True)
class ImportReport:
    """What became of everything in the folder.

    Each run folder is in exactly one of ``imported``, ``known``, ``conflicts``, ``joined``, ``regenerations``,
    ``waiting``, ``unattributed``, ``skipped`` and ``refused``; :attr:`accounted` adds them up.

    Attributes:
        folders: run folders seen.
        imported: new calls.
        known: calls that an earlier import had brought.
        conflicts: calls whose folder changed since an earlier import; the service keeps the first.
        joined: runs that belong to a live call.
        regenerations: repeats of an earlier run.
        waiting: still being written, or their live call may still come (watching only).
        unattributed: number by reason: runs that would belong to a call, but to which is not certain.
        skipped: number by reason: folders without a Stage 2 call, or not readable.
        refused: number by the service's reason.
        outcomes: tally by kind: link, regeneration, edit, block, not_blocked, favourite, unfavourite.
        verdict_unknown: calls of guarded levels without output and without error.json: never counted as blocked.
        errors_not_blocks: number by reason: error.json that says no block.
        favourites: entries in favorites.json.
        favourites_attributed: of them, those posted to a call or run.
        favourites_unattributed: number by reason.
        favourites_file: '' or why favorites.json was not read.
        missing_files: number by reason: texts that metadata.json names and that could not be read.
        without_output: imported calls whose own model output is not stored.
        device_differs: folders whose metadata.json names another device or none; the folder's counts.
        device_kinds: run folders by kind of device.
        templates: imported calls by template version.
        passed_over: number by kind: what lies among the folders and is no run.
        remarks: single folders, the first 200.
    """

    folders: int = 0
    imported: int = 0
    known: int = 0
    conflicts: int = 0
    joined: int = 0
    regenerations: int = 0
    waiting: int = 0
    unattributed: Mapping[str, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    refused: Mapping[str, int] = field(default_factory=dict)
    outcomes: Mapping[str, Tally] = field(default_factory=dict)
    verdict_unknown: int = 0
    errors_not_blocks: Mapping[str, int] = field(default_factory=dict)
    favourites: int = 0
    favourites_attributed: int = 0
    favourites_unattributed: Mapping[str, int] = field(default_factory=dict)
    favourites_file: str = ""
    missing_files: Mapping[str, int] = field(default_factory=dict)
    without_output: int = 0
    device_differs: int = 0
    device_kinds: Mapping[str, int] = field(default_factory=dict)
    templates: Mapping[str, int] = field(default_factory=dict)
    passed_over: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()

    @property
    def accounted(self) -> int:
        """Run folders whose fate is told; equals ``folders``."""
        told = self.imported + self.known + self.conflicts + self.joined + self.regenerations + self.waiting
        return told + sum(sum(group.values()) for group in (self.unattributed, self.skipped, self.refused))

    @property
    def new(self) -> int:
        """Events that were not there before: 0 when the same folder is imported again."""
        return self.imported + sum(tally.new for tally in self.outcomes.values())

    def lines(self) -> list[str]:
        """The report for a person, a fact a line; nothing that did not happen is mentioned."""
        facts = [
            f"{self.folders} run folders",
            *_some(self.imported, "calls imported"),
            *_some(self.known, "calls known already"),
            *_some(self.conflicts, "calls known with another content (the folder changed; the first is kept)"),
            *_some(self.joined, "runs joined to live calls"),
            *_some(self.regenerations, "regenerations of earlier runs"),
            *_some(self.waiting, "runs to be looked at again"),
            *_reasons("unattributed", self.unattributed),
            *_reasons("skipped", self.skipped),
            *_reasons("refused by the service", self.refused),
        ]
        for kind, tally in sorted(self.outcomes.items()):
            refused = f", {tally.refused} refused" if tally.refused else ""
            facts.append(f"  {kind}: {tally.new} new, {tally.known} known{refused}")
        facts += [
            *_some(self.verdict_unknown, "calls without a verdict (no output and no error.json: unknown, not blocked)"),
            *_reasons("error.json that is no block", self.errors_not_blocks),
            f"{self.favourites_attributed} of {self.favourites} favourites attributed",
            *([f"  favorites.json: {self.favourites_file}"] if self.favourites_file else []),
            *_reasons("favourites not attributed", self.favourites_unattributed),
            *_reasons("texts not read", self.missing_files),
            *_some(self.without_output, "calls whose own model output is not stored"),
            *_some(self.device_differs, "folders whose metadata names another device or none (the folder's counts)"),
            *_reasons("devices", self.device_kinds),
            *_reasons("templates", self.templates),
            *_reasons("passed over", self.passed_over),
        ]
        return facts


def _some(count: int, what: str) -> list[str]:
    return [f"  {count} {what}"] if count else []


def _reasons(what: str, counts: Mapping[str, int]) -> list[str]:
    return [f"  {what}: {count} × {reason}" for reason, count in sorted(counts.items())]
