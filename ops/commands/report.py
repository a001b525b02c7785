"""``equipoise report``: what each arm did and what one can say about it; as a table, as JSON or as a page."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from ops.errors import UserError
from ops.options import Config, Experiment, Json, Service, Token, connect, load, the_experiment
from ops.output import emit_json, emit_table, emit_text, say
from ops.report_data import Reads, gather
from ops.report_page import page
from ops.report_words import difference, published, share

EXAMPLE: Final = "Example: equipoise report --epoch all --by language --html report.html"
_RATES: Final = ("favourites", "regenerations", "edits", "refusals")
DIMENSIONS: Final = "day, config, language, safety_level, template_version, device_kind"


def report(
    epoch: Annotated[str, typer.Option("--epoch", help="current, all or a number.")] = "current",
    by: Annotated[str, typer.Option("--by", help=f"Split by one of: {DIMENSIONS}.", show_default=False)] = "",
    traffic: Annotated[str, typer.Option("--traffic", help="workshop or all (test devices too).")] = "workshop",
    origin: Annotated[str, typer.Option("--origin", help="live, import or replay.")] = "live",
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one self-contained page with plots.", show_default=False)
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", help="Rebuild from a snapshot folder.", show_default=False)
    ] = None,
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Say where the experiment stands by its plan, then what each arm did, with intervals.

    First the standing and what speaks against the data; then calls, prompt-runs, blocks, favourites, regenerations,
    latency per arm (95 % intervals: Clopper–Pearson), and the comparison of concurrent calls.
    """
    filters = {"epoch": epoch, "traffic": traffic, "origin": origin} | ({"by": by} if by else {})
    with _source(snapshot, experiment, service, token, config) as (source, name):
        document = gather(source, name, filters)
    if html is not None:
        _write(html, page(document))
    if as_json:
        emit_json(document)
    elif html is None:
        _tables(name, document, epoch, traffic, origin)


@contextmanager
def _source(
    snapshot: Path | None, experiment: str, service: str, token: str, config: Path | None
) -> Iterator[tuple[Reads, str]]:
    """The running service, or a snapshot's folder, and the experiment meant."""
    if snapshot is None:
        with connect(load(config), service, token, "researcher") as client:
            yield client, the_experiment(client, experiment)
        return
    from ops.rebuild import rebuilt  # with the database: only where it is needed

    with rebuilt(snapshot) as (source, name):
        if experiment and experiment != name:
            raise UserError(f"{snapshot} is a snapshot of '{name}', not of '{experiment}'")
        yield source, name


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{file}: {error.strerror or error}; name a file in a folder that exists") from None
    say(f"written: {file}")


def _tables(name: str, answer: dict[str, Any], epoch: str, traffic: str, origin: str) -> None:
    for item in answer["analysis"]:
        emit_text(f"{item['arm']}: {item['standing']['sentence']}")
    for seen in answer["quality"]["adapters"]:
        emit_text(f"quality of {seen['arm']}'s data: {seen['sentence']}")
        for check in (*seen["checks"], *([{"name": "mode collapse"} | seen["collapse"]] if seen["collapse"] else [])):
            if check["alarm"]:
                emit_text(f"  ! {check['name']}: {check['sentence']}")
    marked = " · SYNTHETIC TRAFFIC" if answer["synthetic"] else ""
    emit_table(
        f"{name}, epoch {answer['epoch'] if epoch == 'current' else epoch}, {traffic} traffic, {origin}{marked}",
        ("arm", "model", "#weight", "#calls", "#devices", "#blocked prompt-runs", *(f"#{name}" for name in _RATES),
         "#median ms", "open"),
        [_row(arm) for arm in answer["arms"]],
    )  # fmt: skip
    if "by" in answer:
        by = answer["by"]["dimension"]
        emit_table(
            f"by {by}",
            ("arm", by, "#calls", "#devices", "#blocked calls", *(f"#{name}" for name in _RATES)),
            [
                (row["arm"], row["value"], row["calls"], row["devices"], share(row["blocked_calls"]),
                 *(share(row[name]) for name in _RATES))
                for row in answer["by"]["rows"]
            ],
        )  # fmt: skip
    for item in answer["analysis"]:
        _comparison(item)
    for arm, sentence in answer["guard"].items():
        emit_text(f"guard of {arm}: {sentence}")


def _comparison(item: dict[str, Any]) -> None:
    """One adapter against the base: the service's numbers and its words about them."""
    if item["metrics"]:
        emit_table(
            f"{item['arm']} − {item['base']}, concurrent calls by {item['by']}",
            ("metric", "#n", "#difference", "#p", "#p (Holm)", "in words"),
            [_metric(metric) for metric in item["metrics"]],
        )
        emit_text(item["maturity"]["sentence"])


def _metric(metric: dict[str, Any]) -> tuple[object, ...]:
    p_values = (metric["p_value"], metric["adjusted"])
    return (
        metric["metric"],
        metric["n"],
        difference(metric["metric"], published(metric)),
        *(None if p is None else f"{p:.3g}" for p in p_values),
        metric["sentence"],
    )


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
