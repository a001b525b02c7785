"""The simulation decides as the real guard does, its traffic is what it says, and every simulated bound is kept."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks import simulate_guard
from benchmarks.guard_figures import Figure, Simulation
from benchmarks.guard_retries import drawn_again, kept_on_arm
from benchmarks.guard_streams import Streams, workshops
from benchmarks.guard_twin import NEVER, Watched, fold_streams
from experiment.counting import PromptRun
from experiment.guard import ArmGuard, Evidence, fold
from experiment.limits import GuardLimits

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
RULES = {None: 0, "R1": 1, "R2": 2, "R3": 3}


def streams(seed: int, runs: int, length: int, devices: int) -> Streams:
    """Few devices, so that cap and window bite; rates from harmless to harmful, with a burst in every other run."""
    rng = np.random.default_rng(seed)
    rates = np.repeat(rng.choice([0.01, 0.05, 0.1, 0.3], (runs, 1)), length, axis=1)
    rates[::2, length // 2 :] = 0.25
    return Streams(rng.integers(0, devices, (runs, length)).astype(np.int32), rng.random((runs, length)) < rates)


def real(device: np.ndarray, blocked: np.ndarray, limits: GuardLimits, late: int) -> tuple[int, int, int, bool, float]:
    """Trip, rule, first E at the threshold, grade by the last late verdict, E at the end: by the real fold."""
    guard, evidence = ArmGuard(state="running", epoch=1), Evidence(limits)
    trip, exceeded, confirmed = NEVER, NEVER, False
    for n, (name, verdict) in enumerate(zip(device.tolist(), blocked.tolist(), strict=True), start=1):
        step = fold(guard, evidence, PromptRun(str(n), "adapter", f"d{name}", f"p{n}", verdict, NOON))
        guard = step.after if step else guard
        if step and step.action == "trip":
            trip = n
        if exceeded == NEVER and evidence.e_value >= limits.confirm:
            exceeded = n
        if n <= trip + late:
            confirmed = guard.grade == "confirmed"
    return trip, RULES[guard.rule], exceeded, confirmed, evidence.e_value


@pytest.mark.parametrize("devices", [3, 12, 60])
@pytest.mark.parametrize(
    "limits",
    [GuardLimits(), GuardLimits(detector=50, confirm=3), GuardLimits(min_n=20, confirm=20), GuardLimits(detector=1e3)],
    ids=["defaults", "sensitive", "early R2", "R3 first"],
)
def test_twin_equals_the_real_fold(limits: GuardLimits, devices: int) -> None:
    made = streams(devices, 24, 320, devices)
    twin = fold_streams(made, Watched(evidence=True, late=20, stop_when_tripped=False), limits)
    for run in range(24):
        trip, rule, exceeded, confirmed, e_value = real(made.device[run], made.blocked[run], limits, 20)
        assert (twin.trip[run], twin.rule[run]) == (trip, rule), run
        assert (twin.exceeded[run], twin.confirmed[run]) == (exceeded, confirmed), run
        assert twin.e_value[run] == pytest.approx(e_value, rel=1e-9)


def test_twin_equals_the_real_e_value_event_for_event() -> None:
    made, limits = streams(4, 12, 60, 5), GuardLimits()
    evidence = [Evidence(limits) for _ in range(12)]
    for n in range(1, 61):
        twin = fold_streams(
            Streams(made.device[:, :n], made.blocked[:, :n]), Watched(evidence=True, stop_when_tripped=False)
        )
        for run, one in enumerate(evidence):
            device, verdict = f"d{made.device[run, n - 1]}", bool(made.blocked[run, n - 1])
            one.arm.add(PromptRun("e", "adapter", device, "p", verdict, NOON))
            one.version.add(device=device, blocked=verdict)
            assert twin.e_value[run] == pytest.approx(one.e_value, rel=1e-9), (run, n)


@pytest.mark.parametrize("threshold", [5.0, 30.0, 200.0, 1e4])
def test_twin_equals_the_real_detector_event_for_event(threshold: float) -> None:
    """R3 alone crosses each of several thresholds at the same event; without its cap where no device is known."""
    made, limits = streams(9, 24, 250, 7), GuardLimits(detector=threshold)
    for cap, name in ((2, "d{}"), (None, "")):
        twin = fold_streams(made, Watched(counts=False, cap=cap), limits)
        for run in range(24):
            evidence, trip = Evidence(limits), NEVER
            for n in range(1, 251):
                device = name.format(made.device[run, n - 1])
                evidence.arm.add(PromptRun("e", "adapter", device, "p", bool(made.blocked[run, n - 1]), NOON))
                if trip == NEVER and evidence.arm.detector >= threshold:
                    trip = n
            assert twin.trip[run] == trip, (run, cap)


@pytest.mark.parametrize(("unit", "mean"), [("run", 22.5 * 0.1 / (1 - 0.144)), ("device", 22.5)])
def test_traffic_has_the_devices_and_prompts_it_says(unit: str, mean: float) -> None:
    """Per run a device with any prompt has 2.25/(1 − P(none)) ≈ 2.6 of them; sticky it has all of its 22.5."""
    made = workshops(np.random.default_rng(1), 20, 3_000, rate=0.2, unit=unit)  # type: ignore[arg-type]
    sizes = np.concatenate([np.bincount(row)[1:-40] for row in made.device])
    assert sizes[sizes > 0].mean() == pytest.approx(mean, rel=0.05)
    assert sizes.max() <= 40
    assert made.blocked.mean() == pytest.approx(0.2, abs=0.01)


def test_traffic_is_clustered_as_it_says() -> None:
    """Sticky, ρ = .2: two verdicts of one device correlate by .2; without ρ they don't."""
    for rho in (0.0, 0.2):
        made = workshops(np.random.default_rng(2), 60, 3_000, rate=0.3, rho=rho, unit="device")
        pairs = [
            row.blocked[np.flatnonzero(row.device == device)[:2]]
            for row in (Streams(d, b) for d, b in zip(made.device, made.blocked, strict=True))
            for device in range(100)
        ]
        first, second = np.array([pair for pair in pairs if len(pair) == 2]).T
        assert np.corrcoef(first, second)[0, 1] == pytest.approx(rho, abs=0.05)


