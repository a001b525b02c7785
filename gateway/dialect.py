"""What a dialect is: how a host asks and how it wants to be answered. Bytes in, bytes out, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from backends.answer import Answer
from backends.request import ModelRequest
from backends.request import Protocol as WireName


class BadRequest(ValueError):
    """The request is not of its dialect; the text says what to change and quotes none of it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for an alias."""

    name: str
    """The model name as the host wrote it; the answer bears the same."""
    request: ModelRequest
    data: bytes
    body: Mapping[str, Any]
    """The same bytes, parsed."""
    loads_only: bool = False
    """Ollama's way to load a model: no prompt at all. Not a call."""

    @property
    def prompt(self) -> str:
        """The last user message, or the plain prompt."""
        return next((m.text for m in reversed(self.request.messages) if m.role == "user"), "")

    @property
    def system(self) -> str | None:
        """The first system message; None without one."""
        return next((m.text for m in self.request.messages if m.role == "system"), None)


class Totals(NamedTuple):
    """What is known at a stream's end."""

    tokens_in: int | None
    tokens_out: int | None
    done_reason: str
    seconds: float


class Dialect(Protocol):
    """One wire that a host may speak."""

    @property
    def name(self) -> str:
        """For metrics."""

    @property
    def wire(self) -> WireName:
        """The backend protocol that is the same."""

    @property
    def path(self) -> str:
        """Where the host posts to, and where the same protocol's backend is asked."""

    @property
    def stream_type(self) -> str:
        """Content-Type of a streamed answer that is translated."""

    def parse(self, data: bytes, body: Mapping[str, Any]) -> Asked:
        """The request.

        Raises:
            BadRequest: a field has the wrong type or is missing.
        """

    def whole(self, answer: Answer, asked: Asked, now: datetime, seconds: float) -> bytes:
        """A whole answer from another protocol."""

    def piece(self, text: str, asked: Asked, call: str, now: datetime) -> bytes:
        """One piece of a stream from another protocol."""

    def end(self, asked: Asked, call: str, now: datetime, totals: Totals) -> bytes:
        """The end of a stream from another protocol."""

    def error(self, message: str, status: int) -> bytes:
        """An error in place of an answer."""

    def broken(self, message: str) -> bytes:
        """An error in the middle of a stream."""


def text_field(body: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """A text of the request.

    Raises:
        BadRequest: not a text, or missing without a default.
    """
    value = body.get(key)
    if value is None:
        if default is None:
            raise BadRequest(f"'{key}' is missing: send a text")
        return default
    if not isinstance(value, str):
        raise BadRequest(f"'{key}' must be a text")
    return value


def flag_field(body: Mapping[str, Any], key: str, default: bool) -> bool:
    """A yes or no of the request.

    Raises:
        BadRequest: neither true nor false.
    """
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise BadRequest(f"'{key}' must be true or false")
    return value


def stamp(now: datetime) -> str:
    """A time as Ollama writes it."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
