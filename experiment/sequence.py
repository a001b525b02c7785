"""The live view: an interval that stays valid although somebody looks every hour.

A clustered asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, *Time-uniform central limit
theory*, Annals of Statistics 2024, arXiv 2103.06476, eq. 9: Robbins' normal mixture with an estimated variance):

    estimate ± se · sqrt( 2(tη² + 1) / (tη²) · log( sqrt(tη² + 1) / α ) )

where se is clustered by device and t counts devices, D₁D₀ / (D₁ + D₀). It is shown from 30 devices in the smaller arm
and 5 expected events on. ``se`` is the larger of the arms' own standard error and the one under redrawing: with the own
one alone an arm that had few events by chance also seems precise, and the sequence ever excludes zero in 4 to 6 % of
A/A experiments at a rate of 10 %, but in 9 to 10 % at 2 % (10/90, every call of 10,000); with the larger one in at most
2 %.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from experiment.estimates import Difference
from experiment.observations import Comparison
from experiment.readiness import MIN_DEVICES, MIN_EVENTS, Readiness

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TIGHTEST_AT: Final = 100.0
"""t at which the sequence is narrowest: about 150 devices per run at 10/90, 200 sticky at 50/50."""


class Live(NamedTuple):
    """What the live view may show now."""

    estimate: float
    low: float
    """NaN unless ready; then low … high covers the true difference at all times together with the given level."""
    high: float
    level: float
    excludes_zero: bool
    """False while not ready."""
    readiness: Readiness


class Path(NamedTuple):
    """The sequence after each device, in the order of the devices' codes; arrays of shape (devices,)."""

    calls: Ints
    devices: Ints
    """Devices in the smaller arm so far."""
    estimate: Floats
    low: Floats
    """NaN while not ready."""
    high: Floats
    ever_excludes_zero: bool
    first: int
    """Index of the first device after which zero was excluded; −1 for never."""


