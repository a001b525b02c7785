"""Metrics per arm, over time, by dimension; browsing; failures of the store in words."""

from datetime import timedelta

import duckdb
import pytest

from warehouse.errors import StoreError
from warehouse.queries import Scope

SCOPE = Scope("stage2", 1)


@pytest.fixture
def filled(armed):
    """Two arms, two host configs, one day after another, one device that is no workshop."""
    b = armed
    for i in range(6):
        b.send(b.call(f"b{i}", latency_ms=100.0 + i, config="hoeren" if i < 4 else "sehen"))
    for i in range(3):
        b.send(b.adapter_call(f"a{i}", latency_ms=200.0, config="hoeren"))
    b.send(b.call("dev", device="dev_0123456789ab"))
    b.send(b.outcome("f1", "favourite", call="b0"), b.outcome("f2", "favourite", call="b0"))
    b.send(b.outcome("r1", "regeneration", run="run_b1", child_run="x1"))
    b.send(b.outcome("v1", "block", call="a0"), b.outcome("v2", "not_blocked", call="a1"))
    b.send(b.adapter_call("fb", model="qwen3:4b", reason="fallback", error=None))
    return b


def test_counts_per_arm(filled):
    rows = {row["arm"]: row for row in filled.store.queries.arm_metrics(SCOPE)}
    names = ("calls", "favourites", "regenerated", "blocked_calls", "treated")
    assert {name: rows["base"][name] for name in names} == {
        "calls": 6, "favourites": 1, "regenerated": 1, "blocked_calls": 0, "treated": 6
    }  # fmt: skip
    assert rows["base"]["latency"][0] == 102.5
    assert {name: rows["lora"][name] for name in ("calls", "treated", "fallbacks", "blocked_calls")} == {
        "calls": 4, "treated": 3, "fallbacks": 1, "blocked_calls": 1
    }  # fmt: skip


def test_devices_that_are_no_workshop_are_left_out_unless_asked_for(filled):
    everyone = {
        row["arm"]: row["calls"] for row in filled.store.queries.arm_metrics(SCOPE._replace(workshop_only=False))
    }
    assert everyone["base"] == 7


def test_by_host_config(filled):
    rows = filled.store.queries.arm_metrics(SCOPE, "config")
    assert [(row["arm"], row["value"], row["calls"]) for row in rows] == [
        ("base", "hoeren", 4), ("base", "sehen", 2), ("lora", "hoeren", 3), ("lora", "unknown", 1)
    ]  # fmt: skip


@pytest.mark.parametrize("dimension", ["day", "language", "safety_level", "template_version", "device_kind"])
def test_every_dimension_adds_up(filled, dimension):
    rows = filled.store.queries.arm_metrics(SCOPE, dimension)
    assert sum(row["calls"] for row in rows) == 10


def test_an_unknown_dimension_is_an_error_not_sql(filled):
    with pytest.raises(KeyError):
        filled.store.queries.arm_metrics(SCOPE, "1; DROP TABLE calls")


def test_series_add_up_to_the_counts(filled):
    since = filled.clock.now - timedelta(hours=1)
    rows = filled.store.queries.arm_series(SCOPE, 60, since)
    assert sum(row["calls"] for row in rows) == 10
    assert {row["start"].second for row in rows} == {0}
    blocks = filled.store.queries.prompt_run_series("stage2", 1, 60, since)
    assert [(row["arm"], row["n"], row["blocked"]) for row in blocks] == [("lora", 2, 1)]


def test_prompt_runs_and_codes(filled):
    assert filled.store.queries.prompt_runs("stage2", 1) == [
        {"arm": "lora", "n": 2, "blocked": 1, "devices": 2, "blocked_devices": 1}
    ]
    assert filled.store.queries.block_codes("stage2") == [
        {"arm": "lora", "stage": "stage3", "method": "llm_safety_check", "code": "86a", "calls": 1}
    ]


def test_an_exclusion_changes_estimates_and_never_guard_history(filled):
    device = filled.store.names.device("abca0_2026-03-02")
    filled.store.writer.command(
        lambda cursor: cursor.execute(
            "INSERT INTO exclusions VALUES (999, 'x', now()::TIMESTAMP, 'stage2', ?, NULL, 'Ada', 't', 'stress test')",
            [device],
        )
    ).result(20)
    rows = {row["arm"]: row["calls"] for row in filled.store.queries.arm_metrics(SCOPE)}
    assert rows["lora"] == 3
    assert filled.store.queries.prompt_runs("stage2", 1)[0]["n"] == 2
    assert filled.store.queries.exclusions("stage2")[0]["reason"] == "stress test"


def test_browsing_calls_by_filters_in_commit_order(filled):
    queries = filled.store.queries
    found = queries.rows(*queries.calls({"arm": "lora", "experiment": "stage2"}, limit=2))
    assert [row["id"] for row in found] == ["a0", "a1"]
    rest = queries.rows(*queries.calls({"arm": "lora"}, after_seq=found[-1]["seq"]))
    assert [row["id"] for row in rest] == ["a2", "fb"]
    now = filled.clock.now
    assert queries.rows(*queries.calls({}, since=now + timedelta(hours=1))) == []
    assert queries.rows(*queries.calls({}, until=now)) == []
    assert queries.arrow(*queries.calls({"id": "b0"})).num_rows == 1


def test_sizes(filled):
    assert filled.store.queries.sizes()["calls"] == 12


def test_no_first_call_in_an_empty_scope(bench):
    assert bench.store.queries.first_call(SCOPE) is None
    assert bench.store.queries.latest_verdict("stage2") is None


def test_a_failing_store_is_said_in_words(bench, monkeypatch):
    class Broken:
        def cursor(self):
            raise duckdb.ConnectionException("planted")

    monkeypatch.setattr(bench.store.queries, "_connection", Broken())
    with pytest.raises(StoreError, match=r"can't be read: .*planted"):
        bench.store.queries.rows("SELECT 1")


def test_a_store_that_fails_while_reading_is_said_in_words(bench, monkeypatch):
    class Cursor:
        def execute(self, *_):
            raise duckdb.IOException("planted")

        def close(self):
            pass

    class Half:
        def cursor(self):
            return Cursor()

    monkeypatch.setattr(bench.store.queries, "_connection", Half())
    with pytest.raises(StoreError, match="planted"):
        bench.store.queries.rows("SELECT 1")
