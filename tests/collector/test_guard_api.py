"""The guard over HTTP: arm, trip, replay, a person's actions, the watchdog."""

import csv
import io
import os
import time
from datetime import datetime

import pytest

from collector.config import ServiceConfig
from collector.watchdog import Watchdog
from experiment.limits import GuardLimits
from experiment.replay import ReplayEvent, replay
from tests.collector.conftest import serving
from warehouse.errors import StoreError


def until(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def adapter(live):
    return live.http.get("/v1/experiments/stage2/guard").json()["adapters"][0]


def test_armed_tripped_and_rolled_back_with_a_sentence(live):
    assert live.arm().json()["sentence"].startswith("Armed adapter qwen3:4b-v1 in epoch 1.")
    live.blocks(4)
    shown = adapter(live)
    assert (shown["state"], shown["rule"], shown["grade"], shown["prompt_runs"]["k"]) == (
        "rolled_back", "R1", "precautionary", 4
    )  # fmt: skip
    assert "100.0 % (4/4)" in shown["sentence"]


def test_the_tripping_events_2xx_comes_after_the_permit_is_closed(live):
    live.arm()
    for i in range(3):
        live.blocks(i + 1)
        assert live.store.permits.read("stage2").open_arms == {"lora"}
    live.blocks(4)
    assert live.store.permits.read("stage2").open_arms == frozenset()


def test_exported_events_replay_to_the_same_trip(live):
    live.arm()
    live.blocks(7)
    answer = live.http.get("/v1/experiments/stage2/guard/events")
    rows = csv.DictReader(io.StringIO(answer.text))
    events = [
        ReplayEvent(
            row["event_id"], datetime.fromisoformat(row["ts"]), row["arm"], row["device"], row["prompt"],
            row["blocked"] == "1",
        )
        for row in rows
    ]  # fmt: skip
    history = live.http.get("/v1/experiments/stage2/guard").json()["history"]
    trip = next(entry for entry in history if entry["action"] == "trip")
    assert replay(events, GuardLimits())["lora"].event_id == trip["last_event"] == "b3-v"


@pytest.mark.parametrize(
    ("action", "status", "words"),
    [
        ({"action": "arm", "adapter": ""}, 422, "arming names the adapter"),
        ({"action": "arm", "adapter": "nope"}, 409, "configured with model"),
        ({"action": "pause"}, 409, "nothing to pause"),
        ({"action": "resume"}, 409, "nothing to resume"),
        ({"action": "rollback"}, 409, "gets no traffic already"),
        ({"action": "pause", "arm": "base"}, 422, "base arm is not guarded"),
        ({"action": "pause", "arm": "zz"}, 422, "unknown adapter arm 'zz'; adapters: lora"),
        ({"action": "opt_out"}, 422, "which 'device'"),
        ({"action": "dance"}, 422, "action"),
        ({"reason": ""}, 422, "reason"),
        ({"reason": "   "}, 422, "a name and a reason"),
        ({"actor": ""}, 422, "actor"),
    ],
)
def test_what_a_person_can_not_do_is_said_in_words(live, action, status, words):
    answer = live.guard(**action)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


def test_a_person_pauses_resumes_and_rolls_back(live):
    live.arm()
    assert live.guard(action="pause", arm="").status_code == 200
    assert live.guard(action="resume").json()["sentence"].startswith("Resumed by a person")
    answer = live.guard(action="rollback", reason="the class asked")
    assert (answer.status_code, adapter(live)["state"]) == (202, "rolled_back")
    entry = live.http.get("/v1/experiments/stage2/guard").json()["history"][0]
    assert (entry["actor"], entry["token_id"], entry["reason"]) == ("Ada", "development", "the class asked")


def test_a_roll_back_answers_202_on_the_permit_alone(live, monkeypatch):
    live.arm()

    class Never:
        def result(self, timeout):
            raise StoreError("the disk is gone")

    monkeypatch.setattr(live.store.writer, "command", lambda _: Never())
    answer = live.guard(action="rollback")
    assert answer.status_code == 202
    assert "The permit is closed" in answer.json()["sentence"]
    assert live.store.permits.read("stage2").open_arms == frozenset()
    assert adapter(live)["state"] == "rolled_back"


def test_base_only_today_and_opt_out(live):
    live.arm()
    assert "Base arm only until" in live.guard(action="base_only_today").json()["sentence"]
    live.guard(action="opt_out", device="kid_2026-03-02")
    device = live.store.names.device("kid_2026-03-02")
    assert live.store.permits.read("stage2").opted_out == {device}
    live.guard(action="opt_in", device=device)
    assert live.store.permits.read("stage2").opted_out == frozenset()


def test_the_watchdog_renews_the_permit(live):
    live.arm()
    path = live.store.permits.path("stage2")
    old = time.time() - 40
    os.utime(path, (old, old))
    assert until(lambda: live.store.permits.age_s("stage2", time.time()) < 10)


def test_the_watchdog_gives_no_heartbeat_while_evaluations_fail_and_goes_blind(live, monkeypatch):
    live.arm()
    live.app.state.watchdog.stop()
    fast = Watchdog(live.store, tick_s=0.01, blind_after_s=0.3)
    beats = []
    monkeypatch.setattr(live.store.permits, "heartbeat", beats.append)
    monkeypatch.setattr(live.store, "tick", lambda: (_ for _ in ()).throw(StoreError("planted")))
    fast.start()
    try:
        assert until(lambda: adapter(live)["state"] == "failsafe", 10)
        assert beats == []
        assert live.store.permits.read("stage2").open_arms == frozenset()
        ready = live.http.get("/readyz")
        assert ready.status_code == 503
        assert "blind" in ready.json()["problems"][0]
        monkeypatch.undo()
        assert until(lambda: live.store.guarding.blindness is None, 10)
        assert adapter(live)["state"] == "failsafe"
    finally:
        fast.stop()


def test_an_unexpected_error_in_a_tick_does_not_end_the_watch(live, monkeypatch):
    live.app.state.watchdog.stop()
    fast = Watchdog(live.store, tick_s=0.01)
    count = []

    def fail():
        count.append(1)
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(live.store, "tick", fail)
    fast.start()
    assert until(lambda: len(count) > 3)
    fast.stop()


def test_with_several_adapters_the_export_replays_a_trip_over_epochs_that_another_arming_opened(tmp_path):
    arms = {"base": {"model": "b", "weight": 80}, "one": {"model": "m1", "weight": 10},
            "two": {"model": "m2", "weight": 10}}  # fmt: skip
    settings = ServiceConfig.model_validate(
        {"service": {"data": str(tmp_path), "development": True}, "experiment": {"stage2": {"arms": arms}}}
    )
    with serving(settings) as live:
        live.http.post("/v1/calls", json=live.call("first", epoch=0, model="b"))
        live.http.post("/v1/outcomes", json=live.outcome("first-v", "not_blocked", call="first"))
        assert live.guard(arm="one", adapter="m1").status_code == 200
        for i in range(5):
            if i == 2:
                assert live.guard(arm="two", adapter="m2").status_code == 200
            # The third call repeats the second's prompt on its device: one pair, although an epoch lies between.
            pair = min(i, 1) if i < 3 else i
            more = {"device": f"kid{pair}_2026-03-02", "input": f"Idee {pair}", "epoch": 1 + (i >= 2)}
            live.http.post("/v1/calls", json=live.call(f"c{i}", arm="one", model="m1", **more))
            live.http.post("/v1/outcomes", json=live.outcome(f"v{i}", "block", call=f"c{i}"))
        history = live.http.get("/v1/experiments/stage2/guard").json()["history"]
        trip = next(entry for entry in history if entry["action"] == "trip")
        rows = csv.DictReader(io.StringIO(live.http.get("/v1/experiments/stage2/guard/events").text))
        events = [
            ReplayEvent(
                row["event_id"], datetime.fromisoformat(row["ts"]), row["arm"], row["device"], row["prompt"],
                row["blocked"] == "1",
            )
            for row in rows
        ]  # fmt: skip
        again = replay(events, GuardLimits())["one"]
        assert (again.event_id, again.n) == (trip["last_event"], trip["n"]) == ("v4", 4)
