"""The state machine (STATISTICS.md, *States*): every allowed way from state to state, and every refused one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from experiment import guard as machine
from experiment.counting import PromptRun
from experiment.guard import ArmGuard, Evidence, GuardRefused, VersionHistory
from experiment.limits import GuardLimits

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
LIMITS = GuardLimits()
STATES = ("disarmed", "running", "watch", "paused", "rolled_back", "failsafe")


def guard(state, **more):
    return ArmGuard(**({"state": state, "epoch": 1, "adapter": "v1", "since": NOW, "opened": NOW} | more))


def arm(before, **more):
    values = {
        "adapter": "v1", "epoch": 2, "now": NOW, "limits": LIMITS, "verdict_source": True, "history": VersionHistory()
    }  # fmt: skip
    return machine.arm(before, **(values | more))


def run(event, blocked, device="d1"):
    return PromptRun(event, "lora", device, event, blocked, NOW)


def fold_all(before, verdicts, device=lambda i: f"d{i}"):
    """Fold a list of verdicts; returns the guard, the transitions and the evidence."""
    evidence, steps = Evidence(LIMITS), []
    for i, blocked in enumerate(verdicts):
        step = machine.fold(before, evidence, run(f"e{i}", blocked, device(i)))
        if step is not None:
            steps.append(step)
            before = step.after
    return before, steps, evidence


@pytest.mark.parametrize("state", ["disarmed", "paused", "rolled_back", "failsafe"])
def test_a_person_arms_from_every_closed_state(state):
    after = arm(guard(state)).after
    assert (after.state, after.epoch, after.adapter, after.opened, after.rule, after.grade) == (
        "running", 2, "v1", NOW, None, None
    )  # fmt: skip


@pytest.mark.parametrize("state", ["running", "watch"])
def test_an_open_adapter_is_not_armed_again(state):
    with pytest.raises(GuardRefused, match="nothing to arm"):
        arm(guard(state))


def test_arming_without_a_source_of_verdicts_is_refused():
    with pytest.raises(GuardRefused, match="blind"):
        arm(guard("disarmed"), verdict_source=False)


@pytest.mark.parametrize(("minutes", "allowed"), [(0, False), (29, False), (30, True)])
def test_the_cool_down_after_a_precautionary_rollback_is_thirty_minutes(minutes, allowed):
    history = VersionHistory(1, "precautionary", NOW - timedelta(minutes=minutes))
    if allowed:
        assert arm(guard("rolled_back"), history=history).after.precautionary == 1
    else:
        for override in (False, True):
            with pytest.raises(GuardRefused, match="cooling down"):
                arm(guard("rolled_back"), history=history, override=override)


def test_a_confirmed_version_needs_an_override_and_a_manual_rollback_nothing():
    confirmed = VersionHistory(1, "confirmed", NOW - timedelta(days=1))
    with pytest.raises(GuardRefused, match="override"):
        arm(guard("rolled_back"), history=confirmed)
    assert arm(guard("rolled_back"), history=confirmed, override=True).after.state == "running"
    assert arm(guard("rolled_back"), history=VersionHistory(0, "manual", NOW)).after.state == "running"


@pytest.mark.parametrize("state", STATES)
def test_pause_resume_and_roll_back_by_state(state):
    before = guard(state)
    allowed = {
        "pause": state in ("running", "watch", "failsafe"),
        "resume": state in ("paused", "failsafe"),
        "rollback": state not in ("disarmed", "rolled_back"),
    }
    acts = {
        "pause": lambda: machine.pause(before, NOW),
        "resume": lambda: machine.resume(before, NOW, above=False),
        "rollback": lambda: machine.rollback(before, NOW),
    }
    wanted = {"pause": "paused", "resume": "running", "rollback": "rolled_back"}
    for name, act in acts.items():
        if allowed[name]:
            after = act().after
            assert (after.state, after.epoch) == (wanted[name], 1)
        else:
            with pytest.raises(GuardRefused):
                act()


def test_what_was_never_armed_can_not_be_resumed():
    with pytest.raises(GuardRefused, match="nothing to resume"):
        machine.resume(guard("failsafe", epoch=0), NOW, above=False)


def test_resuming_above_the_limit_is_watch():
    assert machine.resume(guard("paused"), NOW, above=True).after.state == "watch"


@pytest.mark.parametrize("state", STATES)
def test_only_an_open_adapter_goes_blind_and_only_failsafe_comes_back_by_itself(state):
    assert (machine.blind(guard(state), NOW) is not None) is (state in ("running", "watch"))
    later = NOW + timedelta(minutes=10)
    back = machine.sighted(guard(state), later, clean_since=NOW, above=False)
    assert (back is not None) is (state == "failsafe")
    assert machine.sighted(guard(state), later, clean_since=NOW + timedelta(seconds=1), above=False) is None


class TestFold:
    def test_watch_above_the_limit_and_calm_below(self):
        # 1 of 1 is above 5 %; after 19 passed it is exactly 5 %, which is not above.
        after, steps, _ = fold_all(guard("running"), [True] + [False] * 19)
        assert [(step.action, step.event_id) for step in steps] == [("watch", "e0"), ("calm", "e19")]
        assert after.state == "running"

    def test_r1_trips_at_the_fourth_of_ten_blocks(self):
        # 4 − .05·4 = 3.8 ≥ 3, while 3 − .05·3 = 2.85 < 3.
        after, steps, _ = fold_all(guard("running"), [True] * 4)
        assert (after.state, after.rule, after.grade, after.precautionary) == ("rolled_back", "R1", "precautionary", 1)
        assert steps[-1].event_id == "e3"

    def test_the_third_rollback_of_a_version_is_confirmed(self):
        after, _, _ = fold_all(guard("running", precautionary=2), [True] * 4)
        assert (after.grade, after.precautionary) == ("confirmed", 3)

    def test_late_verdicts_raise_the_grade_once_and_never_lower_it(self):
        after, steps, evidence = fold_all(guard("running"), [True] * 12 + [False] * 200)
        assert [step.action for step in steps] == ["watch", "trip", "confirm"]
        assert after.grade == "confirmed"
        assert evidence.counts.n == 212

    def test_a_manual_rollback_keeps_its_grade(self):
        after, steps, _ = fold_all(guard("rolled_back", grade="manual"), [True] * 30)
        assert (steps, after.grade) == ([], "manual")

    def test_a_disarmed_adapter_only_gathers(self):
        after, steps, evidence = fold_all(guard("disarmed"), [True] * 10)
        assert (steps, after.state, evidence.counts.n) == ([], "disarmed", 10)

    @pytest.mark.parametrize("state", ["paused", "failsafe"])
    def test_a_rule_that_holds_while_closed_rolls_back(self, state):
        assert fold_all(guard(state), [True] * 4)[0].state == "rolled_back"

    def test_a_verdict_of_an_earlier_epoch_counts_for_e_alone(self):
        evidence = Evidence(LIMITS)
        for i in range(10):
            assert machine.fold(guard("running"), evidence, run(f"e{i}", True, f"d{i}"), current=False) is None
        assert evidence.counts.n == 0
        assert evidence.e_value > 100

    def test_without_devices_the_grade_confirmed_is_out_of_reach(self):
        after, _, evidence = fold_all(guard("running"), [True] * 50, device=lambda _: "")
        assert (after.grade, evidence.e_value, evidence.counts.deviceless) == ("precautionary", 1.0, 50)

    def test_a_copy_is_independent(self):
        evidence = Evidence(LIMITS)
        other = evidence.copy()
        machine.fold(guard("running"), other, run("e", True))
        assert (evidence.counts.n, evidence.e_value, other.counts.n) == (0, 1.0, 1)


def test_open_states_are_running_and_watch_alone():
    assert [state for state in STATES if replace(guard("running"), state=state).open] == ["running", "watch"]
