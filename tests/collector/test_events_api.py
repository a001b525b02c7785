"""POST /v1/calls and /v1/outcomes: the statuses DESIGN.md promises, for good and bad input."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from warehouse.errors import Busy, StoreError


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == answer.status_code
    assert "Traceback" not in body["detail"]
    return body["status"], body["detail"]


def test_new_known_and_conflicting(live):
    call = live.call("c1")
    assert live.http.post("/v1/calls", json=call).status_code == 201
    assert live.http.post("/v1/calls", json=call).status_code == 200
    assert problem(live.http.post("/v1/calls", json=call | {"model": "x"}))[0] == 409


def test_a_list_has_one_status_when_all_agree_and_207_when_mixed(live):
    both = [live.call("c1"), live.call("c2")]
    assert live.http.post("/v1/calls", json=both).status_code == 201
    assert live.http.post("/v1/calls", json=both).status_code == 200
    mixed = live.http.post("/v1/calls", json=[*both, live.call("c3"), {"id": "bad"}, 7])
    assert mixed.status_code == 207
    assert [item["status"] for item in mixed.json()["items"]] == [200, 200, 201, 422, 422]
    assert mixed.json()["items"][3]["detail"].startswith("ts: Field required")


def test_one_poison_item_in_a_hundred_leaves_ninety_nine_stored(live):
    items = [live.call(f"c{i}") for i in range(100)]
    items[41]["latency_ms"] = -1
    answer = live.http.post("/v1/calls", json=items)
    assert sorted({item["status"] for item in answer.json()["items"]}) == [201, 422]
    assert len(live.http.get("/v1/calls", params={"limit": 1000}).json()["items"]) == 99


def test_an_outcome_before_its_call_is_pending(live):
    answer = live.http.post("/v1/outcomes", json=live.outcome("o1", "favourite", call="c1"))
    assert (answer.status_code, answer.json()["pending"]) == (201, True)


def test_three_at_once_are_one_row_and_three_successes(live):
    call = live.call("c1")
    with ThreadPoolExecutor(3) as pool:
        statuses = list(pool.map(lambda _: httpx.post(f"{live.url}/v1/calls", json=call).status_code, range(3)))
    assert set(statuses) <= {200, 201}
    assert len(live.http.get("/v1/calls").json()["items"]) == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"arm": "zz"}, "unknown arm 'zz'"),
        ({"experiment": "other"}, "unknown experiment 'other'"),
        ({"id": ""}, "id:"),
        ({"ts": "2026-03-02T09:00:00"}, "ts:"),
        ({"ts": 1700000000}, "ts:"),
        ({"input": "x" * 200_001}, "input:"),
        ({"input": "nul\x00"}, "NUL"),
        ({"epoch": 1.5}, "epoch:"),
        ({"tokens_in": True}, "tokens_in:"),
        ({"latency_ms": "fast"}, "latency_ms:"),
        ({"surprise": 1}, "surprise:"),
    ],
)
def test_bad_values_are_named(live, change, words):
    status, detail = problem(live.http.post("/v1/calls", json=live.call("c1") | change))
    assert status == 422
    assert words in detail


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b'{"a": NaN}', b"\xff\xfe"])
def test_what_is_no_object_or_list_is_refused(live, body):
    assert problem(live.http.post("/v1/calls", content=body))[0] == 422


def test_ten_megabytes_and_too_many_items_are_413(live):
    assert problem(live.http.post("/v1/calls", json=live.call("c1", input="x" * 10_000_000)))[0] == 413
    assert problem(live.http.post("/v1/calls", json=[{}] * 1001))[0] == 413
    assert live.http.get("/v1/calls").json()["items"] == []


@pytest.mark.parametrize(("error", "seconds"), [(Busy("full"), "1"), (StoreError("disk full"), "10")])
def test_queue_and_disk_full_are_503_with_retry_after(live, monkeypatch, error, seconds):
    def fail(_):
        raise error

    monkeypatch.setattr(live.store, "submit", fail)
    answer = live.http.post("/v1/calls", json=live.call("c1"))
    assert problem(answer) == (503, str(error))
    assert answer.headers["retry-after"] == seconds


def test_an_unexpected_error_is_a_sentence(live, monkeypatch):
    def fail(_):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(live.store, "submit", fail)
    status, detail = problem(live.http.post("/v1/calls", json=live.call("c1")))
    assert (status, "planted" in detail) == (500, False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"call": ""}, "needs 'call'"),
        ({"kind": "applause"}, "kind:"),
        ({"kind": "block", "stage": ""}, "needs its 'stage'"),
        ({"kind": "link"}, "'child_run'"),
        ({"stage": "stage9"}, "stage:"),
    ],
)
def test_bad_outcomes_are_named(live, change, words):
    body = live.outcome("o1", "favourite", call="c1") | change
    status, detail = problem(live.http.post("/v1/outcomes", json=body))
    assert status == 422
    assert words in detail


def test_openapi_knows_both_events_and_both_forms(live):
    api = live.http.get("/openapi.json").json()
    assert {"Call", "Outcome"} <= api["components"]["schemas"].keys()
    forms = api["paths"]["/v1/calls"]["post"]["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    assert [form.get("type", "ref") for form in forms] == ["ref", "array"]
