"""The guard at work: permits in the right order, restarts, blindness, a person's actions (STATISTICS.md 2, States)."""

import os
import threading
from datetime import timedelta

import pytest

from experiment.guard import GuardRefused
from experiment.replay import ReplayEvent, replay
from tests.warehouse.conftest import ME, settings
from warehouse.errors import StoreError
from warehouse.ingest import Ingest


def act(bench, command):
    return bench.store.writer.command(command).result(30)


def log(bench):
    return [(row["action"], row["to_state"], row["grade"]) for row in bench.store.queries.guard_log("stage2")][::-1]


class TestArming:
    def test_needs_a_source_of_verdicts(self, bench):
        with pytest.raises(GuardRefused, match="no source of safety verdicts"):
            bench.arm()
        assert bench.store.permits.read("stage2") is None

    def test_a_verdict_older_than_a_day_is_no_source(self, bench):
        bench.verdicts_flow()
        bench.clock.forward(hours=25)
        with pytest.raises(GuardRefused, match="no source"):
            bench.arm()

    def test_opens_an_epoch_and_the_permit_after_the_commit(self, armed):
        assert armed.state() == "running"
        assert armed.open_arms() == {"lora"}
        assert armed.store.queries.epochs("stage2")[0]["arms"]["arms"][1]["model"] == "qwen3:4b-v1"

    def test_names_the_adapter(self, bench):
        bench.verdicts_flow()
        with pytest.raises(GuardRefused, match="configured with model 'qwen3:4b-v1'"):
            bench.arm("another")

    def test_an_armed_adapter_can_not_be_armed_again(self, armed):
        with pytest.raises(GuardRefused, match="already running in epoch 1"):
            armed.arm()
        assert len(armed.store.queries.epochs("stage2")) == 1


class TestTrip:
    def test_the_permit_is_withdrawn_before_the_trip_is_committed(self, armed, monkeypatch):
        order = []
        original = armed.store.permits.close_arms
        monkeypatch.setattr(
            armed.store.permits,
            "close_arms",
            lambda *given: (order.append(("permit", len(armed.store.queries.guard_log("stage2")))), original(*given)),
        )
        before = len(armed.store.queries.guard_log("stage2"))
        armed.blocks(4)
        trip = armed.store.queries.guard_log("stage2")[0]
        assert trip["action"] == "trip"
        # When the permit was closed, other readers did not see the trip in the log yet (only arm and watch).
        assert order == [("permit", before + 1)]

    def test_r1_rolls_back_and_the_log_says_why_in_a_sentence(self, armed):
        armed.blocks(4)
        trip = armed.store.queries.guard_log("stage2")[0]
        assert (armed.state(), armed.open_arms()) == ("rolled_back", frozenset())
        assert (trip["rule"], trip["grade"], trip["n"], trip["blocked"], trip["devices"], trip["last_event"]) == (
            "R1", "precautionary", 4, 4, 4, "b3-v"
        )  # fmt: skip
        assert trip["sentence"].startswith("100.0 % (4/4), 3.8 blocks more than 5 % allow (rule R1")
        assert "blocks from 4 devices" in trip["sentence"]

    def test_late_verdicts_raise_the_grade_and_never_lower_it(self, armed):
        armed.blocks(12)
        assert log(armed)[-2:] == [("trip", "rolled_back", "precautionary"), ("confirm", "rolled_back", "confirmed")]
        for i in range(60):
            armed.send(armed.adapter_call(f"ok{i}"), armed.outcome(f"ok{i}-v", "not_blocked", call=f"ok{i}"))
        assert armed.store.keeper.guard("stage2", "lora").grade == "confirmed"

    def test_replaying_the_log_trips_at_the_same_event(self, armed):
        for i in range(40):
            kind = "block" if i % 6 == 5 else "not_blocked"
            armed.send(
                armed.adapter_call(f"c{i}", device=f"kid{i % 7}_2026-03-02"), armed.outcome(f"v{i}", kind, call=f"c{i}")
            )
        trip = next(row for row in armed.store.queries.guard_log("stage2") if row["action"] == "trip")
        rows = armed.store.queries.guard_events("stage2", 1)
        events = [ReplayEvent(*(row[name] for name in ReplayEvent._fields)) for row in rows]
        again = replay(events, settings()["stage2"].guard.limits())["lora"]
        assert (again.event_id, again.rule, again.n, again.blocked) == (
            trip["last_event"], trip["rule"], trip["n"], trip["blocked"]
        )  # fmt: skip
        assert again.grade == armed.store.keeper.guard("stage2", "lora").grade
        assert again.e_value == pytest.approx(armed.store.keeper.evidence("stage2", "lora").e_value, rel=1e-12)

    def test_blocks_of_the_base_arm_trip_nothing(self, armed):
        for i in range(20):
            armed.send(armed.call(f"c{i}"), armed.outcome(f"v{i}", "block", call=f"c{i}"))
        assert armed.state() == "running"
        assert armed.store.keeper.base_counts("stage2", 1) == (20, 20)

    def test_a_rule_that_holds_while_paused_rolls_back(self, armed):
        act(armed, armed.store.guarding.pause("stage2", "lora", ME))
        armed.blocks(4)
        assert armed.state() == "rolled_back"


