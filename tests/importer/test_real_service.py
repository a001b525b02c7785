"""The importer against the real owner service: what it posts is accepted, kept once, and attributed."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from zoneinfo import ZoneInfo

from client.embedded import embedded
from client.http import Client
from collector.config import ServiceConfig, ServiceSettings
from collector.importer import import_host, watch_host
from collector.importer.report import Tally
from experiment.config import ArmSettings, ExperimentSettings
from experiment.events import Call
from experiment.pseudonym import Pseudonymiser
from tests.importer.host_export import Export

ANSWER = "Am Ufer steht ein Haus, das aus lauter Stimmen fließt."
BLOCK = {"stage": 3, "error_type": "safety_blocked", "details": {"check": "llamaguard"}}


def config(data: Path) -> ServiceConfig:
    arms = {"base": ArmSettings(model="m", weight=9), "adapter": ArmSettings(model="m-a", weight=1)}
    return ServiceConfig(service=ServiceSettings(data=data), experiment={"stage2": ExperimentSettings(arms=arms)})


def names_of(data: Path) -> Pseudonymiser:
    return Pseudonymiser(bytes.fromhex((data / "key").read_text()))


def live(client: Client, export: Export, name: str, names: Pseudonymiser) -> None:
    at = (export.at.replace(tzinfo=ZoneInfo("Europe/Berlin")) - timedelta(seconds=2)).astimezone(UTC)
    call = Call(
        id=name, ts=at, experiment="stage2", arm="base", model="m", safety_level="kids",
        prompt=names.prompt("Ein Haus aus Wasser"), output_key=names.output(ANSWER), input="Ein Haus aus Wasser",
        output=ANSWER,
    )  # fmt: skip
    assert client.post_calls([call])[0].status == 201


def test_an_import_is_accepted_whole_and_once(tmp_path: Path) -> None:
    export = Export(tmp_path / "host")
    first = export.run(edits=("Ein Boot.",))
    export.favourite(export.regeneration("Ein Boot."))
    blocked = export.run(text="Etwas anderes", answer="Etwas ganz anderes.", outputs=(), error=BLOCK)
    data = tmp_path / "data"
    with embedded(config(data)) as client:
        names = names_of(data)
        reports = [
            import_host(export.json, client, experiment="stage2", pseudonymiser=names)
            for _ in range(2)
        ]  # fmt: skip
        assert (reports[0].imported, reports[0].regenerations, reports[0].refused) == (2, 1, {})
        # Both the run and its repeat were let through, and only the one blocked run was blocked.
        kinds = {"edit": 1, "regeneration": 1, "block": 1, "not_blocked": 2, "favourite": 1}
        assert reports[0].outcomes == {kind: Tally(new=count) for kind, count in kinds.items()}
        assert (reports[1].new, reports[1].known, reports[1].conflicts) == (0, 2, 0)
        rows = {row["run"]: row for row in client.calls(experiment="stage2", origin="import")}
        assert rows[names.run(first)]["output"] == ANSWER
        assert rows[names.run(blocked)]["output"] is None
        assert rows[names.run(blocked)]["prompt"] == names.prompt("Etwas anderes")


def test_a_watched_run_is_the_live_call_and_its_block_takes_the_texts_along(tmp_path: Path) -> None:
    export = Export(tmp_path / "host")
    data = tmp_path / "data"
    stop = Event()
    stop.set()
    with embedded(config(data)) as client:
        names = names_of(data)
        export.run(outputs=(), error=BLOCK)
        live(client, export, "c1", names)

        def look() -> tuple[int, int, int]:
            report = watch_host(
                export.json, client, experiment="stage2", pseudonymiser=names, interval_s=0, stop=stop,
                clock=lambda: datetime(2026, 3, 14, 12, tzinfo=UTC),
            )  # fmt: skip
            return report.joined, report.new, sum(report.unattributed.values())

        assert look() == (1, 2, 0)
        assert look() == (1, 0, 0)
        (row,) = client.calls(experiment="stage2")
        assert (row["id"], row["input"], row["output"]) == ("c1", None, None)
