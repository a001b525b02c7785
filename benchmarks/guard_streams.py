"""Traffic models of the guard's simulation: what one adapter sees, many runs at once.

A *workshop* has 7 to 12 devices (uniform) and each device writes 5 to 40 prompts (uniform), in an order drawn at random
within the workshop; workshops follow each other and a device never returns (HOST.md: a device is a device-day). The
adapter has 10 % of the traffic and sees

- unit ``run``: each prompt with probability .1, so about 2 prompts of most devices;
- unit ``device`` ('sticky'): all prompts of one device in ten.

A device's own block rate is Beta-distributed around the true rate with intra-class correlation ρ (ρ = 0: every prompt
is independent). The length of a stream counts the *adapter's* prompt-runs.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiment.arms import Unit

DEVICES = (7, 12)
"""Devices of a workshop, both ends included."""
PROMPTS = (5, 40)
"""Prompts of a device-day, both ends included."""
SHARE = 0.1
"""The adapter's share of the traffic."""


class Streams(NamedTuple):
    """One row per simulated run, one column per prompt-run of the adapter, in commit order."""

    device: NDArray[np.int32]
    """Device number within the run, 0 and up."""
    blocked: NDArray[np.bool_]


def _shares(rng: np.random.Generator, rate: float, rho: float, size: int) -> NDArray[np.float64]:
    if rho == 0:
        return np.full(size, rate)
    scale = (1 - rho) / rho
    return rng.beta(rate * scale, (1 - rate) * scale, size)


def workshops(
    rng: np.random.Generator,
    runs: int,
    length: int,
    *,
    rate: float,
    rho: float = 0.0,
    unit: Unit = "run",
    share: float = SHARE,
    burst: tuple[int, float] | None = None,
) -> Streams:
    """Streams of prompt-runs that one adapter gets.

    Args:
        rng: the only source of randomness.
        runs: rows.
        length: the adapter's prompt-runs per run.
        rate: true block rate.
        rho: intra-class correlation of a device's prompts, in [0, 1).
        unit: what is randomised.
        share: the adapter's share of the traffic.
        burst: (from this prompt-run on, the rate is this).
    """
    per_workshop = (sum(DEVICES) / 2) * (sum(PROMPTS) / 2) * share
    # Sticky workshops vary widely in size; what is missing after this margin is drawn again with a larger one.
    count = int(length / per_workshop * 1.15) + 15
    while True:
        drawn = _devices(rng, runs, count, unit, share)
        if (np.bincount(drawn.run, weights=drawn.prompts, minlength=runs) >= length).all():
            break
        count = int(count * 1.2)
    calls = np.repeat(np.arange(len(drawn.run)), drawn.prompts)
    order = np.argsort(drawn.workshop[calls] + rng.random(len(calls)))  # workshop numbers grow with the run
    calls = calls[order]
    starts = np.searchsorted(drawn.run[calls], np.arange(runs))
    calls = calls[starts[:, None] + np.arange(length)]
    shares = _shares(rng, rate, rho, len(drawn.run))[calls]
    if burst is not None:
        since, later = burst
        shares[:, since:] = _shares(rng, later, rho, len(drawn.run))[calls[:, since:]]
    first_device = np.searchsorted(drawn.run, np.arange(runs))
    return Streams((calls - first_device[:, None]).astype(np.int32), rng.random(calls.shape) < shares)


class _Devices(NamedTuple):
    run: NDArray[np.int64]
    workshop: NDArray[np.int64]
    prompts: NDArray[np.int64]


def _devices(rng: np.random.Generator, runs: int, count: int, unit: Unit, share: float) -> _Devices:
    """Devices with at least one prompt for the adapter, by run and workshop."""
    sizes = rng.integers(DEVICES[0], DEVICES[1] + 1, runs * count)
    workshop = np.repeat(np.arange(runs * count), sizes)
    prompts = rng.integers(PROMPTS[0], PROMPTS[1] + 1, len(workshop))
    if unit == "run":
        prompts = rng.binomial(prompts, share)
    else:
        prompts[rng.random(len(prompts)) >= share] = 0
    seen = prompts > 0
    return _Devices(workshop[seen] // count, workshop[seen], prompts[seen])
