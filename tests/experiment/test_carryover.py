"""Traces of the previous call's arm are found, and a difference of the arms is not taken for one."""

import numpy as np
import pytest

from experiment.carryover import carry_over, lagged
from experiment.observations import Observations, Stratum
from experiment.traffic import generate
from experiment.traffic_plan import Effects, Phase, TrafficPlan

ARMS = ("base", "adapter")
STRATA = (Stratum("1", 1, "t1", (50, 50)),)


def simulated(trace: float, seed: int) -> Observations:
    plan = TrafficPlan(calls=1_500, phases=(Phase(weights=(50, 50)),), effects=(Effects(favourite=0.1),), blocked=0.0)
    traffic = generate(plan, seed)
    order = np.argsort(traffic.device, kind="stable")
    after = np.zeros(traffic.t.size, np.bool_)
    follows = (np.diff(traffic.device[order]) == 0) & (traffic.arm[order][:-1] == 1)
    after[order[1:][follows]] = True
    y = traffic.favourite | (after & (np.random.default_rng(seed).random(after.size) < trace))
    return lagged(arms=ARMS, strata=STRATA, stratum=traffic.phase, device=traffic.device, arm=traffic.arm, y=y)


def test_arms_that_differ_leave_no_trace_by_themselves() -> None:
    suspected = sum(carry_over(simulated(0.0, i), "adapter", "base", i, draws=199).suspected for i in range(150))
    assert suspected / 150 <= 0.1


def test_a_trace_of_fifteen_points_is_found() -> None:
    result = carry_over(simulated(0.15, 1), "adapter", "base", 1, draws=499)
    assert result.suspected
    assert "carry-over suspected" in result.sentence
    assert result.result.difference.estimate == pytest.approx(0.13, abs=0.06)


def test_the_first_call_of_a_device_has_no_predecessor() -> None:
    # Device 1: base, adapter, base; device 2: one call. Two calls have a predecessor: after base, after adapter.
    cells = lagged(
        arms=ARMS, strata=STRATA, stratum=np.zeros(4, np.int64), device=np.array([1, 2, 1, 1]),
        arm=np.array([0, 1, 1, 0]), y=np.array([1, 1, 0, 1]),
    )  # fmt: skip
    assert sorted(zip(cells.arm.tolist(), cells.y.tolist(), strict=True)) == [(0, 0.0), (1, 1.0)]
    assert [cells.strata[s].phase for s in sorted(cells.stratum)] == ["1, own arm base", "1, own arm adapter"]


def test_a_predecessor_that_nobody_drew_is_left_out() -> None:
    cells = lagged(
        arms=ARMS, strata=STRATA, stratum=np.zeros(3, np.int64), device=np.ones(3, np.int64), arm=np.array([0, 1, 0]),
        y=np.zeros(3), split=np.array([True, False, True]),
    )  # fmt: skip
    assert cells.n.size == 0
    assert carry_over(cells, "adapter", "base", 1).sentence.startswith("no call follows")


def test_sticky_assignment_has_no_carry_over_to_test() -> None:
    cells = simulated(0.0, 1)
    sticky = Observations(**{**cells.__dict__, "unit": "device"})
    with pytest.raises(ValueError, match="per run only"):
        carry_over(sticky, "adapter", "base", 1)
