"""Partial pooling: rates and differences of small cells, drawn towards what all cells have in common.

A host config with 12 calls and no favourite does not have a rate of 0; it has few calls. Each cell is pulled towards
the mean of all cells, the more the smaller it is and the less the cells differ (Efron & Morris, JASA 1975; Gelman et
al., *Bayesian Data Analysis*, chapter 5). How much the cells differ is uncertain itself, above all with few cells, so
it is averaged over a grid instead of being set to its best value: plain empirical Bayes intervals are too narrow
(Morris, JASA 1983). For host configs, languages, safety levels and clusters of devices.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Floats = npt.NDArray[np.float64]

LOG_ODDS_SPREAD: Final = 0.5
"""Scale of the half-Cauchy prior for how much the log odds of cells differ."""

_GRID: Final = 32
_NEGLIGIBLE: Final = 1e-3


class Pooled(NamedTuple):
    """One cell."""

    name: str
    raw: float
    """Its own rate or difference; NaN without data."""
    estimate: float
    """Partially pooled (posterior mean)."""
    low: float
    high: float
    weight: float
    """How much the cell speaks for itself, 0 … 1; the rest comes from all cells."""


class Pooling(NamedTuple):
    """All cells, and what they have in common."""

    cells: tuple[Pooled, ...]
    mean: float
    """Of the cells, each counting once."""
    spread: float
    """Standard deviation between the cells' true values (posterior mean)."""


