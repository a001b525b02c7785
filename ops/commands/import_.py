"""``equipoise import host PATH``: a host's exports as events, once or again and again."""

import dataclasses
import signal
import threading
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress

from client.http import Client
from collector.importer import ImportReport, import_host, watch_host
from experiment.pseudonym import Pseudonymiser
from ops.errors import UserError
from ops.options import Config, Experiment, Json, Service, Token, connect, load, the_experiment
from ops.output import emit_json, emit_json_line, emit_text, say
from warehouse.keyring import pseudonymiser

EXAMPLE: Final = "Example: equipoise import host /srv/host/exports/json --watch 10"

app = typer.Typer(help="Bring in what other programs have stored.", no_args_is_help=True, rich_markup_mode=None)


@app.command("host", epilog=EXAMPLE)
def host(
    path: Annotated[Path, typer.Argument(help="The host's exports/json folder, or one that holds it; only read.")],
    watch: Annotated[
        float | None,
        typer.Option(
            "--watch", help="Join runs to live calls, every so many seconds, until stopped.", min=1, show_default=False
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", help="Zone in which the host writes times without one.")
    ] = "Europe/Berlin",
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Import a host's exports and favourites.

    May run again: nothing is doubled. With --watch nothing is imported: runs are joined to live calls.
    """
    loaded = load(config)
    # A watch lasts: a warehouse that it had opened for itself would keep the service from starting.
    with connect(loaded, service, token, "researcher", embed=watch is None) as client:
        name = the_experiment(client, experiment)
        names = pseudonymiser(loaded.settings.service.data)
        try:
            if watch is None:
                _once(path, client, name, names, timezone, as_json)
            else:
                _again_and_again(path, client, name, names, timezone, watch, as_json)
        except ValueError as error:
            raise UserError(str(error)) from None


def _once(path: Path, client: Client, name: str, names: Pseudonymiser, timezone: str, as_json: bool) -> None:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("reading", total=None)
        report = import_host(
            path,
            client,
            experiment=name,
            pseudonymiser=names,
            timezone=timezone,
            on_progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    if as_json:
        emit_json(as_dict(report))
    else:
        emit_text("\n".join([*report.lines(), *_remarks(report)]))


def _again_and_again(
    path: Path, client: Client, name: str, names: Pseudonymiser, timezone: str, interval_s: float, as_json: bool
) -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    told: list[list[str]] = [[]]

    def tell(report: ImportReport) -> None:
        if report.lines() == told[0]:
            return
        told[0] = report.lines()
        if as_json:
            emit_json_line(as_dict(report))
        else:
            emit_text("\n".join(told[0]))

    say(f"watching {path} every {interval_s:g} s; Ctrl-C ends it")
    watch_host(
        path,
        client,
        experiment=name,
        pseudonymiser=names,
        interval_s=interval_s,
        stop=stop,
        timezone=timezone,
        on_progress=tell,
        on_error=lambda sentence: say(f"not finished, trying again: {sentence}"),
    )


def as_dict(report: ImportReport) -> dict[str, Any]:
    """The report's fields, with the two sums that say whether it is complete and whether anything was new."""
    fields = {field.name: getattr(report, field.name) for field in dataclasses.fields(report)}
    outcomes = {kind: tally._asdict() for kind, tally in report.outcomes.items()}
    remarks = [remark._asdict() for remark in report.remarks]
    return fields | {"outcomes": outcomes, "remarks": remarks, "accounted": report.accounted, "new": report.new}


def _remarks(report: ImportReport) -> list[str]:
    lines = [f"  {remark.date} {remark.run}: {remark.what}" for remark in report.remarks]
    return ["single folders:", *lines] if lines else []
