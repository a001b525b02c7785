"""The three protocols as pure functions: what is asked, what is understood."""

import json
from typing import Any

import pytest

from backends import gpu_service, ollama, openai
from backends.answer import Answer, NotAnAnswer, Piece, said
from backends.protocols import WIRES
from backends.request import Message, ModelRequest, canonical, merged

PLAIN = ModelRequest(
    (Message("system", "S"), Message("user", "P")), False, False, {"temperature": 0.5, "max_tokens": 9, "num_ctx": 1}
)
CHAT = ModelRequest((Message("system", "S"), Message("user", "P"), Message("assistant", "A")), True, True)


def sent(out: Any) -> tuple[str, dict[str, Any]]:
    return out.path, json.loads(out.body)


def test_ollama_asks_generate_for_a_prompt_and_chat_for_roles() -> None:
    assert sent(ollama.encode(PLAIN, "m", {"think": False, "top_k": 5})) == (
        "/api/generate",
        {
            "model": "m",
            "stream": False,
            "prompt": "P",
            "system": "S",
            "think": False,
            "options": {"temperature": 0.5, "num_predict": 9, "top_k": 5},
        },
    )
    path, body = sent(ollama.encode(CHAT, "m", {}))
    assert path == "/api/chat"
    assert [m["role"] for m in body["messages"]] == ["system", "user", "assistant"]
    assert "options" not in body


def test_openai_asks_for_token_counts_in_a_stream() -> None:
    path, body = sent(openai.encode(CHAT, "m", {"num_predict": 7, "keep_alive": "5m"}))
    assert path == "/v1/chat/completions"
    assert (body["max_tokens"], body["stream_options"]) == (7, {"include_usage": True})
    assert "keep_alive" not in body


def test_the_gpu_service_gets_one_text_and_what_it_knows() -> None:
    request = ModelRequest(CHAT.messages, True, True, {"temperature": 0.1, "top_p": 0.9})
    assert sent(gpu_service.encode(request, "m", {"max_tokens": 5})) == (
        "/api/llm/generate",
        {"model": "m", "prompt": "S\n\nP\n\nA", "temperature": 0.1, "max_tokens": 5},
    )


@pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))
def test_what_is_said_to_be_sent_is_sent(wire: Any) -> None:
    out = wire.encode(PLAIN, "m", {"temperature": 0.9})
    body = json.loads(out.body)
    flat = canonical({**body, **body.get("options", {})})
    assert all(flat[name] == value for name, value in out.parameters.items())
    assert out.parameters["temperature"] == 0.9


@pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))
def test_without_parameters_an_edited_request_keeps_its_bytes(wire: Any) -> None:
    data = b'{ "model":"alias", "temperature":0.70 }'
    assert wire.edit(data, json.loads(data), "m", {}) == data.replace(b"alias", b"m")


@pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))
def test_the_arms_parameter_replaces_the_hosts_under_its_other_name(wire: Any) -> None:
    place = "options" if wire.name == "ollama" else None
    host = {"num_predict": 10, "temperature": 1}
    body: dict[str, Any] = {"model": "alias", "x": 1} | ({place: host} if place else host)
    edited = json.loads(wire.edit(json.dumps(body).encode(), body, "m", {"max_tokens": 5}))
    inner = edited[place] if place else edited
    assert (edited["model"], edited["x"], inner["temperature"]) == ("m", 1, 1)
    assert {name: inner[name] for name in ("num_predict", "max_tokens") if name in inner} == (
        {"num_predict": 5} if wire.name == "ollama" else {"max_tokens": 5}
    )


def test_the_arms_parameters_win() -> None:
    assert merged({"num_predict": 1, "top_p": 0.5}, {"max_tokens": 2}) == {"max_tokens": 2, "top_p": 0.5}


@pytest.mark.parametrize(
    ("decode", "data", "answer"),
    [
        (
            ollama.decode,
            {"model": "m", "response": "T", "prompt_eval_count": 3, "eval_count": 4},
            Answer("T", "m", 3, 4),
        ),
        (ollama.decode, {"message": {"content": "T"}, "done_reason": "length"}, Answer("T", "", None, None, "length")),
        (ollama.decode, {"response": "T", "eval_count": -1, "prompt_eval_count": True}, Answer("T", "")),
        (
            openai.decode,
            {
                "model": "m",
                "choices": [{"message": {"content": "T"}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 4},
            },
            Answer("T", "m", 3, 4),
        ),
        (openai.decode, {"choices": [{"message": {"content": None}}]}, Answer("", "")),
        (gpu_service.decode, {"response": "T"}, Answer("T", "")),
    ],
)
def test_answers(decode: Any, data: dict[str, Any], answer: Answer) -> None:
    assert decode(json.dumps(data).encode()) == answer


@pytest.mark.parametrize("decode", [ollama.decode, openai.decode, gpu_service.decode])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"response": 5}',
        b'{"choices": []}',
        b'{"choices": [5]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_answer_is_named_and_not_quoted(decode: Any, data: bytes) -> None:
    with pytest.raises(NotAnAnswer) as caught:
        decode(data)
    assert "html" not in str(caught.value)


@pytest.mark.parametrize(
    ("decode_line", "line", "piece"),
    [
        (ollama.decode_line, b'{"response":"T","done":false}\n', Piece(text="T")),
        (ollama.decode_line, b'{"error":"E"}\n', Piece(error="E")),
        (
            ollama.decode_line,
            b'{"response":"","done":true,"eval_count":2}',
            Piece(done=True, done_reason="stop", tokens_out=2),
        ),
        (ollama.decode_line, b"\r\n", None),
        (ollama.decode_line, b'{"status":"pulling"}', None),
        (openai.decode_line, b"data: [DONE]\n", Piece(done=True)),
        (openai.decode_line, b'data:{"choices":[{"delta":{"content":"T"}}]}\n', Piece(text="T")),
        (openai.decode_line, b'data: {"error":{"message":"E"}}\n', Piece(error="E")),
        (openai.decode_line, b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n', Piece(tokens_in=1)),
        (openai.decode_line, b": ping\n", None),
        (openai.decode_line, b"event: message\n", None),
        (openai.decode_line, b'data: {"object":"ping"}\n', None),
        (openai.decode_line, b"\n", None),
    ],
)
def test_lines(decode_line: Any, line: bytes, piece: Piece | None) -> None:
    assert decode_line(line) == piece


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":"E"}', "E"),
        (b'{"error":{"message":"E"}}', "E"),
        (b'{"detail":"E"}', "E"),
        (b'{"detail":[{"loc":1}]}', ""),
        (b"<html>", ""),
    ],
)
def test_an_errors_message(body: bytes, message: str) -> None:
    assert said(body) == message
