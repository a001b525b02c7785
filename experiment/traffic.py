"""Seeded workshop traffic: what the host sends, with effects planted per arm and metric.

Used by tests, by the demo and by ``equipoise simulate`` ('how long will I need?'). Everything is drawn from one seed;
times are seconds after the start of the experiment. The sizes and rhythms are those of HOST.md (7 to 12 devices and 50
to 470 requests a workshop, in bursts). Within a device outcomes are beta-binomial with intra-class correlation ρ
(Skellam, JRSS B 1948): calls of one child resemble each other, which is what makes naive standard errors too small.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from experiment.traffic_plan import DAY, HOUR, RATED, Rated, TrafficPlan

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Traffic:
    """Stage 2 calls in order of time, one array element each, and the regenerations of their images.

    A regeneration is a run of its own but no Stage 2 call (HOST.md): it carries the arm of the call it repeats.
    """

    plan: TrafficPlan
    t: Floats
    """Seconds after the start, rising."""
    workshop: Ints
    device: Ints
    """Device-days, numbered over all workshops."""
    prompt: Ints
    """Equal for a prompt and its resubmissions; a (device, prompt) pair is one prompt-run."""
    phase: Ints
    arm: Ints
    config: Ints
    language: Ints
    safety_level: Ints
    refused: Bools
    edited: Bools
    blocked: npt.NDArray[np.int8]
    """1 blocked, 0 passed, −1 no verdict (level without Stage 3, or lost)."""
    latency_s: Floats
    fidelity: Floats
    favourite_at: Floats
    """Seconds after the start; NaN: no favourite."""
    regenerated: Bools
    regeneration_of: Ints
    """Per regeneration: index of the call it repeats."""
    regeneration_at: Floats

    @property
    def unit(self) -> Ints:
        """The assignment unit of every call: the device, or the call's own run."""
        return self.device if self.plan.unit == "device" else np.arange(self.t.size, dtype=np.int64)

    @property
    def favourite(self) -> Bools:
        """Whether a call ever became a favourite."""
        return ~np.isnan(self.favourite_at)


def generate(plan: TrafficPlan, seed: int | np.random.Generator) -> Traffic:
    """Draw one season of traffic.

    Args:
        plan: parameters.
        seed: a seed or a generator; the same plan and seed give the same traffic.
    """
    rng = np.random.default_rng(seed)
    workshop, device, devices, t = _visits(plan, rng)
    n = t.size
    prompt = np.arange(n, dtype=np.int64)
    own = {name: _devices(plan, name, devices, rng) for name in RATED}
    by_device, by_workshop = rng.random(devices), int(workshop.max()) + 1
    level = _choose(plan.safety_levels, by_workshop, rng)[workshop]
    guarded = np.isin(level, [i for i, (name, _) in enumerate(plan.safety_levels) if name in ("kids", "youth")])
    # A prompt is blocked or not; the same text sent again meets the same check and mostly the same answer.
    source = np.arange(n, dtype=np.int64)
    starts = np.array([phase.from_workshop for phase in plan.phases])
    phase = np.searchsorted(starts, workshop, side="right") - 1
    arm = _assign(plan, phase, by_device[device] if plan.unit == "device" else rng.random(n))
    progress = np.linspace(0.0, 1.0, n)
    blocked = guarded & (rng.random(n) < own["blocked"][arm, device])
    again, at, barred = _resubmissions(plan, source[blocked], t[blocked], rng)
    index = np.concatenate([source, again])
    time = np.concatenate([t, at])
    blocked = np.concatenate([blocked, barred])
    if plan.unit == "run" and again.size:
        arm = np.concatenate([arm, _assign(plan, phase[again], rng.random(again.size))])
    else:
        arm = arm[index]
    order = np.argsort(time, kind="stable")[: plan.calls]
    index, time, blocked, arm = index[order], time[order], blocked[order], arm[order]
    size = index.size
    # Rates belong to the arm that answered, which a resubmission may have drawn anew.
    rates = {name: own[name][arm, device[index]] for name in RATED}
    if plan.favourite_drift:
        rates["favourite"] = _shift(rates["favourite"], plan.favourite, plan.favourite_drift * progress[index])
    draw = {name: rng.random(size) < rates[name] for name in RATED}
    favourite_at = np.where(draw["favourite"] & ~blocked, time + _favourite_delay(plan, size, rng), np.nan)
    regenerated = draw["regeneration"] & ~blocked
    repeats = np.repeat(
        np.flatnonzero(regenerated), rng.geometric(1 - min(plan.regenerate_again, 0.95), regenerated.sum())
    )
    factor = np.array([1.0, *(effect.latency for effect in plan.effects)])
    shift = np.array([0.0, *(effect.fidelity for effect in plan.effects)])
    unknown = ~guarded[index] | (rng.random(size) < plan.verdict_missing)
    popularity = tuple((str(i), 1 / (i + 1)) for i in range(plan.configs))
    return Traffic(
        plan=plan,
        t=time,
        workshop=workshop[index],
        device=device[index],
        prompt=prompt[index],
        phase=phase[index],
        arm=arm,
        config=_choose(popularity, n, rng)[index],
        language=_choose(plan.languages, devices, rng)[device[index]],
        safety_level=level[index],
        refused=draw["refused"],
        edited=draw["edited"] & ~blocked,
        blocked=np.where(unknown, -1, blocked).astype(np.int8),
        latency_s=plan.latency_s * factor[arm] * np.exp(plan.latency_sigma * rng.standard_normal(size)),
        fidelity=np.clip(plan.fidelity + shift[arm] + rng.normal(0, 0.8, size), 1, 5),
        favourite_at=favourite_at,
        regenerated=regenerated,
        regeneration_of=repeats.astype(np.int64),
        regeneration_at=time[repeats] + rng.exponential(90.0, repeats.size),
    )


