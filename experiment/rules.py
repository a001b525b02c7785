"""R1 and R2, and one arm's running evidence: what the guard knows since the arm was armed."""

from fractions import Fraction
from typing import Literal, NamedTuple

from experiment.counting import PromptRun
from experiment.detector import Detector
from experiment.limits import GuardLimits

Rule = Literal["R1", "R2", "R3"]


class Counts(NamedTuple):
    """n prompt-runs, S of them blocked, from so many devices."""

    n: int
    blocked: int
    devices: int
    """Devices with at least one counted prompt-run; 0 where none is known."""
    blocked_devices: int
    """Devices with at least one block."""
    deviceless: int
    """Prompt-runs for which no device is known."""


def excess(n: int, blocked: int, limit: Fraction) -> Fraction:
    """X = S − p₀·n, exactly."""
    return blocked - limit * n


def count_rule(n: int, blocked: int, limits: GuardLimits) -> Literal["R1", "R2"] | None:
    """R1: n < 200 and X ≥ 3. R2: n ≥ 200 and S/n > 5 %. Compared in integers (20·S − n ≥ 60; 20·S > n)."""
    a, b = limits.limit.numerator, limits.limit.denominator
    scaled = b * blocked - a * n
    if n < limits.min_n:
        return "R1" if scaled * limits.excess.denominator >= limits.excess.numerator * b else None
    return "R2" if scaled > 0 else None


def above_limit(n: int, blocked: int, limit: Fraction) -> bool:
    """S/n > limit: the WATCH line. False at n = 0."""
    return limit.denominator * blocked > limit.numerator * n


class ArmEvidence:
    """Counts and detector of one arm, folded prompt-run by prompt-run in commit order.

    The caller passes each (device, prompt) pair once per epoch: the warehouse looks pairs up in ``prompt_runs``,
    :mod:`experiment.replay` keeps a set.
    """

    def __init__(self, limits: GuardLimits) -> None:
        self.limits = limits
        self._n = 0
        self._blocked = 0
        self._deviceless = 0
        self._device_blocks: dict[str, int] = {}
        self._blocked_devices = 0
        self._detector = Detector(limits.limit, limits.device_cap)

    def copy(self) -> "ArmEvidence":
        """An independent copy, for a transaction that may fail."""
        other = object.__new__(ArmEvidence)
        other.__dict__.update(self.__dict__)
        other._device_blocks = dict(self._device_blocks)
        other._detector = self._detector.copy()
        return other

    def add(self, run: PromptRun) -> None:
        """Fold in one counted prompt-run."""
        before = self._device_blocks.get(run.device, 0) if run.device else 0
        self._detector.add(blocked=run.blocked, device_blocks_before=before)
        self._n += 1
        self._blocked += int(run.blocked)
        if not run.device:
            self._deviceless += 1
            return
        self._device_blocks[run.device] = before + int(run.blocked)
        if run.blocked and before == 0:
            self._blocked_devices += 1

    @property
    def counts(self) -> Counts:
        """What has been counted so far."""
        return Counts(self._n, self._blocked, len(self._device_blocks), self._blocked_devices, self._deviceless)

    @property
    def detector(self) -> float:
        """The R3 statistic."""
        return self._detector.value

    def rule(self) -> Rule | None:
        """The first rule that holds now, R1 and R2 before R3; None if none does."""
        by_count = count_rule(self._n, self._blocked, self.limits)
        if by_count is not None:
            return by_count
        return "R3" if self._detector.value >= self.limits.detector else None
