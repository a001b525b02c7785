"""Difference of two arms with an interval that knows that calls of one device resemble each other.

The estimate is a ratio of means per arm (sum of outcomes over calls), stratum by stratum, combined with the fixed
weights w_s = N₁N₀ / (N₁ + N₀) of Cochran (Biometrics 1954) and Mantel & Haenszel (JNCI 1959): the arms are only ever
compared within a stratum, and a stratum counts by what it can tell. Its variance is the delta method's for clusters
(Deng, Knoblich & Lu, KDD 2018, section 3), which tea-tasting computes. Two things are added to tea-tasting's
``RatioOfMeans``, which takes the arms for independent samples:

* under assignment per run one device has calls in both arms. Their covariance is subtracted; without it the interval
  is up to twice too wide (coverage 98 to 100 % instead of 95, measured in ``benchmarks/simulate_arms.py``);
* several strata, by centring each arm's calls within the stratum.

With one stratum and sticky assignment the result *is* ``RatioOfMeans``; per run it is statsmodels' cluster-robust
regression up to its small-sample factor (both in the tests).
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats
from tea_tasting.aggr import Aggregates

from experiment.observations import Comparison
from experiment.readiness import Readiness, readiness

Floats = npt.NDArray[np.float64]


class ArmMean(NamedTuple):
    """One arm in concurrent strata."""

    calls: int
    devices: int
    total: float
    """Sum of the outcome (number of favourites, seconds, …)."""
    mean: float
    """Outcome per call, weighted over strata like the difference; NaN without calls."""


class Difference(NamedTuple):
    """arm − base, in units of the outcome (for a rate: 0.05 = 5 points)."""

    arm: ArmMean
    base: ArmMean
    estimate: float
    """NaN without concurrent calls of both arms."""
    se: float
    """Standard error, clustered by device; NaN below two devices in an arm."""
    se_null: float
    """Standard error under redrawing, as if the arms did not differ: Σ_s (w_s/Σw)² Σ_units e² / (N₁ₛN₀ₛ)."""
    df: float
    """Welch–Satterthwaite degrees of freedom over the arms' devices."""
    low: float
    high: float
    level: float
    readiness: Readiness
    """Whether low and high may be shown; they are computed regardless where they exist."""


