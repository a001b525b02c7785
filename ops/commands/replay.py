"""``equipoise guard replay FILE``: the guard's fold over a file of verdicts. Needs no service and no settings."""

from pathlib import Path
from typing import Annotated, Final

import typer

from experiment.limits import GuardLimits
from experiment.replay import ReplayResult
from experiment.replay import replay as fold_file
from ops.errors import SAID_NO, UserError
from ops.options import Config, Json
from ops.output import emit_json, emit_table
from ops.replay_file import read_events
from ops.settings import load_settings

EXAMPLE: Final = "Example: equipoise guard replay events.csv --json"
FIELDS: Final = ("state", "rule", "grade", "event_id", "n", "blocked", "devices", "e_value")


def replay(
    file: Annotated[
        Path, typer.Argument(help="CSV with event_id,ts,arm,device,prompt,blocked; its order is the order.")
    ],
    base: Annotated[str, typer.Option("--base", help="The base arm: if it trips, that is no refusal.")] = "base",
    experiment: Annotated[
        str,
        typer.Option("--experiment", help="Take this experiment's limits from the settings [default: 5 %, 200, 3]."),
    ] = "",
    config: Config = None,
    as_json: Json = False,
) -> int:
    """Fold a file of verdicts and say where each arm's guard trips. Exit 1 if any but the base arm does."""
    limits = _limits(experiment, config) if experiment or config else GuardLimits()
    results = fold_file(read_events(file), limits)
    if as_json:
        emit_json({"arms": {arm: _row(result) for arm, result in results.items()}})
    else:
        emit_table(
            f"{file}: {len(results)} arm{'s' * (len(results) != 1)}",
            ("arm", "state", "rule", "grade", "tripped at", "#n", "#blocked", "#devices", "#e-value"),
            (
                (arm, r.state, r.rule, r.grade, r.event_id, r.n, r.blocked, r.devices, f"{r.e_value:.3g}")
                for arm, r in results.items()
            ),
        )
    tripped = [arm for arm, result in results.items() if arm != base and result.event_id is not None]
    return SAID_NO if tripped else 0


def _row(result: ReplayResult) -> dict[str, object]:
    return {name: getattr(result, name) for name in FIELDS}


def _limits(name: str, config: Path | None) -> GuardLimits:
    experiments = load_settings(config).settings.experiment
    if not name and len(experiments) == 1:
        name = next(iter(experiments))
    if name not in experiments:
        known = ", ".join(experiments) or "none"
        raise UserError(f"no experiment {name!r} in the settings: give --experiment, known: {known}")
    return experiments[name].guard.limits()
