"""A request to a model in terms that every protocol shares, and the names of its parameters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

Protocol = Literal["ollama", "openai", "gpu_service"]
"""The wire protocols; the same words as an arm's ``backend``."""

CANONICAL: Final[Mapping[str, str]] = {"num_predict": "max_tokens", "max_completion_tokens": "max_tokens"}
"""Other names of one parameter. Inside we say max_tokens."""

PORTABLE: Final = frozenset(
    {"temperature", "top_p", "seed", "max_tokens", "stop", "presence_penalty", "frequency_penalty"}
)
"""Sampling parameters that Ollama and OpenAI-compatible servers both understand."""

OLLAMA_ONLY: Final = frozenset(
    {"think", "keep_alive", "format", "num_ctx", "num_batch", "num_gpu", "num_thread", "num_keep", "main_gpu",
     "repeat_last_n", "repeat_penalty", "mirostat", "mirostat_eta", "mirostat_tau", "tfs_z", "typical_p", "use_mmap"}
)  # fmt: skip
"""Parameters that only Ollama knows: never sent to another protocol, which may refuse what it doesn't know."""


class Message(NamedTuple):
    """One turn."""

    role: str
    text: str


class Outgoing(NamedTuple):
    """What goes over the wire."""

    path: str
    """Path below the backend's url."""
    body: bytes
    parameters: Mapping[str, Any]
    """The sampling parameters in it, canonical names: what a log should say was asked for."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a host asks of a model, whichever protocol it came in."""

    messages: tuple[Message, ...]
    """For a plain prompt: an optional system message and one user message."""
    chat: bool
    """True: roles matter (chat); False: a plain prompt."""
    stream: bool
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Canonical names (:data:`CANONICAL`)."""
    extras: tuple[str, ...] = ()
    """What no other protocol can carry, such as 'images' or 'tools'."""


def canonical(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters under their canonical names."""
    return {CANONICAL.get(name, name): value for name, value in parameters.items()}


def merged(host: Mapping[str, Any], arm: Mapping[str, Any]) -> dict[str, Any]:
    """Host's and arm's parameters under canonical names; the arm's win, for every arm alike."""
    return {**canonical(host), **canonical(arm)}


def portable(host: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the host's parameters that both Ollama and OpenAI-compatible servers understand."""
    return {name: value for name, value in canonical(host).items() if name in PORTABLE}


def not_ollamas(arm: Mapping[str, Any]) -> dict[str, Any]:
    """The arm's parameters without those that only Ollama knows; the others a person chose for it, so they are sent."""
    return {name: value for name, value in canonical(arm).items() if name not in OLLAMA_ONLY}