def multiplier(t: npt.ArrayLike, alpha: float = 0.05, tightest_at: float = TIGHTEST_AT) -> Floats:
    """How many standard errors wide the sequence is on either side at time t (a z-interval has 1.96).

    Args:
        t: counts of devices, ≥ 0.
        alpha: 1 − level.
        tightest_at: t for which η is tuned, by the paper's approximation (−2 log α + log(1 − 2 log α)) / t.

    Raises:
        ValueError: alpha outside (0, 1) or tightest_at not above 0.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha = {alpha} is not within (0, 1)")
    if not tightest_at > 0:
        raise ValueError(f"tightest_at = {tightest_at} must be above 0")
    log = -2 * np.log(alpha)
    scaled = np.asarray(t, dtype=np.float64) * (log + np.log1p(log)) / tightest_at
    with np.errstate(invalid="ignore", divide="ignore"):
        # t = 0: infinitely wide.
        return np.asarray(np.sqrt(2 * (scaled + 1) / scaled * (np.log1p(scaled) / 2 - np.log(alpha))), dtype=np.float64)


def live(seen: Difference, level: float = 0.95, tightest_at: float = TIGHTEST_AT) -> Live:
    """The sequence at this moment; ``level`` and ``tightest_at`` must be the same at every look.

    Args:
        seen: the difference as it stands now.
        level: simultaneous confidence level.
        tightest_at: see ``multiplier``.
    """
    nan = float("nan")
    width = max(seen.se, seen.se_null)
    if not seen.readiness.ready or not width > 0:
        return Live(seen.estimate, nan, nan, level, False, seen.readiness)
    t = seen.arm.devices * seen.base.devices / (seen.arm.devices + seen.base.devices)
    half = float(multiplier(t, 1 - level, tightest_at)) * width
    low, high = seen.estimate - half, seen.estimate + half
    return Live(seen.estimate, low, high, level, low > 0 or high < 0, seen.readiness)


def path(comparison: Comparison, level: float = 0.95, tightest_at: float = TIGHTEST_AT) -> Path:
    """The sequence as it developed, one point per device; for the plot, and to say whether it ever excluded zero.

    Args:
        comparison: cells of two arms whose device codes rise with the devices' first call.
        level: simultaneous confidence level.
        tightest_at: see ``multiplier``.

    The last point equals ``live`` of the whole. Where a device has calls in several strata it counts as one cluster
    per stratum here.
    """
    strata = range(len(comparison.strata))
    parts = [_stratum_path(comparison, s) for s in strata]
    size = comparison.devices
    weight = np.sum([part["weight"] for part in parts], axis=0) if parts else np.zeros(size)
    present = [
        np.sum([part[name] for part in parts], axis=0) if parts else np.zeros(size)
        for name in ("devices_arm", "devices_base", "calls_arm", "calls_base", "total")
    ]
    d1, d0, n1, n0, total = present
    with np.errstate(invalid="ignore", divide="ignore"):
        estimate = sum((part["weighted"] for part in parts), np.zeros(size)) / weight
        c1, c0 = d1 / (d1 - 1), d0 / (d0 - 1)
        own, null = np.zeros(size), np.zeros(size)
        for part in parts:
            own += c1 * part["arm"] + c0 * part["base"] - 2 * np.sqrt(c1 * c0) * part["both"]
            null += part["null"]
        se = np.sqrt(np.maximum(np.maximum(own, null), 0.0)) / weight
        half = multiplier(d1 * d0 / (d1 + d0), 1 - level, tightest_at) * se
        events = total / (n1 + n0) * np.minimum(n1, n0)
    ready = (np.minimum(d1, d0) >= MIN_DEVICES) & (half > 0)
    if comparison.binary:
        ready &= events >= MIN_EVENTS
    low, high = np.where(ready, estimate - half, np.nan), np.where(ready, estimate + half, np.nan)
    out = np.flatnonzero(ready & ((low > 0) | (high < 0)))
    return Path(
        calls=(n1 + n0).astype(np.int64),
        devices=np.minimum(d1, d0).astype(np.int64),
        estimate=estimate,
        low=low,
        high=high,
        ever_excludes_zero=bool(out.size),
        first=int(out[0]) if out.size else -1,
    )


def _stratum_path(comparison: Comparison, s: int) -> dict[str, Floats]:
    """Running sums of one stratum over its devices; variances are multiplied by w_s², to be divided by (Σw)²."""
    mine = comparison.stratum == s
    size, device, units = comparison.devices, comparison.device[mine], comparison.units[mine]
    n, y, treated = comparison.n[mine], comparison.y[mine], comparison.treated[mine]

    def by_device(values: npt.NDArray[np.generic]) -> Floats:
        return np.asarray(np.bincount(device, values, size), dtype=np.float64)

    n1, y1 = by_device(units * n * treated), by_device(units * y * treated)
    n0, y0 = by_device(units * n * ~treated), by_device(units * y * ~treated)
    sums = [np.cumsum(x) for x in (n1, y1, n0, y0)]
    cn1, cy1, cn0, cy0 = sums
    squares = [np.cumsum(by_device(units * x)) for x in (y * y, y * n, (n * n).astype(np.float64))]
    both = (cn1 > 0) & (cn0 > 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        r1, r0, r = cy1 / cn1, cy0 / cn0, (cy1 + cy0) / (cn1 + cn0)
        w = cn1 * cn0 / (cn1 + cn0)
        arm = _residuals(y1, n1, r1) / cn1**2
        base = _residuals(y0, n0, r0) / cn0**2
        cross = (
            np.cumsum(y1 * y0) - r0 * np.cumsum(y1 * n0) - r1 * np.cumsum(n1 * y0) + r1 * r0 * np.cumsum(n1 * n0)
        ) / (cn1 * cn0)
        null = (squares[0] - 2 * r * squares[1] + r**2 * squares[2]) / (cn1 * cn0)
        terms = {
            "weight": w,
            "weighted": w * (r1 - r0),
            "arm": w**2 * arm,
            "base": w**2 * base,
            "both": w**2 * cross,
            "null": w**2 * null,
            "devices_arm": np.cumsum(n1 > 0),
            "devices_base": np.cumsum(n0 > 0),
            "calls_arm": cn1,
            "calls_base": cn0,
            "total": cy1 + cy0,
        }
    # A stratum in which only one arm has calls so far says nothing yet.
    return {name: np.where(both, value, 0.0) for name, value in terms.items()}


def _residuals(y: Floats, n: Floats, rate: Floats) -> Floats:
    """Running Σ (y − r·n)² with the rate as it stands after each device."""
    squares: Floats = np.cumsum(y * y) - 2 * rate * np.cumsum(y * n) + rate**2 * np.cumsum(n * n)
    return squares
