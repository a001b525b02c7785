"""Sample-ratio mismatch: do the units arrive in the arms in the ratio of the weights?

If not, something loses or misroutes calls, and no comparison of the arms can be trusted. The test may be read after
every unit: a Bayes factor of a Dirichlet mixture against the weights is an e-process (Lindon & Malek, *Anytime-valid
inference for multinomial count data*, NeurIPS 2022), so it exceeds 1/α at any time with probability at most α. The
prior is centred on the weights and worth 10 units. Read after every unit, χ² at .05 is wrong in more than half of all
sound experiments.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CONCENTRATION: Final = 10.0
ALPHA: Final = 0.01


class Tally(NamedTuple):
    """Units seen so far in one phase; all that must be kept to go on later."""

    weights: tuple[int, ...]
    counts: tuple[int, ...]
    log_e: float = 0.0
    """Natural logarithm of the e-value now."""
    log_e_max: float = 0.0
    """Its largest value so far."""
    alarm_at: int = -1
    """Number of units (from 1) at which the alarm came; −1 for none. For the alpha it was updated with."""

    @property
    def units(self) -> int:
        """Units seen."""
        return sum(self.counts)


class SampleRatio(NamedTuple):
    """The test as it stands, over all phases."""

    counts: tuple[int, ...]
    expected: tuple[float, ...]
    e_value: float
    """Evidence now; may be huge."""
    p_value: float
    """Sequential p-value, 1 / the largest e-value so far, ≤ 1."""
    alarm: bool
    sentence: str


def start(weights: Sequence[int]) -> Tally:
    """A phase without units.

    Raises:
        ValueError: fewer than two weights above 0, or a negative one.
    """
    if min(weights) < 0 or sum(weight > 0 for weight in weights) < 2:
        raise ValueError(f"weights {tuple(weights)}: at least two must be above 0 and none negative")
    return Tally(tuple(weights), (0,) * len(weights))


def log_e_path(tally: Tally, arms: npt.ArrayLike, concentration: float = CONCENTRATION) -> Floats:
    """Logarithm of e after each further unit: shape (units,).

    Args:
        tally: the phase so far.
        arms: index of the arm of each new unit, in the order of arrival.
        concentration: how many units the prior is worth.

    Raises:
        ValueError: an index without an arm.
    """
    code = np.asarray(arms, dtype=np.int64)
    if code.size and not (code.min() >= 0 and code.max() < len(tally.weights)):
        raise ValueError(f"arm codes must be 0 … {len(tally.weights) - 1}")
    theta = np.array(tally.weights, dtype=np.float64) / sum(tally.weights)
    seen = np.empty(code.size)
    for arm, count in enumerate(tally.counts):
        mine = code == arm
        seen[mine] = count + np.arange(int(mine.sum()))
    before = tally.units + np.arange(code.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Predictive probability of the unit's arm under the mixture, over its probability by the weights.
        step = np.log((concentration * theta[code] + seen) / (concentration + before)) - np.log(theta[code])
    # A unit in an arm of weight 0 is impossible by the weights: infinite evidence.
    step = np.where(theta[code] == 0, np.inf, step)
    return np.asarray(tally.log_e + np.cumsum(step), dtype=np.float64)


def update(tally: Tally, arms: npt.ArrayLike, *, alpha: float = ALPHA, concentration: float = CONCENTRATION) -> Tally:
    """The tally after more units, in the order of arrival; equal whether they come at once or one by one."""
    code = np.asarray(arms, dtype=np.int64)
    if code.size == 0:
        return tally
    path = log_e_path(tally, code, concentration)
    counts = np.array(tally.counts) + np.bincount(code, minlength=len(tally.counts))
    over = np.flatnonzero(path >= -np.log(alpha))
    alarm_at = tally.alarm_at if tally.alarm_at > 0 or not over.size else tally.units + int(over[0]) + 1
    return Tally(
        tally.weights,
        tuple(int(n) for n in counts),
        float(path[-1]),
        max(tally.log_e_max, float(path.max())),
        alarm_at,
    )


def closed_form(tally: Tally, concentration: float = CONCENTRATION) -> float:
    """Logarithm of e from the counts alone: Dirichlet-multinomial over multinomial probability of the sequence."""
    theta = np.array(tally.weights, dtype=np.float64) / sum(tally.weights)
    counts = np.array(tally.counts, dtype=np.float64)
    used = theta > 0
    prior = concentration * theta[used]
    mixture = special.gammaln(concentration) - special.gammaln(concentration + counts.sum())
    mixture += (special.gammaln(prior + counts[used]) - special.gammaln(prior)).sum()
    return float(mixture - (counts[used] * np.log(theta[used])).sum())


def judge(phases: Sequence[Tally], arms: Sequence[str], alpha: float = ALPHA) -> SampleRatio:
    """All phases together: evidence multiplies, since each phase starts afresh after the one before.

    Args:
        phases: the tallies in order of time.
        arms: names of the arms, in the order of the weights.
        alpha: probability of an alarm, ever, in a sound experiment.

    Raises:
        ValueError: a phase with another number of arms.
    """
    log_e = log_max = 0.0
    counts, expected = np.zeros(len(arms)), np.zeros(len(arms))
    for phase in phases:
        if len(phase.weights) != len(arms):
            raise ValueError(f"a phase has {len(phase.weights)} weights for the {len(arms)} arms {tuple(arms)}")
        log_max = max(log_max, log_e + phase.log_e_max)
        log_e += phase.log_e
        counts += phase.counts
        expected += phase.units * np.array(phase.weights) / sum(phase.weights)
    alarm = log_max >= -np.log(alpha)
    p_value = float(np.exp(-log_max))
    shown = ", ".join(f"{name} {int(n)} (expected {e:.0f})" for name, n, e in zip(arms, counts, expected, strict=True))
    verdict = f"the arms do not get the share they should: {shown}" if alarm else f"shares as configured: {shown}"
    return SampleRatio(
        counts=tuple(int(n) for n in counts),
        expected=tuple(float(e) for e in expected),
        e_value=float(np.exp(min(log_e, 700.0))),
        p_value=p_value,
        alarm=bool(alarm),
        sentence=f"{verdict}; sequential p = {p_value:.2g}",
    )
