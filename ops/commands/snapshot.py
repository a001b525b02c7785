"""``equipoise snapshot``: a frozen, pseudonymised copy of an experiment that rebuilds every reported number."""

from pathlib import Path
from typing import Annotated, Final

import typer

from ops.options import Config, Experiment, Json, Service, Token, connect, load, the_experiment
from ops.output import emit_json, emit_text

EXAMPLE: Final = "Example: equipoise snapshot season-2026 && equipoise report --snapshot season-2026 --html season.html"


def snapshot(
    folder: Annotated[Path, typer.Argument(help="Folder to write; it must not exist yet.")],
    texts: Annotated[
        bool, typer.Option("--texts", help="With what children and models wrote: not for publication.")
    ] = False,
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Freeze an experiment for publication: Parquet, codebook, configuration, SHA-256 of every file and of the whole.

    Devices, runs and prompts are pseudonyms; texts are left out unless asked for. Without texts everything can be
    rebuilt but the measures of diversity. Names of persons in the guard's log are as they gave them.
    """
    from ops.snapshot_folder import write  # with Arrow: only where it is needed

    with connect(load(config), service, token, "researcher") as client:
        frozen = write(client, the_experiment(client, experiment), folder, texts=texts)
    if as_json:
        emit_json({"folder": str(folder), "sha256": frozen.sha256, "files": frozen.files, "texts": texts})
    else:
        emit_text(f"{folder}: {len(frozen.files)} files, SHA-256 of the whole {frozen.sha256}")