def _visits(plan: TrafficPlan, rng: np.random.Generator) -> tuple[Ints, Ints, int, Floats]:
    """Workshops with their devices and the times of their first calls: (workshop, device, devices, seconds)."""
    low, high = plan.requests_per_workshop
    expected = int(plan.calls / low) + 2
    sizes = np.exp(rng.uniform(np.log(low), np.log(high + 1), expected)).astype(np.int64)
    last = int(np.searchsorted(np.cumsum(sizes), plan.calls)) + 1
    sizes = sizes[:last]
    members = rng.integers(plan.devices_per_workshop[0], plan.devices_per_workshop[1] + 1, last)
    weight = np.concatenate([[0.0], np.cumsum(rng.gamma(plan.activity, 1 / plan.activity, members.sum()))])
    ends = np.cumsum(members)
    workshop = np.repeat(np.arange(last), sizes)
    left, right = weight[ends - members][workshop], weight[ends][workshop]
    device = np.searchsorted(weight, left + rng.random(workshop.size) * (right - left), side="right") - 1
    device = np.clip(device, (ends - members)[workshop], ends[workshop] - 1)
    span = plan.workshop_hours * HOUR
    centres = rng.uniform(0, span * 0.9, (last, plan.bursts))
    burst = centres[workshop, rng.integers(0, plan.bursts, workshop.size)]
    t = workshop * plan.workshop_every_days * DAY + np.minimum(burst + rng.exponential(240.0, workshop.size), span)
    order = np.argsort(t, kind="stable")
    times: Floats = np.asarray(t[order], dtype=np.float64)
    return workshop[order].astype(np.int64), np.asarray(device[order], dtype=np.int64), int(members.sum()), times


def _devices(plan: TrafficPlan, name: Rated, devices: int, rng: np.random.Generator) -> Floats:
    """Each device's own rate under each arm: shape (arms, devices).

    In every arm the rates are Beta with that arm's mean m and variance ρ·m·(1 − m), so that ρ is the same in all. A
    device keeps its rank: a child that likes much under one arm likes much under the other.
    """
    rate = getattr(plan, name)
    means = [rate, *(rate + getattr(effect, name) for effect in plan.effects)]
    own = np.tile(np.array(means, dtype=np.float64)[:, None], devices)
    if plan.icc == 0 or rate in (0.0, 1.0):
        return own
    spread = (1 - plan.icc) / plan.icc
    own[0] = rng.beta(rate * spread, (1 - rate) * spread, devices)
    rank = special.betainc(rate * spread, (1 - rate) * spread, own[0]) if len(set(means)) > 1 else None
    for arm, mean in enumerate(means[1:], start=1):
        if mean == rate:
            own[arm] = own[0]
        elif 0 < mean < 1:
            own[arm] = special.betaincinv(mean * spread, (1 - mean) * spread, rank)
    return own


def _shift(own: Floats, rate: float, shift: Floats) -> Floats:
    """Move rates so that their mean moves by ``shift`` and none leaves [0, 1]; for the drift within a season."""
    up = own + shift * (1 - own) / (1 - rate) if rate < 1 else own
    down = own * (1 + shift / rate) if rate > 0 else own
    return np.clip(np.where(shift >= 0, up, down), 0.0, 1.0)


def _assign(plan: TrafficPlan, phase: Ints, u: Floats) -> Ints:
    """Arm of each call: u in [0, 1) stands for the hash of the unit, compared with the phase's cumulative weights."""
    edges = np.array([np.cumsum(item.weights) / sum(item.weights) for item in plan.phases])
    return np.asarray((u[:, None] >= edges[phase]).sum(axis=1), dtype=np.int64)


def _choose(options: tuple[tuple[str, float], ...], size: int, rng: np.random.Generator) -> Ints:
    shares = np.array([share for _, share in options], dtype=np.float64)
    return rng.choice(len(options), size=size, p=shares / shares.sum()).astype(np.int64)


def _favourite_delay(plan: TrafficPlan, size: int, rng: np.random.Generator) -> Floats:
    soon, late = rng.exponential(300.0, size), rng.exponential(plan.favourite_late_days * DAY, size)
    return np.where(rng.random(size) < plan.favourite_late, late, soon)


def _resubmissions(plan: TrafficPlan, source: Ints, t: Floats, rng: np.random.Generator) -> tuple[Ints, Floats, Bools]:
    """Blocked prompts sent again until they pass or the child gives up, at most five times."""
    sources, times, results = [np.empty(0, np.int64)], [np.empty(0)], [np.empty(0, np.bool_)]
    for _ in range(5):
        retry = rng.random(source.size) < plan.resubmit
        source, t = source[retry], t[retry] + rng.exponential(40.0, int(retry.sum()))
        blocked = rng.random(source.size) < plan.blocked_again
        sources.append(source)
        times.append(t)
        results.append(blocked)
        source, t = source[blocked], t[blocked]
    return np.concatenate(sources), np.concatenate(times), np.concatenate(results)
