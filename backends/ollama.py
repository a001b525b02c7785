"""Ollama's protocol: /api/generate and /api/chat, whole or as lines of JSON."""

import json
from collections.abc import Mapping
from typing import Any, Final

from backends.answer import Answer, NotAnAnswer, Piece, count_of, json_object, text_of
from backends.request import CANONICAL, ModelRequest, Outgoing, canonical, portable
from backends.rewrite import rename

GENERATE: Final = "/api/generate"
CHAT: Final = "/api/chat"

_TOP_LEVEL: Final = frozenset({"think", "keep_alive", "format"})
"""Parameters that stand beside the prompt; all others stand in ``options``."""
_NAMES: Final = {"max_tokens": "num_predict"}


def edit(data: bytes, body: Mapping[str, Any], model: str, parameters: Mapping[str, Any]) -> bytes:
    """A request of this protocol for another model.

    Args:
        data: the request's bytes.
        body: the same, parsed.
        model: the model to ask.
        parameters: the arm's; they win over the request's. Without any, only the model's name changes in the bytes.
    """
    if not parameters:
        return rename(data, model)
    arm = canonical(parameters)
    kept = {k: v for k, v in (body.get("options") or {}).items() if CANONICAL.get(k, k) not in arm}
    options = kept | {_NAMES.get(k, k): v for k, v in arm.items() if k not in _TOP_LEVEL}
    top = {k: v for k, v in arm.items() if k in _TOP_LEVEL}
    new = {**body, "model": model, **top}
    if options:
        new["options"] = options
    return json.dumps(new).encode()


def encode(request: ModelRequest, model: str, parameters: Mapping[str, Any]) -> Outgoing:
    """A request that came in another protocol.

    Args:
        request: the request; of its parameters the portable ones are sent.
        model: the model to ask.
        parameters: the arm's; they win.
    """
    sent = portable(request.parameters) | canonical(parameters)
    body: dict[str, Any] = {"model": model, "stream": request.stream}
    if request.chat:
        body["messages"] = [{"role": m.role, "content": m.text} for m in request.messages]
    else:
        body["prompt"] = "\n\n".join(m.text for m in request.messages if m.role != "system")
        system = "\n\n".join(m.text for m in request.messages if m.role == "system")
        if system:
            body["system"] = system
    body |= {k: v for k, v in sent.items() if k in _TOP_LEVEL}
    options = {_NAMES.get(k, k): v for k, v in sent.items() if k not in _TOP_LEVEL}
    if options:
        body["options"] = options
    return Outgoing(CHAT if request.chat else GENERATE, json.dumps(body).encode(), sent)


def _text(value: Mapping[str, Any]) -> str:
    if "response" in value:
        return text_of(value["response"], "'response'")
    message = value.get("message")
    if not isinstance(message, dict):
        raise NotAnAnswer("neither 'response' nor 'message'")
    return text_of(message.get("content"), "'message.content'")


def decode(data: bytes) -> Answer:
    """A whole answer.

    Raises:
        NotAnAnswer: not an answer of this protocol.
    """
    value = json_object(data)
    if value.get("error"):
        raise NotAnAnswer("an error in place of an answer")
    return Answer(
        text=_text(value),
        model=text_of(value.get("model"), "'model'"),
        tokens_in=count_of(value.get("prompt_eval_count")),
        tokens_out=count_of(value.get("eval_count")),
        done_reason=text_of(value.get("done_reason"), "'done_reason'") or "stop",
    )


def decode_line(line: bytes) -> Piece | None:
    """One line of a streamed answer; None for an empty line or an object of a kind we don't know.

    Raises:
        NotAnAnswer: not a line of this protocol.
    """
    if not line.strip():
        return None
    value = json_object(line)
    if "error" in value:
        error = value["error"]
        return Piece(error=error if isinstance(error, str) else "error")
    if "response" not in value and "message" not in value:
        return None
    done = value.get("done") is True
    return Piece(
        text=_text(value),
        model=text_of(value.get("model"), "'model'"),
        tokens_in=count_of(value.get("prompt_eval_count")),
        tokens_out=count_of(value.get("eval_count")),
        done=done,
        done_reason=(text_of(value.get("done_reason"), "'done_reason'") or "stop") if done else "",
    )


def rename_line(line: bytes, name: str) -> bytes:
    """The line with another model name and no other byte changed."""
    return rename(line, name)


def missing(status: int, said: str) -> bool:
    """Whether an error status means 'no such model' (a bare 404 means a wrong url)."""
    return status == 404 and "not found" in said
