"""The comparison one can publish, over the real warehouse and API, on seasons with planted effects."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from collector.config import ServiceConfig
from experiment.observations import Stratum, reduce_calls
from experiment.rerandomisation import rerandomise
from tests.collector.conftest import ARMS, serving
from tests.collector.seeded import Effects, Phase, TrafficPlan, fill, season

PLANTED = TrafficPlan(calls=6_000, effects=(Effects(favourite=0.08),))
URL = "/v1/experiments/stage2"


def planned(data, arms=ARMS, **experiment):
    return ServiceConfig.model_validate(
        {
            "service": {"data": str(data), "development": True},
            "experiment": {"stage2": {"arms": arms, **experiment}},
        }
    )


def analysis(live, **more):
    return live.http.get(f"{URL}/results", params=more).json()["analysis"][0]


def metric(answer, name):
    return next(item for item in answer["metrics"] if item["metric"] == name)


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    plan = {"end_n": 5_000, "smallest_effect": 0.05}
    with serving(planned(tmp_path_factory.mktemp("season"), plan=plan)) as live:
        fill(live, PLANTED)
        yield live


def test_a_planted_effect_is_found_and_the_plan_says_so_first(seeded):
    answer = analysis(seeded)
    favourites = metric(answer, "favourites")
    assert favourites["p_value"] <= 0.01
    assert favourites["difference"]["low"] < 0.08 < favourites["difference"]["high"]
    assert answer["standing"]["verdict"] == "higher"
    assert metric(answer, "regenerations")["adjusted"] > 0.05


def test_the_warehouses_cells_equal_the_calls_reduced_in_python(seeded):
    calls, outcomes = season(PLANTED, 1)
    liked = {item["call"] for item in outcomes if item["kind"] == "favourite" and within(item, calls)}
    devices = {name: i for i, name in enumerate(dict.fromkeys(call["device"] for call in calls))}
    observed = reduce_calls(
        arms=("base", "lora"),
        strata=(Stratum("epoch 1: lora", 1, "t1", (90, 10)),),
        unit="run",
        stratum=np.zeros(len(calls), np.int64),
        device=np.array([devices[call["device"]] for call in calls]),
        unit_key=np.arange(len(calls)),
        arm=np.array([int(call["arm"] == "lora") for call in calls]),
        y=[float(call["id"] in liked) for call in calls],
    )
    answer = analysis(seeded)
    shown = metric(answer, "favourites")
    expected = rerandomise(observed.compare("lora", "base"), shown["rerandomised"]["seed"])
    assert shown["difference"]["estimate"] == pytest.approx(expected.difference.estimate, abs=1e-12)
    assert shown["difference"]["low"] == pytest.approx(expected.difference.low, abs=1e-9)
    assert shown["p_value"] == pytest.approx(expected.p_value, abs=0.01)


def within(outcome, calls):
    call = calls[int(outcome["call"][1:])]
    late = datetime.fromisoformat(outcome["ts"]) - datetime.fromisoformat(call["ts"])
    return late <= timedelta(days=7)


def test_the_same_data_give_the_same_numbers(seeded):
    first, again = analysis(seeded), analysis(seeded)
    assert first == again


def test_by_treatment_stands_beside_by_assignment(seeded):
    assert analysis(seeded, as_treated=True)["by"] == "treatment"
    assert metric(analysis(seeded, as_treated=True), "favourites")["n"] == metric(analysis(seeded), "favourites")["n"]


def test_segments_add_up_and_small_ones_are_drawn_towards_the_rest(seeded):
    answer = analysis(seeded, segments=True)
    total = metric(answer, "favourites")["n"]
    for segment in answer["segments"]:
        assert sum(row["calls"] for row in segment["rows"]) == total
    rows = next(item for item in answer["segments"] if item["dimension"] == "config")["rows"]
    spread = np.std([row["raw"] for row in rows if row["raw"] is not None])
    assert np.std([row["pooled"] for row in rows]) < spread


def test_latency_has_a_clustered_interval_in_milliseconds_and_no_p_value(seeded):
    latency = metric(analysis(seeded), "latency")
    assert latency["p_value"] is None
    assert latency["difference"]["low"] < 0 < latency["difference"]["high"]
    assert 1_000 < latency["difference"]["base"]["mean"] < 20_000


def test_without_a_planned_end_nothing_is_more_than_exploration(live):
    fill(live, TrafficPlan(calls=300))
    answer = analysis(live)
    assert answer["standing"]["sentence"].startswith("cannot be decided: no end was planned")
    assert metric(answer, "favourites")["difference"]["low"] is None, "too few devices: no number"
    assert "too few" in metric(answer, "favourites")["sentence"]


def test_before_the_first_arming_there_is_nothing_to_compare(live):
    assert analysis(live)["standing"]["state"] == "not begun"
    assert live.http.get(f"{URL}/quality").json()["adapters"][0]["checks"] == []


def test_a_primary_metric_that_is_not_measured_yet_is_said(tmp_path):
    with serving(planned(tmp_path, plan={"primary": "fidelity", "end_n": 100})) as live:
        fill(live, TrafficPlan(calls=200))
        assert "'fidelity' has not been measured" in analysis(live)["standing"]["sentence"]


def test_young_calls_wait_for_their_favourites(live):
    live.arm()
    recent = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    call = live.call("young", ts=recent, eligible=["lora"], reason="split")
    live.http.post("/v1/calls", json=call)
    live.http.post("/v1/outcomes", json=live.outcome("fav", "favourite", call="young"))
    answer = analysis(live)
    assert (answer["maturity"]["waiting"], answer["maturity"]["waiting_favourites"]) == (1, 1)
    assert metric(answer, "favourites")["n"] == 0


def test_base_calls_of_a_paused_hour_are_no_control_group(live):
    live.arm()
    old = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    live.http.post("/v1/calls", json=[
        live.call("both", ts=old, eligible=["lora"], reason="split"),
        live.call("paused", ts=old, eligible=[], reason="guard"),
    ])  # fmt: skip
    assert metric(analysis(live), "regenerations")["n"] == 1


def test_after_a_trip_blocks_have_the_guards_evidence_and_no_p_value(live):
    fill(live, TrafficPlan(calls=300))
    live.blocks(4)
    answer = analysis(live)
    assert answer["guard_ended"] is True
    assert metric(answer, "blocks")["p_value"] is None
    assert "guard ended" in metric(answer, "blocks")["sentence"]


class TestConclude:
    def test_pauses_the_adapter_and_keeps_the_verdict(self, tmp_path):
        with serving(planned(tmp_path, plan={"end_n": 500})) as live:
            fill(live, TrafficPlan(calls=600))
            body = {"reason": "the season is over", "actor": "Ada"}
            answer = live.http.post(f"{URL}/conclude", json=body)
            assert answer.status_code == 201
            assert live.http.get(f"{URL}/guard").json()["adapters"][0]["state"] == "paused"
            assert analysis(live)["standing"]["state"] == "concluded"
            assert analysis(live)["concluded"]["sentence"] == answer.json()["sentence"]
            again = live.http.post(f"{URL}/conclude", json=body)
            assert (again.status_code, "concluded already by Ada" in again.json()["detail"]) == (422, True)
            live.arm()
            assert analysis(live)["since_epoch"] == 2, "armed again, a new experiment begins"

    def test_of_nothing_is_refused(self, live):
        answer = live.http.post(f"{URL}/conclude", json={"reason": "over", "actor": "Ada"})
        assert (answer.status_code, "ever armed" in answer.json()["detail"]) == (422, True)


def check(live, name):
    adapter = live.http.get(f"{URL}/quality").json()["adapters"][0]
    return next(item for item in adapter["checks"] if item["name"] == name)


class TestQuality:
    def test_a_sound_season_has_the_shares_it_should(self, seeded):
        ratio = check(seeded, "sample ratio")
        assert ratio["alarm"] is False
        assert ratio["expected"]["lora"] == pytest.approx(600)
        assert check(seeded, "carry-over")["alarm"] is False

    def test_a_wrong_ratio_of_units_is_an_alarm(self, live):
        fill(live, TrafficPlan(calls=2_000, phases=(Phase(weights=(80, 20)),)))
        assert check(live, "sample ratio")["alarm"] is True

    def test_a_collapsed_opening_is_a_warning(self, live):
        fill(live, TrafficPlan(calls=1_000), opening="Ein wunderschönes Bild von")
        adapter = live.http.get(f"{URL}/quality").json()["adapters"][0]
        assert adapter["collapse"]["alarm"] is True
        assert "less diversely" in adapter["collapse"]["sentence"]
        texts = adapter["collapse"]["texts"]
        assert texts["arm"]["opening_share"] > 0.9 > texts["base"]["opening_share"]

    def test_sticky_assignment_has_no_carry_over(self, tmp_path):
        with serving(planned(tmp_path, unit="device")) as live:
            fill(live, TrafficPlan(calls=600, unit="device"))
            assert "sticky" in check(live, "carry-over")["sentence"]
            assert check(live, "sample ratio")["alarm"] is False

    def test_faults_of_the_data_are_named_with_their_counts(self, live):
        live.arm()
        now = datetime.now(UTC)
        live.http.post("/v1/calls", json=[
            live.call("a", template_version="t1", eligible=["lora"], reason="split", run="same"),
            live.call("b", template_version="t2", eligible=["lora"], reason="split", run="same"),
            live.call("c", ts=(now + timedelta(minutes=10)).isoformat(), device="", model="somebody"),
            live.call("d", arm="lora", model="qwen3:4b", reason="fallback", eligible=["lora"]),
            live.call("e", error="backend down", model="", reason="error"),
        ])  # fmt: skip
        live.http.post("/v1/calls", json=live.call("a", model="other"))
        alarms = {
            item["name"]: item["alarm"] for item in live.http.get(f"{URL}/quality").json()["adapters"][0]["checks"]
        }
        for name in ("template versions", "clock skew", "no device", "another model answered", "fallbacks",
                     "duplicates", "no permit", "errors"):  # fmt: skip
            assert alarms[name] is True, name
        assert "1 of" in check(live, "duplicates")["sentence"]

    def test_missing_verdicts_and_a_bad_base_are_named(self, live):
        live.arm()
        old = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
        for i in range(60):
            live.http.post("/v1/calls", json=live.call(f"b{i}", ts=old))
            kind = "block" if i % 10 == 0 else "not_blocked"
            live.http.post("/v1/outcomes", json=[
                live.outcome(f"s{i}", "submitted", call=f"b{i}", ts=old),
                *([live.outcome(f"v{i}", kind, call=f"b{i}")] if i < 40 else []),
            ])  # fmt: skip
        assert check(live, "missing verdicts")["alarm"] is True
        assert "base 20 of 60" in check(live, "missing verdicts")["sentence"]
        live.http.post("/v1/outcomes", json=[live.outcome(f"x{i}", "block", call=f"b{i}") for i in range(40, 60)])
        assert check(live, "base arm's own block rate")["alarm"] is True

    def test_labels_of_traditions_are_compared_where_they_exist(self, live):
        fill(live, TrafficPlan(calls=400))
        store = live.store
        store.writer.command(
            lambda cursor: cursor.execute(
                "INSERT INTO annotations SELECT 1, id, 'tradition', CASE WHEN arm = 'lora' THEN 'one' "
                "ELSE 'two' || (hash(id) % 4) END, 'test', now()::TIMESTAMP FROM calls"
            )
        ).result(20)
        categories = live.http.get(f"{URL}/quality").json()["adapters"][0]["collapse"]["categories"]
        assert [(item["categories"], item["alarm"]) for item in categories][1] == ("tradition", True)
