"""Results, calls, exclusions, erasure, metrics over HTTP."""

import io

import pyarrow as pa
import pytest

from experiment.intervals import clopper_pearson


@pytest.fixture
def filled(live):
    live.arm()
    live.http.post("/v1/calls", json=[live.call(f"c{i}", config="hoeren", latency_ms=100 + i) for i in range(20)])
    live.http.post("/v1/outcomes", json=[live.outcome(f"f{i}", "favourite", call=f"c{i}") for i in range(3)])
    live.blocks(2)
    return live


def test_results_show_both_arms_with_counts_and_exact_intervals(filled):
    answer = filled.http.get("/v1/experiments/stage2/results").json()
    base, lora = answer["arms"]
    assert (base["calls"], base["favourites"]["k"], base["favourites"]["n"]) == (20, 3, 20)
    low, high = clopper_pearson(3, 20)
    assert (base["favourites"]["low"], base["favourites"]["high"]) == (low, high)
    assert (lora["prompt_runs"]["k"], lora["prompt_runs"]["n"], lora["blocks"][0]["code"]) == (2, 2, "86a")
    assert sum(point["calls"] for point in answer["series"]["points"]) == 22
    assert answer["synthetic"] is False


def test_an_arm_without_data_has_no_rate(live):
    answer = live.http.get("/v1/experiments/stage2/results").json()
    assert [arm["favourites"]["rate"] for arm in answer["arms"]] == [None, None]


@pytest.mark.parametrize("by", ["day", "config", "language", "safety_level", "template_version", "device_kind"])
def test_results_by_dimension_add_up(filled, by):
    answer = filled.http.get("/v1/experiments/stage2/results", params={"by": by}).json()
    assert answer["by"]["dimension"] == by
    assert sum(row["calls"] for row in answer["by"]["rows"]) == 22


def test_scopes(filled):
    ask = lambda **more: filled.http.get("/v1/experiments/stage2/results", params=more).json()  # noqa: E731
    assert sum(arm["calls"] for arm in ask(epoch="all")["arms"]) == 23
    assert sum(arm["calls"] for arm in ask(epoch="1")["arms"]) == 22
    assert sum(arm["calls"] for arm in ask(epoch="7")["arms"]) == 0
    assert sum(arm["calls"] for arm in ask(origin="import")["arms"]) == 0
    assert filled.http.get("/v1/experiments/stage2/results", params={"epoch": "last"}).status_code == 422


def test_unknown_experiment_names_the_known_ones(live):
    answer = live.http.get("/v1/experiments/other")
    assert (answer.status_code, answer.json()["detail"]) == (404, "unknown experiment 'other'; known: stage2")


def test_experiments_are_described(filled):
    listed = filled.http.get("/v1/experiments").json()
    assert listed == [filled.http.get("/v1/experiments/stage2").json()]
    assert [(arm["name"], arm["state"]) for arm in listed[0]["arms"]] == [("base", "base"), ("lora", "watch")]


def test_calls_page_through_and_by_raw_or_pseudonymous_ids(filled):
    first = filled.http.get("/v1/calls", params={"limit": 20}).json()
    rest = filled.http.get("/v1/calls", params={"limit": 20, "cursor": first["next"]}).json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (20, 3, None)
    raw = filled.http.get("/v1/calls", params={"run": "run_c1"}).json()["items"]
    by_key = filled.http.get("/v1/calls", params={"run": raw[0]["run"]}).json()["items"]
    assert [row["id"] for row in raw] == [row["id"] for row in by_key] == ["c1"]
    by_prompt = filled.http.get("/v1/calls", params={"prompt": "EIN hund c1", "output_key": "Ein Hund, man hört c1"})
    assert [row["id"] for row in by_prompt.json()["items"]] == ["c1"]


def test_calls_as_arrow(filled):
    answer = filled.http.get("/v1/calls", headers={"Accept": "application/vnd.apache.arrow.stream"})
    assert pa.ipc.open_stream(io.BytesIO(answer.content)).read_all().num_rows == 23


def test_an_exclusion_is_kept_once_and_changes_results(filled):
    body = {
        "id": "x1", "experiment": "stage2", "device": "abcc0_2026-03-02", "reason": "stress test", "actor": "Ada"
    }  # fmt: skip
    assert [filled.http.post("/v1/exclusions", json=body).json()["status"] for _ in range(2)] == [201, 200]
    assert filled.http.get("/v1/experiments/stage2/results").json()["arms"][0]["calls"] == 19
    items = filled.http.get("/v1/exclusions", params={"experiment": "stage2"}).json()["items"]
    assert [(item["actor"], item["device"][:2]) for item in items] == [("Ada", "d_")]
    assert filled.http.post("/v1/exclusions", json=body | {"id": "x2", "device": ""}).status_code == 422


def test_erasure_by_device_and_run(filled):
    assert filled.http.delete("/v1/units/abcc1_2026-03-02").json()["erased"]["calls"] == 1
    assert filled.http.delete("/v1/runs/run_c2").json()["erased"]["calls"] == 1
    assert filled.http.get("/v1/calls", params={"run": "run_c2"}).json()["items"] == []


def test_metrics_name_rows_queue_guard_and_permit(filled):
    text = filled.http.get("/metrics").text
    assert 'equipoise_rows{table="calls"} 23.0' in text
    assert 'equipoise_guard_state{arm="lora",experiment="stage2",state="watch"} 1.0' in text
    assert 'equipoise_block_share{arm="lora",experiment="stage2"} 1.0' in text
    assert "equipoise_permit_age_seconds" in text


def test_unknown_paths_and_methods_are_problems(live):
    for answer in (live.http.get("/v1/nothing"), live.http.put("/v1/calls")):
        assert answer.headers["content-type"] == "application/problem+json"


def test_not_ready_when_the_store_can_not_be_read(live, monkeypatch):
    from warehouse.errors import StoreError

    def fail(*_):
        raise StoreError("planted")

    monkeypatch.setattr(live.store.queries, "rows", fail)
    assert live.http.get("/readyz").status_code == 503