class TestRestart:
    def test_does_not_re_arm(self, armed):
        armed.blocks(4)
        armed.close()
        armed.open()
        assert (armed.state(), armed.open_arms()) == ("rolled_back", frozenset())

    def test_reads_evidence_and_state_back_exactly(self, armed):
        for i in range(30):
            kind = "block" if i == 7 else "not_blocked"
            armed.send(
                armed.adapter_call(f"c{i}", device=f"kid{i % 5}_2026-03-02"), armed.outcome(f"v{i}", kind, call=f"c{i}")
            )
        before = armed.store.keeper.evidence("stage2", "lora")
        guard = armed.store.keeper.guard("stage2", "lora")
        armed.close()
        armed.open()
        after = armed.store.keeper.evidence("stage2", "lora")
        assert (after.counts, after.e_value, after.arm.detector) == (
            before.counts, before.e_value, before.arm.detector
        )  # fmt: skip
        assert armed.store.keeper.guard("stage2", "lora") == guard
        assert armed.open_arms() == {"lora"}

    def test_after_more_than_a_minute_down_is_failsafe(self, armed):
        armed.close()
        path = armed.folder / "permits" / "stage2.json"
        old = path.stat().st_mtime - 61
        os.utime(path, (old, old))
        armed.open()
        assert (armed.state(), armed.open_arms()) == ("failsafe", frozenset())
        armed.tick()
        assert log(armed)[-1][:2] == ("blind", "failsafe")

    def test_without_its_permit_is_an_emergency_stop(self, armed):
        armed.close()
        (armed.folder / "permits" / "stage2.json").unlink()
        armed.open()
        armed.tick()
        assert log(armed)[-1] == ("rollback", "rolled_back", "manual")

    def test_a_permit_closed_while_the_store_was_down_is_a_rollback(self, armed):
        armed.close()
        armed.store = None
        from warehouse.permits import PermitFolder

        PermitFolder(armed.folder / "permits").close_arms("stage2", frozenset({"lora"}))
        armed.open()
        assert (armed.state(), armed.open_arms()) == ("rolled_back", frozenset())
        armed.tick()
        assert armed.store.queries.guard_log("stage2")[0]["reason"].startswith("the permit was closed while")


class TestReArming:
    def test_waits_for_the_cool_down_and_starts_counting_anew(self, armed):
        armed.blocks(4)
        with pytest.raises(GuardRefused, match=r"cooling down.*30 min"):
            armed.arm()
        armed.clock.forward(minutes=31)
        armed.arm()
        evidence = armed.store.keeper.evidence("stage2", "lora")
        assert (armed.state(), evidence.counts.n, armed.store.keeper.epoch("stage2").number) == ("running", 0, 2)
        assert evidence.e_value > 5, "E runs on across the epochs of one adapter version"

    def test_an_override_is_no_way_around_the_cool_down(self, armed):
        armed.blocks(4)
        with pytest.raises(GuardRefused, match="cooling down"):
            armed.arm(override=True)

    def test_after_a_confirmed_rollback_needs_an_override(self, armed):
        armed.blocks(12)
        armed.clock.forward(hours=2)
        armed.verdicts_flow()
        with pytest.raises(GuardRefused, match="'confirmed'"):
            armed.arm()
        armed.arm(override=True)
        assert armed.state() == "running"

    def test_a_new_version_starts_without_the_old_ones_history(self, armed):
        armed.blocks(12)
        arms = {"base": {"model": "qwen3:4b", "weight": 90}, "lora": {"model": "qwen3:4b-v2", "weight": 10}}
        armed.close()
        armed.open(settings(arms=arms))
        armed.arm("qwen3:4b-v2")
        assert armed.store.keeper.evidence("stage2", "lora").e_value == 1.0
        # A late verdict on the old version says nothing about the new one.
        armed.send(armed.adapter_call("late"), armed.outcome("late-v", "block", call="late"))
        assert armed.store.keeper.evidence("stage2", "lora").e_value == 1.0
        # Back to the old version: what it did is not forgotten.
        act(armed, armed.store.guarding.pause("stage2", "lora", ME))
        armed.close()
        armed.open()
        with pytest.raises(GuardRefused, match="'confirmed'"):
            armed.arm("qwen3:4b-v1")

    def test_the_third_precautionary_rollback_counts_as_confirmed(self, armed):
        for epoch in (1, 2, 3):
            for i in range(4):  # one device: the e-value stays low
                name = f"e{epoch}c{i}"
                armed.send(
                    armed.adapter_call(name, epoch=epoch, device="kid_2026-03-02"),
                    armed.outcome(f"{name}-v", "block", call=name),
                )
            armed.clock.forward(minutes=31)
            if epoch < 3:
                armed.arm()
        guard = armed.store.keeper.guard("stage2", "lora")
        assert (guard.state, guard.grade, guard.precautionary) == ("rolled_back", "confirmed", 3)

    def test_a_late_verdict_of_an_earlier_epoch_counts_for_e_alone(self, armed):
        armed.blocks(4)
        armed.clock.forward(minutes=31)
        armed.arm()
        before = armed.store.keeper.evidence("stage2", "lora").e_value
        armed.send(armed.adapter_call("late", epoch=1), armed.outcome("late-v", "block", call="late"))
        evidence = armed.store.keeper.evidence("stage2", "lora")
        assert evidence.counts.n == 0
        assert evidence.e_value > before


