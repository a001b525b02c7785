"""The HTTP client: batches, pages, and errors that say what to do."""

import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from client.errors import Refused, ServiceDown, ServiceError, Unauthorised
from client.http import MAX_BYTES, Client, Posted
from experiment.events import Call, Outcome

NOW = datetime(2026, 3, 14, 9, 30, tzinfo=UTC)


def answering(answer: Callable[[httpx.Request], httpx.Response], **more: Any) -> Client:
    return Client("http://service", "secret", transport=httpx.MockTransport(answer), **more)


def always(status: int, body: Any = None, **headers: str) -> Client:
    return answering(lambda _: httpx.Response(status, json=body, headers=headers), patience=0)


def outcome(number: int) -> Outcome:
    return Outcome(id=f"o{number}", ts=NOW, experiment="stage2", kind="favourite", run=f"run_{number}")


def accept(sizes: list[int]) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        items = json.loads(request.content)
        sizes.append(len(items))
        return httpx.Response(201, json={"items": [{"id": item["id"], "status": 201} for item in items]})

    return answer


def test_events_go_in_batches_of_at_most_500_and_answers_keep_their_order() -> None:
    sizes: list[int] = []
    answers = answering(accept(sizes)).post_outcomes([outcome(n) for n in range(1201)])
    assert sizes == [500, 500, 201]
    assert [answer.id for answer in answers] == [f"o{n}" for n in range(1201)]


def test_batches_are_cut_by_size_too() -> None:
    sizes: list[int] = []
    calls = [Call(id=f"c{n}", ts=NOW, experiment="stage2", input="ä" * 199_000) for n in range(30)]
    answering(accept(sizes)).post_calls(calls)
    assert sum(sizes) == 30
    assert max(sizes) * 398_000 <= MAX_BYTES


def test_no_events_are_no_request() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError("nothing was to be sent")

    assert answering(answer).post_calls([]) == []


def test_each_item_has_its_own_status() -> None:
    items = [{"id": "o0", "status": 201, "pending": True}, {"id": "o1", "status": 422, "detail": "unknown arm"}]
    answers = always(207, {"items": items}).post_outcomes([outcome(0), outcome(1)])
    assert answers == [Posted("o0", 201, "", True), Posted("o1", 422, "unknown arm", False)]


def test_what_is_sent_is_the_event_and_the_token() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(201, json={"items": [{"id": "o1", "status": 201}]})

    answering(answer).post_outcomes([outcome(1)])
    assert seen[0].headers["Authorization"] == "Bearer secret"
    assert Outcome.model_validate(json.loads(seen[0].content)[0]) == outcome(1)


@pytest.mark.parametrize("body", [{}, [], "x", {"items": 3}, {"items": [1]}, {"items": [{}]}, {"items": []}])
def test_an_answer_that_makes_no_sense_is_not_taken_for_success(body: Any) -> None:
    with pytest.raises(ServiceDown, match="owner service"):
        always(201, body).post_outcomes([outcome(1)])


def test_a_busy_service_is_asked_again() -> None:
    waits: list[float] = []
    answers = iter([httpx.Response(503, headers={"Retry-After": "2"}), httpx.Response(200, json={"status": "ok"})])
    client = answering(lambda _: next(answers), sleep=waits.append)
    assert client.health() == {"status": "ok"}
    assert waits == [2.0]


def test_a_service_that_stays_busy_is_down() -> None:
    with pytest.raises(ServiceDown, match="the queue is full"):
        always(503, {"detail": "the queue is full"}).experiments()


def test_nobody_there_says_how_to_start_it() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        client = Client(f"http://127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(ServiceDown, match="equipoise serve"):
            client.health()


def test_no_answer_in_time_is_said() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("")

    with pytest.raises(ServiceDown, match="in time"):
        answering(answer).guard("stage2")


@pytest.mark.parametrize(("status", "advice"), [(401, "tokens.json"), (403, "role")])
def test_a_token_that_will_not_do_says_what_to_do(status: int, advice: str) -> None:
    with pytest.raises(Unauthorised, match=advice) as caught:
        always(status, {"detail": "no"}).erase_run("run_1")
    assert (caught.value.status, caught.value.detail) == (status, "no")


def test_a_refusal_carries_status_and_the_services_words() -> None:
    with pytest.raises(Refused, match="cool-down") as caught:
        always(409, {"detail": "in its cool-down"}).act_on_guard("stage2", action="arm", reason="r", actor="a")
    assert (caught.value.status, caught.value.detail) == (409, "in its cool-down")


def test_a_server_error_is_no_refusal() -> None:
    with pytest.raises(ServiceDown, match="500"):
        always(500, {"detail": "bug"}).experiment("stage2")


def test_every_error_is_one_sentence_family() -> None:
    assert all(issubclass(kind, ServiceError) for kind in (ServiceDown, Refused, Unauthorised))


def test_calls_are_paged_with_the_services_cursor() -> None:
    seen: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(dict(request.url.params))
        start = int(request.url.params.get("cursor", 0))
        return httpx.Response(200, json={"items": [{"id": n} for n in (start, start + 1)], "next": start + 2 or None}
                              if start < 4 else {"items": [], "next": None})  # fmt: skip

    rows = list(answering(answer).calls(experiment="stage2", since=NOW, prompt="p_x", origin="live", page=2))
    assert [row["id"] for row in rows] == [0, 1, 2, 3]
    assert seen[0] == {
        "experiment": "stage2", "since": "2026-03-14T09:30:00+00:00", "prompt": "p_x", "origin": "live", "limit": "2",
    }  # fmt: skip
    assert [params.get("cursor") for params in seen] == [None, "2", "4"]


def test_not_ready_is_an_answer_not_an_error() -> None:
    assert always(503, {"problems": ["the guard is blind"]}).ready() == (False, {"problems": ["the guard is blind"]})
    assert always(200, {"ready": True}).ready().ready


def test_ids_are_quoted_into_the_path() -> None:
    seen: list[bytes] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json={})

    answering(answer).erase_unit("a/../b?c")
    assert seen == [b"/v1/units/a%2F..%2Fb%3Fc"]


@pytest.mark.parametrize("call", [lambda c: c.erase_run(""), lambda c: c.erase_unit(""), lambda c: c.guard("")])
def test_an_empty_id_never_becomes_a_shorter_path(call: Callable[[Client], Any]) -> None:
    with pytest.raises(ValueError, match="empty"):
        call(always(200, {}))


@pytest.mark.parametrize("url", ["", "127.0.0.1:17811", "ftp://x", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="17811"):
        Client(url)


def test_a_token_that_cannot_be_one_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="token"):
        Client("http://127.0.0.1:1", "tökén\n")
