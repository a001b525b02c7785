"""A report from a snapshot: the same application over the frozen tables, with the clock at the time they were taken.

The application is asked in this process and without its lifespan: no watchdog runs, so nothing is added to what was
frozen, and no port is opened.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
from fastapi import FastAPI

from collector.app import create_app
from collector.config import ServiceConfig, ServiceSettings
from experiment.config import ExperimentSettings
from ops.errors import UserError
from ops.snapshot_folder import Snapshot, read
from warehouse.engine import open_store
from warehouse.keeper import CODE_VERSION, Keeper
from warehouse.permits import PermitFolder
from warehouse.store import FILE_NAME, Warehouse

NO_TEXTS: Final = "the snapshot holds no texts: take it with --texts to measure diversity"
# Columns that a snapshot leaves out although the table wants them.
_LEFT_OUT: Final = {"calls": "'' AS digest", "outcomes": "'' AS digest"}


class Rebuilt:
    """Answers a report's questions as the service did when the snapshot was taken.

    Args:
        asked: the application over the frozen tables.
        snapshot: where they came from.
    """

    def __init__(self, asked: FastAPI, snapshot: Snapshot) -> None:
        self._asked, self._snapshot = asked, snapshot

    def results(self, name: str, **filters: str) -> dict[str, Any]:
        """What each arm did, and the comparison."""
        return self._get(f"/v1/experiments/{name}/results", filters)

    def quality(self, name: str) -> dict[str, Any]:
        """Whether the data can be trusted; diversity only with texts."""
        answer = self._get(f"/v1/experiments/{name}/quality", {})
        if not self._snapshot.facts["texts"]:
            for adapter in answer["adapters"]:
                if adapter["collapse"]:
                    adapter["collapse"]["sentence"] = NO_TEXTS
        return answer

    def guard(self, name: str, history: int = 50) -> dict[str, Any]:
        """The guard's state and history."""
        return self._get(f"/v1/experiments/{name}/guard", {"history": str(history)})

    def snapshot(self, name: str) -> dict[str, Any]:
        """What the service said of itself then, and the snapshot's hash."""
        facts = {key: value for key, value in self._snapshot.facts.items() if key != "texts"}
        return facts | {"snapshot": self._snapshot.sha256}

    def _get(self, path: str, filters: dict[str, str]) -> dict[str, Any]:
        answer = asyncio.run(self._ask(path, filters))
        body: dict[str, Any] = answer.json()
        if not answer.is_success:
            raise UserError(str(body["detail"]))
        return body

    async def _ask(self, path: str, filters: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._asked)
        async with httpx.AsyncClient(transport=transport, base_url="http://snapshot") as client:
            return await client.get(path, params=filters)


@contextmanager
def rebuilt(folder: Path) -> Iterator[tuple[Rebuilt, str]]:
    """A snapshot opened for a report, and its experiment's name.

    Raises:
        UserError: no snapshot, a damaged one, or one of another version of Equipoise.
    """
    snapshot = read(folder)
    facts = snapshot.facts
    if facts["code_version"] != CODE_VERSION:
        raise UserError(
            f"{folder} was taken with Equipoise {facts['code_version']}, this is {CODE_VERSION}: numbers are only "
            "rebuilt by the version that reported them; install that one"
        )
    name, taken = str(facts["experiment"]), datetime.fromisoformat(facts["taken"])
    with tempfile.TemporaryDirectory(prefix="equipoise-snapshot-") as scratch:
        config = ServiceConfig(
            service=ServiceSettings(data=Path(scratch), development=True, synthetic=facts["synthetic"]),
            experiment={name: ExperimentSettings.model_validate(facts["settings"])},
        )
        _load(config, snapshot, name, taken)
        store = Warehouse(
            config.service.data,
            config.warehouse,
            config.experiment,
            synthetic=config.service.synthetic,
            clock=lambda: taken,
        )
        with closing(store):
            store.writer.repeated = facts["counters"]["repeated"]
            store.writer.conflicts = facts["counters"]["conflicts"]
            app = create_app(config)
            app.state.warehouse = store
            yield Rebuilt(app, snapshot), name


def _load(config: ServiceConfig, snapshot: Snapshot, name: str, taken: datetime) -> None:
    """Fill a fresh warehouse; and write the permit that its guard expects of an open adapter."""
    with closing(open_store(config.service.data / FILE_NAME, taken)) as connection:
        for table in snapshot.facts["tables"]:
            file = snapshot.table(table)
            if file.exists():
                left_out = f", {_LEFT_OUT[table]}" if table in _LEFT_OUT else ""
                query = f"INSERT INTO {table} BY NAME SELECT *{left_out} FROM read_parquet(?)"
                connection.execute(query, [str(file)])
        keeper = Keeper(config.experiment, lambda: 0, config.service.synthetic)
        keeper.load(connection)
        permit = keeper.permit(name)
        if permit is not None:
            PermitFolder(config.service.data / "permits").write(permit)
