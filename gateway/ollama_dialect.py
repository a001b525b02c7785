"""Ollama's two ways to ask: /api/generate and /api/chat, streamed unless ``stream`` is false."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from backends.answer import Answer
from backends.ollama import CHAT, GENERATE
from backends.request import Message, ModelRequest, canonical
from backends.request import Protocol as WireName
from gateway.dialect import Asked, BadRequest, Totals, flag_field, stamp, text_field

_BESIDE_OPTIONS: Final = ("think", "keep_alive")
_NOT_CARRIED: Final = {
    "images": "images",
    "tools": "tools",
    "format": "an output format",
    "suffix": "a suffix",
    "template": "a template",
    "raw": "a raw prompt",
    "context": "a token context",
}


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    options = body.get("options")
    if options is not None and not isinstance(options, dict):
        raise BadRequest("'options' must be an object")
    beside = {name: body[name] for name in _BESIDE_OPTIONS if body.get(name) is not None}
    return canonical(options or {}) | beside


def _messages(body: Mapping[str, Any]) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    messages = body.get("messages")
    if messages is None:
        return (), ()
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise BadRequest("'messages' must be a list of objects with 'role' and 'content'")
    extras = tuple(
        what
        for what, present in (
            ("images", any(message.get("images") for message in messages)),
            ("tool calls", any(message.get("tool_calls") or message.get("role") == "tool" for message in messages)),
        )
        if present
    )
    return tuple(Message(text_field(m, "role"), text_field(m, "content", "")) for m in messages), extras


@dataclass(frozen=True, slots=True)
class _Ollama:
    """What both ways share."""

    name: str
    path: str

    @property
    def wire(self) -> WireName:
        return "ollama"

    @property
    def stream_type(self) -> str:
        return "application/x-ndjson"

    @property
    def _chat(self) -> bool:
        return self.path == CHAT

    def parse(self, data: bytes, body: Mapping[str, Any]) -> Asked:
        """See :class:`gateway.dialect.Dialect`."""
        extras = tuple(what for key, what in _NOT_CARRIED.items() if body.get(key))
        if self._chat:
            messages, found = _messages(body)
            extras += found
            empty = not messages
        else:
            prompt, system = text_field(body, "prompt", ""), text_field(body, "system", "")
            messages = tuple(Message(r, t) for r, t in (("system", system), ("user", prompt)) if t or r == "user")
            empty = not prompt
        return Asked(
            name=text_field(body, "model"),
            request=ModelRequest(
                messages=messages,
                chat=self._chat,
                stream=flag_field(body, "stream", True),
                parameters=_parameters(body),
                extras=extras,
            ),
            data=data,
            body=body,
            loads_only=empty,
        )

    def _line(self, text: str, asked: Asked, now: datetime) -> dict[str, Any]:
        line: dict[str, Any] = {"model": asked.name, "created_at": stamp(now)}
        if self._chat:
            return line | {"message": {"role": "assistant", "content": text}}
        return line | {"response": text}

    def _end(self, reason: str, tokens_in: int | None, tokens_out: int | None, seconds: float) -> dict[str, Any]:
        end: dict[str, Any] = {"done": True, "done_reason": reason or "stop", "total_duration": int(seconds * 1e9)}
        if tokens_in is not None:
            end["prompt_eval_count"] = tokens_in
        if tokens_out is not None:
            end["eval_count"] = tokens_out
        return end

    def whole(self, answer: Answer, asked: Asked, now: datetime, seconds: float) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        end = self._end(answer.done_reason, answer.tokens_in, answer.tokens_out, seconds)
        return _dump(self._line(answer.text, asked, now) | end)

    def piece(self, text: str, asked: Asked, call: str, now: datetime) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        return _dump(self._line(text, asked, now) | {"done": False}) + b"\n"

    def end(self, asked: Asked, call: str, now: datetime, totals: Totals) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        end = self._end(totals.done_reason, totals.tokens_in, totals.tokens_out, totals.seconds)
        return _dump(self._line("", asked, now) | end) + b"\n"

    def error(self, message: str, status: int) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        return _dump({"error": message})

    def broken(self, message: str) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        return _dump({"error": message}) + b"\n"


OLLAMA_GENERATE: Final = _Ollama("ollama_generate", GENERATE)
OLLAMA_CHAT: Final = _Ollama("ollama_chat", CHAT)
