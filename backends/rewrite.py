"""Renaming the model in JSON bytes without touching any other byte.

Parsing and writing JSON again would change number formats, escapes, spaces and key order. This scanner finds the
top-level ``"model"`` string and replaces only that.
"""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

# A string, or one structural character. Numbers, literals and white space lie between matches and are never needed.
_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]', re.DOTALL)


class Span(NamedTuple):
    """Where a JSON string stands in the bytes, quotes included: ``data[start:end]``."""

    start: int
    end: int


def _is_model_key(token: bytes) -> bool:
    if token == b'"model"':
        return True
    if b"\\" not in token:
        return False
    try:
        return bool(json.loads(token) == "model")
    except ValueError:
        return False


def model_spans(data: bytes) -> Iterator[Span]:
    """Every top-level ``"model": "…"`` value of a JSON object, in order.

    Args:
        data: a JSON object, or the beginning of one (a value that is cut off is not found). Anything else has none.
    """
    depth = 0
    key_next = False
    after_key = False
    after_colon = -1  # where the colon behind a top-level "model" ends
    for match in _TOKEN.finditer(data):
        token = match.group()
        if depth == 1 and after_colon >= 0:
            if token[:1] == b'"' and not data[after_colon : match.start()].strip():
                yield Span(match.start(), match.end())
                after_colon = -1
                continue
            after_colon = -1
        if token == b"{" or token == b"[":
            if depth == 0 and (token == b"[" or data[: match.start()].strip()):
                return
            depth += 1
            key_next = depth == 1
            after_key = False
        elif token == b"}" or token == b"]":
            depth -= 1
            if depth <= 0:
                return
        elif depth != 1:
            if depth == 0:
                return
        elif token == b",":
            key_next = True
            after_key = False
        elif token == b":":
            if after_key:
                after_colon = match.end()
            after_key = False
        elif key_next:
            after_key = _is_model_key(token)
            key_next = False


def rename(data: bytes, name: str) -> bytes:
    """The same bytes with every top-level ``"model"`` string replaced by ``name``.

    Args:
        data: a JSON object; anything else comes back as it is.
        name: the new model name.
    """
    new = json.dumps(name).encode()
    parts: list[bytes] = []
    position = 0
    for span in model_spans(data):
        parts += (data[position : span.start], new)
        position = span.end
    if not parts:
        return data
    parts.append(data[position:])
    return b"".join(parts)


def models(data: bytes) -> Iterator[str]:
    """Every top-level model name, in order; also of a JSON object that is cut off."""
    for span in model_spans(data):
        try:
            name = json.loads(data[span.start : span.end])
        except ValueError:
            continue
        if isinstance(name, str):
            yield name