def pool_differences(
    names: Sequence[str], estimates: npt.ArrayLike, errors: npt.ArrayLike, *, level: float = 0.95
) -> Pooling:
    """Pool differences with known standard errors under a normal model.

    θ_j ~ N(μ, τ²), estimate_j ~ N(θ_j, se_j²); μ flat, τ half-Cauchy with the cells' typical standard error as scale
    (Gelman, Bayesian Analysis 2006), which stays proper with one or two cells.

    Args:
        names: of the cells.
        estimates: one per cell; NaN: no data, the cell gets the mean of all.
        errors: standard errors, > 0; NaN where the estimate is NaN.
        level: of the intervals, in (0, 1).

    Raises:
        ValueError: different lengths, no cell with data, an error not above 0, or level outside (0, 1).
    """
    y, se = np.asarray(estimates, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if not len(names) == y.size == se.size:
        raise ValueError(f"{len(names)} names, {y.size} estimates and {se.size} errors must be equally many")
    if not 0 < level < 1:
        raise ValueError(f"level = {level} is not within (0, 1)")
    known = ~np.isnan(y)
    if not known.any():
        raise ValueError("no cell has data: there is nothing to pool")
    if not (se[known] > 0).all():
        raise ValueError("standard errors must be above 0: leave cells out whose error cannot be estimated")
    scale = float(np.exp(np.log(se[known]).mean()))
    widest = max(10 * scale, 5 * float(np.ptp(y[known])))
    tau = np.concatenate([[0.0], np.geomspace(scale / 50, widest, 4 * _GRID)])
    precision = 1 / (se[known] ** 2 + tau[:, None] ** 2)
    total = precision.sum(axis=1)
    centre = (precision * y[known]).sum(axis=1) / total
    log_weight = 0.5 * np.log(precision).sum(axis=1) - 0.5 * np.log(total)
    log_weight -= 0.5 * (precision * (y[known] - centre[:, None]) ** 2).sum(axis=1)
    # Grid points stand for the stretch around them.
    log_weight += np.log(np.gradient(tau)) - np.log1p((tau / scale) ** 2)
    weight = _normalised(log_weight)
    cells = []
    for name, raw, error in zip(names, y, se, strict=True):
        own = np.zeros(tau.size) if np.isnan(raw) else tau**2 / (tau**2 + error**2)
        means = centre if np.isnan(raw) else own * raw + (1 - own) * centre
        variances = (tau**2 if np.isnan(raw) else own * error**2) + (1 - own) ** 2 / total
        low, high = _normal_mixture(weight, means, np.sqrt(variances), level)
        cells.append(Pooled(name, float(raw), float(weight @ means), low, high, float(weight @ own)))
    return Pooling(tuple(cells), float(weight @ centre), float(weight @ tau))


def pool_rates(
    names: Sequence[str],
    events: npt.ArrayLike,
    calls: npt.ArrayLike,
    *,
    design_effect: float = 1.0,
    level: float = 0.95,
) -> Pooling:
    """Pool rates under a beta-binomial model: p_j ~ Beta(mS, (1 − m)S), events_j ~ Binomial(n_j, p_j).

    The mean m has Jeffreys' prior Beta(½, ½); the standard deviation of the cells' log odds,
    about 1 / sqrt(m(1 − m)(1 + S)), is half-Cauchy with scale ½: rates mostly lie within a factor of 2 or 3.

    Args:
        names: of the cells.
        events: one per cell.
        calls: one per cell; 0: the cell gets the mean of all.
        design_effect: calls are divided by it, because calls of one device resemble each other; ≥ 1 makes wider.
        level: of the intervals, in (0, 1).

    Raises:
        ValueError: different lengths, events outside 0 … calls, no calls at all, or a design effect not above 0.
    """
    y, n = np.asarray(events, dtype=np.float64), np.asarray(calls, dtype=np.float64)
    if not len(names) == y.size == n.size:
        raise ValueError(f"{len(names)} names, {y.size} event counts and {n.size} call counts must be equally many")
    if (y < 0).any() or (y > n).any():
        raise ValueError("events must lie within 0 … calls in every cell")
    if not design_effect > 0:
        raise ValueError(f"design_effect = {design_effect} must be above 0")
    if not 0 < level < 1:
        raise ValueError(f"level = {level} is not within (0, 1)")
    if n.sum() == 0:
        raise ValueError("no cell has data: there is nothing to pool")
    raw = np.divide(y, n, out=np.full(n.size, np.nan), where=n > 0)
    y, n = y / design_effect, n / design_effect
    mean, strength, weight = _beta_grid(y, n)
    a, b = mean * strength, (1 - mean) * strength
    cells = []
    for name, own, events_j, calls_j in zip(names, raw, y, n, strict=True):
        post_a, post_b = a + events_j, b + calls_j - events_j
        low, high = _beta_mixture(weight, post_a, post_b, level)
        estimate = float(weight @ (post_a / (post_a + post_b)))
        cells.append(Pooled(name, float(own), estimate, low, high, float(weight @ (calls_j / (calls_j + strength)))))
    spread = np.sqrt(mean * (1 - mean) / (1 + strength))
    return Pooling(tuple(cells), float(weight @ mean), float(weight @ spread))


def _beta_grid(y: Floats, n: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean, strength and posterior weight of the grid points that matter."""
    overall = (y.sum() + 0.5) / (n.sum() + 1)
    reach = 4 / np.sqrt(n.sum() * overall * (1 - overall) + 1) + 2
    logit = special.logit(overall) + np.linspace(-reach, reach, _GRID)
    spread = np.geomspace(0.02, 4.0, _GRID)
    m, c = (grid.ravel() for grid in np.meshgrid(special.expit(logit), spread))
    s = 1 / (m * (1 - m) * c**2) - 1
    possible = s > 0.01
    m, c, s = m[possible], c[possible], s[possible]
    # Per step of log spread the prior density is multiplied by the spread.
    log_weight = 0.5 * np.log(m * (1 - m)) + np.log(c) - np.log1p((c / LOG_ODDS_SPREAD) ** 2)
    a, b = m * s, (1 - m) * s
    for events, calls in zip(y, n, strict=True):
        log_weight = log_weight + special.betaln(a + events, b + calls - events) - special.betaln(a, b)
    weight = _normalised(log_weight)
    keep = weight > _NEGLIGIBLE * weight.max()
    return m[keep], s[keep], weight[keep] / weight[keep].sum()


def _normalised(log_weight: Floats) -> Floats:
    weight = np.exp(log_weight - log_weight.max())
    return np.asarray(weight / weight.sum(), dtype=np.float64)


def _normal_mixture(weight: Floats, means: Floats, sds: Floats, level: float) -> tuple[float, float]:
    low, high = float((means - 9 * sds).min()), float((means + 9 * sds).max())

    def below(x: Floats) -> Floats:
        return np.asarray(stats.norm.cdf((x[:, None] - means) / sds) @ weight, dtype=np.float64)

    return _quantiles(below, low, high, level)


def _beta_mixture(weight: Floats, a: Floats, b: Floats, level: float) -> tuple[float, float]:
    def below(x: Floats) -> Floats:
        return np.asarray(special.betainc(a, b, x[:, None]) @ weight, dtype=np.float64)

    return _quantiles(below, 0.0, 1.0, level)


def _quantiles(below: Callable[[Floats], Floats], low: float, high: float, level: float) -> tuple[float, float]:
    """Both quantiles of a distribution function by bisection."""
    target = np.array([(1 - level) / 2, (1 + level) / 2])
    left, right = np.full(2, low), np.full(2, high)
    for _ in range(36):
        middle = (left + right) / 2
        under = below(middle) < target
        left, right = np.where(under, middle, left), np.where(under, right, middle)
    return float(right[0]), float(right[1])
