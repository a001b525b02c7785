"""A service in memory: keeps what it is given by id, answers as the API does, and finds calls by their keys."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from experiment.events import Call, Outcome


class Answer(NamedTuple):
    id: str
    status: int
    detail: str = ""


class Away(Exception):
    """Nobody answers."""


class MemorySink:
    def __init__(self, experiment: str = "stage2") -> None:
        self.experiment = experiment
        self.kept_calls: dict[str, Call] = {}
        self.kept_outcomes: dict[str, Outcome] = {}
        self.questions: list[dict[str, Any]] = []
        self.away = False

    def post_calls(self, calls: Sequence[Call]) -> list[Answer]:
        return [self._keep(self.kept_calls, call) for call in calls]

    def post_outcomes(self, outcomes: Sequence[Outcome]) -> list[Answer]:
        return [self._keep(self.kept_outcomes, outcome) for outcome in outcomes]

    def _keep(self, kept: dict[str, Any], event: Call | Outcome) -> Answer:
        if self.away:
            raise Away("nobody answers at\n127.0.0.1")
        if event.experiment != self.experiment:
            return Answer(event.id, 422, f"unknown experiment {event.experiment!r}")
        before = kept.setdefault(event.id, event)
        if before is event:
            return Answer(event.id, 201)
        same = before.digest() == event.digest()
        return Answer(event.id, 200) if same else Answer(event.id, 409, "the first is kept")

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
    ) -> Iterator[dict[str, Any]]:
        if self.away:
            raise Away("nobody answers")
        self.questions.append({"run": run, "prompt": prompt, "output_key": output_key})
        for call in list(self.kept_calls.values()):
            wanted = ((experiment, call.experiment), (run, call.run), (prompt, call.prompt),
                      (output_key, call.output_key), (origin, call.origin))  # fmt: skip
            if any(asked and asked != is_ for asked, is_ in wanted):
                continue
            if (since and call.ts < since) or (until and call.ts >= until):
                continue
            # The API answers with times in UTC that bear no zone.
            yield {"id": call.id, "run": call.run, "ts": call.ts.replace(tzinfo=None).isoformat()}

    def outcomes(self, kind: str = "") -> list[Outcome]:
        return [outcome for outcome in self.kept_outcomes.values() if not kind or outcome.kind == kind]
