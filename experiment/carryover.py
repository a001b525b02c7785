"""Carry-over: does the arm of the previous call on a device still show in the next one?

Assignment per run lets one child meet both arms in turn. If an answer of the adapter changed what the child asks or
likes next, the two arms would contaminate each other, and sticky assignment would be the right unit. The previous
call's arm was drawn at random and independently of this one's, so the outcome is compared between previous arms,
within own arm and stratum (the crossover trial's carry-over contrast: Jones & Kenward, *Design and Analysis of
Cross-Over Trials*, 2014, chapter 2).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from experiment.observations import Observations, Stratum, reduce_calls
from experiment.rerandomisation import Rerandomisation, rerandomise

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class CarryOver(NamedTuple):
    """What the previous call's arm changes in the next call."""

    result: Rerandomisation
    """Difference 'previous call on the arm' − 'previous call on the base'."""
    suspected: bool
    """The p-value is at most alpha."""
    sentence: str


def lagged(
    *,
    arms: tuple[str, ...],
    strata: tuple[Stratum, ...],
    stratum: Ints,
    device: Ints,
    arm: Ints,
    y: npt.ArrayLike,
    split: Bools | None = None,
    binary: bool = True,
) -> Observations:
    """Calls in order of time, each with the arm of the device's previous call in its stratum in place of its own.

    The strata of the result are (stratum, own arm). The first call of a device has no predecessor and is left out; so
    is a call whose predecessor was not assigned by ``split``, since nobody drew that arm.

    Args:
        arms: names of the arms.
        strata: what the stratum codes mean.
        stratum: code per call.
        device: code per call.
        arm: code per call.
        y: outcome per call.
        split: True where the call was assigned by ``split``; None: all were.
        binary: the outcome is 0 or 1.
    """
    drawn = np.ones(device.size, np.bool_) if split is None else split
    order = np.lexsort((np.arange(device.size), stratum, device))
    same = (np.diff(device[order]) == 0) & (np.diff(stratum[order]) == 0)
    this, before = order[1:][same], order[:-1][same]
    keep = drawn[this] & drawn[before]
    this, before = this[keep], before[keep]
    count = len(arms)
    crossed = tuple(
        Stratum(f"{item.phase}, own arm {name}", item.epoch, item.template, item.weights)
        for item in strata
        for name in arms
    )
    return reduce_calls(
        arms=arms,
        strata=crossed,
        unit="run",
        stratum=stratum[this] * count + arm[this],
        device=device[this],
        unit_key=np.arange(this.size, dtype=np.int64),
        arm=arm[before],
        y=np.asarray(y, dtype=np.float64)[this],
        binary=binary,
    )


def carry_over(
    calls: Observations,
    arm: str,
    base: str,
    seed: int | np.random.Generator,
    *,
    alpha: float = 0.05,
    draws: int = 2_000,
) -> CarryOver:
    """Test whether the previous call's arm predicts the outcome.

    Redrawing the previous arms with the own arms fixed is not a draw that could have happened (an own arm is the next
    call's previous arm), but neighbouring terms are uncorrelated, so the variance and with it the test are right in
    large samples; with arms that truly differ, too.

    Args:
        calls: as ``lagged`` makes them.
        arm: the arm whose traces are looked for.
        base: the arm it is compared with.
        seed: a seed or a generator.
        alpha: level of suspicion.
        draws: assignments to draw.

    Raises:
        ValueError: sticky assignment, where the previous call has the same arm by design.
    """
    if calls.unit != "run":
        raise ValueError("carry-over can be tested under assignment per run only: sticky, all calls of a device agree")
    result = rerandomise(calls.compare(arm, base), seed, draws=draws)
    suspected = bool(result.p_value <= alpha)
    if np.isnan(result.p_value):
        sentence = "no call follows a call of the other arm on the same device: nothing to see yet"
    elif suspected:
        sentence = (
            f"carry-over suspected (p = {result.p_value:.3f}): after a call on {arm} the outcome differs by "
            f"{result.difference.estimate:+.3f}; consider unit = 'device'"
        )
    else:
        sentence = f"no sign of carry-over (p = {result.p_value:.2f})"
    return CarryOver(result, suspected, sentence)
