"""The guard's memory inside the one writer: states, evidence, epochs and overrides, folded within its transaction.

Everything here follows from ``guard_log``, ``prompt_runs``, ``epochs`` and ``overrides``; a restart reads it back. A
batch works on staged copies that are adopted only after its commit, so a failed transaction leaves no trace in memory.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

import duckdb

from experiment import guard as machine
from experiment.arms import Arms, same_model
from experiment.config import ExperimentSettings, PlanSettings
from experiment.counting import PromptRun
from experiment.guard import ArmGuard, Evidence, Transition, VersionHistory
from experiment.limits import GuardLimits
from experiment.permit import Permit
from experiment.sentences import transition_sentence
from warehouse.rows import aware, naive

CODE_VERSION: Final = "0.1.0"


class By(NamedTuple):
    """Who did it and why, for the log."""

    actor: str
    token_id: str = ""
    reason: str = ""


SERVICE: Final = By("equipoise")


class EpochInfo(NamedTuple):
    """One opened epoch."""

    number: int
    arms: Arms
    opened: datetime
    plan: PlanSettings


@dataclass
class _Experiment:
    """One experiment's part of the memory; copied when a transaction begins to change it."""

    epochs: list[EpochInfo] = field(default_factory=list)
    guards: dict[str, ArmGuard] = field(default_factory=dict)
    evidence: dict[str, Evidence] = field(default_factory=dict)
    base_counts: dict[int, tuple[int, int]] = field(default_factory=dict)
    opted_out: frozenset[str] = frozenset()
    base_only_until: datetime | None = None

    def copy(self) -> "_Experiment":
        return _Experiment(
            list(self.epochs),
            dict(self.guards),
            {arm: evidence.copy() for arm, evidence in self.evidence.items()},
            dict(self.base_counts),
            self.opted_out,
            self.base_only_until,
        )


