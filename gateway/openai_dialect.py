"""OpenAI's way to ask: /v1/chat/completions, whole unless ``stream`` is true."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from backends.answer import Answer
from backends.openai import COMPLETIONS
from backends.request import PORTABLE, Message, ModelRequest, canonical
from backends.request import Protocol as WireName
from gateway.dialect import Asked, BadRequest, Totals, flag_field, text_field

_KNOWN: Final = PORTABLE | {"top_k", "min_p", "repetition_penalty", "reasoning_effort", "max_completion_tokens"}
"""Parameters that are kept with the call. Others may bear a user's name (``user``, ``metadata``)."""
_NOT_CARRIED: Final = {"tools": "tools", "functions": "functions", "response_format": "an output format"}


def _dump(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _content(message: Mapping[str, Any]) -> tuple[str, bool]:
    """(text, whether it holds something else too)."""
    content = message.get("content")
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, dict)]
        texts = [part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)]
        return "\n".join(texts), len(texts) != len(content)
    return text_field(message, "content", ""), False


@dataclass(frozen=True, slots=True)
class _OpenAI:
    name: str = "openai_chat"
    path: str = COMPLETIONS

    @property
    def wire(self) -> WireName:
        return "openai"

    @property
    def stream_type(self) -> str:
        return "text/event-stream; charset=utf-8"

    def parse(self, data: bytes, body: Mapping[str, Any]) -> Asked:
        """See :class:`gateway.dialect.Dialect`."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
            raise BadRequest("'messages' must be a list of at least one object with 'role' and 'content'")
        contents = [_content(message) for message in messages]
        extras = [what for key, what in _NOT_CARRIED.items() if body.get(key)]
        if any(other for _, other in contents):
            extras.append("images or other parts")
        if any(message.get("tool_calls") or message.get("role") == "tool" for message in messages):
            extras.append("tool calls")
        if body.get("n") not in (None, 1):
            extras.append("several choices")
        return Asked(
            name=text_field(body, "model"),
            request=ModelRequest(
                messages=tuple(
                    # 'developer' is OpenAI's newer word for 'system'
                    Message("system" if (role := text_field(m, "role")) == "developer" else role, text)
                    for m, (text, _) in zip(messages, contents, strict=True)
                ),
                chat=True,
                stream=flag_field(body, "stream", False),
                parameters=canonical({k: v for k, v in body.items() if k in _KNOWN and v is not None}),
                extras=tuple(extras),
            ),
            data=data,
            body=body,
        )

    def whole(self, answer: Answer, asked: Asked, now: datetime, seconds: float) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        message = {"role": "assistant", "content": answer.text}
        body: dict[str, Any] = {
            "id": f"chatcmpl-{int(now.timestamp() * 1e6):x}",
            "object": "chat.completion",
            "created": int(now.timestamp()),
            "model": asked.name,
            "choices": [{"index": 0, "message": message, "finish_reason": answer.done_reason}],
        }
        return _dump(body | _usage(answer.tokens_in, answer.tokens_out))

    def _event(self, asked: Asked, call: str, now: datetime, delta: Mapping[str, Any], reason: str | None) -> bytes:
        body = {
            "id": f"chatcmpl-{call}",
            "object": "chat.completion.chunk",
            "created": int(now.timestamp()),
            "model": asked.name,
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
        }
        return b"data: " + _dump(body) + b"\n\n"

    def piece(self, text: str, asked: Asked, call: str, now: datetime) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        return self._event(asked, call, now, {"role": "assistant", "content": text}, None)

    def end(self, asked: Asked, call: str, now: datetime, totals: Totals) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        last = self._event(asked, call, now, {}, totals.done_reason or "stop")
        options = asked.body.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage") is True:
            body = {
                "id": f"chatcmpl-{call}",
                "object": "chat.completion.chunk",
                "created": int(now.timestamp()),
                "model": asked.name,
                "choices": [],
            }
            last += b"data: " + _dump(body | _usage(totals.tokens_in, totals.tokens_out)) + b"\n\n"
        return last + b"data: [DONE]\n\n"

    def error(self, message: str, status: int) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        kind = "invalid_request_error" if status < 500 else "server_error"
        return _dump({"error": {"message": message, "type": kind, "param": None, "code": None}})

    def broken(self, message: str) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        return b"data: " + self.error(message, 502) + b"\n\n"


def _usage(tokens_in: int | None, tokens_out: int | None) -> dict[str, Any]:
    if tokens_in is None and tokens_out is None:
        return {}
    asked, answered = tokens_in or 0, tokens_out or 0
    return {"usage": {"prompt_tokens": asked, "completion_tokens": answered, "total_tokens": asked + answered}}


OPENAI_CHAT: Final = _OpenAI()
