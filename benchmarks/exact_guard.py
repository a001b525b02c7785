"""Exact stopping probabilities of counting rules, by dynamic programming over (n, S).

A rule is its *boundary*: the smallest S at which it trips at each n. Under independent prompt-runs with one block rate
the distribution of S among the runs that have not tripped yet follows from one step to the next without simulation.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from experiment.limits import GuardLimits
from experiment.rules import count_rule

HORIZON: Final = 10_000
"""Prompt-runs after each of which the rule is looked at."""

NO_TRIP: Final = 2**31 - 1
"""The boundary where nothing trips at this n."""

Boundary = NDArray[np.int64]
"""Index n = 0 … horizon; entry 0 is :data:`NO_TRIP`."""


def guard_boundary(horizon: int = HORIZON, limits: GuardLimits | None = None) -> Boundary:
    """R1 and R2, by asking :func:`experiment.rules.count_rule` itself."""
    limits = limits or GuardLimits()
    boundary = np.full(horizon + 1, NO_TRIP, dtype=np.int64)
    blocked = 0
    for n in range(1, horizon + 1):
        while blocked and count_rule(n, blocked - 1, limits) is not None:
            blocked -= 1
        while count_rule(n, blocked, limits) is None:
            blocked += 1
        boundary[n] = blocked
    return boundary


def rate_boundary(first: int = 100, horizon: int = HORIZON) -> Boundary:
    """The plain alternative 'rate > 5 % from n ≥ first'."""
    n = np.arange(horizon + 1)
    return np.where(n >= first, n // 20 + 1, NO_TRIP)


def binomial_boundary(alpha: float = 0.05, limit: float = 0.05, horizon: int = HORIZON) -> Boundary:
    """A one-sided exact binomial test of 'rate ≤ limit', looked at after every prompt-run: p ≤ alpha."""
    n = np.arange(horizon + 1)
    # The smallest S with P(X ≥ S) ≤ alpha; the tiny slack keeps the tie at n = 1, where P(X ≥ 1) is .05 itself.
    boundary = binom.isf(alpha + 1e-12, n, limit).astype(np.int64) + 1
    boundary[0] = NO_TRIP
    return np.asarray(boundary)


def posterior_boundary(level: float = 0.95, limit: float = 0.05, horizon: int = HORIZON) -> Boundary:
    """A posterior under Beta(1, 1), looked at after every prompt-run: P(rate > limit | data) > level.

    P(rate > p | S of n) = P(Binomial(n + 1, p) ≤ S), the beta-binomial identity.
    """
    n = np.arange(horizon + 1)
    boundary = binom.ppf(level, n + 1, limit).astype(np.int64)
    boundary[0] = NO_TRIP
    return np.asarray(boundary)


def stopping(rate: float, boundary: Boundary) -> NDArray[np.float64]:
    """P(first trip at n) for n = 0 … horizon.

    Args:
        rate: true block rate of every prompt-run, in [0, 1].
        boundary: the rule.
    """
    at = np.zeros(len(boundary))
    alive = np.zeros(len(boundary) + 1)  # P(S = s and not tripped), s < top
    alive[0], top = 1.0, 1
    for n in range(1, len(boundary)):
        alive[1 : top + 1] = alive[1 : top + 1] * (1 - rate) + alive[:top] * rate
        alive[0] *= 1 - rate
        top += 1
        least = min(int(boundary[n]), top)
        at[n] = alive[least:top].sum()
        alive[least:top] = 0.0
        top = least
    return at


def quantile(at: NDArray[np.float64], share: float) -> int:
    """The smallest n by which at least ``share`` of all runs have tripped.

    Raises:
        ValueError: fewer ever trip.
    """
    reached = np.flatnonzero(np.cumsum(at) >= share)
    if not len(reached):
        raise ValueError(f"only {at.sum():.4f} of the runs trip within {len(at) - 1} prompt-runs, not {share}")
    return int(reached[0])


def tail(n: int, least: int, rate: float) -> float:
    """P(S ≥ least) of n prompt-runs."""
    return float(binom.sf(least - 1, n, rate))
