"""What a planned experiment would show: synthetic traffic through the same estimates as the real one.

``equipoise simulate`` answers 'how long will I need?' twice: by the power formula, and by playing the season often.
"""

import math
from dataclasses import replace
from typing import Literal, NamedTuple

import numpy as np

from experiment.observations import Observations, Stratum, reduce_calls
from experiment.power import Design, calls_needed, detectable, power
from experiment.rerandomisation import rerandomise
from experiment.traffic import Traffic, generate
from experiment.traffic_plan import Rated, TrafficPlan

Metric = Literal["favourite", "regeneration", "blocked", "refused", "edited", "latency", "fidelity"]


class Simulated(NamedTuple):
    """What many seasons of one plan showed."""

    runs: int
    found: float
    """Share of seasons with a p-value of at most alpha."""
    error: float
    """Monte Carlo standard error of ``found``."""
    covered: float
    """Share of shown intervals that contain the planted difference; NaN if none could be shown."""
    shown: float
    """Share of seasons that had enough devices and events for an interval."""


class Forecast(NamedTuple):
    """How long an experiment needs."""

    design: Design
    calls: float
    """Calls of both arms until the effect is found with the power wanted."""
    workshops: float
    calls_even: float
    """The same at 50/50."""
    workshops_even: float
    rise: float
    """Smallest rise that the plan's own number of calls finds; NaN for none."""
    fall: float
    power_planned: float
    """Power for the effect with the plan's own number of calls."""


def observe(traffic: Traffic, metric: Metric) -> Observations:
    """Synthetic traffic as cells, as the warehouse would fold it; one stratum per phase.

    For ``blocked`` only calls with a verdict count.
    """
    plan = traffic.plan
    strata = tuple(Stratum(str(i), p.epoch, p.template, p.weights) for i, p in enumerate(plan.phases))
    columns = {
        "favourite": traffic.favourite,
        "regeneration": traffic.regenerated,
        "blocked": traffic.blocked == 1,
        "refused": traffic.refused,
        "edited": traffic.edited,
        "latency": traffic.latency_s,
        "fidelity": traffic.fidelity,
    }
    return reduce_calls(
        arms=plan.arms,
        strata=strata,
        unit=plan.unit,
        stratum=traffic.phase,
        device=traffic.device,
        unit_key=traffic.unit,
        arm=traffic.arm,
        y=columns[metric],
        split=traffic.blocked >= 0 if metric == "blocked" else None,
        binary=metric not in ("latency", "fidelity"),
    )


def play(plan: TrafficPlan, metric: Rated, seed: int, *, runs: int = 200, draws: int = 499) -> Simulated:
    """Play the season again and again and count what the report would have said of the first adapter.

    Args:
        plan: with the effect planted.
        metric: a yes/no metric.
        seed: of the whole simulation.
        runs: seasons, at least 10.
        draws: re-randomisations per season.

    Raises:
        ValueError: fewer than 10 runs.
    """
    if runs < 10:
        raise ValueError(f"runs = {runs}: at least 10 are needed to say anything")
    truth = getattr(plan.effects[0], metric)
    found = shown = covered = 0
    for child in np.random.default_rng(seed).spawn(runs):
        comparison = observe(generate(plan, child), metric).compare(plan.arms[1], plan.arms[0])
        result = rerandomise(comparison, child, draws=draws)
        found += result.p_value <= 0.05
        if not math.isnan(result.low):
            shown += 1
            covered += result.low <= truth <= result.high
    rate = found / runs
    error = math.sqrt(max(rate * (1 - rate), 0.25 / runs) / runs)
    return Simulated(runs, rate, error, covered / shown if shown else math.nan, shown / runs)


def forecast(plan: TrafficPlan, metric: Rated, seed: int, *, effect: float, power_wanted: float = 0.8) -> Forecast:
    """How many calls and workshops the effect needs, at the plan's weights and at 50/50.

    The sizes of devices and workshops are taken from one synthetic season without effects.

    Args:
        plan: the season; its effects are ignored, its last phase's weights are used.
        metric: a yes/no metric.
        seed: of the season.
        effect: the smallest effect worth finding, in points (0.05 = 5 points), not 0.
        power_wanted: in (0, 1).

    Raises:
        ValueError: effect 0 or one that leaves 0 … 1, or weights of 0 for either arm.
    """
    base, arm = plan.phases[-1].weights[:2]
    if not (base > 0 and arm > 0):
        raise ValueError(f"weights {plan.phases[-1].weights}: base and adapter both need one above 0")
    season = generate(replace(plan, calls=max(plan.calls, 5_000)), seed)
    sizes = np.bincount(season.device)
    rate = getattr(plan, metric)
    # What a unit costs follows from ρ and the sizes exactly; one season's estimate would only add noise.
    effect_of_design = 1.0
    if plan.unit == "device":
        effect_of_design = 1 + (float((sizes**2).sum() / sizes.sum()) - 1) * plan.icc
    design = Design(rate, arm / (base + arm), effect_of_design)
    even = design._replace(share=0.5)
    part = (base + arm) / sum(plan.phases[-1].weights)
    per_workshop = season.t.size / (int(season.workshop.max()) + 1) * part
    need = calls_needed(design, effect, power_wanted=power_wanted)
    need_even = calls_needed(even, effect, power_wanted=power_wanted)
    planned = plan.calls * part
    return Forecast(
        design=design,
        calls=need,
        workshops=need / per_workshop,
        calls_even=need_even,
        workshops_even=need_even / per_workshop,
        rise=detectable(design, planned, power_wanted=power_wanted),
        fall=detectable(design, planned, fall=True, power_wanted=power_wanted),
        power_planned=power(design, planned, effect),
    )
