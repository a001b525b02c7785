"""``equipoise conclude`` keeps a verdict once; ``equipoise simulate`` says how long, and that it is simulated."""

import json
from collections.abc import Callable

import pytest

from experiment.simulation import forecast
from experiment.traffic_plan import Effects, TrafficPlan
from tests.collector.conftest import config, serving
from tests.ops.conftest import Said
from tests.ops.seasoned import seasoned

WHO = ("--actor", "Ada", "--reason", "planned end reached")


def test_concluding_pauses_keeps_the_sentence_and_works_once(cli: Callable[..., Said], tmp_path) -> None:
    with seasoned(tmp_path, TrafficPlan(calls=300), plan={}) as live:
        said = cli("conclude", "stage2", *WHO, "--service", live.url)
        assert said.code == 0, said.err
        assert "stage2, lora, up to epoch 1: cannot be decided" in said.out
        assert live.http.get("/v1/experiments/stage2/guard").json()["adapters"][0]["state"] == "paused"
        again = cli("conclude", *WHO, "--service", live.url)
        assert (again.code, again.out, again.err.count("\n")) == (1, "", 1)
        assert "concluded already by Ada" in again.err


def test_nothing_armed_is_a_no(cli: Callable[..., Said], tmp_path) -> None:
    with serving(config(tmp_path, development=True)) as live:
        said = cli("conclude", "stage2", *WHO, "--service", live.url)
        assert (said.code, said.err.count("\n")) == (1, 1)
        assert "no adapter was ever armed" in said.err


def simulate(cli: Callable[..., Said], *options: str) -> dict:
    said = cli("simulate", "--json", "--runs", "0", *options)
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_it_forecasts_what_the_experiments_functions_forecast(cli: Callable[..., Said]) -> None:
    expected = forecast(TrafficPlan(effects=(Effects(favourite=0.05),)), "favourite", 1, effect=0.05)
    seen = simulate(cli)["forecast"]
    assert seen["calls"] == pytest.approx(expected.calls)
    assert seen["workshops_even"] == pytest.approx(expected.workshops_even)


def test_even_weights_and_assignment_by_run_need_fewer_calls(cli: Callable[..., Said]) -> None:
    uneven, even, sticky = simulate(cli), simulate(cli, "--weights", "50/50"), simulate(cli, "--unit", "device")
    assert even["forecast"]["calls"] < 0.5 * uneven["forecast"]["calls"]
    assert sticky["forecast"]["calls"] > 2 * uneven["forecast"]["calls"]
    assert even["forecast"]["calls"] == pytest.approx(uneven["forecast"]["calls_even"])


def test_seasons_are_played_and_a_large_effect_is_found(cli: Callable[..., Said]) -> None:
    options = ("simulate", "--runs", "10", "--calls", "1500", "--effect", "0.2", "--weights", "50/50")
    people = cli(*options)
    assert people.out.startswith("SIMULATED.")
    assert "Played 10 times with 1,500 calls: found in 100 %" in people.out
    machine = json.loads(cli(*options, "--json").out)
    assert machine["simulated"] is True
    assert machine["played"]["found"] == 1


@pytest.mark.parametrize(
    "wrong",
    [("--weights", "90"), ("--weights", "1/0"), ("--effect", "0"), ("--effect", "0.95"), ("--metric", "joy"),
     ("--unit", "child"), ("--runs", "3"), ("--power", "1"), ("--devices", "9-2"), ("--icc", "1.5")],
)  # fmt: skip
def test_wrong_options_are_one_line(cli: Callable[..., Said], wrong: tuple[str, str]) -> None:
    said = cli("simulate", "--runs", "0", *wrong)
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said.err
