"""The ``[gateway]`` section of equipoise.toml."""

import functools
import ipaddress
import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

REGEX = "re:"
"""A label that starts so is a regular expression that must match the whole line; any other is the line itself."""


class TemplateSettings(BaseModel):
    """``[gateway.templates.VERSION]``: the label lines by which one version of the host's prompt is split.

    A label is a whole line (compared without surrounding spaces, upper or lower case), or ``re:EXPRESSION``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    instruction: tuple[str, ...] = ()
    """Opens the task instruction. Without one, whatever stands before the context is the instruction."""
    context: tuple[str, ...] = ()
    """Opens the context (how to rewrite)."""
    input: tuple[str, ...] = Field(min_length=1)
    """Opens the input text (the child's idea): the first such line behind the context's label."""
    drop: tuple[str, ...] = ()
    """Lines that belong to no block, such as a request to answer in the input's language; removed at a block's ends."""
    instruction_has: tuple[str, ...] = ()
    """Texts that the instruction must contain for this version: tells apart versions with the same labels."""

    @field_validator("instruction", "context", "input", "drop")
    @classmethod
    def _labels_compile(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        for label in labels:
            if not label.strip():
                raise ValueError("a label line is empty: every blank line of a prompt would match")
            if label.startswith(REGEX):
                try:
                    re.compile(label[len(REGEX) :])
                except re.error as error:
                    raise ValueError(f"{label!r} is not a regular expression: {error}") from error
        return labels


def _default_templates() -> dict[str, TemplateSettings]:
    return {
        "labelled": TemplateSettings(
            instruction=("Task:", "Instruction:", "Aufgabe:", "Anweisung:"),
            context=("Context:", "Kontext:"),
            input=("Prompt:", "Input:", "Eingabe:"),
            drop=("re:(?i)(important: )?(please )?(respond|answer|reply) in the (same )?language of .*",
                  "re:(?i)(important: )?(please )?(respond|answer|reply) in the same language as .*",
                  "re:(?i)(wichtig: )?(bitte )?antworte in der sprache .*"),
        )
    }  # fmt: skip


class OutboxSettings(BaseModel):
    """``[gateway.outbox]``: the spool every call passes through."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_bytes: int = Field(default=2**30, ge=2**16)
    """Undelivered bytes on disk. Above: hosts are still answered, by the base arm, and readiness says so."""
    segment_bytes: int = Field(default=4 * 2**20, ge=1024)
    """A segment is closed at this size; a delivered segment is deleted."""
    batch_calls: int = Field(default=200, ge=1, le=1000)
    batch_bytes: int = Field(default=2**19, ge=1024, le=6 * 2**20)
    """Of one request to the API (which takes 8 MB); one call may be larger than this."""
    linger_ms: float = Field(default=100, ge=0, le=1000)
    """How long the first call waits for others to be delivered with it."""
    timeout_s: float = Field(default=15, gt=0, le=300)
    retry_s: float = Field(default=0.5, gt=0)
    """First wait after a failed delivery; doubled each time, with jitter."""
    retry_max_s: float = Field(default=15, gt=0)
    drain_s: float = Field(default=5, ge=0, le=60)
    """How long a stopping gateway goes on delivering; what is left is delivered at the next start."""
    dead_letter_days: int = Field(default=30, ge=1)
    """Calls that the API refused (422) hold texts, so they are deleted after this many days."""


class GatewaySettings(BaseModel):
    """``[gateway]``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    """The model endpoints ask for no token, as Ollama's do not: bind elsewhere only behind a proxy that does."""
    port: int = Field(default=17812, ge=0, le=65535)
    """0: any free port (tests)."""
    upstream_url: str = "http://127.0.0.1:11434"
    """Where everything that is not a Stage 2 call goes."""
    upstreams: dict[str, str] = Field(default_factory=dict)
    """Other upstreams by path prefix, e.g. ``"/api/llm/" = "http://127.0.0.1:17803"``; the longest prefix wins."""
    templates: dict[str, TemplateSettings] = Field(default_factory=_default_templates)
    """By template version, tried in this order. Our defaults are guesses at common labels: set your host's."""
    refusal_patterns: tuple[str, ...] = ()
    """Further regular expressions that make an answer a refusal (searched in its first 300 characters)."""
    connect_timeout_s: float = Field(default=3, gt=0)
    adapter_timeout_s: float = Field(default=60, gt=0)
    """Until an adapter's answer (streamed: its first line) is there; then the base arm is asked."""
    answer_timeout_s: float = Field(default=300, gt=0)
    """Until the base arm's answer (streamed: its first line) is there, and between two chunks of a stream."""
    max_body_bytes: int = Field(default=8 * 2**20, ge=1024)
    """Of a Stage 2 call. Requests for other models pass through at any size."""
    expose_arm: bool = False
    """Adds ``X-Equipoise-Arm`` to answers: for debugging only, since it breaks the blindness of host and child."""
    allowed_hosts: tuple[str, ...] = ()
    """Names beside localhost under which a loopback gateway may be addressed, e.g. ``host.docker.internal``."""
    allow_assignments_without_token: bool = False
    """Documented development mode; refused unless ``host`` is a loopback address."""
    outbox: OutboxSettings = OutboxSettings()

    @field_validator("upstream_url")
    @classmethod
    def _upstream_is_http(cls, url: str) -> str:
        return _http(url)

    @field_validator("upstreams")
    @classmethod
    def _upstreams_are_http(cls, upstreams: dict[str, str]) -> dict[str, str]:
        for prefix in upstreams:
            if not prefix.startswith("/"):
                raise ValueError(f"upstream prefix {prefix!r} must start with '/'")
        return {prefix: _http(url) for prefix, url in upstreams.items()}

    @field_validator("refusal_patterns")
    @classmethod
    def _patterns_compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"refusal pattern {pattern!r} is not a regular expression: {error}") from error
        return patterns

    @model_validator(mode="after")
    def _development_mode_is_local(self) -> Self:
        if self.allow_assignments_without_token and not is_loopback(self.host):
            raise ValueError("allow_assignments_without_token needs a loopback host such as 127.0.0.1")
        return self


def _http(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"url {url!r} must start with http:// or https://")
    return url.rstrip("/")


@functools.lru_cache(maxsize=64)
def is_loopback(host: str) -> bool:
    """Whether a name means this machine only."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False  # another name, also one like 127.example.org
