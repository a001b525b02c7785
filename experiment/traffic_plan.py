"""Parameters of the traffic generator, checked; sizes and rhythms as HOST.md gives them."""

from dataclasses import dataclass
from typing import Final, Literal

from experiment.arms import Unit

HOUR: Final = 3_600.0
DAY: Final = 86_400.0
Rated = Literal["favourite", "regeneration", "blocked", "refused", "edited"]
RATED: Final[tuple[Rated, ...]] = ("favourite", "regeneration", "blocked", "refused", "edited")


@dataclass(frozen=True)
class Effects:
    """What an adapter changes: rates in points (0.05 = 5 points), latency as a factor, fidelity in score units."""

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
        shares = (
            *RATED,
            "resubmit",
            "blocked_again",
            "regenerate_again",
            "verdict_missing",
            "favourite_late",
        )
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
        positive = (
            "calls",
            "activity",
            "workshop_every_days",
            "workshop_hours",
            "bursts",
            "configs",
            "latency_s",
        )
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} = {getattr(self, name)} must be above 0")
        for name in ("languages", "safety_levels"):
            if not getattr(self, name) or sum(share for _, share in getattr(self, name)) <= 0:
                raise ValueError(f"{name}: at least one entry with a share above 0")


def _check(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name} = {value:g} is not within {low:g} … {high:g}")
