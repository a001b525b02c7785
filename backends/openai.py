"""The OpenAI-compatible protocol: /v1/chat/completions, whole or as server-sent events."""

import json
from collections.abc import Mapping
from typing import Any, Final

from backends.answer import Answer, NotAnAnswer, Piece, count_of, json_object, text_of
from backends.request import CANONICAL, ModelRequest, Outgoing, not_ollamas, portable
from backends.rewrite import rename

COMPLETIONS: Final = "/v1/chat/completions"
DATA: Final = b"data:"
END: Final = b"[DONE]"


def edit(data: bytes, body: Mapping[str, Any], model: str, parameters: Mapping[str, Any]) -> bytes:
    """A request of this protocol for another model.

    Args:
        data: the request's bytes.
        body: the same, parsed.
        model: the model to ask.
        parameters: the arm's; they win over the request's. Without any, only the model's name changes in the bytes.
    """
    arm = not_ollamas(parameters)
    if not arm:
        return rename(data, model)
    kept = {k: v for k, v in body.items() if CANONICAL.get(k, k) not in arm}
    return json.dumps({**kept, "model": model, **arm}).encode()


def encode(request: ModelRequest, model: str, parameters: Mapping[str, Any]) -> Outgoing:
    """A request that came in another protocol.

    Args:
        request: the request; of its parameters the portable ones are sent.
        model: the model to ask.
        parameters: the arm's; they win.
    """
    sent = portable(request.parameters) | not_ollamas(parameters)
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": m.text} for m in request.messages],
        "stream": request.stream,
        **sent,
    }
    if request.stream:
        # Without this an OpenAI-compatible server streams no token counts.
        body["stream_options"] = {"include_usage": True}
    return Outgoing(COMPLETIONS, json.dumps(body).encode(), sent)


def _choice(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choices = value.get("choices")
    if not isinstance(choices, list):
        raise NotAnAnswer("no 'choices'")
    if not choices:
        return None  # the last event of a stream may carry the usage alone
    if not isinstance(choices[0], dict):
        raise NotAnAnswer("'choices' holds no object")
    return choices[0]


def _usage(value: Mapping[str, Any]) -> tuple[int | None, int | None]:
    usage = value.get("usage")
    if not isinstance(usage, dict):
        return None, None
    return count_of(usage.get("prompt_tokens")), count_of(usage.get("completion_tokens"))


def decode(data: bytes) -> Answer:
    """A whole answer: the first choice.

    Raises:
        NotAnAnswer: not an answer of this protocol.
    """
    value = json_object(data)
    choice = _choice(value)
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, dict):
        raise NotAnAnswer("no 'choices[0].message'")
    tokens_in, tokens_out = _usage(value)
    return Answer(
        text=text_of(message.get("content"), "'message.content'"),
        model=text_of(value.get("model"), "'model'"),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        done_reason=text_of(choice.get("finish_reason"), "'finish_reason'") or "stop",
    )


def decode_line(line: bytes) -> Piece | None:
    """One line of the event stream; None for empty lines, comments, other fields and objects of an unknown kind.

    ``data: [DONE]`` is the piece with ``done``: the finish reason comes earlier, and a usage event may stand between.

    Raises:
        NotAnAnswer: a data line that is not of this protocol.
    """
    if not line.startswith(DATA):
        return None
    payload = line[len(DATA) :].strip()
    if payload == END:
        return Piece(done=True)
    value = json_object(payload)
    if "error" in value:
        error = value["error"]
        message = error.get("message") if isinstance(error, dict) else error
        return Piece(error=message if isinstance(message, str) else "error")
    if "choices" not in value:
        return None
    choice = _choice(value)
    delta = choice.get("delta") if choice else None
    tokens_in, tokens_out = _usage(value)
    return Piece(
        text=text_of(delta.get("content"), "'delta.content'") if isinstance(delta, dict) else "",
        model=text_of(value.get("model"), "'model'"),
        tokens_in=tokens_in,
        tokens_out=tokens_out,
        done_reason=text_of(choice.get("finish_reason"), "'finish_reason'") if choice else "",
    )


def rename_line(line: bytes, name: str) -> bytes:
    """The line with another model name and no other byte changed."""
    if not line.startswith(DATA):
        return line
    return DATA + rename(line[len(DATA) :], name)


def missing(status: int, said: str) -> bool:
    """Whether an error status means 'no such model' (a bare 404 means a wrong url)."""
    return status == 404 and "model" in said.lower()
