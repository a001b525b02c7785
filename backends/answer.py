"""What a model answered, whichever protocol it spoke."""

import json
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """A whole answer."""

    text: str
    model: str
    """As the backend named it; '' if it did not."""
    tokens_in: int | None = None
    tokens_out: int | None = None
    done_reason: str = "stop"


class Piece(NamedTuple):
    """One event of a streamed answer."""

    text: str = ""
    model: str = ""
    tokens_in: int | None = None
    tokens_out: int | None = None
    done: bool = False
    """The answer is complete with this piece."""
    done_reason: str = ""
    error: str | None = None
    """The backend broke off and said why; may quote a prompt."""


class NotAnAnswer(ValueError):
    """The bytes are not an answer of this protocol; the text says why and quotes none of them."""


def json_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object.

    Raises:
        NotAnAnswer: not JSON, or not an object.
    """
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:  # ValueError includes UnicodeDecodeError
        raise NotAnAnswer("not JSON") from error
    if not isinstance(value, dict):
        raise NotAnAnswer("not a JSON object")
    return value


def text_of(value: object, where: str) -> str:
    """The value if it is a text, '' for null.

    Raises:
        NotAnAnswer: anything else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise NotAnAnswer(f"{where} is not a text")
    return value


def count_of(value: object) -> int | None:
    """A token count, None if the backend gave none or nonsense."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def said(body: bytes) -> str:
    """The message in an error body of any of the protocols, '' if there is none."""
    try:
        value = json_object(body)
    except NotAnAnswer:
        return ""
    error = value.get("error", value.get("detail", value.get("message", "")))
    if isinstance(error, dict):
        error = error.get("message", "")
    return error if isinstance(error, str) else ""
