"""Idempotent, late and out-of-order events; attribution; what a block does to texts."""

import hashlib
from concurrent.futures import wait
from datetime import timedelta
from itertools import permutations

import pytest


def facts(bench, columns="favourite, regenerations, edits, blocks"):
    return bench.store.queries.rows(f"SELECT id, {columns} FROM call_facts ORDER BY id")


def test_a_known_id_changes_nothing(bench, rows):
    call = bench.call("c1")
    assert bench.send(call) == [("c1", 201)]
    assert bench.send(call, call) == [("c1", 200), ("c1", 200)]
    assert rows("SELECT count(*) AS n FROM calls")[0]["n"] == 1


def test_the_same_id_with_another_body_is_a_conflict_and_the_first_is_kept(bench, rows):
    bench.send(bench.call("c1"))
    assert bench.send(bench.call("c1", model="other")) == [("c1", 409)]
    assert rows("SELECT model FROM calls")[0]["model"] == "qwen3:4b"


def test_raw_and_pseudonymous_ids_of_one_call_are_the_same_event(bench):
    call = bench.call("c1")
    names = bench.store.names
    again = call.model_copy(
        update={"device": names.device(call.device), "run": names.run(call.run), "device_kind": "browser"}
    )
    bench.send(call)
    assert bench.send(again) == [("c1", 200)]


def test_one_id_sent_three_times_at_once_is_one_row_and_three_successes(bench, rows):
    futures = [bench.store.submit([bench.call("c1")]) for _ in range(3)]
    wait(futures, timeout=30)
    assert sorted(future.result()[0].status for future in futures) == [200, 200, 201]
    assert rows("SELECT count(*) AS n FROM calls")[0]["n"] == 1


def test_raw_ids_never_reach_the_file(bench):
    bench.send(bench.call("c1", device="deadbeefcafe_2026-03-02", run="run_1700000000000_abcdef", parent_run="run_0_a"))
    bench.close()
    content = (bench.folder / "equipoise.duckdb").read_bytes()
    assert b"deadbeefcafe" not in content
    assert b"run_1700000000000" not in content
    assert b"Ein Hund c1" in content  # the search itself would find something


def test_an_outcome_before_its_call_is_pending_and_then_counts(bench):
    result = bench.store.submit([bench.outcome("o1", "favourite", call="c1")]).result(30)[0]
    assert (result.status, result.pending) == (201, True)
    bench.send(bench.call("c1"))
    assert facts(bench)[0]["favourite"] is True


def test_an_unfavourite_takes_the_favourite_back_whatever_came_first(bench):
    bench.send(bench.call("c1"))
    late = bench.outcome("o2", "unfavourite", run="run_c1", ts=bench.clock.now + timedelta(minutes=1))
    bench.send(late)
    bench.send(bench.outcome("o1", "favourite", run="run_c1"))
    assert facts(bench)[0]["favourite"] is False


def test_a_favourite_on_a_regenerated_run_belongs_to_the_first_runs_call(bench):
    bench.send(bench.outcome("f", "favourite", run="run_again"))
    bench.send(bench.call("c1"))
    bench.send(bench.outcome("r", "regeneration", run="run_c1", child_run="run_again"))
    assert facts(bench)[0] | {"id": ""} == {
        "id": "", "favourite": True, "regenerations": 1, "edits": 0, "blocks": 0
    }  # fmt: skip


def test_runs_that_claim_to_repeat_each_other_in_a_circle_end(bench):
    bench.send(
        bench.outcome("r1", "regeneration", run="a", child_run="b"),
        bench.outcome("r2", "regeneration", run="b", child_run="a"),
        bench.outcome("f", "favourite", run="a"),
    )
    bench.send(bench.call("c1", run="b"))
    assert facts(bench)[0]["favourite"] is True


def test_of_two_calls_in_one_run_the_latest_before_the_outcome_has_it(bench):
    later = bench.clock.now + timedelta(minutes=5)
    bench.send(bench.outcome("e", "edit", run="run_x", ts=later + timedelta(minutes=1)))
    bench.send(bench.call("c1", run="run_x"))
    bench.send(bench.call("c2", run="run_x", ts=later))
    assert [row["edits"] for row in facts(bench)] == [0, 1]


