"""Every call reaches the API once, whatever the API says in between."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ollama
import pytest

from experiment.events import Call
from gateway.config import OutboxSettings
from gateway.outbox import STOPPED, Outbox
from tests.gateway.harness import ALIAS, BASE, PROMPT, House, wait_until


def ask(house: House, count: int = 1, prompt: str = PROMPT) -> None:
    client = ollama.Client(house.url)
    for number in range(count):
        client.generate(ALIAS, prompt, options={"seed": number})


def test_calls_wait_while_the_api_is_away_and_arrive_once(house: House) -> None:
    house.start()
    house.api.status = 503
    ask(house, 5)
    wait_until(lambda: "answered 503" in house.state.delivery.problem, "the failure is told")
    assert house.state.outbox.pending == 5
    house.api.status = 0
    calls = house.delivered(5)
    assert [call.parameters["seed"] for call in calls] == [0, 1, 2, 3, 4]
    wait_until(lambda: house.state.outbox.pending == 0, "the outbox is empty")
    assert not list(house.outbox.glob("calls-*"))
    wait_until(lambda: house.state.delivery.problem == "", "the failure is forgotten")


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500])
def test_no_such_status_loses_a_call(house: House, status: int) -> None:
    house.start()
    house.api.status = status
    ask(house)
    wait_until(lambda: house.api.posts >= 3, "it is tried again")
    assert house.state.outbox.pending == 1
    assert house.state.outbox.dead_letters == 0
    house.api.status = 0
    house.delivered(1)


def test_the_token_is_sent(house: House) -> None:
    house.start()
    ask(house)
    house.delivered(1)
    assert house.api.authorization == {"Bearer api-token"}


def test_what_the_api_refuses_goes_to_the_dead_letters_with_the_reason_and_the_rest_arrives(house: House) -> None:
    house.api.refuse = lambda call: call.parameters["seed"] == 1
    house.start()
    house.api.status = 503
    ask(house, 3)
    house.api.status = 0
    calls = house.delivered(2)
    assert [call.parameters["seed"] for call in calls] == [0, 2]
    wait_until(lambda: house.state.outbox.dead_letters == 1, "the third is put aside")
    [path] = (house.outbox / "dead").iterdir()
    letter = json.loads(path.read_text())
    assert (letter["status"], letter["reason"]) == (422, "unknown experiment")
    assert Call.model_validate(letter["call"]).parameters["seed"] == 1
    assert "equipoise_gateway_dead_letters 1.0" in house.state.metrics.page().decode()
    assert house.state.outbox.pending == 0


def test_a_request_refused_as_a_whole_is_halved_until_the_one_at_fault_stands_alone(house: House) -> None:
    async def strict(request):  # type: ignore[no-untyped-def]
        from aiohttp import web

        values = json.loads(await request.read())
        if any(value["parameters"]["seed"] == 2 for value in values):
            return web.json_response({"detail": "no such field"}, status=422)
        return web.json_response({"items": [{"id": v["id"], "status": 201} for v in values]}, status=201)

    from tests.gateway.harness import backend

    house.start()
    house.api_server = house.serve(backend(strict))
    house.stop()
    house.api.status = 503
    house.start()
    ask(house, 5)
    wait_until(lambda: house.state.delivery.delivered + house.state.outbox.dead_letters >= 5, "all have an end")
    assert house.state.outbox.dead_letters == 1


def test_a_restart_delivers_what_was_left_exactly_once(house: House) -> None:
    house.start()
    house.api.status = 503
    ask(house, 4)
    house.stop()
    house.api.status = 0
    house.start()
    house.delivered(4)
    wait_until(lambda: house.state.outbox.pending == 0, "the outbox is empty")
    house.stop()
    house.start()
    ask(house)
    calls = house.delivered(5)
    assert len(calls) == len({call.id for call in calls}) == 5


def test_stopping_drains_the_outbox(house: House) -> None:
    house.start(outbox={"linger_ms": 1000})
    ask(house, 3)
    house.stop()
    assert len(house.api.calls) == 3


def test_a_full_outbox_keeps_answering_by_the_base_and_says_so(house: House) -> None:
    house.permit("adapter")
    house.start(outbox={"max_bytes": 2**16})
    house.api.status = 503
    long = "Ein Haus. " * 1000
    client = ollama.Client(house.url)
    for _ in range(20):
        answer = client.generate(ALIAS, long)
    assert house.state.outbox.pending_bytes < 2**16 + 3 * len(long)
    assert house.state.outbox.not_logged > 10
    assert answer.response == ollama.Client(house.double.url).generate(BASE, long).response
    import httpx

    ready = httpx.get(f"{house.url}/readyz")
    assert ready.status_code == 503
    assert "the outbox is full" in ready.json()["outbox"]["problem"]
    page = house.state.metrics.page().decode()
    assert f"equipoise_gateway_calls_not_logged {float(house.state.outbox.not_logged)}" in page
    raw = httpx.post(f"{house.url}/api/generate", json={"model": ALIAS, "prompt": "x", "stream": False})
    assert raw.headers["X-Equipoise-Logged"] == "no"
    house.api.status = 0
    wait_until(lambda: house.state.outbox.pending == 0, "the outbox empties")
    again = httpx.post(f"{house.url}/api/generate", json={"model": ALIAS, "prompt": "x", "stream": False})
    assert "X-Equipoise-Logged" not in again.headers
    assert httpx.get(f"{house.url}/readyz").status_code == 200
    wait_until(lambda: again.headers["X-Equipoise-Call"] in house.api.bodies, "it arrives")
    arms = {call.arm for call in house.api.calls}
    assert arms == {"adapter"}  # what an adapter answered was always kept


def test_a_disk_that_fails_sends_everyone_to_the_base_until_it_works(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.permit("adapter")
    house.start()
    real = os.write

    def full(handle: int, data: bytes) -> int:
        if data.startswith(b'{"id":"c_'):
            raise OSError(28, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", full)
    ask(house)  # assigned before anybody knew
    ask(house)
    assert house.state.outbox.not_logged == 2
    assert "No space" in house.state.outbox.problem
    monkeypatch.setattr(os, "write", real)
    ask(house)  # still base: only a call that can be kept shows that the disk is back
    ask(house)
    back, after = house.delivered(2)
    assert (back.arm, back.reason) == ("base", "error")
    assert after.arm == "adapter"


def call(number: int) -> Call:
    return Call(id=f"c_{number}", ts=datetime.now(UTC), experiment="stage2", input="Ein Haus")


def test_a_stream_that_was_under_way_when_the_gateway_was_killed_is_kept(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, OutboxSettings(), lambda: datetime.now(UTC))
    outbox.begin(call(1))
    outbox.begin(call(2))
    outbox.append(call(2))
    outbox.end("c_2")
    (tmp_path / "open" / "c_3.json").write_text("{")
    outbox.close()
    again = Outbox(tmp_path, OutboxSettings(), lambda: datetime.now(UTC))
    found = []
    while batch := again.next_batch():
        found += [Call.model_validate_json(line) for line in batch.lines]
        again.mark(batch)
    assert [(one.id, one.error) for one in found] == [("c_2", None), ("c_1", STOPPED)]
    assert not list((tmp_path / "open").iterdir())
    again.close()


def test_old_dead_letters_are_deleted(tmp_path: Path) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    outbox = Outbox(tmp_path, OutboxSettings(dead_letter_days=30), lambda: now)
    outbox.bury(b'{"id": "c_1"}', 422, "no")
    now += timedelta(days=30)
    outbox.forget_old_letters()
    assert len(list((tmp_path / "dead").iterdir())) == 1
    now += timedelta(days=1)
    outbox.forget_old_letters()
    assert not list((tmp_path / "dead").iterdir())
    outbox.close()
