"""The difference and its standard errors after every single call: an independent check of the live view.

``experiment.sequence.path`` goes device by device; somebody may look in the middle of a workshop. One stratum, yes/no
outcome, calls in order of time.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class CallPath(NamedTuple):
    """After each call; arrays of shape (calls,)."""

    estimate: Floats
    se: Floats
    se_null: Floats
    devices: Ints
    """In the smaller arm."""
    t: Floats
    events: Floats
    """Expected in the smaller arm."""


def call_path(
    device: Ints, treated: npt.NDArray[np.bool_], outcome: npt.NDArray[np.bool_], *, sticky: bool
) -> CallPath:
    """Running sums per device and arm, updated by each call's change."""
    one, y = treated.astype(np.float64), outcome.astype(np.float64)
    parts = {"n1": one, "y1": one * y, "n0": 1 - one, "y0": (1 - one) * y}
    after = {name: _within(device, value) for name, value in parts.items()}
    before = {name: after[name] - value for name, value in parts.items()}
    total = {name: np.cumsum(value) for name, value in parts.items()}

    def products(a: str, b: str) -> Floats:
        return np.cumsum(after[a] * after[b] - before[a] * before[b])

    d1 = np.cumsum((one == 1) & (before["n1"] == 0))
    d0 = np.cumsum((one == 0) & (before["n0"] == 0))
    with np.errstate(invalid="ignore", divide="ignore"):
        r1, r0 = total["y1"] / total["n1"], total["y0"] / total["n0"]
        c1, c0 = d1 / (d1 - 1), d0 / (d0 - 1)
        v1 = c1 * (products("y1", "y1") - 2 * r1 * products("y1", "n1") + r1**2 * products("n1", "n1"))
        v0 = c0 * (products("y0", "y0") - 2 * r0 * products("y0", "n0") + r0**2 * products("n0", "n0"))
        both = (
            products("y1", "y0")
            - r0 * products("y1", "n0")
            - r1 * products("n1", "y0")
            + r1 * r0 * products("n1", "n0")
        )
        size = total["n1"] * total["n0"]
        variance = v1 / total["n1"] ** 2 + v0 / total["n0"] ** 2 - 2 * np.sqrt(c1 * c0) * both / size
        n = total["n1"] + total["n0"]
        rate = (total["y1"] + total["y0"]) / n
        if sticky:
            squares = sum(
                products(f"y{a}", f"y{b}")
                - 2 * rate * products(f"y{a}", f"n{b}")
                + rate**2 * products(f"n{a}", f"n{b}")
                for a, b in (("1", "1"), ("0", "0"))
            )
        else:
            # Per run a unit is one call, so the squared residuals sum to n·r·(1 − r).
            squares = n * rate * (1 - rate)
        return CallPath(
            estimate=r1 - r0,
            se=np.sqrt(np.maximum(variance, 0.0)),
            se_null=np.sqrt(squares / size),
            devices=np.minimum(d1, d0),
            t=d1 * d0 / (d1 + d0),
            events=rate * np.minimum(total["n1"], total["n0"]),
        )


def _within(device: Ints, values: Floats) -> Floats:
    """Running sum within each device, in the order of the calls."""
    order = np.argsort(device, kind="stable")
    ordered = device[order]
    running = np.cumsum(values[order])
    first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
    start = np.maximum.accumulate(np.where(first, np.arange(ordered.size), 0))
    result = np.empty_like(running)
    result[order] = running - (running - values[order])[start]
    return result
