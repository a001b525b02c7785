"""``POST /v1/assignments``: which arm, without a model call. For hosts that ask models themselves."""

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.access import foreign_origin, refused
from gateway.decide import Decision, decide
from gateway.problems import problem
from gateway.router import read
from gateway.state import GATEWAY, Gateway
from gateway.units import Subject, subject_of

MAX_ITEMS: Final = 1000
_ATTEMPTS: Final = 3

T = TypeVar("T")


class Question(BaseModel):
    """One assignment asked for. Ids may be raw or pseudonyms; raw ones go no further than this process."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    experiment: str = ""
    """May be left out where only one is configured."""
    unit: str = Field(default="", max_length=1000)
    """The run or device to hash, if ``run`` or ``device`` does not say it."""
    device: str = Field(default="", max_length=1000)
    run: str = Field(default="", max_length=1000)
    parent_run: str = Field(default="", max_length=1000)
    config: str = Field(default="", max_length=1000)
    safety_level: str = Field(default="", max_length=1000)
    language: str = Field(default="", max_length=1000)


_ONE: Final = TypeAdapter(Question)
_MANY: Final = TypeAdapter(list[Question])


class Unanswerable(ValueError):
    """A question that has no answer; the text says what to send."""

    def __init__(self, detail: str, status: int = 422) -> None:
        self.status = status
        super().__init__(detail)


class Assigned(NamedTuple):
    """An assignment and when it was made."""

    decision: Decision
    at: datetime


async def assignments(request: web.Request) -> web.Response:
    """One question → one answer; a list → a list, all or none."""
    gateway = request.app[GATEWAY]
    denied = not_allowed(gateway, request)
    if denied is not None:
        return denied
    data, complete = await read(request, gateway.settings.max_body_bytes)
    # From here to the return nothing is awaited: what is answered is what the permit says now.
    if not complete:
        limit = gateway.settings.max_body_bytes
        return problem(413, f"the request is larger than {limit} bytes: ask for at most {MAX_ITEMS} at once")
    try:
        questions, single = _questions(data)
        names = [_experiment(gateway, question.experiment) for question in questions]
        subjects = [_subject(gateway, question) for question in questions]
        answers = steady(
            gateway,
            names,
            lambda: [_answer(assign(gateway, name, s)) for name, s in zip(names, subjects, strict=True)],
        )
    except Unanswerable as error:
        return problem(error.status, str(error))
    for name, answer in zip(names, answers, strict=True):
        gateway.metrics.assignments.labels(name, answer["reason"]).inc()
    body = answers[0] if single else answers
    return web.Response(body=json.dumps(body).encode(), headers={"Content-Type": "application/json"})


def not_allowed(gateway: Gateway, request: web.Request) -> web.Response | None:
    """The refusal of a request that may not ask for assignments; None if it may."""
    if foreign_origin(gateway, request):
        return problem(403, "web pages of other places may not ask for assignments")
    return refused(gateway, request)


def steady(gateway: Gateway, names: Iterable[str], compute: Callable[[], T]) -> T:
    """Answers computed while no permit changed.

    A long list takes a while, and a permit withdrawn meanwhile must hold for all of it.

    Args:
        gateway: settings and parts.
        names: experiments whose permits are used.
        compute: makes the answers; called again if a permit changed under it.
    """
    watched = tuple(dict.fromkeys(names))
    for _ in range(_ATTEMPTS - 1):
        before = [gateway.permits.state(name).permit for name in watched]
        answers = compute()
        if all(gateway.permits.state(name).permit is permit for name, permit in zip(watched, before, strict=True)):
            return answers
    return compute()


def assign(gateway: Gateway, name: str, subject: Subject) -> Assigned:
    """One assignment by the permit as it is now.

    Raises:
        Unanswerable: nothing to hash.
    """
    state = gateway.permits.state(name)
    now = gateway.clock()
    proposed = gateway.proposed[name]
    unit = (state.permit.arms if state.permit is not None else proposed).unit
    if not subject.key(unit):
        other = "'run' (or 'parent_run')" if unit == "run" else "'device'"
        raise Unanswerable(f"experiment {name!r} assigns by {unit}: send 'unit' or {other}, not empty")
    return Assigned(
        # Outcomes of these calls come from the host, not through our outbox, so a full outbox does not matter here.
        decide(proposed, state, subject, own_unit="", loggable=True, now=now),
        now,
    )


def _questions(data: bytes) -> tuple[list[Question], bool]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unanswerable("the body is not valid JSON", 400) from error
    single = not isinstance(value, list)
    if not single and not 0 < len(value) <= MAX_ITEMS:
        raise Unanswerable(f"a list must hold 1 to {MAX_ITEMS} questions, this one holds {len(value)}")
    try:
        return ([_ONE.validate_python(value)], True) if single else (_MANY.validate_python(value), False)
    except ValidationError as error:
        raise Unanswerable(_first(error)) from error


def _first(error: ValidationError) -> str:
    """The first complaint, without what was sent: ids must not come back in errors that somebody logs."""
    first = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "body"
    more = f" ({error.error_count()} such errors)" if error.error_count() > 1 else ""
    return f"{where}: {first['msg']}{more}"


def _experiment(gateway: Gateway, name: str) -> str:
    if not name and len(gateway.proposed) == 1:
        return next(iter(gateway.proposed))
    if name in gateway.proposed:
        return name
    known = ", ".join(gateway.proposed)
    raise Unanswerable(
        f"'experiment' must be one of: {known}" if not name else f"there is no such experiment; configured: {known}",
        422 if not name else 404,
    )


def _subject(gateway: Gateway, question: Question) -> Subject:
    return subject_of(
        gateway.pseudonymiser,
        gateway.roots,
        device=question.device,
        run=question.run,
        parent_run=question.parent_run,
        unit=question.unit,
        attributes={
            "config": question.config,
            "safety_level": question.safety_level,
            "language": question.language,
        },
    )


def _answer(assigned: Assigned) -> dict[str, Any]:
    decision = assigned.decision
    return {
        "experiment": decision.experiment,
        "arm": decision.arm.name,
        "model": decision.arm.model,
        "reason": decision.assignment.reason,
        "epoch": decision.epoch,
        "bucket": decision.assignment.bucket,
        "eligible": list(decision.assignment.eligible),
        "unit": decision.unit,
        "evaluated_at": assigned.at.isoformat(),
    }
