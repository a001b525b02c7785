"""The protocols side by side, so that a caller picks one by an arm's ``backend``."""

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from backends import gpu_service, ollama, openai
from backends.answer import Answer, Piece
from backends.request import ModelRequest, Outgoing, Protocol


class Wire(NamedTuple):
    """One protocol as plain functions; each is described in its module."""

    name: Protocol
    streams: bool
    edit: Callable[[bytes, Mapping[str, Any], str, Mapping[str, Any]], bytes]
    encode: Callable[[ModelRequest, str, Mapping[str, Any]], Outgoing]
    decode: Callable[[bytes], Answer]
    decode_line: Callable[[bytes], Piece | None]
    rename_line: Callable[[bytes, str], bytes]
    missing: Callable[[int, str], bool]


WIRES: Final[Mapping[str, Wire]] = {
    "ollama": Wire(
        "ollama",
        True,
        ollama.edit,
        ollama.encode,
        ollama.decode,
        ollama.decode_line,
        ollama.rename_line,
        ollama.missing,
    ),
    "openai": Wire(
        "openai",
        True,
        openai.edit,
        openai.encode,
        openai.decode,
        openai.decode_line,
        openai.rename_line,
        openai.missing,
    ),
    "gpu_service": Wire(
        "gpu_service",
        False,
        gpu_service.edit,
        gpu_service.encode,
        gpu_service.decode,
        gpu_service.decode_line,
        gpu_service.rename_line,
        gpu_service.missing,
    ),
}
