"""The two kinds of event that reach the warehouse: a call and an outcome. Values are checked here, at the edge.

DuckDB stores NaN, ∞, NUL bytes, naive times and fractions in count columns without a word, so they are refused here.
"""

import hashlib
import json
import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from experiment.assignment import Reason

MAX_TEXT = 200_000
"""Characters of one text. A Stage 2 prompt has a few thousand; more is an error, not data."""

Origin = Literal["live", "import", "replay"]
Stage = Literal["", "stage1", "stage2", "stage3", "image"]
OutcomeKind = Literal["favourite", "unfavourite", "regeneration", "block", "not_blocked", "submitted", "edit", "link"]
"""submitted: the host sent the text to Stage 3, a verdict is expected ·
link: run ``child_run`` belongs to this call (a joined export) · regeneration: ``child_run`` repeats this call's run."""


def _plain(text: str) -> str:
    if "\x00" in text:
        raise ValueError("the text contains a NUL byte")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the text contains a lone surrogate, which is not valid Unicode") from error
    return text


def _utc(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2200:
        raise ValueError(f"the time {moment.isoformat()} lies outside the years 2000 to 2199")
    return moment.astimezone(UTC)


def _no_epoch_numbers(value: object) -> object:
    if isinstance(value, int | float) or (isinstance(value, str) and ":" not in value):
        raise ValueError("a time is an ISO 8601 text with a zone, such as 2026-03-01T09:30:00Z, not a number")
    return value


def _strict_int(value: object) -> object:
    if isinstance(value, bool | float | str):
        raise ValueError("a whole number is needed")
    return value


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(_plain)]
Label = Annotated[str, Field(max_length=200), AfterValidator(_plain)]
Key = Annotated[str, Field(max_length=300), AfterValidator(_plain)]
Id = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$")]
Moment = Annotated[AwareDatetime, BeforeValidator(_no_epoch_numbers), AfterValidator(_utc)]
Count = Annotated[int, BeforeValidator(_strict_int), Field(ge=0, le=2**53)]
Milliseconds = Annotated[float, Field(ge=0, le=86_400_000, allow_inf_nan=False, strict=True)]


MAX_DEPTH = 64
"""Levels of nesting in parameters; far deeper ones cannot be serialised again."""


def _finite(value: Any, room: int = MAX_DEPTH) -> Any:
    if room < 0:
        raise ValueError(f"parameters are nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("parameters contain NaN or infinity")
    if isinstance(value, str):
        _plain(value)
    if isinstance(value, dict):
        for key, item in value.items():
            _finite(key)
            _finite(item, room - 1)
    if isinstance(value, list | tuple):
        for item in value:
            _finite(item, room - 1)
    return value


Parameters = Annotated[dict[str, Any], AfterValidator(_finite)]


class _Event(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Id
    ts: Moment
    """When it happened, with a time zone; kept in UTC."""

    def digest(self) -> str:
        """SHA-256 (hex) of the canonical content: the same id with another digest is a conflict (409)."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Call(_Event):
    """One Stage 2 call: who asked (pseudonyms), which arm was assigned and why, which model answered, and the texts."""

    experiment: Id
    epoch: Count = 0
    """The permit's epoch; 0 where no permit was valid or the call was imported."""
    arm: Label = ""
    """The arm assigned; '' for an imported run that no assignment is known of."""
    model: Label = ""
    """The model that answered, as the backend named it (as treated)."""
    reason: Reason | Literal["import"] = "default"
    bucket: Count = 0
    eligible: tuple[Label, ...] = ()
    """Adapters that chance could have given to this call (experiment.assignment.Assignment.eligible)."""
    unit: Key = ""
    """Pseudonym that was hashed for the assignment; '' if the call was its own unit."""
    device: Key = ""
    device_kind: Literal["browser", "dev", "api", "canvas", "test", "legacy", "unknown"] = "unknown"
    run: Key = ""
    parent_run: Key = ""
    """The run this one repeats, if it is a regeneration."""
    prompt: Key = ""
    """Prompt key; computed from ``input`` by the service where it is missing."""
    output_key: Key = ""
    config: Label = "unknown"
    language: Label = "unknown"
    translated: bool | None = None
    """English channel on or off; None: unknown."""
    safety_level: Label = "unknown"
    template_version: Label = "unknown"
    parameters: Parameters = Field(default_factory=dict)
    input: Text | None = None
    context: Text | None = None
    output: Text | None = None
    refused: bool = False
    """The model answered with a refusal instead of a transformation."""
    latency_ms: Milliseconds | None = None
    tokens_in: Count | None = None
    tokens_out: Count | None = None
    error: Annotated[str, Field(max_length=2000), AfterValidator(_plain)] | None = None
    origin: Origin = "live"
    synthetic: bool = False


class Outcome(_Event):
    """What happened to a call afterwards; addressed by call id or by run."""

    experiment: Id
    kind: OutcomeKind
    call: Annotated[str, Field(max_length=128), AfterValidator(_plain)] = ""
    run: Key = ""
    child_run: Key = ""
    stage: Stage = ""
    method: Label = ""
    code: Label = ""
    origin: Origin = "live"
    synthetic: bool = False

    @model_validator(mode="after")
    def _addressed(self) -> "Outcome":
        if not self.call and not self.run:
            raise ValueError("an outcome needs 'call' (the answer's X-Equipoise-Call) or 'run'")
        if self.kind == "block" and not self.stage:
            raise ValueError("a block needs its 'stage': stage1, stage2, stage3 or image")
        if self.kind == "link" and not (self.call and self.child_run):
            raise ValueError("a link needs 'call' and 'child_run'")
        return self
