"""The host's own GPU service: POST /api/llm/generate, never streamed, without roles."""

import json
from collections.abc import Mapping
from typing import Any, Final

from backends.answer import Answer, NotAnAnswer, Piece, count_of, json_object, text_of
from backends.request import CANONICAL, ModelRequest, Outgoing, not_ollamas, portable
from backends.rewrite import rename

GENERATE: Final = "/api/llm/generate"

_KNOWN: Final = frozenset({"temperature", "max_tokens"})
"""The only parameters of a host that this service is known to take."""


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
    """A request that came in another protocol: messages are joined by blank lines, since there are no roles.

    Args:
        request: the request; of its parameters temperature and max_tokens are sent.
        model: the model to ask.
        parameters: the arm's; they win.
    """
    known = {k: v for k, v in portable(request.parameters).items() if k in _KNOWN}
    sent = known | not_ollamas(parameters)
    prompt = "\n\n".join(message.text for message in request.messages if message.text)
    body = {"model": model, "prompt": prompt, **sent}
    return Outgoing(GENERATE, json.dumps(body).encode(), sent)


def decode(data: bytes) -> Answer:
    """A whole answer. The service need not name its model.

    Raises:
        NotAnAnswer: not an answer of this protocol.
    """
    value = json_object(data)
    if "response" not in value:
        raise NotAnAnswer("no 'response'")
    return Answer(
        text=text_of(value["response"], "'response'"),
        model=text_of(value.get("model"), "'model'"),
        tokens_in=count_of(value.get("prompt_eval_count")),
        tokens_out=count_of(value.get("eval_count")),
    )


def decode_line(line: bytes) -> Piece | None:
    """This protocol has no stream.

    Raises:
        NotAnAnswer: always.
    """
    raise NotAnAnswer("the GPU service does not stream")


def rename_line(line: bytes, name: str) -> bytes:
    """The same as for a whole answer."""
    return rename(line, name)


def missing(status: int, said: str) -> bool:
    """Whether an error status means 'no such model' (a bare 404 means a wrong url)."""
    return status == 404 and "model" in said.lower()
