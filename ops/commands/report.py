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
    """Print what each arm did, with intervals.

    Calls, prompt-runs, blocks, favourites, regenerations, latency per arm (95 % intervals: Clopper–Pearson), and the
    comparison of concurrent calls.
    """
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
    for item in answer["analysis"]:
        _comparison(item)
    for adapter in guard["adapters"]:
        emit_text(f"guard of {adapter['arm']}: {adapter['sentence']}")


def _comparison(item: dict[str, Any]) -> None:
    """One adapter against the base: the service's numbers and its words about them."""
    if item["metrics"]:
        emit_table(
            f"{item['arm']} − {item['base']}, concurrent calls by {item['by']}",
            ("metric", "#n", "#difference", "#p", "#p (Holm)", "in words"),
            [_metric(metric) for metric in item["metrics"]],
        )
        emit_text(item["maturity"]["sentence"])
    emit_text(f"{item['arm']}: {item['standing']['sentence']}")


def _metric(metric: dict[str, Any]) -> tuple[object, ...]:
    p_values = (metric["p_value"], metric["adjusted"])
    return (
        metric["metric"],
        metric["n"],
        difference(metric["metric"], metric["difference"]),
        *(None if p is None else f"{p:.3g}" for p in p_values),
        metric["sentence"],
    )


def difference(metric: str, seen: dict[str, Any] | None) -> str | None:
    """``+2.1 points (−0.4 to +4.6)``; None without a number, no interval before there are devices enough for one."""
    if seen is None or seen["estimate"] is None:
        return None
    factor, unit = (1.0, "ms") if metric == "latency" else (100.0, "points")
    low, high = seen["low"], seen["high"]
    ends = "" if low is None or high is None else f" ({factor * low:+.1f} to {factor * high:+.1f})"
    return f"{factor * seen['estimate']:+.1f} {unit}{ends}".replace("-", "−")


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
