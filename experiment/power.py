"""What the experiment could find by now, and how long it still needs.

The power is that of the test that is reported (``rerandomisation``, plain difference): its critical value comes from
the variance under redrawing, with both arms at their common rate, while the difference itself varies with the rates as
they are. For rates the two differ, so the smallest detectable rise is larger and the smallest detectable fall smaller
than the textbook's symmetric figure 2.80·se, which assumes the base rate in both arms (Fleiss, Levin & Paik,
*Statistical Methods for Rates and Proportions*, 2003, section 4.2, with the pooled variance of an unequal split).
At 500 calls, 10/90 and a rate of 10 % the textbook says 12.5 points, where the true power is 70 %, not 80 %.

Clustering enters as the design effect of the assignment unit: 1 for single calls, 1 + (m − 1)ρ for m alike calls
(Kish, *Survey Sampling*, 1965).
"""

from typing import Final, NamedTuple

import numpy as np
from scipy import optimize, stats

from experiment.estimates import Difference, difference
from experiment.observations import Comparison
from experiment.readiness import MIN_DEVICES

PRIOR_ICC: Final = 0.15
"""ρ assumed before the data say better."""

PRIOR_UNITS: Final = 30
"""Weight of the assumption, in assignment units."""


class Design(NamedTuple):
    """What the standard error depends on besides the number of calls."""

    rate: float
    """Outcome per call of the base, from which effects are counted."""
    share: float
    """Share π of the arm in the comparison, in (0, 1)."""
    design_effect: float
    """Variance of a sum over units relative to independent calls, > 0."""
    variance: float | None = None
    """Variance of one call's outcome; None: yes/no, rate·(1 − rate)."""


class Outlook(NamedTuple):
    """What could be found now, and what is still needed. Effects are in units of the outcome (0.05 = 5 points)."""

    design: Design
    calls: int
    """Concurrent calls of both arms so far."""
    sentence: str
    """One line for the screen; 'too few devices' where that is the answer."""
    rise: float
    """Smallest increase found with the power wanted; NaN if none below certainty, or too few devices."""
    fall: float
    """Smallest decrease, as a negative number; NaN likewise."""
    planning: float
    """The textbook's symmetric figure, (z_(1−α/2) + z_power)·se at the base rate."""
    rise_even: float
    """``rise`` had the calls so far been split 50/50."""
    effect: float | None
    """The effect worth finding, from the plan."""
    power_now: float
    """Power for ``effect`` now; NaN without one, or if the rate so far leaves no room for it."""
    calls_needed: float
    """More calls of both arms until ``effect`` is found with the power wanted, at the present weights."""
    calls_needed_even: float
    """The same if the weights became 50/50 today."""
    workshops_needed: float
    """``calls_needed`` in workshops at the present traffic."""
    workshops_needed_even: float
    workshops_to_ready: float
    """Workshops until the smaller arm has enough devices for an interval."""


class Pace(NamedTuple):
    """The present traffic, over all arms of the experiment."""

    calls_per_workshop: float
    devices_per_workshop: float


def power(design: Design, calls: float, effect: float, alpha: float = 0.05) -> float:
    """Probability that the two-sided test at ``alpha`` finds ``effect`` with that many calls in both arms together.

    Raises:
        ValueError: share outside (0, 1), calls not above 0, or a rate that the effect moves out of [0, 1].
    """
    if not 0 < design.share < 1:
        raise ValueError(f"share = {design.share} is not within (0, 1): both arms need a weight")
    if not calls > 0:
        raise ValueError(f"calls = {calls} must be above 0")
    if design.variance is None and not 0 <= design.rate + effect <= 1:
        raise ValueError(f"rate {design.rate:g} with effect {effect:g} leaves 0 … 1")
    null, real = _variances(design, effect)
    information = calls * design.share * (1 - design.share)
    scale_null, scale_real = np.sqrt(null / information), np.sqrt(real / information)
    critical = float(stats.norm.isf(alpha / 2)) * scale_null
    if scale_real == 0:
        return float(abs(effect) > critical)
    return float(stats.norm.sf((critical - effect) / scale_real) + stats.norm.cdf((-critical - effect) / scale_real))


