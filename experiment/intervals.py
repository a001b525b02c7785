"""Exact binomial intervals."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.stats import beta


class Interval(NamedTuple):
    """A two-sided interval for a proportion, both ends in [0, 1]."""

    low: float
    high: float


def clopper_pearson(k: int, n: int, level: float = 0.95) -> Interval:
    """Exact two-sided interval for k of n (Clopper & Pearson, Biometrika 1934).

    Args:
        k: successes, 0 … n.
        n: trials; with n = 0 nothing is known and the interval is (0, 1).
        level: confidence level in (0, 1).

    Raises:
        ValueError: k outside 0 … n, or level outside (0, 1).
    """
    if not 0 <= k <= n:
        raise ValueError(f"k = {k} is not within 0 … n = {n}")
    if not 0 < level < 1:
        raise ValueError(f"level = {level} is not within (0, 1)")
    if n == 0:
        return Interval(0.0, 1.0)
    tail = (1 - level) / 2
    low = 0.0 if k == 0 else float(beta.ppf(tail, k, n - k + 1))
    high = 1.0 if k == n else float(beta.ppf(1 - tail, k + 1, n - k))
    return Interval(low, high)


class Intervals(NamedTuple):
    """Two-sided intervals for many proportions, one per position."""

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def clopper_pearson_many(k: npt.ArrayLike, n: npt.ArrayLike, level: float = 0.95) -> Intervals:
    """:func:`clopper_pearson` for arrays of equal length, at the cost of one.

    Args:
        k: successes, each 0 … n.
        n: trials.
        level: confidence level in (0, 1).

    Raises:
        ValueError: a k outside 0 … n, or level outside (0, 1).
    """
    successes, trials = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if not ((successes >= 0) & (successes <= trials)).all():
        raise ValueError("every k must lie within 0 … n")
    if not 0 < level < 1:
        raise ValueError(f"level = {level} is not within (0, 1)")
    tail = (1 - level) / 2
    # Where an end is fixed, parameters that beta has stand in for those it has not.
    low = beta.ppf(tail, np.maximum(successes, 1), trials - successes + 1)
    high = beta.ppf(1 - tail, successes + 1, np.maximum(trials - successes, 1))
    return Intervals(np.where(successes == 0, 0.0, low), np.where(successes == trials, 1.0, high))