def test_every_order_of_arrival_gives_the_same_views(bench, tmp_path_factory):
    def events(b):
        return [
            b.call("c1"),
            b.outcome("link", "link", call="c1", child_run="host-run"),
            b.outcome("reg", "regeneration", run="host-run", child_run="second"),
            b.outcome("fav", "favourite", run="second"),
            b.outcome("blk", "block", run="host-run"),
        ]

    seen = set()
    for position, order in enumerate(permutations(range(5))):
        if position % 7:  # 18 of the 120 orders, spread over all first elements
            continue
        other = type(bench)(tmp_path_factory.mktemp("order"))
        other.open()
        made = events(other)
        for index in order:
            other.send(made[index])
        row = other.store.queries.rows("SELECT * EXCLUDE (seq) FROM call_facts")[0]
        texts = other.store.queries.rows("SELECT input, context, output FROM calls")[0]
        names = {key: row[key] for key in ("favourite", "regenerations", "blocks")}
        seen.add((tuple(sorted(names.items())), tuple(texts.values())))
        other.close()
    assert seen == {((("blocks", 1), ("favourite", True), ("regenerations", 1)), (None, None, None))}


@pytest.mark.parametrize("first", ["call", "block", "together"])
def test_a_blocked_calls_texts_go_in_the_commit_that_stores_the_block(bench, rows, first):
    call, block = bench.call("c1"), bench.outcome("o1", "block", call="c1")
    match first:
        case "call":
            bench.send(call)
            bench.send(block)
        case "block":
            bench.send(block)
            bench.send(call)
        case _:
            bench.send(call, block)
    row = rows("SELECT input, context, output, prompt FROM calls")[0]
    assert (row["input"], row["context"], row["output"]) == (None, None, None)
    assert row["prompt"].startswith("p_")


def test_a_refusal_is_a_block_of_that_call(armed, rows):
    armed.send(armed.adapter_call("c1", refused=True))
    assert rows("SELECT stage, method, call_id FROM outcomes WHERE call_id = 'c1'") == [
        {"stage": "stage2", "method": "refusal", "call_id": "c1"}
    ]
    assert rows("SELECT blocked, event_id FROM prompt_runs WHERE arm = 'lora'") == [
        {"blocked": True, "event_id": "refusal-" + hashlib.sha256(b"c1").hexdigest()[:40]}
    ]


class TestPromptRuns:
    """STATISTICS.md 1: one prompt-run is a distinct (device, prompt) pair with an attributable verdict."""

    def counted(self, rows):
        return rows("SELECT arm, blocked, event_id FROM prompt_runs WHERE epoch > 0 ORDER BY seq")

    def test_a_resubmitted_prompt_is_one_pair_and_its_first_verdict_decides(self, armed, rows):
        for i, kind in enumerate(("not_blocked", "block", "block")):
            armed.send(
                armed.adapter_call(f"c{i}", device="kid_2026-03-02", input="EIN  hund"),
                armed.outcome(f"v{i}", kind, call=f"c{i}"),
            )
        assert self.counted(rows) == [{"arm": "lora", "blocked": False, "event_id": "v0"}]

    def test_the_same_prompt_on_two_devices_is_two_pairs(self, armed, rows):
        for device in ("kid_2026-03-02", "other_2026-03-02"):
            armed.send(
                armed.adapter_call(device[:3], device=device, input="Hund"),
                armed.outcome(f"v{device[:3]}", "block", call=device[:3]),
            )
        assert len(self.counted(rows)) == 2

    @pytest.mark.parametrize(
        "more",
        [
            {"model": "qwen3:4b"},  # assigned to the adapter, answered by the base: not as treated
            {"epoch": 0},  # no permit
            {"safety_level": "adult"},  # no Stage 3
            {"safety_level": "research"},
        ],
    )
    def test_what_never_counts_by_call(self, armed, rows, more):
        armed.send(armed.adapter_call("c1", **more), armed.outcome("v", "block", call="c1"))
        assert self.counted(rows) == []

    @pytest.mark.parametrize("more", [{"stage": "stage1"}, {"method": "disabled"}, {"method": "llm_check_failed"}])
    def test_what_never_counts_by_check(self, armed, rows, more):
        armed.send(armed.adapter_call("c1"), armed.outcome("v", "block", call="c1", **more))
        assert self.counted(rows) == []

    def test_without_a_device_the_pair_is_prompt_and_day(self, armed, rows):
        for i, day in enumerate((0, 0, 1)):
            armed.send(
                armed.adapter_call(f"c{i}", device="", input="Hund", ts=armed.clock.now + timedelta(days=day)),
                armed.outcome(f"v{i}", "block", call=f"c{i}"),
            )
        assert [row["event_id"] for row in self.counted(rows)] == ["v0", "v2"]


def test_unknown_experiment_and_arm_are_refused_and_their_neighbours_stored(bench):
    assert bench.send(bench.call("c1"), bench.call("c2", arm="zz"), bench.call("c3", experiment="other")) == [
        ("c1", 201), ("c2", 422), ("c3", 422)
    ]  # fmt: skip
    assert bench.send(bench.call("c4", arm="zz")) == [("c4", 422)]
