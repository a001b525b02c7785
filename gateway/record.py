"""A call as ``experiment.events.Call``, whatever its texts look like. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from pydantic import ValidationError

from experiment.events import Call
from experiment.pseudonym import Pseudonymiser
from gateway.decide import Decision
from gateway.dialect import Asked, Dialect
from gateway.refusal import is_refusal
from gateway.templates import UNKNOWN, Splitter
from gateway.texts import clean, label, storable
from gateway.units import Subject

CHANGED: Final = "equipoise_changed"
"""In ``parameters``: which fields were cut, cleaned or left out so that the call could be kept."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One aliased call as it came in, with the arm that was decided."""

    id: str
    ts: datetime
    started: float
    """Monotonic seconds."""
    dialect: Dialect
    asked: Asked
    subject: Subject
    decision: Decision
    template: str
    """``X-Equipoise-Template``, '' if the host sent none."""
    translated: bool | None
    authorization: str
    """The host's, for OpenAI-compatible backends; never kept."""


class Happened(NamedTuple):
    """How the call ended."""

    arm: str
    """Assigned."""
    reason: str
    model: str
    """That answered; '' if none did."""
    parameters: Mapping[str, Any]
    seconds: float
    output: str | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    error: str | None = None


def draft(arrival: Arrival, *, splitter: Splitter, pseudonymiser: Pseudonymiser) -> Call:
    """All of the call that is known when it arrives. Made while the model works, so that nobody waits for it.

    Args:
        arrival: how it came in.
        splitter: by the configured templates.
        pseudonymiser: under the installation's key.
    """
    decision, subject, asked = arrival.decision, arrival.subject, arrival.asked
    split = splitter.split(asked.prompt)
    context = split.context if split.context is not None else asked.system
    texts = {"input": split.input, "context": context}
    kept = {name: None if text is None else storable(text) for name, text in texts.items()}
    changed = [name for name, text in kept.items() if text is not None and text.changed]
    fields: dict[str, Any] = {
        "id": arrival.id,
        "ts": arrival.ts,
        "experiment": decision.experiment,
        "epoch": decision.epoch,
        "bucket": decision.assignment.bucket,
        "eligible": decision.assignment.eligible,
        "unit": decision.unit,
        "device": subject.device,
        "device_kind": subject.device_kind,
        "run": subject.run,
        "parent_run": subject.parent_run,
        # From the whole text, not from the cut one: an export's texts must find this call.
        "prompt": pseudonymiser.prompt(clean(split.input)),
        "config": label(subject.attributes.get("config")),
        "language": label(subject.attributes.get("language")),
        "translated": arrival.translated,
        "safety_level": label(subject.attributes.get("safety_level")),
        "template_version": label(arrival.template) if arrival.template.strip() else split.template or UNKNOWN,
        "parameters": {CHANGED: changed} if changed else {},
        **{name: None if text is None else text.text for name, text in kept.items()},
        "synthetic": decision.synthetic,
    }
    return _validated(fields)


def finished(
    drafted: Call, happened: Happened, *, pseudonymiser: Pseudonymiser, refusals: tuple[re.Pattern[str], ...]
) -> Call:
    """The call as it is kept. Every value is made valid here, so nothing is checked again while the host waits.

    Args:
        drafted: from :func:`draft`.
        happened: how it ended.
        pseudonymiser: under the installation's key.
        refusals: the installation's own refusal expressions.
    """
    output = happened.output or ""
    text = None if happened.output is None else storable(output)
    parameters, left_out = _small(happened.parameters)
    changed = [
        *drafted.parameters.get(CHANGED, ()),
        *(["output"] if text is not None and text.changed else ()),
        *left_out,
    ]
    update: dict[str, Any] = {
        "arm": happened.arm,
        "model": clean(happened.model)[:200],
        "reason": happened.reason,
        "parameters": parameters | ({CHANGED: changed} if changed else {}),
        "output": None if text is None else text.text,
        "output_key": pseudonymiser.output(clean(output)),
        "refused": is_refusal(output, refusals),
        "latency_ms": _milliseconds(happened.seconds),
        "tokens_in": happened.tokens_in,
        "tokens_out": happened.tokens_out,
        "error": None if happened.error is None else clean(happened.error)[:2000],
    }
    return drafted.model_copy(update=update)


def _milliseconds(seconds: float) -> float | None:
    if not math.isfinite(seconds):
        return None
    return min(round(max(0.0, seconds) * 1000, 3), 86_400_000.0)


def _small(parameters: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Numbers, switches and short words: what sampling needs. A schema or a long text is not a parameter to compare.

    Returns:
        (what is kept, ['parameters'] if something was no number at all).
    """
    kept: dict[str, Any] = {}
    left_out: list[str] = []
    for name, value in parameters.items():
        if isinstance(value, float) and not math.isfinite(value):
            left_out = ["parameters"]
        elif isinstance(value, bool | int | float):
            kept[clean(name)[:100]] = value
        elif isinstance(value, str) and len(value) <= 200:
            kept[clean(name)[:100]] = clean(value)
    return kept, left_out


def _validated(fields: dict[str, Any]) -> Call:
    """The call; a field that is refused in spite of everything is left out and named, so that no call is lost."""
    try:
        return Call(**fields)
    except ValidationError as error:
        wrong = sorted({str(item["loc"][0]) for item in error.errors() if item["loc"]})
        kept = {name: value for name, value in fields.items() if name not in wrong}
        changed = [*fields["parameters"].get(CHANGED, ()), *wrong]
        return Call(**kept | {"parameters": {CHANGED: changed}})
