"""Ways in which the guard or its evidence once could be fooled; each was found by an adversarial review."""

import duckdb
import pytest

from experiment.guard import GuardRefused
from tests.warehouse.conftest import ME, Bench, settings
from warehouse.errors import StoreError


def act(bench, command):
    return bench.store.writer.command(command).result(30)


def test_a_roll_back_whose_commit_fails_is_kept_and_logged_later(armed, monkeypatch):
    """A full disk fails exactly at COMMIT; the person's roll-back must not turn into a failsafe that re-opens."""
    original = armed.store.writer._before_commit
    failing = [True]

    def before():
        original()
        if failing:
            raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(armed.store.writer, "_before_commit", before)
    with pytest.raises(StoreError):
        armed.store.guarding.rollback_now("stage2", "lora", ME).result(20)
    failing.clear()
    assert armed.state() == "rolled_back"
    for _ in range(3):
        armed.clock.forward(minutes=6)
        armed.tick()
    assert (armed.state(), armed.open_arms()) == ("rolled_back", frozenset())
    assert armed.store.queries.guard_log("stage2")[0]["action"] == "rollback"


def test_another_arms_arming_does_not_bring_an_unarmed_version_in(tmp_path):
    arms = {"base": {"model": "b", "weight": 80}, "one": {"model": "m1", "weight": 10},
            "two": {"model": "m2", "weight": 10}}  # fmt: skip
    bench = Bench(tmp_path)
    bench.open(settings(arms=arms))
    bench.verdicts_flow()
    act(bench, bench.store.guarding.arm("stage2", "one", "m1", ME))
    bench.close()
    bench.open(settings(arms=arms | {"one": {"model": "m1-unvetted", "weight": 10}}))
    with pytest.raises(GuardRefused, match="now configured with 'm1-unvetted'"):
        act(bench, bench.store.guarding.arm("stage2", "two", "m2", ME))
    bench.close()


def test_a_confirmed_rollback_is_not_forgotten_after_a_manual_one_or_under_another_arms_name(armed):
    armed.blocks(12)
    armed.arm(override=True)
    armed.store.guarding.rollback_now("stage2", "lora", ME).result(20)
    with pytest.raises(GuardRefused, match="'confirmed'"):
        armed.arm()
    armed.close()
    arms = {"base": {"model": "qwen3:4b", "weight": 90}, "renamed": {"model": "qwen3:4b-v1", "weight": 10}}
    armed.open(settings(arms=arms))
    with pytest.raises(GuardRefused, match="'confirmed'"):
        act(armed, armed.store.guarding.arm("stage2", "renamed", "qwen3:4b-v1", ME))


def test_a_check_that_did_not_take_place_is_no_source_of_verdicts(bench):
    bench.send(bench.call("c", epoch=0), bench.outcome("v", "block", call="c", method="llm_check_failed"))
    with pytest.raises(GuardRefused, match="no source"):
        bench.arm()


def test_erasing_runs_keeps_a_device_one_device(armed):
    for i in range(3):
        armed.send(armed.adapter_call(f"c{i}", device="kid_2026-03-02"), armed.outcome(f"v{i}", "block", call=f"c{i}"))
    before = armed.store.keeper.evidence("stage2", "lora")
    for i in range(3):
        armed.store.erase_run(f"run_c{i}", "admin-1")
    after = armed.store.keeper.evidence("stage2", "lora")
    assert (after.counts, after.e_value, after.arm.detector) == (before.counts, before.e_value, before.arm.detector)
    assert "run_c" not in str(armed.store.queries.rows("SELECT * FROM prompt_runs"))


def test_a_second_call_of_a_run_moves_its_verdict_and_counts_it_once(armed):
    armed.send(armed.adapter_call("c1", run="r"), armed.outcome("v", "block", run="r"))
    later = armed.clock.now
    armed.clock.forward(seconds=-60)
    armed.send(armed.adapter_call("c0", run="r", input="etwas anderes"))
    armed.clock.now = later
    armed.send(armed.adapter_call("c2", run="r", input="noch etwas", ts=later))
    assert armed.store.keeper.evidence("stage2", "lora").counts.n == 1


def test_an_outcome_never_reaches_another_experiments_call(tmp_path):
    both = settings() | {"other": settings()["stage2"]}
    bench = Bench(tmp_path)
    bench.open(both)
    bench.send(bench.call("mine", run="same"), bench.call("theirs", run="same", experiment="other"))
    bench.send(bench.outcome("o1", "favourite", run="same"))
    pending = bench.store.submit([bench.outcome("o2", "block", call="mine", experiment="other")]).result(20)[0]
    assert pending.pending is True
    rows = bench.store.queries.rows("SELECT id, call_id FROM outcomes ORDER BY id")
    assert [(row["id"], row["call_id"]) for row in rows] == [("o1", "mine"), ("o2", "")]
    bench.close()


def test_a_call_of_an_epoch_that_was_never_opened_counts_nowhere(armed):
    armed.send(armed.adapter_call("c", epoch=7), armed.outcome("v", "block", call="c"))
    assert armed.store.queries.rows("SELECT count(*) AS n FROM prompt_runs WHERE epoch = 7")[0]["n"] == 0


def test_calls_without_a_unit_are_each_their_own(bench):
    bench.send(bench.call("a", unit="", run=""), bench.call("b", unit="", run=""))
    units = {row["unit"] for row in bench.store.queries.rows("SELECT unit FROM calls")}
    assert len(units) == 2
    assert all(unit.startswith("r_") for unit in units)