def detectable(
    design: Design, calls: float, *, fall: bool = False, power_wanted: float = 0.8, alpha: float = 0.05
) -> float:
    """Smallest effect found with the power wanted: positive, or negative with ``fall``.

    Returns:
        NaN where no possible effect suffices (a rate of 10 % cannot fall by more than 10 points).
    """
    sign = -1.0 if fall else 1.0
    if design.variance is None:
        limit = design.rate if fall else 1 - design.rate
    else:
        limit = 20 * np.sqrt(design.variance * design.design_effect / (calls * design.share * (1 - design.share)))
    if limit <= 0 or power(design, calls, sign * limit, alpha) < power_wanted:
        return float("nan")
    return sign * float(
        optimize.brentq(lambda size: power(design, calls, sign * size, alpha) - power_wanted, 0.0, limit)
    )


def planning_effect(design: Design, calls: float, *, power_wanted: float = 0.8, alpha: float = 0.05) -> float:
    """The textbook's minimum detectable effect: (z_(1−α/2) + z_power)·se with the base rate in both arms."""
    null, _ = _variances(design, 0.0)
    quantiles = float(stats.norm.isf(alpha / 2) + stats.norm.ppf(power_wanted))
    return quantiles * float(np.sqrt(null / (calls * design.share * (1 - design.share))))


def calls_needed(design: Design, effect: float, *, power_wanted: float = 0.8, alpha: float = 0.05) -> float:
    """Calls of both arms together at which ``effect`` is found with the power wanted.

    Raises:
        ValueError: effect 0, or one that moves the rate out of [0, 1].
    """
    if effect == 0:
        raise ValueError("an effect of 0 can never be found: give the smallest effect worth finding")

    def missing(log_calls: float) -> float:
        return power(design, float(np.exp(log_calls)), effect, alpha) - power_wanted

    low, high = 0.0, float(np.log(1e12))
    return 1.0 if missing(low) >= 0 else float(np.exp(optimize.brentq(missing, low, high)))


def design_effect(comparison: Comparison) -> float:
    """Variance of outcomes summed by assignment unit, relative to independent calls; ≥ 0.

    Estimated from the units of both arms (residuals from their own arm's rate in the stratum), and drawn towards
    1 + (m − 1)·0.15 with the weight of 30 units, m the calls per unit that a call sees on average.
    """
    units = comparison.units.astype(np.float64)
    total = float(units.sum())
    if total == 0:
        return 1.0
    slot = comparison.stratum * 2 + comparison.treated
    n = np.bincount(slot, comparison.calls)
    y = np.bincount(slot, comparison.totals, n.size)
    rate = np.divide(y, n, out=np.zeros_like(y), where=n > 0)
    residual = comparison.y - rate[slot] * comparison.n
    observed = float((units * residual**2).sum())
    if comparison.y_squared is None:
        alone = float((n * rate * (1 - rate)).sum())
    else:
        alone = float((units * comparison.y_squared).sum() - (n * rate**2).sum())
    seen = float((units * comparison.n**2).sum() / comparison.calls.sum())
    prior = 1 + (seen - 1) * PRIOR_ICC
    estimate = observed / alone if alone > 0 else prior
    return (total * estimate + PRIOR_UNITS * prior) / (total + PRIOR_UNITS)


def design_of(comparison: Comparison, share: float | None = None) -> Design:
    """The design as the data show it.

    Args:
        comparison: cells of two arms.
        share: the arm's share from now on; None: that of the last stratum.

    Raises:
        ValueError: no calls at all, from which nothing can be estimated.
    """
    if comparison.calls.sum() == 0:
        raise ValueError("no concurrent calls: give the expected rate by hand")
    share = float(comparison.share[-1]) if share is None else share
    # The base's rate, since effects are counted from it; both arms' where the base has no calls yet.
    mine = ~comparison.treated if (~comparison.treated).any() else comparison.treated
    n, y = float(comparison.calls[mine].sum()), float(comparison.totals[mine].sum())
    if comparison.y_squared is None:
        # Half an event more on either side, so that 'none yet' does not mean 'never'.
        return Design((y + 0.5) / (n + 1), share, design_effect(comparison))
    variance = float((comparison.units * comparison.y_squared)[mine].sum()) / n - (y / n) ** 2
    return Design(y / n, share, design_effect(comparison), max(variance, 0.0))


