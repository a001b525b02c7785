"""Seeded workshop traffic: what the host sends, with effects planted per arm and metric.

Used by tests, by the demo and by ``equipoise simulate`` ('how long will I need?'). Everything is drawn from one seed;
times are seconds after the start of the experiment. The sizes and rhythms are those of HOST.md (7 to 12 devices and 50
to 470 requests a workshop, in bursts). Within a device outcomes are beta-binomial with intra-class correlation ρ
(Skellam, JRSS B 1948): calls of one child resemble each other, which is what makes naive standard errors too small.
"""

from dataclasses import dataclass, fields
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from experiment.arms import Unit

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

HOUR: Final = 3_600.0
DAY: Final = 86_400.0
Rated = Literal["favourite", "regeneration", "blocked", "refused", "edited"]
RATED: Final[tuple[Rated, ...]] = ("favourite", "regeneration", "blocked", "refused", "edited")


@dataclass(frozen=True)
class Effects:
    """What an adapter changes, in points of the rate (0.05 = 5 points); latency as a factor, fidelity in score units."""

    favourite: float = 0.0
    regeneration: float = 0.0
    blocked: float = 0.0
    refused: float = 0.0
    edited: float = 0.0
    latency: float = 1.0
    fidelity: float = 0.0


@dataclass(frozen=True)
class Phase:
    """A stretch of constant weights, from one workshop (counted from 0) to the next phase."""

    from_workshop: int = 0
    weights: tuple[int, ...] = (90, 10)
    epoch: int = 1
    template: str = "t1"


@dataclass(frozen=True)
class TrafficPlan:
    """All parameters of the generator; the defaults describe a typical season of the host.

    Raises:
        ValueError: a value outside its range; the message names the field and the range.
    """

    calls: int = 2_000
    """Stage 2 calls wanted; workshops are added until they are reached, the last one is cut."""
    arms: tuple[str, ...] = ("base", "adapter")
    unit: Unit = "run"
    phases: tuple[Phase, ...] = (Phase(),)
    effects: tuple[Effects, ...] = (Effects(),)
    """One per arm after the first, in their order."""
    icc: float = 0.15
    """ρ, intra-class correlation of calls within a device, 0 … < 1."""
    favourite: float = 0.10
    regeneration: float = 0.20
    blocked: float = 0.02
    """Per prompt, in levels with a Stage 3 (kids, youth)."""
    refused: float = 0.01
    edited: float = 0.15
    latency_s: float = 4.0
    """Median seconds of a call."""
    latency_sigma: float = 0.5
    """Standard deviation of log latency."""
    fidelity: float = 3.5
    """Mean judged score, 1 … 5."""
    favourite_drift: float = 0.0
    """Change of the favourite rate from the first call to the last, in points, the same in both arms."""
    resubmit: float = 0.6
    """Share of blocked prompts that the child sends again, unchanged."""
    blocked_again: float = 0.9
    regenerate_again: float = 0.3
    """Probability that a regenerated image is regenerated once more."""
    verdict_missing: float = 0.02
    favourite_late: float = 0.2
    """Share of favourites given days later, from the gallery; the rest come within minutes."""
    favourite_late_days: float = 4.0
    """Mean of the exponential delay of late favourites."""
    devices_per_workshop: tuple[int, int] = (7, 12)
    requests_per_workshop: tuple[int, int] = (50, 470)
    """Drawn log-uniformly: small workshops are more frequent."""
    activity: float = 20.0
    """Gamma shape of how active a device is; larger is more even."""
    workshop_every_days: float = 3.5
    workshop_hours: float = 3.0
    bursts: int = 6
    configs: int = 12
    languages: tuple[tuple[str, float], ...] = (("de", 0.8), ("en", 0.2))
    safety_levels: tuple[tuple[str, float], ...] = (("kids", 0.6), ("youth", 0.3), ("adult", 0.1))

    def __post_init__(self) -> None:
        shares = (*RATED, "resubmit", "blocked_again", "regenerate_again", "verdict_missing", "favourite_late")
        for name in shares:
            _check(name, getattr(self, name), 0, 1)
        for effect in self.effects:
            for name in RATED:
                _check(f"{name} of an adapter", getattr(self, name) + getattr(effect, name), 0, 1)
            if not effect.latency > 0:
                raise ValueError(f"latency effect {effect.latency} must be a factor above 0")
        _check("favourite at the end of the drift", self.favourite + self.favourite_drift, 0, 1)
        if not 0 <= self.icc < 1:
            raise ValueError(f"icc = {self.icc} is not within 0 … < 1")
        if self.unit not in ("run", "device"):
            raise ValueError(f"unit {self.unit!r} must be 'run' or 'device'")
        if len(self.effects) != len(self.arms) - 1:
            raise ValueError(f"{len(self.arms) - 1} adapters need as many effects, got {len(self.effects)}")
        if not self.phases or self.phases[0].from_workshop != 0:
            raise ValueError("the first phase must start at workshop 0")
        starts = [phase.from_workshop for phase in self.phases]
        if starts != sorted(set(starts)):
            raise ValueError(f"phases must start at rising workshops, got {starts}")
        for phase in self.phases:
            if len(phase.weights) != len(self.arms) or min(phase.weights) < 0 or sum(phase.weights) <= 0:
                raise ValueError(f"weights {phase.weights}: one integer >= 0 per arm, not all 0")
        for name in ("devices_per_workshop", "requests_per_workshop"):
            low, high = getattr(self, name)
            if not 1 <= low <= high:
                raise ValueError(f"{name} = ({low}, {high}) must be 1 <= low <= high")
        positive = ("calls", "activity", "workshop_every_days", "workshop_hours", "bursts", "configs", "latency_s")
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)} must be above 0")
        for name in ("languages", "safety_levels"):
            if not getattr(self, name) or sum(share for _, share in getattr(self, name)) <= 0:
                raise ValueError(f"{name}: at least one entry with a share above 0")


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} = {value:g} is not within {low:g} … {high:g}")


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
    repeats = np.repeat(np.flatnonzero(regenerated), rng.geometric(1 - min(plan.regenerate_again, 0.95), regenerated.sum()))
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
    return workshop[order].astype(np.int64), device[order].astype(np.int64), int(members.sum()), t[order]


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
    return (u[:, None] >= edges[phase]).sum(axis=1).astype(np.int64)


def _choose(options: tuple[tuple[str, float], ...], size: int, rng: np.random.Generator) -> Ints:
    shares = np.array([share for _, share in options], dtype=np.float64)
    return rng.choice(len(options), size=size, p=shares / shares.sum()).astype(np.int64)


def _favourite_delay(plan: TrafficPlan, size: int, rng: np.random.Generator) -> Floats:
    soon, late = rng.exponential(300.0, size), rng.exponential(plan.favourite_late_days * DAY, size)
    return np.where(rng.random(size) < plan.favourite_late, late, soon)


def _resubmissions(
    plan: TrafficPlan, source: Ints, t: Floats, rng: np.random.Generator
) -> tuple[Ints, Floats, Bools]:
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


def names() -> tuple[str, ...]:
    """Names of the plan's parameters, for a command line that lists them."""
    return tuple(item.name for item in fields(TrafficPlan))
