"""Neither host nor child can see which arm answered."""

import httpx
import pytest

from tests.gateway.harness import ADAPTER, ALIAS, BASE, PROMPT, House


@pytest.mark.parametrize("stream", [False, True])
def test_both_arms_answer_with_the_same_headers_and_fields_and_without_a_models_name(
    house: House, stream: bool
) -> None:
    url = house.start()
    seen = []
    for arms in ((), ("adapter",)):
        house.permit(*arms)
        answer = httpx.post(f"{url}/api/generate", json={"model": ALIAS, "prompt": PROMPT, "stream": stream})
        assert BASE not in answer.text
        assert ADAPTER not in answer.text
        lines = [httpx.Response(200, text=line).json() for line in answer.text.splitlines()]
        seen.append((sorted(answer.headers), sorted({tuple(line) for line in lines})))
    assert seen[0] == seen[1]
    assert [call.arm for call in house.delivered(2)] == ["base", "adapter"]


@pytest.mark.parametrize("stream", [False, True])
def test_the_arm_is_shown_only_where_a_person_switched_that_on(house: House, stream: bool) -> None:
    house.permit("adapter")
    url = house.start(expose_arm=True)
    answer = httpx.post(f"{url}/api/generate", json={"model": ALIAS, "prompt": PROMPT, "stream": stream})
    assert answer.headers["X-Equipoise-Arm"] == "adapter"