class TestAPerson:
    def test_pauses_and_resumes_with_evidence_kept(self, armed):
        armed.blocks(1)
        act(armed, armed.store.guarding.pause("stage2", "lora", ME))
        assert (armed.state(), armed.open_arms()) == ("paused", frozenset())
        act(armed, armed.store.guarding.resume("stage2", "lora", ME))
        assert (armed.state(), armed.open_arms()) == ("watch", {"lora"})
        assert armed.store.keeper.evidence("stage2", "lora").counts.n == 1
        entry = armed.store.queries.guard_log("stage2")[0]
        assert (entry["actor"], entry["token_id"], entry["reason"]) == ME

    def test_rolls_back_on_the_permit_even_if_the_writer_is_stuck(self, armed):
        release, taken = threading.Event(), threading.Event()
        stuck = armed.store.writer.command(lambda _: (taken.set(), release.wait(20)))
        taken.wait(20)
        logged = armed.store.guarding.rollback_now("stage2", "lora", ME)
        assert (armed.open_arms(), armed.state(), logged.done()) == (frozenset(), "rolled_back", False)
        release.set()
        stuck.result(20)
        logged.result(20)
        assert log(armed)[-1] == ("rollback", "rolled_back", "manual")
        with pytest.raises(GuardRefused, match="gets no traffic already"):
            armed.store.guarding.rollback_now("stage2", "lora", ME)

    def test_puts_a_class_on_base_only_until_the_day_ends(self, armed):
        act(armed, armed.store.guarding.base_only_today("stage2", ME))
        permit = armed.store.permits.read("stage2")
        assert permit.base_only_until == armed.clock.now.replace(hour=0) + timedelta(days=1)
        armed.close()
        armed.open()
        assert armed.store.permits.read("stage2").base_only_until == permit.base_only_until

    def test_opts_a_device_out_and_in_again(self, armed):
        device = armed.store.names.device("kid_2026-03-02")
        act(armed, armed.store.guarding.opt_out("stage2", device, ME))
        armed.close()
        armed.open()
        assert armed.store.permits.read("stage2").opted_out == {device}
        act(armed, armed.store.guarding.opt_out("stage2", device, ME, out=False))
        armed.close()
        armed.open()
        assert armed.store.permits.read("stage2").opted_out == frozenset()

    def test_deletes_the_permit_as_an_emergency_stop_and_no_event_makes_it_again(self, armed):
        armed.store.permits.path("stage2").unlink()
        armed.blocks(1)  # a commit with a changed guard (watch)
        assert armed.store.permits.read("stage2") is None
        armed.tick()
        assert log(armed)[-1] == ("rollback", "rolled_back", "manual")
        assert armed.open_arms() == frozenset()