def outlook(comparison: Comparison, pace: Pace, *, effect: float | None = None, power_wanted: float = 0.8) -> Outlook:
    """Minimum detectable effect now, and what the plan's effect still needs.

    Args:
        comparison: cells of two arms.
        pace: the present traffic, all arms.
        effect: the smallest effect worth finding.
        power_wanted: 0.8 unless the plan says otherwise.

    Raises:
        ValueError: no concurrent calls yet.
    """
    design = design_of(comparison)
    seen = difference(comparison)
    information = _information(comparison)
    even = design._replace(share=0.5)
    unit = design.share * (1 - design.share)
    weights = comparison.strata[-1].weights
    part = comparison.pair_weights[-1] / sum(weights)
    ready = seen.readiness.ready
    # Calls at the present weights that would tell as much as the calls so far, which other weights may have split.
    equivalent = information / unit if information > 0 else 0.0
    nan = float("nan")
    rise = detectable(design, equivalent, power_wanted=power_wanted) if ready else nan
    fall = detectable(design, equivalent, fall=True, power_wanted=power_wanted) if ready else nan
    calls = int(comparison.calls.sum())
    now = need = need_even = nan
    # A fall below 0 % cannot be planned for, and a low rate so far is no reason to fail.
    if effect and (design.variance is not None or 0 <= design.rate + effect <= 1):
        now = power(design, equivalent, effect) if equivalent > 0 else nan
        need = max(calls_needed(design, effect, power_wanted=power_wanted) - equivalent, 0.0)
        whole = calls_needed(even, effect, power_wanted=power_wanted)
        need_even = max(whole - information / 0.25, 0.0)
    per_workshop = max(pace.calls_per_workshop * part, 1e-9)
    return Outlook(
        design=design,
        calls=calls,
        sentence=_sentence(seen, rise, fall, comparison.binary, power_wanted),
        rise=rise,
        fall=fall,
        planning=planning_effect(design, equivalent, power_wanted=power_wanted) if equivalent > 0 else nan,
        rise_even=detectable(even, calls, power_wanted=power_wanted) if ready else nan,
        effect=effect,
        power_now=now,
        calls_needed=need,
        calls_needed_even=need_even,
        workshops_needed=need / per_workshop,
        workshops_needed_even=need_even / per_workshop,
        workshops_to_ready=_workshops_to_ready(seen, design, pace, part, comparison.unit == "device"),
    )


def _variances(design: Design, effect: float) -> tuple[float, float]:
    """Variance per unit of information N·π(1 − π): under redrawing, and of the difference itself."""
    if design.variance is not None:
        return (design.variance * design.design_effect,) * 2
    moved = design.rate + effect
    common = design.rate + design.share * effect
    null = design.design_effect * common * (1 - common)
    own = moved * (1 - moved) * (1 - design.share) + design.rate * (1 - design.rate) * design.share
    return null, design.design_effect * own


def _information(comparison: Comparison) -> float:
    """Σ over strata of N₁N₀ / (N₁ + N₀): what the difference's variance is divided by."""
    slot = comparison.stratum * 2 + comparison.treated
    n = np.bincount(slot, comparison.calls, 2 * len(comparison.strata)).reshape(-1, 2)
    total = n.sum(axis=1)
    return float(np.divide(n.prod(axis=1), total, out=np.zeros(total.size), where=total > 0).sum())


def _workshops_to_ready(seen: Difference, design: Design, pace: Pace, part: float, sticky: bool) -> float:
    missing = MIN_DEVICES - seen.readiness.devices
    if missing <= 0:
        return 0.0
    smaller = min(design.share, 1 - design.share)
    if sticky:
        each = pace.devices_per_workshop * part * smaller
    else:
        # A device counts once the smaller arm has answered one of its calls.
        calls = pace.calls_per_workshop / max(pace.devices_per_workshop, 1e-9)
        each = pace.devices_per_workshop * (1 - (1 - part * smaller) ** calls)
    return missing / each if each > 0 else float("inf")


def _sentence(seen: Difference, rise: float, fall: float, binary: bool, wanted: float) -> str:
    if not seen.readiness.ready:
        return seen.readiness.sentence
    unit, factor = (" points", 100) if binary else ("", 1)
    parts = [
        f"a rise of {rise * factor:.1f}{unit}" if rise == rise else "no rise",
        f"a fall of {-fall * factor:.1f}{unit}" if fall == fall else "no fall",
    ]
    return f"by now {parts[0]} or {parts[1]} would be found with {wanted:.0%} power"
