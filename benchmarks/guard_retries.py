"""Children who resubmit a blocked prompt: what it does to the counts, by how a repeat is assigned and counted.

After each block the child sends the same prompt again with probability :data:`RETRY`; the repeat is blocked with
probability :data:`AGAIN`, and so on. At a prompt rate of 2 % calls are then blocked at 4.25 %.
"""

from typing import Literal

import numpy as np

from benchmarks.guard_streams import SHARE, Streams, workshops

RETRY = 0.6
AGAIN = 0.9
_BATCH = 100
"""Runs of the whole traffic (ten times the adapter's) that are in memory at once."""


def kept_on_arm(
    rng: np.random.Generator, runs: int, length: int, rate: float, counted: Literal["prompts", "calls"]
) -> Streams:
    """The adapter's stream where every repeat is answered by the arm of the call it repeats.

    Args:
        rng: the only source of randomness.
        runs: rows.
        length: counted verdicts per run.
        rate: block rate of a prompt's first call.
        counted: each prompt once by its first verdict (as the guard does), or every call (the contrast).
    """
    first = workshops(rng, runs, length, rate=rate)
    if counted == "prompts":
        return first
    calls = np.ones(first.device.shape, dtype=np.int64)
    passed_at_last = ~first.blocked
    live = first.blocked.copy()
    while live.any():
        live &= rng.random(live.shape) < RETRY
        calls += live
        passed = live & (rng.random(live.shape) >= AGAIN)
        passed_at_last |= passed
        live &= ~passed
    device, blocked = np.empty_like(first.device), np.empty_like(first.blocked)
    for run in range(runs):
        ends = np.cumsum(calls[run]) - 1
        verdicts = np.ones(ends[-1] + 1, dtype=bool)  # every call of a chain but a last, passed one is a block
        verdicts[ends] = ~passed_at_last[run]
        device[run] = np.repeat(first.device[run], calls[run])[:length]
        blocked[run] = verdicts[:length]
    return Streams(device, blocked)


def drawn_again(
    rng: np.random.Generator, runs: int, length: int, rate: float, *, first_arm_only: bool = False
) -> Streams:
    """The adapter's stream where every repeat is a new run, assigned by a new draw; both arms block alike.

    Per arm the first verdict of a (device, prompt) pair counts. A prompt that the *base* saw blocked and that is then
    drawn for the adapter is a fresh pair there, preselected for being blocked.

    Args:
        rng: the only source of randomness.
        runs: rows.
        length: counted verdicts per run.
        rate: block rate of a prompt's first call, in both arms.
        first_arm_only: count a pair in the arm of its first verdict only (a remedy).
    """
    batches = [
        _drawn_again(rng, min(_BATCH, runs - done), length, rate, first_arm_only) for done in range(0, runs, _BATCH)
    ]
    return Streams(np.concatenate([b.device for b in batches]), np.concatenate([b.blocked for b in batches]))


def _drawn_again(rng: np.random.Generator, runs: int, length: int, rate: float, first_arm_only: bool) -> Streams:
    traffic = workshops(rng, runs, int(length / SHARE * 1.1) + 200, rate=rate, share=1.0)
    reached = rng.random(traffic.device.shape) < SHARE  # the adapter has answered this prompt at least once
    verdict = traffic.blocked.copy()  # of the adapter's first call, where there is one
    row, column = np.nonzero(traffic.blocked & ~reached)
    while not first_arm_only and len(row):
        again = rng.random(len(row)) < RETRY
        row, column = row[again], column[again]
        adapter, blocked = rng.random(len(row)) < SHARE, rng.random(len(row)) < AGAIN
        reached[row[adapter], column[adapter]] = True
        verdict[row[adapter], column[adapter]] = blocked[adapter]
        row, column = row[blocked & ~adapter], column[blocked & ~adapter]
    picked = np.stack([np.flatnonzero(one)[:length] for one in reached])
    rows = np.arange(runs)[:, None]
    return Streams(traffic.device[rows, picked], verdict[rows, picked])
