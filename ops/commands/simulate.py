"""``equipoise simulate``: how long will I need? Synthetic seasons through the same estimates as real ones."""

import math
from typing import Annotated, Any, Final, get_args

import typer

from experiment.arms import Unit
from experiment.simulation import Forecast, Simulated, forecast, play
from experiment.traffic_plan import Effects, Phase, Rated, TrafficPlan
from ops.errors import UserError
from ops.options import Json
from ops.output import emit_json, emit_table, emit_text, say

EXAMPLE: Final = "Example: equipoise simulate --effect 0.05 --weights 90/10 --calls 5000"
METRICS: Final[dict[str, Rated]] = {
    "favourites": "favourite", "regenerations": "regeneration", "blocks": "blocked", "refusals": "refused",
    "edits": "edited",
}  # fmt: skip
DEFAULTS: Final = TrafficPlan()


def simulate(
    effect: Annotated[float, typer.Option("--effect", help="Smallest effect worth finding; 0.05 = 5 points.")] = 0.05,
    metric: Annotated[str, typer.Option("--metric", help=f"One of: {', '.join(METRICS)}.")] = "favourites",
    calls: Annotated[int, typer.Option("--calls", min=50, help="Stage 2 calls that you could collect.")] = 2_000,
    weights: Annotated[str, typer.Option("--weights", help="Base/adapter.")] = "90/10",
    unit: Annotated[str, typer.Option("--unit", help="Unit of assignment: run or device.")] = "run",
    base_rate: Annotated[
        float | None, typer.Option("--rate", help="The base's rate of the metric [default: typical].")
    ] = None,
    icc: Annotated[float, typer.Option("--icc", help="How alike a device's calls are, 0 to 1.")] = DEFAULTS.icc,
    devices: Annotated[str, typer.Option("--devices", help="Devices per workshop, least-most.")] = "7-12",
    requests: Annotated[str, typer.Option("--requests", help="Calls per workshop, least-most.")] = "50-470",
    power: Annotated[float, typer.Option("--power", help="Share of experiments that should find it.")] = 0.8,
    runs: Annotated[
        int, typer.Option("--runs", min=0, max=2_000, help="Seasons to play as well; 0: the formula alone.")
    ] = 100,
    seed: Annotated[int, typer.Option("--seed", min=0, help="The same seed gives the same numbers.")] = 1,
    as_json: Json = False,
) -> None:
    """Say how many calls and workshops an effect needs, by formula and by playing the season many times.

    Everything here is simulated: workshops, devices and children are made up, only the estimates are the real ones.
    """
    if metric not in METRICS:
        raise UserError(f"--metric {metric!r}: one of {', '.join(METRICS)}")
    rated = METRICS[metric]
    if runs and runs < 10:
        raise UserError(f"--runs {runs}: at least 10 seasons are needed to say anything, or 0 for the formula alone")
    if not 0 < power < 1:
        raise UserError(f"--power {power:g}: a share between 0 and 1, such as 0.8")
    if unit not in get_args(Unit):
        raise UserError(f"--unit {unit!r}: run or device")
    try:
        plan = TrafficPlan(
            calls=calls,
            unit="device" if unit == "device" else "run",
            phases=(Phase(weights=_pair(weights, "/", "--weights", "90/10")),),
            effects=(Effects(**{rated: effect}),),
            icc=icc,
            devices_per_workshop=_pair(devices, "-", "--devices", "7-12"),
            requests_per_workshop=_pair(requests, "-", "--requests", "50-470"),
            **({} if base_rate is None else {rated: base_rate}),  # type: ignore[arg-type]
        )
        expected = forecast(plan, rated, seed, effect=effect, power_wanted=power)
        if runs:
            say(f"playing {runs} seasons of {calls:,} calls …")
        played = play(plan, rated, seed, runs=runs) if runs else None
    except ValueError as error:
        raise UserError(str(error)) from None
    if as_json:
        emit_json(_machine(plan, metric, effect, power, seed, expected, played))
    else:
        _people(plan, metric, effect, power, expected, played)


def _pair(text: str, between: str, option: str, example: str) -> tuple[int, int]:
    try:
        first, second = (int(part) for part in text.split(between))
    except ValueError:
        raise UserError(f"{option} {text!r}: two whole numbers, such as {example}") from None
    return first, second


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _machine(
    plan: TrafficPlan, metric: str, effect: float, power: float, seed: int, seen: Forecast, played: Simulated | None
) -> dict[str, Any]:
    facts = {key: _number(value) for key, value in seen._asdict().items() if key != "design"}
    return {
        "simulated": True,
        "metric": metric,
        "effect": effect,
        "power_wanted": power,
        "seed": seed,
        "calls_planned": plan.calls,
        "weights": list(plan.phases[0].weights),
        "unit": plan.unit,
        "rate": getattr(plan, METRICS[metric]),
        "icc": plan.icc,
        "forecast": facts | {"design_effect": _number(seen.design.design_effect)},
        "played": None if played is None else {key: _number(value) for key, value in played._asdict().items()},
    }


def _people(
    plan: TrafficPlan, metric: str, effect: float, power: float, seen: Forecast, played: Simulated | None
) -> None:
    base, arm = plan.phases[0].weights
    rate = getattr(plan, METRICS[metric])
    emit_text(
        f"SIMULATED. {metric}, base {100 * rate:.3g} %, effect {100 * effect:+.3g} points, unit {plan.unit}, "
        f"found in {100 * power:.0f} % of experiments"
    )
    emit_table(
        "",
        ("weights", "#calls needed", "#workshops"),
        [
            (f"{base}/{arm}", _whole(seen.calls), _whole(seen.workshops)),
            ("50/50", _whole(seen.calls_even), _whole(seen.workshops_even)),
        ],
    )
    ends = " or ".join(
        f"a {word} of {100 * abs(value):.1f} points"
        for word, value in (("rise", seen.rise), ("fall", seen.fall))
        if math.isfinite(value)
    )
    emit_text(
        f"With {plan.calls:,} calls: power {100 * seen.power_planned:.0f} % for this effect; "
        f"{ends or 'no effect'} would be found with {100 * power:.0f} %."
    )
    if played is not None:
        covered = f", intervals held it in {100 * played.covered:.0f} %" if math.isfinite(played.covered) else ""
        emit_text(
            f"Played {played.runs} times with {plan.calls:,} calls: found in {100 * played.found:.0f} % "
            f"(± {196 * played.error:.0f} points), enough for an interval in {100 * played.shown:.0f} %{covered}."
        )


def _whole(value: float) -> str | None:
    return f"{math.ceil(value):,}" if math.isfinite(value) else None
