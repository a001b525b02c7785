"""``equipoise report``: what each arm did, as a table."""

from typing import Annotated, Any, Final

import typer

from ops.options import Config, Experiment, Json, Service, Token, connect, load, the_experiment
from ops.output import emit_json, emit_table, emit_text

EXAMPLE: Final = "Example: equipoise report --epoch all --by language"
_RATES: Final = ("favourites", "regenerations", "edits", "refusals")
DIMENSIONS: Final = "day, config, language, safety_level, template_version, device_kind"


def report(
    epoch: Annotated[str, typer.Option("--epoch", help="current, all or a number.")] = "current",
    by: Annotated[str, typer.Option("--by", help=f"Split by one of: {DIMENSIONS}.", show_default=False)] = "",
    traffic: Annotated[str, typer.Option("--traffic", help="workshop or all (test devices too).")] = "workshop",
    origin: Annotated[str, typer.Option("--origin", help="live, import or replay.")] = "live",
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Print calls, prompt-runs, blocks, favourites, regenerations and latency per arm, with 95 % intervals."""
    filters = {"epoch": epoch, "traffic": traffic, "origin": origin} | ({"by": by} if by else {})
    with connect(load(config), service, token, "researcher") as client:
        name = the_experiment(client, experiment)
        answer = client.results(name, **filters)
        guard = client.guard(name)
    if as_json:
        emit_json(answer | {"guard": {item["arm"]: item["sentence"] for item in guard["adapters"]}})
        return
    marked = " · SYNTHETIC TRAFFIC" if answer["synthetic"] else ""
    emit_table(
        f"{name}, epoch {answer['epoch'] if epoch == 'current' else epoch}, {traffic} traffic, {origin}{marked}",
        ("arm", "model", "#weight", "#calls", "#devices", "#blocked prompt-runs", *(f"#{name}" for name in _RATES),
         "#median ms", "open"),
        [_row(arm) for arm in answer["arms"]],
    )  # fmt: skip
    if by:
        emit_table(
            f"by {by}",
            ("arm", by, "#calls", "#devices", "#blocked calls", *(f"#{name}" for name in _RATES)),
            [
                (row["arm"], row["value"], row["calls"], row["devices"], share(row["blocked_calls"]),
                 *(share(row[name]) for name in _RATES))
                for row in answer["by"]["rows"]
            ],
        )  # fmt: skip
    for adapter in guard["adapters"]:
        emit_text(f"{adapter['arm']}: {adapter['sentence']}")


def _row(arm: dict[str, Any]) -> tuple[object, ...]:
    median = arm["latency_ms"]["median"]
    return (
        arm["arm"],
        arm["model"],
        arm["weight"],
        arm["calls"],
        arm["devices"],
        share(arm["prompt_runs"]),
        *(share(arm[name]) for name in _RATES),
        None if median is None else round(median),
        "base" if arm["base"] else ("yes" if arm["open"] else "no"),
    )


def share(rate: dict[str, Any]) -> str | None:
    """``5.0 % (10/200; 2.4–9.0)``: a rate with its counts and its exact interval; None where n is 0."""
    if not rate["n"]:
        return None
    ends = f"{100 * rate['low']:.1f}–{100 * rate['high']:.1f}"
    return f"{100 * rate['rate']:.1f} % ({rate['k']}/{rate['n']}; {ends})"
