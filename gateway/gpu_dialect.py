"""The host's GPU service's way to ask: /api/llm/generate, always whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from backends.answer import Answer
from backends.gpu_service import GENERATE
from backends.request import PORTABLE, Message, ModelRequest, canonical
from backends.request import Protocol as WireName
from gateway.dialect import Asked, BadRequest, Totals, text_field


@dataclass(frozen=True, slots=True)
class _GpuService:
    name: str = "gpu_service"
    path: str = GENERATE

    @property
    def wire(self) -> WireName:
        return "gpu_service"

    @property
    def stream_type(self) -> str:
        return "application/json"

    def parse(self, data: bytes, body: Mapping[str, Any]) -> Asked:
        """See :class:`gateway.dialect.Dialect`."""
        prompt = text_field(body, "prompt")
        if not prompt:
            raise BadRequest("'prompt' is empty: send a text")
        return Asked(
            name=text_field(body, "model"),
            request=ModelRequest(
                messages=(Message("user", prompt),),
                chat=False,
                stream=False,
                parameters={k: v for k, v in canonical(body).items() if k in PORTABLE and v is not None},
                extras=("images",) if body.get("images") else (),
            ),
            data=data,
            body=body,
        )

    def whole(self, answer: Answer, asked: Asked, now: datetime, seconds: float) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        return json.dumps({"response": answer.text, "model": asked.name}).encode()

    def piece(self, text: str, asked: Asked, call: str, now: datetime) -> bytes:
        """Never asked for: this dialect does not stream."""
        raise AssertionError("unreachable: the GPU service does not stream")

    def end(self, asked: Asked, call: str, now: datetime, totals: Totals) -> bytes:
        """Never asked for: this dialect does not stream."""
        raise AssertionError("unreachable: the GPU service does not stream")

    def error(self, message: str, status: int) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        return json.dumps({"error": message}).encode()

    def broken(self, message: str) -> bytes:
        """See :class:`gateway.dialect.Dialect`."""
        return self.error(message, 502)


GPU_SERVICE: Final = _GpuService()
