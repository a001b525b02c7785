"""Everything a report shows, asked of a running service or of a snapshot in the same words."""

from typing import Any, Protocol


class Reads(Protocol):
    """Who answers a report's questions: :class:`client.http.Client` or :class:`ops.rebuild.Rebuilt`."""

    def results(self, name: str, **filters: str) -> dict[str, Any]:
        """What each arm did, and the comparison."""

    def quality(self, name: str) -> dict[str, Any]:
        """Whether the data can be trusted."""

    def guard(self, name: str, history: int = 50) -> dict[str, Any]:
        """The guard's state and history."""

    def snapshot(self, name: str) -> dict[str, Any]:
        """Configuration, version, time."""


HISTORY = 1_000
"""Entries of the guard's log in a report, newest first."""


def gather(source: Reads, name: str, filters: dict[str, str]) -> dict[str, Any]:
    """The whole report as one document: what ``report --json`` prints and the page is made from.

    Args:
        source: who answers.
        name: the experiment.
        filters: epoch, traffic, origin, and perhaps by.

    Returns:
        The results with the comparison by assignment (with segments) under 'analysis', and 'as_treated', 'quality',
        'guard' (a sentence per adapter), 'guard_history' and 'provenance' beside it.
    """
    answer = source.results(name, **filters, segments="true")
    treated = source.results(name, **filters, as_treated="true")
    guard = source.guard(name, HISTORY)
    return answer | {
        "as_treated": treated["analysis"],
        "quality": source.quality(name),
        "guard": {item["arm"]: item["sentence"] for item in guard["adapters"]},
        "guard_limits": guard["limits"],
        "guard_history": guard["history"],
        "provenance": source.snapshot(name),
    }