class TestBlindness:
    def sent_to_stage3(self, bench, arm, count, prefix):
        make = bench.adapter_call if arm == "lora" else bench.call
        for i in range(count):
            name = f"{prefix}{i}"
            bench.send(make(name), bench.outcome(f"{name}-s", "submitted", call=name))

    def test_missing_verdicts_of_the_adapter_alone(self, armed):
        self.sent_to_stage3(armed, "lora", 10, "a")
        self.sent_to_stage3(armed, "base", 10, "b")
        for i in range(10):
            armed.send(armed.outcome(f"b{i}-v", "not_blocked", call=f"b{i}"))
        armed.tick()
        assert armed.state() == "running", "within the five minutes nothing is missing yet"
        armed.clock.forward(minutes=6)
        armed.tick()
        assert (armed.state(), armed.open_arms()) == ("failsafe", frozenset())
        assert "10 of 10 adapter calls" in armed.store.queries.guard_log("stage2")[0]["reason"]

    def test_an_outage_on_both_arms_or_nine_calls_or_idleness_is_not_blindness(self, armed):
        self.sent_to_stage3(armed, "lora", 9, "a")
        armed.clock.forward(minutes=6)
        armed.tick()
        self.sent_to_stage3(armed, "lora", 3, "x")
        self.sent_to_stage3(armed, "base", 10, "b")
        armed.clock.forward(minutes=6)
        armed.tick()
        assert armed.state() == "running"

    def test_adult_calls_expect_no_verdict(self, armed):
        for i in range(12):
            armed.send(
                armed.adapter_call(f"a{i}", safety_level="adult"), armed.outcome(f"s{i}", "submitted", call=f"a{i}")
            )
        armed.clock.forward(minutes=6)
        armed.tick()
        assert armed.state() == "running"

    def test_failsafe_leaves_by_itself_after_ten_clean_minutes_and_not_before(self, armed):
        armed.store.guarding.go_blind("planted")
        assert (armed.state(), armed.open_arms()) == ("failsafe", frozenset())
        armed.tick()
        armed.clock.forward(minutes=9)
        armed.tick()
        assert armed.state() == "failsafe"
        armed.clock.forward(minutes=2)
        armed.tick()
        assert (armed.state(), armed.open_arms()) == ("running", {"lora"})
        assert log(armed)[-1][0] == "sighted"

    def test_a_resumed_adapter_is_not_stopped_at_once_on_old_evidence(self, armed):
        self.sent_to_stage3(armed, "lora", 12, "a")
        armed.clock.forward(minutes=6)
        armed.tick()
        assert armed.state() == "failsafe"
        armed.clock.forward(minutes=1)
        act(armed, armed.store.guarding.resume("stage2", "lora", ME))
        armed.clock.forward(minutes=10)
        armed.tick()
        assert armed.state() == "running"

    def test_nothing_armed_goes_nowhere(self, bench):
        bench.store.guarding.go_blind("planted")
        bench.tick()
        assert (bench.state(), bench.store.queries.guard_log("stage2")) == ("disarmed", [])

    def test_a_permit_that_can_not_be_written_makes_the_guard_blind(self, armed, monkeypatch):
        act(armed, armed.store.guarding.pause("stage2", "lora", ME))

        def fail(_):
            raise OSError("No space left on device")

        monkeypatch.setattr(armed.store.permits, "write", fail)
        act(armed, armed.store.guarding.resume("stage2", "lora", ME))
        assert armed.state() == "failsafe"
        assert "permit can't be written" in armed.store.guarding.blindness.reason


def test_the_base_and_two_adapters_each_have_their_own_guard(tmp_path):
    from tests.warehouse.conftest import Bench

    arms = {
        "base": {"model": "b", "weight": 80}, "one": {"model": "m1", "weight": 10}, "two": {"model": "m2", "weight": 10}
    }  # fmt: skip
    bench = Bench(tmp_path)
    bench.open(settings(arms=arms))
    bench.verdicts_flow()
    for arm, model in (("one", "m1"), ("two", "m2")):
        act(bench, bench.store.guarding.arm("stage2", arm, model, ME))
    for i in range(4):
        bench.send(bench.call(f"c{i}", arm="one", model="m1", epoch=2), bench.outcome(f"v{i}", "block", call=f"c{i}"))
    assert {arm: guard.state for arm, guard in bench.store.guarding.effective("stage2").items()} == {
        "one": "rolled_back", "two": "running"
    }  # fmt: skip
    assert bench.open_arms() == {"two"}
    bench.close()


def test_arming_a_second_adapter_does_not_wipe_the_firsts_evidence(tmp_path):
    from tests.warehouse.conftest import Bench

    arms = {
        "base": {"model": "b", "weight": 80}, "one": {"model": "m1", "weight": 10}, "two": {"model": "m2", "weight": 10}
    }  # fmt: skip
    bench = Bench(tmp_path)
    bench.open(settings(arms=arms))
    bench.verdicts_flow()
    act(bench, bench.store.guarding.arm("stage2", "one", "m1", ME))
    for i in range(3):
        bench.send(bench.call(f"c{i}", arm="one", model="m1"), bench.outcome(f"v{i}", "block", call=f"c{i}"))
    act(bench, bench.store.guarding.arm("stage2", "two", "m2", ME))
    bench.send(bench.call("c9", arm="one", model="m1", epoch=2), bench.outcome("v9", "block", call="c9"))
    assert bench.store.keeper.guard("stage2", "one").state == "rolled_back"
    bench.close()


def test_the_store_unreadable_is_base_on_the_next_request(armed, monkeypatch):
    def fail(self, events):
        import duckdb

        raise duckdb.FatalException("planted: the file is gone")

    monkeypatch.setattr(Ingest, "store", fail)
    with pytest.raises(StoreError):
        armed.store.submit([armed.call("c1")]).result(20)
    assert armed.open_arms() == frozenset()