def difference(comparison: Comparison, level: float = 0.95) -> Difference:
    """Stratified difference of the arms with a Student interval clustered by device.

    Args:
        comparison: cells of two arms.
        level: confidence level in (0, 1).

    Raises:
        ValueError: level outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level = {level} is not within (0, 1)")
    numerators, denominators = standardised(comparison)
    present = denominators > 0
    devices = present.sum(axis=1)
    calls = [int(comparison.calls[comparison.treated == side].sum()) for side in (True, False)]
    sums = [float(comparison.totals[comparison.treated == side].sum()) for side in (True, False)]
    with np.errstate(invalid="ignore", divide="ignore"):
        means = numerators.sum(axis=1) / denominators.sum(axis=1)
    arm, base = (ArmMean(calls[i], int(devices[i]), sums[i], float(means[i])) for i in (0, 1))
    fewer = min(calls)
    pooled = sum(sums) / sum(calls) if sum(calls) else 0.0
    state = readiness(
        int(devices.min()), 0 if not devices.all() else fewer, fewer * pooled if comparison.binary else None
    )
    estimate = arm.mean - base.mean
    se = df = low = high = float("nan")
    if devices.min() >= 2:
        variances = [_ratio_variance(numerators[i][present[i]], denominators[i][present[i]]) for i in (0, 1)]
        se = float(np.sqrt(max(sum(variances) - 2 * _covariance(numerators, denominators, means), 0.0)))
        df = _satterthwaite(variances, devices)
        half = float(stats.t.ppf((1 + level) / 2, df)) * se
        low, high = estimate - half, estimate + half
    return Difference(arm, base, estimate, se, null_error(comparison), df, low, high, level, state)


def standardised(comparison: Comparison) -> tuple[Floats, Floats]:
    """Numerator and denominator per arm (0 = arm, 1 = base) and device: two arrays of shape (2, devices).

    A call of arm a in stratum s weighs ω = (w_s / Σw)·(N_a / N_as), and its outcome is taken as the deviation from the
    stratum's rate r_as plus the arm's overall rate r_a. Then Σ numerators / Σ denominators is the Mantel–Haenszel mean
    of the arm, and the residuals that make up its variance are centred within strata. Strata that only one arm has
    get weight 0.
    """
    strata, devices = len(comparison.strata), comparison.devices
    side = (~comparison.treated).astype(np.int64)
    slot = side * strata + comparison.stratum
    n = np.bincount(slot, comparison.calls, 2 * strata).reshape(2, strata)
    y = np.bincount(slot, comparison.totals, 2 * strata).reshape(2, strata)
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.nan_to_num(n[0] * n[1] / n.sum(axis=0))
        weight = weight / weight.sum() if weight.sum() else weight
        rates = np.nan_to_num(y / n)
        used = np.where(weight > 0, n, 0)
        omega = np.nan_to_num(weight * used.sum(axis=1, keepdims=True) / n)
    centre = rates - (rates * weight).sum(axis=1, keepdims=True)
    scale = omega[side, comparison.stratum]
    numerator = scale * (comparison.totals - centre[side, comparison.stratum] * comparison.calls)
    cluster = side * devices + comparison.device
    sums = [np.bincount(cluster, x, 2 * devices).reshape(2, devices) for x in (numerator, scale * comparison.calls)]
    return np.asarray(sums[0], dtype=np.float64), np.asarray(sums[1], dtype=np.float64)


def null_error(comparison: Comparison) -> float:
    """Standard error of the difference if the assignment alone had produced it; NaN without both arms.

    Residuals e of the assignment units are taken from the rate of both arms together within the stratum.
    """
    strata = len(comparison.strata)
    calls, totals = comparison.calls, comparison.totals
    n = np.bincount(comparison.stratum, calls, strata)
    n1 = np.bincount(comparison.stratum, calls * comparison.treated, strata)
    product = n1 * (n - n1)
    if not product.any():
        return float("nan")
    rate = np.bincount(comparison.stratum, totals, strata) / n
    residual = comparison.y - rate[comparison.stratum] * comparison.n
    squares = np.bincount(comparison.stratum, comparison.units * residual**2, strata)
    weight = product / n / (product / n).sum()
    used = product > 0
    return float(np.sqrt((weight[used] ** 2 * squares[used] / product[used]).sum()))


def _ratio_variance(y: Floats, n: Floats) -> float:
    """Variance of Σy / Σn over independent devices, by tea-tasting's delta method."""
    moments = np.cov(y, n)
    aggregates = Aggregates(
        count_=y.size,
        mean_={"y": float(y.mean()), "n": float(n.mean())},
        var_={"y": float(moments[0, 0]), "n": float(moments[1, 1])},
        cov_={("y", "n"): float(moments[0, 1])},
    )
    return float(aggregates.ratio_var("y", "n")) / y.size


def _covariance(y: Floats, n: Floats, means: Floats) -> float:
    """Covariance of the two arms' ratios through devices that have calls in both; 0 under sticky assignment."""
    residuals = (y - means[:, None] * n) / n.sum(axis=1, keepdims=True)
    size = (n > 0).sum(axis=1)
    # Each arm's sum of squares is multiplied by D / (D − 1); the product takes the geometric mean of the two factors,
    # which keeps the variance of the difference at or above 0.
    factor = float(np.sqrt(np.prod(size / (size - 1))))
    return factor * float((residuals[0] * residuals[1]).sum())


def _satterthwaite(variances: list[float], devices: npt.NDArray[np.int64]) -> float:
    """Welch–Satterthwaite degrees of freedom; the smaller arm's D − 1 where no variance was seen."""
    weight = sum(v**2 / (int(d) - 1) for v, d in zip(variances, devices, strict=True))
    return float(sum(variances) ** 2 / weight) if weight > 0 else float(devices.min() - 1)
