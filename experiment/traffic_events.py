"""Synthetic traffic as single records in order of time: what a demo sends, event by event."""

from collections.abc import Iterator
from heapq import merge
from typing import NamedTuple

import numpy as np

from experiment.traffic import Traffic

VERDICT_DELAY_S = 6.0
"""Seconds from a call to the verdict of its Stage 3."""


class CallRecord(NamedTuple):
    """A Stage 2 call."""

    t: float
    call: int
    workshop: int
    device: int
    prompt: int
    arm: str
    phase: int
    template: str
    config: int
    language: str
    safety_level: str
    refused: bool
    edited: bool
    latency_s: float
    fidelity: float


class RegenerationRecord(NamedTuple):
    """A run that repeats a call's image with a new seed; it inherits the call's arm."""

    t: float
    call: int
    arm: str


class FavouriteRecord(NamedTuple):
    """A favourite of a call's image, perhaps days later."""

    t: float
    call: int


class VerdictRecord(NamedTuple):
    """Stage 3's verdict on a call; calls without one have no record."""

    t: float
    call: int
    blocked: bool


Record = CallRecord | RegenerationRecord | FavouriteRecord | VerdictRecord


def records(traffic: Traffic) -> Iterator[Record]:
    """All events of the season in order of time; ``call`` is the index of the call in ``traffic``."""
    return merge(
        _calls(traffic), _regenerations(traffic), _favourites(traffic), _verdicts(traffic), key=lambda item: item.t
    )


def _calls(traffic: Traffic) -> Iterator[CallRecord]:
    plan = traffic.plan
    for i in range(traffic.t.size):
        yield CallRecord(
            t=float(traffic.t[i]),
            call=i,
            workshop=int(traffic.workshop[i]),
            device=int(traffic.device[i]),
            prompt=int(traffic.prompt[i]),
            arm=plan.arms[traffic.arm[i]],
            phase=int(traffic.phase[i]),
            template=plan.phases[traffic.phase[i]].template,
            config=int(traffic.config[i]),
            language=plan.languages[traffic.language[i]][0],
            safety_level=plan.safety_levels[traffic.safety_level[i]][0],
            refused=bool(traffic.refused[i]),
            edited=bool(traffic.edited[i]),
            latency_s=float(traffic.latency_s[i]),
            fidelity=float(traffic.fidelity[i]),
        )


def _regenerations(traffic: Traffic) -> Iterator[RegenerationRecord]:
    for i in np.argsort(traffic.regeneration_at, kind="stable"):
        call = int(traffic.regeneration_of[i])
        yield RegenerationRecord(float(traffic.regeneration_at[i]), call, traffic.plan.arms[traffic.arm[call]])


def _favourites(traffic: Traffic) -> Iterator[FavouriteRecord]:
    given = np.flatnonzero(traffic.favourite)
    for call in given[np.argsort(traffic.favourite_at[given], kind="stable")]:
        yield FavouriteRecord(float(traffic.favourite_at[call]), int(call))


def _verdicts(traffic: Traffic) -> Iterator[VerdictRecord]:
    for call in np.flatnonzero(traffic.blocked >= 0):
        yield VerdictRecord(float(traffic.t[call]) + VERDICT_DELAY_S, int(call), bool(traffic.blocked[call] == 1))
