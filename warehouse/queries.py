"""Reads: one cursor per read, opened and closed, so that worker threads never share one."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import duckdb
import pyarrow as pa

from warehouse.engine import STORE_FAILURES, sql
from warehouse.errors import StoreError
from warehouse.rows import aware, naive

DIMENSIONS: Final = {
    "none": "''",
    "day": "strftime(ts, '%Y-%m-%d')",
    "config": "config",
    "language": "language",
    "safety_level": "safety_level",
    "template_version": "template_version",
    "device_kind": "device_kind",
}
"""What metrics can be split by, as SQL."""

CALL_FILTERS: Final = ("experiment", "run", "prompt", "output_key", "origin", "arm", "device", "config", "reason", "id")
BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Before every event: earlier times are refused at the edge."""
Row = dict[str, Any]


class Scope(NamedTuple):
    """Which calls an answer is about."""

    experiment: str
    epoch: int = 0
    """0: all epochs."""
    workshop_only: bool = True
    """Browser devices and calls whose device is unknown: dev_, api_, canvas_, test- and legacy_ are no workshop."""
    origin: str = "live"
    since: datetime | None = None
    """Only what happened at or after this time; None: from the beginning."""

    @property
    def values(self) -> list[Any]:
        """Values for the WHERE clause that the metric queries share."""
        return [self.experiment, self.epoch, self.epoch, self.workshop_only, self.origin]