def test_a_burst_begins_where_it_says() -> None:
    made = workshops(np.random.default_rng(3), 100, 1_600, rate=0.01, burst=(800, 0.15))
    assert made.blocked[:, :800].mean() == pytest.approx(0.01, abs=0.002)
    assert made.blocked[:, 800:].mean() == pytest.approx(0.15, abs=0.01)


def test_resubmission_turns_2_percent_of_prompts_into_4_25_percent_of_calls() -> None:
    """.02/(1 − .54) blocks on 1 + .02·.6/(1 − .54) calls: .04348/1.02609 = 4.24 %."""
    rng = np.random.default_rng(4)
    assert kept_on_arm(rng, 200, 3_000, 0.02, "prompts").blocked.mean() == pytest.approx(0.02, abs=0.001)
    assert kept_on_arm(rng, 200, 3_000, 0.02, "calls").blocked.mean() == pytest.approx(0.0424, abs=0.0025)


def test_a_repeat_that_is_drawn_again_brings_the_bases_blocked_prompts_to_the_adapter() -> None:
    """Both arms block 2 %, but the adapter's pairs are blocked at about 3.8 %: see docs/methods/guard.md."""
    rng = np.random.default_rng(5)
    assert drawn_again(rng, 60, 3_000, 0.02).blocked.mean() == pytest.approx(0.038, abs=0.003)
    once = drawn_again(rng, 60, 3_000, 0.02, first_arm_only=True)
    assert once.blocked.mean() == pytest.approx(0.02, abs=0.002)


@pytest.fixture(scope="module")
def figures() -> list[Figure]:
    return list(Simulation(simulate_guard.QUICK_RUNS, simulate_guard.SEED).figures())


@pytest.mark.slow
def test_every_simulated_bound_is_kept(figures: list[Figure]) -> None:
    """Each with four standard errors of slack for 300 runs; `make simulate` checks them with 4,000 and none."""
    bounded = [figure for figure in figures if figure.bound is not None]
    assert len(bounded) >= 25
    missed = [f"{f.group} ({f.model}): {f.value:.4g} ± {f.error:.2g}, bound {f.bound}" for f in bounded
              if not f.holds(simulate_guard.QUICK_SLACK)]  # fmt: skip
    assert not missed, missed


@pytest.mark.slow
def test_the_cap_per_device_is_what_keeps_r3_quiet(figures: list[Figure]) -> None:
    """'without the cap it alone caused 33 % false rollbacks at p = 1 % sticky'."""
    alone = {figure.group.split()[2]: figure.value for figure in figures if figure.group.startswith("R3 alone")}
    assert alone["with"] <= 0.02
    assert alone["without"] >= 0.25


@pytest.mark.slow
def test_counting_calls_trips_on_a_harmless_prompt_rate(figures: list[Figure]) -> None:
    """'trips the guard in 71 % of tests instead of 0.7 %'."""
    calls = next(figure for figure in figures if "calls counted" in figure.group)
    assert calls.error is not None
    assert abs(calls.value - 0.71) <= 4 * calls.error, calls


def test_a_bound_that_is_missed_is_reported_as_missed() -> None:
    upper = Figure("g", "m", 0.03, "share", 0.002, 0.02)
    lower = Figure("g", "m", 0.9, "share", 0.01, 0.98, at_most=False)
    assert not upper.holds()
    assert not upper.holds(4)
    assert upper.holds(6)
    assert not lower.holds(4)
    assert lower.holds(9)
    assert "**no**" in simulate_guard.markdown([upper], 10)


def test_the_table_replaces_only_what_stands_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "guard.md"
    page.write_text(f"before\n{simulate_guard.BEGIN}\nold\n{simulate_guard.END}\nafter\n", encoding="utf-8")
    simulate_guard.write_between_marks(page, "new\n")
    assert page.read_text(encoding="utf-8") == f"before\n{simulate_guard.BEGIN}\nnew\n{simulate_guard.END}\nafter\n"


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "guard.md"
    page.write_text("mine\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="nothing written"):
        simulate_guard.write_between_marks(page, "new\n")
    assert page.read_text(encoding="utf-8") == "mine\n"
