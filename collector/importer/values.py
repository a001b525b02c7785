"""Careful readers for JSON that may be anything: each returns a plain value or a default, and none raises."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from experiment.events import MAX_TEXT

EMPTY: Final[Mapping[str, Any]] = {}


class NotJson(ValueError):
    """The bytes are not JSON."""


def decode(data: bytes) -> Any:
    """The JSON value in these bytes (UTF-8, with or without a byte order mark).

    Raises:
        NotJson: they hold something else, or are nested too deeply to be data.
    """
    try:
        return json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise NotJson(type(error).__name__) from error


def as_object(value: object) -> Mapping[str, Any]:
    """The JSON object, or an empty one."""
    return value if isinstance(value, dict) else EMPTY


def as_list(value: object) -> list[Any]:
    """The JSON list, or an empty one."""
    return value if isinstance(value, list) else []


def as_label(value: object) -> str:
    """A short text without NUL or lone surrogates; '' if it is none."""
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        return ""
    return value.strip() if _plain(value) else ""


def as_text(data: bytes) -> str | None:
    """A stored text; None if it cannot be kept: not UTF-8, a NUL byte, or longer than a text may be."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if len(text) <= MAX_TEXT and "\x00" not in text else None


def as_sequence(value: object) -> float:
    """A sequence number for sorting; what has none comes last."""
    return float(value) if isinstance(value, int) and abs(value) < 2**31 else float("inf")


def as_time(value: object, zone: tzinfo) -> datetime | None:
    """An ISO 8601 time in UTC; one without a zone is read in ``zone``. None if it is none within 2000 … 2199."""
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if 2000 <= moment.year < 2200 else None


def _plain(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
