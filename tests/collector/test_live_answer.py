"""What the live page needs beyond plain counts: running rates, a time window, the guard's evidence, both languages."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from experiment.intervals import clopper_pearson, clopper_pearson_many

RESULTS = "/v1/experiments/stage2/results"
GUARD = "/v1/experiments/stage2/guard"


def at(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


def test_many_intervals_are_each_the_single_one():
    pairs = [(k, n) for n in (0, 1, 2, 7, 40, 1000) for k in range(0, n + 1, max(1, n // 7))]
    ks, ns = zip(*pairs, strict=True)
    many = clopper_pearson_many(ks, ns)
    single = [clopper_pearson(k, n) for k, n in pairs]
    np.testing.assert_allclose(many.low, [one.low for one in single], atol=1e-12)
    np.testing.assert_allclose(many.high, [one.high for one in single], atol=1e-12)


def test_running_rates_end_at_the_totals(live):
    live.arm()
    calls = [live.call(f"c{i}", ts=at(30 - i)) for i in range(20)]
    live.http.post("/v1/calls", json=calls)
    live.http.post("/v1/outcomes", json=[live.outcome(f"f{i}", "favourite", call=f"c{i}") for i in range(4)])
    answer = live.http.get(RESULTS).json()
    last = [point for point in answer["series"]["points"] if point["arm"] == "base"][-1]
    shown = answer["arms"][0]["favourites"]
    assert last["running"]["favourites"] == pytest.approx(shown)
    assert (shown["k"], shown["n"]) == (4, 20)


def test_the_time_window_holds_for_every_number(live):
    live.arm()
    live.http.post("/v1/calls", json=[live.call(f"old{i}", ts=at(300), config="alt") for i in range(5)])
    live.http.post("/v1/calls", json=[live.call(f"new{i}", ts=at(5), config="neu") for i in range(3)])
    kinds = [("old0", 300), ("new0", 5)]
    live.http.post(
        "/v1/outcomes", json=[live.outcome(f"{call}-b", "block", call=call, ts=at(ago)) for call, ago in kinds]
    )
    every = live.http.get(RESULTS, params={"by": "config"}).json()
    window = live.http.get(RESULTS, params={"by": "config", "hours": 1}).json()
    assert [answer["arms"][0]["calls"] for answer in (every, window)] == [8, 3]
    assert [answer["arms"][0]["prompt_runs"]["n"] for answer in (every, window)] == [2, 1]
    assert [answer["arms"][0]["blocks"][0]["calls"] for answer in (every, window)] == [2, 1]
    assert {row["value"] for row in window["by"]["rows"]} == {"neu"}
    assert sum(point["calls"] for point in window["series"]["points"]) == 3


def test_evidence_follows_the_guards_own_count(live):
    live.arm()
    live.blocks(4)
    adapter = live.http.get(GUARD).json()["adapters"][0]
    assert [(point["n"], point["blocked"]) for point in adapter["evidence"]] == [(1, 1), (2, 2), (3, 3), (4, 4)]
    # R1: S trips once it reaches 0.05·n + 3
    assert adapter["evidence"][-1]["allowed"] == pytest.approx(0.2)
    assert adapter["evidence"][-1]["trips_at"] == pytest.approx(3.2)
    assert adapter["state"] == "rolled_back"


def test_what_a_person_may_do_follows_the_state(live):
    possible = lambda: live.http.get(GUARD).json()["adapters"][0]["possible"]  # noqa: E731
    assert possible() == ["arm"]
    live.arm()
    assert possible() == ["pause", "rollback"]
    live.guard(action="pause")
    assert possible() == ["arm", "resume", "rollback"]
    live.guard(action="resume")
    live.blocks(4)
    assert possible() == ["arm"]
    answer = live.http.get(GUARD).json()["adapters"][0]
    wait = datetime.fromisoformat(answer["cooldown_until"]) - datetime.fromisoformat(answer["since"])
    assert wait == timedelta(minutes=30)


def test_every_step_of_the_history_is_told_in_german(live):
    live.arm()
    live.blocks(4)
    history = live.http.get(GUARD).json()["history"]
    assert [row["sentences"]["en"] for row in history] == [row["sentence"] for row in history]
    assert history[0]["sentences"]["de"].startswith("100,0 % (4/4), 3,8 Blockierungen mehr")
    assert history[-1]["sentences"]["de"].startswith("Adapter qwen3:4b-v1 in Epoche 1 scharf geschaltet.")
    assert (history[0]["prompt_runs"]["k"], history[0]["prompt_runs"]["n"]) == (4, 4)


def test_base_only_today_is_shown_until_it_ends(live):
    live.arm()
    assert live.http.get(GUARD).json()["base_only_until"] is None
    live.guard(action="base_only_today", arm="")
    until = datetime.fromisoformat(live.http.get(GUARD).json()["base_only_until"])
    assert datetime.now(UTC) < until <= datetime.now(UTC) + timedelta(days=1)
