"""One transaction's work on events: known ids, rows, attribution of outcomes, prompt-runs, and the guard's fold.

Order within a transaction is the order of ``seq``: events are taken as they were queued, so replaying ``prompt_runs``
by ``seq`` is the same fold.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import duckdb

from experiment.counting import PromptRun, pair_key, verdict
from experiment.events import Call, Outcome
from warehouse.keeper import Keeper
from warehouse.rows import (
    CALL_SCHEMA,
    OUTCOME_SCHEMA,
    PROMPT_RUN_SCHEMA,
    aware,
    call_row,
    outcome_row,
    prompt_run_key,
    table,
)

Event = Call | Outcome
Row = dict[str, Any]


class ItemResult(NamedTuple):
    """What became of one event."""

    id: str
    status: Literal[201, 200, 409, 422]
    detail: str = ""
    pending: bool = False
    """An outcome whose call has not arrived yet."""


class _CallFacts(NamedTuple):
    """What attribution needs to know of a call."""

    id: str
    ts: datetime
    experiment: str
    epoch: int
    arm: str
    arm_treated: str
    device: str
    prompt: str
    safety_level: str
    run: str
    seq: int


_FACTS = "id, ts, experiment, epoch, arm, arm_treated, device, prompt, safety_level, run, seq"


_WAITING = ("seq", "id", "ts", "experiment", "kind", "call", "run", "child_run", "call_id", "stage", "method")


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


class Ingest:
    """Stores a batch within the caller's transaction.

    Args:
        cursor: the writer's cursor, a transaction open on it.
        keeper: the guard's memory; staged changes are the caller's to commit or abort.
        next_seq: gives the next commit number.
        now: aware time of the commit: a trip's time, so that a late event can't shorten a cool-down.
    """

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, keeper: Keeper, next_seq: Callable[[], int], now: datetime
    ) -> None:
        self._now = now
        self._cursor = cursor
        self._keeper = keeper
        self._next_seq = next_seq
        self._calls: list[Row] = []
        self._outcomes: list[Row] = []
        self._facts: dict[str, _CallFacts] = {}
        self._by_run: dict[str, list[_CallFacts]] = defaultdict(list)
        self._linked: dict[str, str] = {}

    def store(self, events: Sequence[tuple[Event, str]]) -> list[ItemResult]:
        """Store pseudonymised events with their digests; one result each, in order."""
        calls = [event.id for event, _ in events if isinstance(event, Call)]
        outcomes = [event.id for event, _ in events if isinstance(event, Outcome)]
        known_calls = self._known("calls", calls)
        known_outcomes = self._known("outcomes", outcomes)
        results: list[ItemResult] = []
        fresh_outcomes: list[tuple[int, Outcome]] = []
        for event, digest in events:
            known = known_calls if isinstance(event, Call) else known_outcomes
            if event.id in known:
                same = known[event.id] == digest
                detail = "" if same else "this id is known with another content; the first is kept"
                results.append(ItemResult(event.id, 200 if same else 409, detail))
                continue
            known[event.id] = digest
            seq = self._next_seq()
            if isinstance(event, Call):
                treated = self._keeper.treated(event.experiment, event.epoch, event.arm, event.model)
                row = call_row(event, digest, seq, treated, self._now)
                self._calls.append(row)
                self._learn(_facts(row))
                if event.refused:
                    self._outcomes.append(self._refusal(event))
            else:
                self._outcomes.append(outcome_row(event, digest, seq, self._now))
                fresh_outcomes.append((len(results), event))
            results.append(ItemResult(event.id, 201))
        self._look_up_calls()
        touched = self._attribute()
        self._insert(touched)
        self._count(touched)
        for position, outcome in fresh_outcomes:
            row = next(row for row in self._outcomes if row["id"] == outcome.id)
            results[position] = results[position]._replace(pending=not row["call_id"])
        return results

    def _refusal(self, call: Call) -> Row:
        """A refusal text in place of a transformation is a block of that call (HOST.md, *Outcomes*)."""
        outcome = Outcome(
            id=f"refusal-{hashlib.sha256(call.id.encode()).hexdigest()[:40]}",
            ts=call.ts,
            experiment=call.experiment,
            kind="block",
            call=call.id,
            stage="stage2",
            method="refusal",
            code="refusal",
            origin=call.origin,
            synthetic=call.synthetic,
        )
        return outcome_row(outcome, outcome.digest(), self._next_seq(), self._now)

    def _known(self, name: str, ids: list[str]) -> dict[str, str]:
        if not ids:
            return {}
        rows = self._cursor.execute(f"SELECT id, digest FROM {name} WHERE id IN ({_marks(ids)})", ids).fetchall()
        return dict(rows)

    def _learn(self, facts: _CallFacts) -> None:
        if facts.id not in self._facts:
            self._facts[facts.id] = facts
            if facts.run:
                self._by_run[facts.run].append(facts)

    def _look_up_calls(self) -> None:
        """Calls that this batch's outcomes point at, by id, by run, and by run through a link or a regeneration."""
        ids = {row["call"] for row in self._outcomes if row["call"]} - self._facts.keys()
        runs = {row["run"] for row in self._outcomes if row["run"]}
        for row in self._outcomes:
            if row["child_run"]:
                self._linked[row["child_run"]] = row["call"] or row["run"]
        self._fetch("id", ids)
        if runs:
            found = self._cursor.execute(
                "SELECT child_run, call_id, call, run FROM outcomes "
                f"WHERE child_run IN ({_marks(list(runs))}) AND kind IN ('link', 'regeneration') ORDER BY seq DESC",
                list(runs),
            ).fetchall()
            for child, call_id, call, run in found:
                self._linked.setdefault(child, call_id or call or run)
        targets = {self._linked[run] for run in runs if run in self._linked}
        self._fetch("id", targets - self._facts.keys())
        self._fetch("run", runs | targets | {row["run"] for row in self._calls if row["run"]})

    def _fetch(self, column: str, values: set[str]) -> None:
        wanted = [value for value in values if value]
        if wanted:
            for row in self._cursor.execute(
                f"SELECT {_FACTS} FROM calls WHERE {column} IN ({_marks(wanted)})", wanted
            ).fetchall():
                self._learn(_CallFacts(*row))

    def _resolve(self, row: Row) -> str:
        """Id of the call that an outcome belongs to; '' while it is unknown.

        By call id; else the run's latest call that is not younger than the outcome, else its first; else through a
        link or regeneration that made the run a child of another.
        """
        if row["call"]:
            return row["call"] if self._same_experiment(row["call"], row) else ""
        run, seen = row["run"], set()
        while run and run not in seen:
            seen.add(run)
            mine = [facts for facts in self._by_run.get(run, ()) if facts.experiment == row["experiment"]]
            candidates = sorted(mine, key=lambda facts: (facts.ts, facts.id))
            if candidates:
                before = [facts for facts in candidates if facts.ts <= row["ts"]]
                return (before[-1] if before else candidates[0]).id
            target = self._linked.get(run, "")
            if self._same_experiment(target, row):
                return target
            run = target
        return ""

    def _same_experiment(self, call: str, row: Row) -> bool:
        return call in self._facts and self._facts[call].experiment == row["experiment"]

    def _point(self, row: Row, target: str) -> None:
        row["call_id"], row["call_seq"] = target, self._facts[target].seq if target else 0

    def _attribute(self) -> list[Row]:
        """Give outcomes their call, those that waited for one of this batch's calls too; returns those that changed."""
        for row in self._outcomes:
            self._point(row, self._resolve(row))
        touched = [row for row in self._outcomes if row["call_id"]]
        touched += self._waiting()
        return sorted(touched, key=lambda row: row["seq"])

    def _waiting(self) -> list[Row]:
        """Stored outcomes that a new call or link of this batch gives their call, or another one."""
        new_calls = [row["id"] for row in self._calls]
        runs = {row["run"] for row in self._calls if row["run"]}
        changed: list[Row] = []
        if new_calls:
            changed += self._repoint("call", new_calls)
        links = [row for row in [*self._outcomes, *changed] if row["child_run"] and row["call_id"]]
        seen: set[str] = set()
        # A link may give a call to another link that waited for its run, and so on down; runs that claim to repeat
        # each other in a circle are looked at once.
        while runs or links:
            self._linked.update({row["child_run"]: row["call_id"] for row in links})
            runs = (runs | {row["child_run"] for row in links}) - seen
            if not runs:
                break
            seen |= runs
            found = self._repoint("run", list(runs))
            changed += found
            runs, links = set(), [row for row in found if row["child_run"]]
        return changed

    def _repoint(self, column: Literal["call", "run"], values: list[str]) -> list[Row]:
        """Resolve stored outcomes again; those whose call changed are updated and returned."""
        query = f"SELECT {', '.join(_WAITING)} FROM outcomes WHERE {column} IN ({_marks(values)})"
        changed: list[Row] = []
        for found in self._cursor.execute(query, values).fetchall():
            row: Row = dict(zip(_WAITING, found, strict=True))
            target = self._resolve(row)
            if target and target != row["call_id"]:
                # A verdict that has been attributed before has been counted: moving it is no second verdict.
                row["moved"] = bool(row["call_id"])
                self._point(row, target)
                changed.append(row)
                self._cursor.execute(
                    "UPDATE outcomes SET call_id = ?, call_seq = ? WHERE id = ?", [target, row["call_seq"], row["id"]]
                )
        return changed

    def _insert(self, touched: list[Row]) -> None:
        """Insert rows; the texts of new calls that are blocked, now or before they came, never reach the file."""
        blocked = {row["call_id"] for row in touched if row["kind"] == "block"}
        new = {row["id"] for row in self._calls}
        for row in self._calls:
            if row["id"] in blocked:
                row.update(input=None, context=None, output=None)
        if self._calls:
            self._append("calls", self._calls, CALL_SCHEMA)
        if self._outcomes:
            self._append("outcomes", self._outcomes, OUTCOME_SCHEMA)
        older = list(blocked - new)
        if older:
            self._cursor.execute(
                f"UPDATE calls SET input = NULL, context = NULL, output = NULL WHERE id IN ({_marks(older)})", older
            )

    def _append(self, name: str, rows: list[Row], schema: Any) -> None:
        # Arrow: a multi-row VALUES statement of 34 columns costs several times as much to parse.
        self._cursor.register("incoming", table(rows, schema))
        try:
            self._cursor.execute(f"INSERT INTO {name} SELECT * FROM incoming")
        finally:
            self._cursor.unregister("incoming")

    def _count(self, touched: list[Row]) -> None:
        """Count the prompt-runs that newly attributed verdicts decide, and fold the guard over them in order."""
        counted: list[tuple[Row, int]] = []
        for row in touched:
            if row["kind"] not in ("block", "not_blocked") or row.get("moved"):
                continue
            facts = self._facts[row["call_id"]]
            blocked = verdict(row["kind"], row["stage"], row["method"], facts.safety_level)
            if blocked is None or facts.arm != facts.arm_treated or not facts.prompt:
                continue
            if not self._keeper.known_epoch(facts.experiment, facts.epoch):
                continue
            device, prompt = pair_key(facts.device, facts.prompt, aware(facts.ts))
            within = self._keeper.counting_epoch(facts.experiment, facts.arm, facts.epoch)
            key = prompt_run_key(facts.experiment, within, facts.arm, device, prompt)
            counted.append(
                (
                    {
                        "key": key, "ts": row["ts"], "experiment": facts.experiment, "epoch": facts.epoch,
                        "arm": facts.arm, "device": device, "prompt": prompt, "blocked": blocked,
                        "event_id": row["id"],
                    },
                    facts.epoch,
                )
            )  # fmt: skip
        if not counted:
            return
        keys = [row["key"] for row, _ in counted]
        known = {
            row[0]
            for row in self._cursor.execute(
                f"SELECT key FROM prompt_runs WHERE key IN ({_marks(keys)})", keys
            ).fetchall()
        }
        fresh: list[Row] = []
        for row, epoch in counted:
            if row["key"] in known:
                continue
            known.add(row["key"])
            row["seq"] = self._next_seq()
            fresh.append(row)
            run = PromptRun(row["event_id"], row["arm"], row["device"], row["prompt"], row["blocked"], self._now)
            self._keeper.fold(self._cursor, row["experiment"], epoch, run)
        if fresh:
            self._append("prompt_runs", fresh, PROMPT_RUN_SCHEMA)


def _facts(row: Row) -> _CallFacts:
    return _CallFacts(*(row[name] for name in _CallFacts._fields))
