"""What the guard shows: each adapter's state in a sentence, its evidence, what a person may do now, and the history."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from fractions import Fraction
from functools import partial
from typing import Any, Final

from collector.results import rate
from experiment import guard as machine
from experiment import sentences, sentences_de
from experiment.guard import ArmGuard, GuardRefused, Transition
from experiment.limits import GuardLimits
from experiment.rules import Counts, excess
from warehouse.guarding import SOURCE_WINDOW
from warehouse.keeper import guard_from_json
from warehouse.queries import Row
from warehouse.store import Warehouse

EVIDENCE_POINTS: Final = 120
"""Points of an adapter's evidence over time, about; the page stays light."""


def guard_view(store: Warehouse, name: str, history: int) -> dict[str, Any]:
    """State, sentences, evidence and history of every adapter.

    Args:
        store: the warehouse.
        name: the experiment.
        history: transitions at most, newest first.
    """
    epoch, limits, now = store.keeper.epoch(name), store.keeper.limits(name), store.clock()
    permit, latest = store.keeper.permit(name), store.queries.latest_verdict(name)
    until = permit.base_only_until if permit is not None else None
    base = store.keeper.base_counts(name, epoch.number) if epoch is not None else (0, 0)
    blindness = store.guarding.blindness
    return {
        "experiment": name,
        "epoch": epoch.number if epoch is not None else 0,
        "synthetic": store.keeper.synthetic,
        "generated_at": now,
        "base": rate(base[1], base[0]),
        "limits": {
            "limit": float(limits.limit), "min_n": limits.min_n, "excess": float(limits.excess),
            "detector": limits.detector, "confirm": limits.confirm, "cooldown_s": limits.cooldown_s,
        },
        "blind": blindness.reason if blindness is not None else None,
        "latest_verdict": latest,
        "verdict_source": latest is not None and now - latest <= SOURCE_WINDOW,
        "base_only_until": until if until is not None and now < until else None,
        "opted_out": len(store.keeper.opted_out(name)),
        "adapters": [
            _adapter(store, name, arm, guard, base, limits, now)
            for arm, guard in store.guarding.effective(name).items()
        ],
        "history": [_told(row) for row in store.queries.guard_log(name, history)],
    }  # fmt: skip


def _adapter(
    store: Warehouse,
    name: str,
    arm: str,
    guard: ArmGuard,
    base: tuple[int, int],
    limits: GuardLimits,
    now: datetime,
) -> dict[str, Any]:
    evidence = store.keeper.evidence(name, arm)
    counts = evidence.counts
    facts = (guard, counts, evidence.e_value, *base, limits)
    sentence = sentences.status_sentence(*facts)
    cooling = guard.state == "rolled_back" and guard.grade == "precautionary" and guard.since is not None
    return {
        "arm": arm,
        "state": guard.state,
        "grade": guard.grade,
        "rule": guard.rule,
        "adapter": guard.adapter,
        "configured": store.experiments[name].proposed(name).arm(arm).model,
        "epoch": guard.epoch,
        "since": guard.since,
        "open": guard.open,
        "sentence": sentence,
        "sentences": {"en": sentence, "de": sentences_de.status_sentence(*facts)},
        "prompt_runs": rate(counts.blocked, counts.n),
        "devices": counts.devices,
        "blocked_devices": counts.blocked_devices,
        "without_device": counts.deviceless,
        "excess": float(excess(counts.n, counts.blocked, limits.limit)),
        "detector": evidence.arm.detector,
        "e_value": evidence.e_value,
        "precautionary": guard.precautionary,
        "possible": possible(guard, now),
        "cooldown_until": guard.since + timedelta(seconds=limits.cooldown_s) if cooling and guard.since else None,
        "evidence": _evidence(store, name, arm, guard.epoch, limits) if guard.epoch else [],
    }


def possible(guard: ArmGuard, now: datetime) -> list[str]:
    """Actions that the guard's state allows a person now; a cool-down or a missing source of verdicts may still forbid.

    Args:
        guard: the adapter's state.
        now: aware time.
    """
    steps: dict[str, Callable[[ArmGuard, datetime], Transition]] = {
        "pause": machine.pause,
        "resume": partial(machine.resume, above=False),
        "rollback": machine.rollback,
    }
    actions = [] if guard.open else ["arm"]
    for action, step in steps.items():
        with suppress(GuardRefused):
            step(guard, now)
            actions.append(action)
    return actions


def _evidence(store: Warehouse, name: str, arm: str, epoch: int, limits: GuardLimits) -> list[Row]:
    """S over time beside what the limit allows (p₀·n) and the line at which R1 or R2 trips."""
    rows = store.queries.guard_evidence(name, arm, epoch, EVIDENCE_POINTS)
    for row in rows:
        allowed = limits.limit * row["n"]
        row["allowed"] = float(allowed)
        row["trips_at"] = float(allowed + limits.excess if row["n"] < limits.min_n else allowed)
    return rows


def _told(row: Row) -> Row:
    """A row of the log with its sentence in both languages; the log itself keeps the English one."""
    after = guard_from_json(row["guard"])
    counts = Counts(row["n"], row["blocked"], row["devices"], row["blocked_devices"], 0)
    kept = row["thresholds"]
    limits = GuardLimits(
        limit=Fraction(kept["limit"]),
        min_n=int(kept["min_n"]),
        excess=Fraction(kept["excess"]),
        detector=float(kept["detector"]),
        confirm=float(kept["confirm"]),
        cooldown_s=float(kept["cooldown_s"]),
    )
    german = sentences_de.transition_sentence(
        Transition(row["action"], after, after, row["last_event"]),
        counts,
        row["e_value"],
        row["base_n"],
        row["base_blocked"],
        limits,
    )
    rates = {"prompt_runs": rate(row["blocked"], row["n"]), "base": rate(row["base_blocked"], row["base_n"])}
    return row | rates | {"sentences": {"en": row["sentence"], "de": german}}
