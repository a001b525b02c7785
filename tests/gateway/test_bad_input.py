"""Bad input of every kind gets an answer that says what to do, and loses nothing."""

import json
import socket
from typing import Any

import httpx
import pytest
from yarl import URL

from tests.gateway.harness import ALIAS, BASE, PROMPT, TOKEN, House, wait_until

AUTH = {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/api/generate", {"prompt": 5}, "'prompt' must be a text"),
        ("/api/generate", {"prompt": "x", "stream": "no"}, "'stream' must be true or false"),
        ("/api/generate", {"prompt": "x", "options": [1]}, "'options' must be an object"),
        ("/api/generate", {"prompt": "x", "system": {}}, "'system' must be a text"),
        ("/api/chat", {"messages": "hello"}, "'messages' must be a list of objects"),
        ("/api/chat", {"messages": [{"content": "x"}]}, "'role' is missing"),
        ("/api/chat", {"messages": [{"role": "user", "content": 1}]}, "'content' must be a text"),
        ("/v1/chat/completions", {}, "'messages' must be a list"),
        ("/v1/chat/completions", {"messages": []}, "'messages' must be a list"),
        ("/v1/chat/completions", {"messages": [None]}, "'messages' must be a list"),
        ("/api/llm/generate", {}, "'prompt' is missing"),
        ("/api/llm/generate", {"prompt": ""}, "'prompt' is empty"),
    ],
)
def test_wrong_types_in_a_call(house: House, path: str, body: dict[str, Any], says: str) -> None:
    answer = httpx.post(house.start() + path, json={"model": ALIAS} | body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert says in (error["message"] if isinstance(error, dict) else error)
    assert house.state.outbox.pending == 0


@pytest.mark.parametrize(
    "body",
    [
        f'{{"model": "{ALIAS}", "prompt": "x"',
        f'{{"model": "{ALIAS}", "prompt": NaN}}',
        f'{{"model": "{ALIAS}", "x": {"[" * 100_000}',
        f'{{"model": "{ALIAS}", "x": {"[" * 100_000}{"]" * 100_000}}}',
    ],
)
def test_broken_json_in_a_call(house: House, body: str) -> None:
    answer = httpx.post(f"{house.start()}/api/generate", content=body)
    assert answer.status_code == 400
    assert answer.json() == {"error": "the body is not valid JSON"}


def test_odd_texts_are_answered_and_kept(house: House) -> None:
    house.permit("adapter")
    url = house.start()
    for prompt in ("\x00 Null", "\ud83d allein", "x" * 300_000, "🦊" * 10):
        options = {"stop": ["a"], "\ud800": 1.5}
        body = json.dumps({"model": ALIAS, "prompt": prompt, "stream": False, "options": options})
        answer = httpx.post(f"{url}/api/generate", content=body, timeout=30)
        assert answer.status_code == 200, answer.text
    nul, lone, long, fox = house.delivered(4)
    assert (nul.input, nul.parameters["equipoise_changed"]) == ("\ufffd Null", ["input", "output"])
    assert lone.input == "\ufffd allein"
    assert len(long.input or "") == 200_000
    assert "input" in long.parameters["equipoise_changed"]
    assert fox.input == "🦊" * 10
    assert "equipoise_changed" not in fox.parameters


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"{", 400, "not valid JSON"),
        (b"", 400, "not valid JSON"),
        (b"5", 422, "body: Input should be"),
        (b"[]", 422, "a list must hold 1 to 1000"),
        (b"[" + b",".join([b'{"run":"r"}'] * 1001) + b"]", 422, "a list must hold 1 to 1000"),
        (b'{"run": 5}', 422, "run: Input should be a valid string"),
        (b'{"run": "r", "weight": 3}', 422, "weight: Extra inputs are not permitted"),
        (b'[{"run": "r"}, {"run": null}]', 422, "1.run: Input should be a valid string"),
        (b'{"unit": ""}', 422, "send 'unit' or 'run' (or 'parent_run'), not empty"),
        (b'{"device": "d"}', 422, "assigns by run"),
        (b'{"run": "r", "experiment": "none"}', 404, "configured: stage2"),
        (b'{"run": "%s"}' % (b"x" * 5000), 422, "at most 1000 characters"),
        (b'{"run": "' + b"x" * 10_000_000 + b'"}', 413, "larger than 8388608 bytes"),
        (b"[" * 100_000, 400, "not valid JSON"),
    ],
)
def test_wrong_questions(house: House, body: bytes, status: int, says: str) -> None:
    answer = httpx.post(f"{house.start()}/v1/assignments", content=body, headers=AUTH, timeout=30)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert says in problem["detail"]
    assert problem["status"] == status
    assert {"type", "title"} <= set(problem)


