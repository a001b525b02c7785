"""``POST /v1/assignments``: pure, explained, and never later than the permit."""

import asyncio
import json
import random
import time
from datetime import UTC, datetime
from typing import Any

import aiohttp
import httpx
import pytest

from experiment.assignment import bucket
from gateway.assignments import steady
from tests.gateway.harness import ADAPTER, BASE, PSEUDONYMISER, TOKEN, House, experiment, until

AUTH = {"Authorization": f"Bearer {TOKEN}"}


def ask(house: House, body: Any) -> Any:
    answer = httpx.post(f"{house.url}/v1/assignments", json=body, headers=AUTH)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_one_question_has_one_answer(house: House) -> None:
    house.permit("adapter", epoch=7)
    house.start()
    answer = ask(house, {"experiment": "stage2", "run": "run_1", "device": "d", "config": "stille"})
    unit = PSEUDONYMISER.run("run_1")
    at = datetime.fromisoformat(answer.pop("evaluated_at"))
    assert abs((datetime.now(UTC) - at).total_seconds()) < 5
    assert answer == {
        "experiment": "stage2",
        "arm": "adapter",
        "model": ADAPTER,
        "reason": "split",
        "epoch": 7,
        "bucket": bucket("stage2", unit),
        "eligible": ["adapter"],
        "unit": unit,
    }


def test_a_list_has_a_list_and_parents_are_inherited_within_it(house: House) -> None:
    house.experiments = {"stage2": experiment(house.double.url, base_weight=9)}
    house.permit("adapter")
    house.start()
    runs = [{"run": f"run_{n}"} for n in range(100)]
    first = ask(house, runs)
    again = ask(house, [{"run": f"again_{n}", "parent_run": f"run_{n}"} for n in range(100)])
    assert [one["arm"] for one in first] == [one["arm"] for one in again]
    assert [one["unit"] for one in first] == [one["unit"] for one in again]
    assert 2 <= sum(one["arm"] == "adapter" for one in first) <= 25


def test_an_assignment_and_a_call_of_the_same_run_agree(house: House) -> None:
    house.experiments = {"stage2": experiment(house.double.url, base_weight=1)}
    house.permit("adapter")
    house.start()
    for number in range(10):
        said = ask(house, {"run": f"run_{number}"})["arm"]
        httpx.post(
            f"{house.url}/api/generate",
            json={"model": "equipoise-stage2", "prompt": "x"},
            headers={"X-Equipoise-Run": f"run_{number}"},
        )
        assert house.delivered(number + 1)[-1].arm == said


@pytest.mark.parametrize("unit", ["run", "device"])
def test_unit_stands_for_the_experiments_unit(house: House, unit: str) -> None:
    house.experiments = {"stage2": experiment(house.double.url, unit=unit)}
    house.start()
    by_unit = ask(house, {"unit": "x1"})
    by_name = ask(house, {unit: "x1"})
    assert by_unit["unit"] == by_name["unit"] == getattr(PSEUDONYMISER, unit)("x1")


def test_conditions_hold(house: House) -> None:
    arms = {"adapter": {"condition": {"language": ["de"], "safety_level": ["adult"]}}}
    house.experiments = {"stage2": experiment(house.double.url, arms=arms)}
    house.permit("adapter")
    house.start()
    good = ask(house, {"run": "r", "language": "de", "safety_level": "adult"})
    bad = ask(house, {"run": "r", "language": "de", "safety_level": "kids"})
    assert (good["arm"], good["reason"]) == ("adapter", "split")
    assert (bad["arm"], bad["reason"], bad["model"]) == ("base", "condition", BASE)


def test_several_experiments_must_be_named(house: House) -> None:
    house.experiments |= {"other": experiment(house.double.url, alias="another-alias")}
    house.start()
    answer = httpx.post(f"{house.url}/v1/assignments", json={"run": "r"}, headers=AUTH)
    assert answer.status_code == 422
    assert "stage2, other" in answer.json()["detail"]
    assert ask(house, {"run": "r", "experiment": "other"})["experiment"] == "other"


def test_development_mode_asks_for_no_token(house: House) -> None:
    url = house.start(open_mode=True)
    assert httpx.post(f"{url}/v1/assignments", json={"run": "r"}).status_code == 200


def test_a_permit_withdrawn_while_a_list_is_computed_holds_for_all_of_it(house: House) -> None:
    house.permit("adapter")
    house.start()
    seen: list[bool] = []

    def compute() -> list[bool]:
        first = house.state.permits.state("stage2").permit is not None
        if not seen:
            (house.permits / "stage2.json").unlink()
        second = house.state.permits.state("stage2").permit is not None
        seen.append(first)
        return [first, second]

    assert house.loop.call(lambda: steady(house.state, ["stage2"], compute)) == [False, False]


@pytest.mark.parametrize("round_", range(3))
def test_of_many_concurrent_assignments_none_answered_after_a_withdrawal_goes_to_the_adapter(
    house: House, round_: int
) -> None:
    """DESIGN: *Stop early*. The owner withdraws the permit, then commits, then answers; T is a moment after that."""
    house.permit("adapter")
    url = house.start()
    total = 1700
    answered: list[tuple[float, str, str]] = []
    moment = 0.0

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        async with session.post(f"{url}/v1/assignments", json={"run": f"run_{number}"}) as response:
            answer = await response.json()
            answered.append((time.time(), answer["arm"], answer["evaluated_at"]))

    def withdraw() -> float:
        house.permit()
        time.sleep(0.005)  # what a commit takes at least
        return time.time()

    async def load() -> None:
        nonlocal moment
        connector = aiohttp.TCPConnector(limit=64)
        async with aiohttp.ClientSession(headers=AUTH, connector=connector) as session:
            tasks = [asyncio.create_task(one(session, number)) for number in range(total)]
            share = random.Random(round_).uniform(0.2, 0.6)
            await until(lambda: len(answered) >= total * share)
            moment = await asyncio.to_thread(withdraw)
            await asyncio.gather(*tasks)

    asyncio.run(load())
    later = [arm for _, arm, at in answered if datetime.fromisoformat(at).timestamp() > moment]
    assert {arm for _, arm, _ in answered} == {"adapter", "base"}
    assert len(later) > total * 0.2
    assert set(later) == {"base"}


def test_assignments_are_counted_without_ids(house: House) -> None:
    house.start()
    ask(house, [{"run": f"run_{n}"} for n in range(3)])
    page = httpx.get(f"{house.url}/metrics").text
    assert 'equipoise_gateway_assignments_total{experiment="stage2",reason="default"} 3.0' in page
    assert "run_" not in json.dumps(page)


def test_readiness_tells_permits_and_backlog(house: House) -> None:
    house.permit("adapter", epoch=3)
    house.start()
    ready = httpx.get(f"{house.url}/readyz")
    assert ready.status_code == 200
    state = ready.json()
    assert state["permits"]["stage2"] | {"age_s": 0} == {
        "valid": True,
        "epoch": 3,
        "open_arms": ["adapter"],
        "age_s": 0,
        "problem": "",
    }
    assert state["outbox"]["pending"] == 0
    assert not state["degraded"]
    house.write_permit("{")
    assert "not readable" in httpx.get(f"{house.url}/readyz").json()["permits"]["stage2"]["problem"]
    assert httpx.get(f"{house.url}/healthz").json() == {"status": "ok"}
    assert 'permit_age_seconds{experiment="stage2"}' in httpx.get(f"{house.url}/metrics").text
