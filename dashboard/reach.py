"""What one refresh asks of the service, and failures as sentences in both languages."""

from dataclasses import dataclass
from typing import Any

from client.errors import Refused, ServiceError, Unauthorised
from client.http import Client
from dashboard import words_page as words
from dashboard.markup import Html, notice
from dashboard.wording import Voice


@dataclass(frozen=True)
class Snapshot:
    """The service's two answers of one refresh.

    Attributes:
        results: ``GET /v1/experiments/{name}/results``.
        guard: ``GET /v1/experiments/{name}/guard``.
    """

    results: dict[str, Any]
    guard: dict[str, Any]

    @property
    def arms(self) -> list[dict[str, Any]]:
        """Base first, then the adapters in the order of the configuration."""
        return sorted(self.results["arms"], key=lambda arm: not arm["base"])

    @property
    def order(self) -> list[str]:
        """Names of the arms in the order in which they are shown and coloured."""
        return [arm["arm"] for arm in self.arms]


def look(client: Client, experiment: str, filters: dict[str, str]) -> Snapshot:
    """Ask the service for everything that the live page shows.

    Raises:
        ServiceError: it did not answer, or refused.
    """
    return Snapshot(client.results(experiment, **filters), client.guard(experiment))


def trouble(voice: Voice, error: ServiceError, url: str) -> Html:
    """One sentence that helps, for a failed question; what exactly happened stands below it."""
    if isinstance(error, Unauthorised):
        return notice("refused", voice.say(words.TOKEN_WRONG if error.status == 401 else words.FORBIDDEN))
    if isinstance(error, Refused):
        return notice("refused", voice.say(words.REFUSED), error.detail)
    return notice("trouble", voice.say(words.DOWN, url=url), str(error))