def test_what_was_sent_does_not_come_back_in_an_error(house: House) -> None:
    answer = httpx.post(f"{house.start()}/v1/assignments", json={"run": {"geheim": 1}}, headers=AUTH)
    assert answer.status_code == 422
    assert "geheim" not in answer.text


@pytest.mark.parametrize("path", ["/v1/assignments", "/ofrep/v1/evaluate/flags/stage2", "/ofrep/v1/evaluate/flags"])
@pytest.mark.parametrize("given", [None, "Bearer wrong", TOKEN, "Basic x", "Bearer", f"bearer {TOKEN}x"])
def test_assignments_need_the_token(house: House, path: str, given: str | None) -> None:
    headers = {} if given is None else {"Authorization": given}
    answer = httpx.post(house.start() + path, json={"run": "r"}, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert "host token" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/assignments", 405), ("POST", "/v1/assignments/x", 405), ("GET", "/ofrep/v1/configuration", 404)],
)
def test_our_own_paths_are_not_passed_on(house: House, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, house.start() + path, headers=AUTH)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("host", ["evil.example", "127.evil.example", "evil.example:17812", ""])
def test_a_foreign_name_that_resolves_to_us_gets_nothing(house: House, host: str) -> None:
    answer = httpx.get(f"{house.start()}/api/tags", headers={"Host": host})
    assert answer.status_code == 403
    assert "allowed_hosts" in answer.json()["detail"]


def test_an_allowed_name_is_answered(house: House) -> None:
    url = house.start(allowed_hosts=("host.docker.internal",))
    for host in ("host.docker.internal:17812", "localhost:1", "[::1]:17812"):
        assert httpx.get(f"{url}/api/tags", headers={"Host": host}).status_code == 200


def test_a_web_page_of_another_place_can_not_call(house: House) -> None:
    url = house.start()
    origin = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
    call = httpx.post(f"{url}/api/generate", content=json.dumps({"model": ALIAS, "prompt": "x"}), headers=origin)
    assert call.status_code == 403
    assert httpx.post(f"{url}/v1/assignments", json={"run": "r"}, headers=AUTH | origin).status_code == 403
    own = {"Origin": "http://localhost:5173"}
    assert httpx.post(f"{url}/v1/assignments", json={"run": "r"}, headers=AUTH | own).status_code == 200
    assert house.state.outbox.pending == 0


def test_bytes_that_are_no_http_get_no_traceback(house: House) -> None:
    url = URL(house.start())
    for noise in (b"\x16\x03\x01\x00\xa5\x01", b"GET\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"):
        with socket.create_connection((url.host, url.port), timeout=10) as wire:
            wire.sendall(noise)
            wire.shutdown(socket.SHUT_WR)
            answer = b""
            while chunk := wire.recv(65536):
                answer += chunk
        assert b"Traceback" not in answer


def test_an_unexpected_error_is_a_problem_without_a_traceback_and_the_next_call_works(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    url = house.start()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError(PROMPT)

    with monkeypatch.context() as patch:
        patch.setattr("gateway.aliased.decide", fail)
        answer = httpx.post(f"{url}/api/generate", json={"model": ALIAS, "prompt": PROMPT, "stream": False})
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "Traceback" not in answer.text
    assert "unexpected RuntimeError at" in caplog.text
    assert PROMPT not in caplog.text
    assert httpx.post(f"{url}/api/generate", json={"model": ALIAS, "prompt": PROMPT, "stream": False}).is_success
    assert house.delivered(1)[0].model == BASE
    wait_until(lambda: "unexpected_errors_total 1.0" in house.state.metrics.page().decode(), "it is counted")
