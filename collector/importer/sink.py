"""What the importer needs of a service. ``client.http.Client`` fits; the importer itself imports no client."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from experiment.events import Call, Outcome


class Answer(Protocol):
    """The service's answer to one event."""

    @property
    def id(self) -> str:
        """The event's id."""

    @property
    def status(self) -> int:
        """201 new · 200 known · 409 same id with another content, the first is kept · 422 not accepted."""

    @property
    def detail(self) -> str:
        """Why it was not accepted."""


class Sink(Protocol):
    """Takes events, and tells which calls there are."""

    def post_calls(self, calls: Sequence[Call]) -> Sequence[Answer]:
        """Hand in calls; one answer each, in order."""

    def post_outcomes(self, outcomes: Sequence[Outcome]) -> Sequence[Answer]:
        """Hand in outcomes; one answer each, in order."""

    def calls(
        self,
        *,
        experiment: str = "",
        run: str = "",
        prompt: str = "",
        output_key: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        origin: str = "",
        page: int = 500,
    ) -> Iterable[Mapping[str, Any]]:
        """Calls that fit all filters given, in commit order; each with ``id``, ``ts`` and ``run`` at least.

        Lazily: whoever stops after the first has caused one page to be fetched.
        """