class Queries:
    """Everything that is read for people and programs.

    Args:
        connection: the open store; each read takes and closes a cursor of its own.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    @contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        try:
            cursor = self._connection.cursor()
        except duckdb.Error as error:
            raise StoreError(f"the store can't be read: {str(error).splitlines()[0]}") from error
        try:
            yield cursor
        except STORE_FAILURES as error:
            raise StoreError(f"the store can't be read: {str(error).splitlines()[0]}") from error
        finally:
            cursor.close()

    def rows(self, query: str, values: list[Any] | None = None) -> list[Row]:
        """The answer to a query as dictionaries; times aware, in UTC.

        Raises:
            StoreError: the store can't be read.
        """
        with self._cursor() as cursor:
            cursor.execute(query, values or [])
            names = [column[0] for column in cursor.description or []]
            return [
                {
                    name: aware(item) if isinstance(item, datetime) else item
                    for name, item in zip(names, row, strict=True)
                }
                for row in cursor.fetchall()
            ]

    def arrow(self, query: str, values: list[Any] | None = None) -> pa.Table:
        """The answer as an Arrow table.

        Raises:
            StoreError: the store can't be read.
        """
        with self._cursor() as cursor:
            return cursor.execute(query, values or []).to_arrow_table()

    def arm_metrics(self, scope: Scope, dimension: str = "none") -> list[Row]:
        """Counts per arm and value of a dimension of :data:`DIMENSIONS`.

        Raises:
            KeyError: unknown dimension.
        """
        query = sql("arm_metrics").replace("$dimension", DIMENSIONS[dimension])
        since = naive(scope.since or BEGINNING)
        return self.rows(query, [scope.experiment, scope.epoch, scope.workshop_only, scope.origin, since])

    def arm_series(self, scope: Scope, bin_s: int, since: datetime) -> list[Row]:
        """Counts per arm and bin of ``bin_s`` seconds, by the call's time."""
        return self.rows(sql("arm_series"), [bin_s, bin_s, *scope.values, naive(since)])

    def first_call(self, scope: Scope) -> datetime | None:
        """Time of the scope's first call; None without any."""
        row = self.rows(
            "SELECT min(ts) AS ts FROM calls WHERE experiment = ? AND (? = 0 OR epoch = ?) AND origin = ?",
            [scope.experiment, scope.epoch, scope.epoch, scope.origin],
        )[0]
        return row["ts"]  # type: ignore[no-any-return]

    def prompt_runs(self, experiment: str, epoch: int = 0, since: datetime = BEGINNING) -> list[Row]:
        """Counted and blocked prompt-runs per arm, by the verdict's time."""
        return self.rows(sql("prompt_run_metrics"), [experiment, epoch, epoch, naive(since)])

    def prompt_run_series(self, experiment: str, epoch: int, bin_s: int, since: datetime) -> list[Row]:
        """Counted and blocked prompt-runs per arm and bin, by the verdict's time."""
        return self.rows(sql("prompt_run_series"), [bin_s, bin_s, experiment, epoch, epoch, naive(since)])

    def guard_evidence(self, experiment: str, arm: str, epoch: int, points: int) -> list[Row]:
        """Running n and S of an adapter since its arming, in commit order: about ``points`` rows, the last one kept."""
        return self.rows(sql("guard_evidence"), [experiment, arm, epoch, points])

    def block_codes(self, experiment: str, epoch: int = 0, since: datetime = BEGINNING) -> list[Row]:
        """Blocked calls per arm, stage, method and code, by the block's time."""
        return self.rows(sql("block_codes"), [experiment, epoch, epoch, naive(since)])

    def missing_verdicts(self, experiment: str, since: datetime, before: datetime) -> dict[str, tuple[int, int]]:
        """Per arm (expected, missing) verdicts of calls sent to Stage 3 in [since, before)."""
        rows = self.rows(sql("missing_verdicts"), [naive(since), naive(before), experiment])
        return {row["arm"]: (row["expected"], row["missing"]) for row in rows}

    def latest_verdict(self, experiment: str) -> datetime | None:
        """When the latest safety verdict that can count came in; None if there never was one."""
        row = self.rows(
            "SELECT max(received) AS ts FROM outcomes WHERE experiment = ? AND kind IN ('block', 'not_blocked') "
            "AND stage <> 'stage1' AND method NOT IN ('disabled', 'llm_check_failed')",
            [experiment],
        )[0]
        return row["ts"]  # type: ignore[no-any-return]

    def guard_log(self, experiment: str, limit: int = 200) -> list[Row]:
        """The guard's transitions, newest first; JSON columns parsed."""
        rows = self.rows("SELECT * FROM guard_log WHERE experiment = ? ORDER BY seq DESC LIMIT ?", [experiment, limit])
        for row in rows:
            row["thresholds"] = json.loads(row["thresholds"])
            row["guard"] = json.loads(row["guard"])
        return rows

    def guard_events(self, experiment: str, first: int, last: int | None = None) -> list[Row]:
        """Counted prompt-runs of the epochs first … last (None: only the first) in commit order."""
        return self.rows(
            "SELECT event_id, ts, arm, device, prompt, blocked, epoch FROM prompt_runs "
            "WHERE experiment = ? AND epoch BETWEEN ? AND ? ORDER BY seq",
            [experiment, first, first if last is None else last],
        )

    def epochs(self, experiment: str) -> list[Row]:
        """Epochs with their frozen arms, oldest first."""
        rows = self.rows("SELECT * FROM epochs WHERE experiment = ? ORDER BY epoch", [experiment])
        for row in rows:
            row["arms"], row["plan"] = json.loads(row["arms"]), json.loads(row["plan"])
        return rows

    def calls(
        self,
        filters: dict[str, str],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after_seq: int = 0,
        limit: int = 100,
    ) -> tuple[str, list[Any]]:
        """SQL and values for browsing calls in commit order (for :meth:`rows` or :meth:`arrow`).

        Args:
            filters: equality filters on :data:`CALL_FILTERS`.
            since: calls at or after this time.
            until: calls before this time.
            after_seq: cursor: calls committed after this number.
            limit: rows at most.
        """
        where = ["seq > ?"]
        parameters: list[Any] = [after_seq]
        for name in CALL_FILTERS:
            if name in filters:
                where.append(f"{name} = ?")
                parameters.append(filters[name])
        if since is not None:
            where.append("ts >= ?")
            parameters.append(naive(since))
        if until is not None:
            where.append("ts < ?")
            parameters.append(naive(until))
        parameters.append(limit)
        return f"SELECT * EXCLUDE (digest) FROM calls WHERE {' AND '.join(where)} ORDER BY seq LIMIT ?", parameters

    def conclusion(self, experiment: str) -> Row | None:
        """The latest conclusion of an experiment; None if it never was concluded."""
        rows = self.rows("SELECT * FROM conclusions WHERE experiment = ? ORDER BY seq DESC LIMIT 1", [experiment])
        return rows[0] if rows else None

    def guard_ended(self, experiment: str, arm: str, since_epoch: int) -> bool:
        """Whether a rule rolled the arm back in one of these epochs."""
        query = (
            "SELECT count(*) AS n FROM guard_log WHERE experiment = ? AND arm = ? AND epoch >= ? AND action = 'trip'"
        )
        return bool(self.rows(query, [experiment, arm, since_epoch])[0]["n"])

    def pace(self, experiment: str, since_epoch: int) -> Row:
        """Calls, device-days and days with workshop traffic since an epoch."""
        return self.rows(
            "SELECT count(*) AS calls, count(DISTINCT device) AS devices, count(DISTINCT CAST(ts AS DATE)) AS days "
            "FROM calls WHERE experiment = ? AND epoch >= ? AND origin = 'live' "
            "AND device_kind IN ('browser', 'unknown')",
            [experiment, since_epoch],
        )[0]

    def waiting(self, experiment: str, since_epoch: int, after: datetime) -> Row:
        """Calls younger than the maturity window and their favourites so far."""
        return self.rows(
            "SELECT count(*) AS calls, count(*) FILTER (favourite) AS favourites FROM call_facts "
            "WHERE experiment = ? AND epoch >= ? AND origin = 'live' AND workshop AND NOT excluded AND ts >= ?",
            [experiment, since_epoch, naive(after)],
        )[0]

    def annotations(self, kind: str, calls: list[str]) -> dict[str, str]:
        """The latest label of one kind per call, for the calls that have one."""
        rows = self.rows(
            "SELECT call, arg_max(label, seq) AS label FROM annotations "
            "WHERE kind = ? AND call IN (SELECT unnest(?)) GROUP BY call",
            [kind, calls],
        )
        return {row["call"]: row["label"] for row in rows}

    def exclusions(self, experiment: str) -> list[Row]:
        """Exclusions with their reasons, oldest first."""
        return self.rows("SELECT * FROM exclusions WHERE experiment = ? ORDER BY seq", [experiment])

    def sizes(self) -> dict[str, int]:
        """Rows per table, for /metrics and reports."""
        tables = ("calls", "outcomes", "prompt_runs", "guard_log")
        parts = " UNION ALL ".join(f"SELECT '{name}' AS name, count(*) AS n FROM {name}" for name in tables)
        return {row["name"]: row["n"] for row in self.rows(parts)}