class Keeper:
    """Guard states of all experiments; used by the writer's thread, read by others through snapshots.

    Args:
        experiments: the configured experiments.
        next_seq: gives the next commit number.
        synthetic: whether this installation's traffic is made up (demo).
    """

    def __init__(
        self, experiments: dict[str, ExperimentSettings], next_seq: Callable[[], int], synthetic: bool
    ) -> None:
        self.experiments = experiments
        self.synthetic = synthetic
        self.next_seq = next_seq
        self._live: dict[str, _Experiment] = {}
        self._staged: dict[str, _Experiment] = {}

    # -- transactions ---------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Adopt what was staged: call after the database has committed."""
        self._live = {**self._live, **self._staged}
        self._staged = {}

    def abort(self) -> None:
        """Forget what was staged."""
        self._staged = {}

    @property
    def changed(self) -> list[str]:
        """Experiments with staged changes."""
        return list(self._staged)

    def _view(self, experiment: str) -> _Experiment:
        return self._staged.get(experiment) or self._live[experiment]

    def _stage(self, experiment: str) -> _Experiment:
        if experiment not in self._staged:
            self._staged[experiment] = self._live[experiment].copy()
        return self._staged[experiment]

    # -- reading --------------------------------------------------------------------------------------------------

    def limits(self, experiment: str) -> GuardLimits:
        """The thresholds in force."""
        return self.experiments[experiment].guard.limits()

    def guard(self, experiment: str, arm: str) -> ArmGuard:
        """The arm's guard, staged changes included."""
        return self._view(experiment).guards[arm]

    def guards(self, experiment: str) -> dict[str, ArmGuard]:
        """All adapters' guards."""
        return dict(self._view(experiment).guards)

    def evidence(self, experiment: str, arm: str) -> Evidence:
        """The arm's evidence; not to be changed."""
        return self._view(experiment).evidence[arm]

    def epoch(self, experiment: str) -> EpochInfo | None:
        """The current epoch; None before the first arming."""
        epochs = self._view(experiment).epochs
        return epochs[-1] if epochs else None

    def next_epoch(self, experiment: str) -> int:
        """Number of the epoch that arming would open."""
        epochs = self._view(experiment).epochs
        return epochs[-1].number + 1 if epochs else 1

    def counting_epoch(self, experiment: str, arm: str, epoch: int) -> int:
        """The epoch within which an arm's pairs are distinct: that of its own arming, over later ones of other arms."""
        guard = self._view(experiment).guards.get(arm)
        return guard.epoch if guard is not None and 0 < guard.epoch <= epoch else epoch

    def known_epoch(self, experiment: str, epoch: int) -> bool:
        """Whether the epoch was ever opened here (a restored backup may be behind the gateway's outbox)."""
        return any(known.number == epoch for known in self._view(experiment).epochs)

    def epochs(self, experiment: str) -> list[EpochInfo]:
        """All epochs, oldest first."""
        return list(self._view(experiment).epochs)

    def base_counts(self, experiment: str, epoch: int) -> tuple[int, int]:
        """(prompt-runs, blocked) of the base arm in an epoch."""
        return self._view(experiment).base_counts.get(epoch, (0, 0))

    def known_arm(self, experiment: str, arm: str) -> bool:
        """Whether the arm is configured or was part of any epoch."""
        if arm in self.experiments[experiment].arms:
            return True
        return any(arm == known.name for epoch in self._view(experiment).epochs for known in epoch.arms.arms)

    def treated(self, experiment: str, epoch: int, arm: str, model: str) -> str:
        """The arm whose model answered: the assigned one if its model did, else another with that model, else ''."""
        arms = self._arms(experiment, epoch)
        names = sorted(arms.arms, key=lambda known: known.name != arm)
        return next((known.name for known in names if model and same_model(known.model, model)), "")

    def _arms(self, experiment: str, epoch: int) -> Arms:
        for known in reversed(self._view(experiment).epochs):
            if known.number == epoch:
                return known.arms
        return self.experiments[experiment].proposed(experiment)

    def permit(self, experiment: str) -> Permit | None:
        """What the gateway may do now, staged changes included; None before the first epoch."""
        view = self._view(experiment)
        if not view.epochs:
            return None
        current = view.epochs[-1]
        return Permit(
            epoch=current.number,
            arms=current.arms,
            open_arms=frozenset(arm for arm, guard in view.guards.items() if guard.open),
            base_only_until=view.base_only_until,
            opted_out=view.opted_out,
            synthetic=self.synthetic,
        )

    # -- changing, within the writer's transaction ------------------------------------------------------------------

    def fold(self, cursor: duckdb.DuckDBPyConnection, experiment: str, epoch: int, run: PromptRun) -> None:
        """Fold one newly counted prompt-run and log what follows from it."""
        view = self._stage(experiment)
        arms = self._arms(experiment, epoch)
        if run.arm == arms.base:
            n, blocked = view.base_counts.get(epoch, (0, 0))
            view.base_counts[epoch] = (n + 1, blocked + int(run.blocked))
            return
        guard, evidence = view.guards.get(run.arm), view.evidence.get(run.arm)
        if guard is None or evidence is None or not guard.epoch:
            return
        if epoch < guard.epoch and self._version_in(cursor, experiment, run.arm, epoch) != guard.adapter:
            return  # a late verdict on another adapter version says nothing about this one
        step = machine.fold(guard, evidence, run, current=epoch >= guard.epoch)
        if step is not None:
            self.apply(cursor, experiment, run.arm, step, SERVICE, run.ts)

    def apply(
        self,
        cursor: duckdb.DuckDBPyConnection,
        experiment: str,
        arm: str,
        step: Transition,
        by: By,
        now: datetime | None,
    ) -> str:
        """Take a transition: stage the state and append to ``guard_log``; returns the readable sentence."""
        view = self._stage(experiment)
        view.guards[arm] = step.after
        evidence, limits = view.evidence[arm], self.limits(experiment)
        counts, e_value = evidence.counts, evidence.e_value
        epoch = step.after.epoch
        base_n, base_blocked = view.base_counts.get(view.epochs[-1].number if view.epochs else 0, (0, 0))
        sentence = transition_sentence(step, counts, e_value, base_n, base_blocked, limits)
        thresholds = {key: str(value) for key, value in asdict(limits).items()}
        cursor.execute(
            f"INSERT INTO guard_log VALUES ({', '.join('?' * 28)})",
            [
                self.next_seq(), naive(now or view.epochs[-1].opened), experiment, epoch, arm, step.after.adapter,
                step.action, step.before.state, step.after.state, step.after.rule or "", step.after.grade or "",
                counts.n, counts.blocked, counts.devices, counts.blocked_devices, e_value, evidence.arm.detector,
                base_n, base_blocked, json.dumps(thresholds, sort_keys=True),
                self.experiments[experiment].digest(), CODE_VERSION, step.event_id, by.actor, by.token_id, by.reason,
                sentence, json.dumps(guard_to_json(step.after)),
            ],
        )  # fmt: skip
        return sentence

    def open_epoch(self, cursor: duckdb.DuckDBPyConnection, experiment: str, by: By, now: datetime) -> int:
        """Freeze the proposed arms into a new epoch; returns its number."""
        view, settings = self._stage(experiment), self.experiments[experiment]
        arms = settings.proposed(experiment)
        number = self.next_epoch(experiment)
        cursor.execute(
            "INSERT INTO epochs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [experiment, number, naive(now), arms.model_dump_json(), settings.plan.model_dump_json(),
             settings.digest(), CODE_VERSION, by.actor, by.reason, self.synthetic],
        )  # fmt: skip
        view.epochs.append(EpochInfo(number, arms, now, settings.plan))
        return number

    def start_evidence(self, cursor: duckdb.DuckDBPyConnection, experiment: str, arm: str, adapter: str) -> None:
        """Evidence at the start of an arm's epoch: n = S = 0, E of that adapter version as the log has it."""
        self._stage(experiment).evidence[arm] = self._read_evidence(cursor, experiment, arm, adapter, since_epoch=None)

    def set_overrides(
        self, experiment: str, *, opted_out: frozenset[str] | None = None, base_only_until: datetime | None = None
    ) -> None:
        """Stage an opt-out list or a 'base only until'."""
        view = self._stage(experiment)
        if opted_out is not None:
            view.opted_out = opted_out
        if base_only_until is not None:
            view.base_only_until = base_only_until

    def opted_out(self, experiment: str) -> frozenset[str]:
        """Devices that a person put on the base arm."""
        return self._view(experiment).opted_out

    # -- reading back ---------------------------------------------------------------------------------------------

    def load(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Read everything back from the store: at start, and after a store failure."""
        self._staged = {}
        self._live = {name: _Experiment() for name in self.experiments}
        for name, settings in self.experiments.items():
            view = self._live[name]
            for number, text, opened, plan in cursor.execute(
                "SELECT epoch, arms, opened, plan FROM epochs WHERE experiment = ? ORDER BY epoch", [name]
            ).fetchall():
                arms_then, plan_then = Arms.model_validate_json(text), PlanSettings.model_validate_json(plan)
                view.epochs.append(EpochInfo(number, arms_then, aware(opened), plan_then))
            arms = {arm.name for arm in settings.proposed(name).adapters}
            for arm in sorted(arms):
                row = cursor.execute(
                    "SELECT guard FROM guard_log WHERE experiment = ? AND arm = ? ORDER BY seq DESC LIMIT 1",
                    [name, arm],
                ).fetchone()
                guard = guard_from_json(json.loads(row[0])) if row else ArmGuard()
                view.guards[arm] = guard
                view.evidence[arm] = (
                    self._read_evidence(cursor, name, arm, guard.adapter, since_epoch=guard.epoch)
                    if guard.epoch
                    else Evidence(self.limits(name))
                )
            for epoch, n, blocked in cursor.execute(
                "SELECT epoch, count(*), count(*) FILTER (blocked) FROM prompt_runs "
                "WHERE experiment = ? AND arm = ? GROUP BY epoch",
                [name, settings.base],
            ).fetchall():
                view.base_counts[epoch] = (n, blocked)
            self._load_overrides(cursor, name, view)

    def _load_overrides(self, cursor: duckdb.DuckDBPyConnection, name: str, view: _Experiment) -> None:
        out: set[str] = set()
        for kind, device, until in cursor.execute(
            "SELECT kind, device, until FROM overrides WHERE experiment = ? ORDER BY seq", [name]
        ).fetchall():
            match kind:
                case "opt_out":
                    out.add(device)
                case "opt_in":
                    out.discard(device)
                case "base_only":
                    view.base_only_until = aware(until) if until else None
        view.opted_out = frozenset(out)

    def _read_evidence(
        self, cursor: duckdb.DuckDBPyConnection, experiment: str, arm: str, adapter: str, since_epoch: int | None
    ) -> Evidence:
        """Fold ``prompt_runs`` again: all epochs of the adapter version for E, those since arming for the counts."""
        evidence = Evidence(self.limits(experiment))
        versions = self._versions(cursor, experiment, arm)
        rows = cursor.execute(
            "SELECT event_id, device, prompt, blocked, ts, epoch FROM prompt_runs "
            "WHERE experiment = ? AND arm = ? ORDER BY seq",
            [experiment, arm],
        ).fetchall()
        for event_id, device, prompt, blocked, ts, epoch in rows:
            run = PromptRun(event_id, arm, device, prompt, blocked, aware(ts))
            if since_epoch is not None and epoch >= since_epoch:
                evidence.arm.add(run)
            if _version_at(versions, epoch) == adapter:
                evidence.version.add(device=device, blocked=blocked)
        return evidence

    def _versions(self, cursor: duckdb.DuckDBPyConnection, experiment: str, arm: str) -> list[tuple[int, str]]:
        return cursor.execute(
            "SELECT epoch, adapter FROM guard_log WHERE experiment = ? AND arm = ? AND action = 'arm' ORDER BY seq",
            [experiment, arm],
        ).fetchall()

    def _version_in(self, cursor: duckdb.DuckDBPyConnection, experiment: str, arm: str, epoch: int) -> str:
        return _version_at(self._versions(cursor, experiment, arm), epoch)

    def history(self, cursor: duckdb.DuckDBPyConnection, experiment: str, adapter: str) -> VersionHistory:
        """What the log knows of an adapter version's rollbacks, under whatever arm's name.

        A confirmed rollback is not forgotten because a person later rolled the version back by hand.
        """
        rows = cursor.execute(
            "SELECT action, grade, ts FROM guard_log WHERE experiment = ? AND adapter = ? "
            "AND action IN ('trip', 'confirm', 'rollback') ORDER BY seq",
            [experiment, adapter],
        ).fetchall()
        trips = [row for row in rows if row[0] == "trip"]
        # A confirmation must not restart the cool-down: the rollback itself is the trip.
        at = next((aware(row[2]) for row in reversed(rows) if row[0] != "confirm"), None)
        confirmed = any(row[1] == "confirmed" for row in rows)
        return VersionHistory(len(trips), "confirmed" if confirmed else rows[-1][1] if rows else None, at)


def _version_at(versions: list[tuple[int, str]], epoch: int) -> str:
    """The adapter version in force in an epoch, given (epoch of arming, version) in order; '' before the first."""
    current = ""
    for since, version in versions:
        if since > epoch:
            break
        current = version
    return current


def guard_to_json(guard: ArmGuard) -> dict[str, Any]:
    """A guard as plain JSON values."""
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(guard).items()}


def guard_from_json(data: dict[str, Any]) -> ArmGuard:
    """The inverse of :func:`guard_to_json`."""
    times = {key: datetime.fromisoformat(data[key]) for key in ("since", "opened") if data.get(key)}
    return ArmGuard(**{**data, **times})
