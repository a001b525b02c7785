"""Which key is hashed, and what a repeat inherits."""

import ollama
import pytest

from experiment.assignment import bucket
from gateway.units import Roots, subject_of, subject_of_headers, yes_or_no
from tests.gateway.harness import ALIAS, PROMPT, PSEUDONYMISER, House, experiment

RUN = [PSEUDONYMISER.run(f"run_{n}_abcdef") for n in range(5)]


def test_a_repeat_of_a_repeat_hashes_the_first_run() -> None:
    roots = Roots()
    assert roots.root(RUN[0], "") == RUN[0]
    assert roots.root(RUN[1], RUN[0]) == RUN[0]
    assert roots.root(RUN[2], RUN[1]) == RUN[0]
    assert roots.root(RUN[2], "") == RUN[0]  # a second call of the same run
    assert roots.root("", RUN[2]) == RUN[0]


def test_the_map_forgets_the_least_recently_used() -> None:
    roots = Roots(size=2)
    for number in (1, 2):
        roots.root(RUN[number], RUN[0])
    roots.root(RUN[1], "")
    roots.root(RUN[3], RUN[0])
    assert (roots.root(RUN[1], ""), roots.root(RUN[2], "")) == (RUN[0], RUN[2])


def test_a_run_that_names_itself_as_parent_is_its_own_root() -> None:
    assert Roots().root(RUN[1], RUN[1]) == RUN[1]


def test_pseudonyms_and_raw_ids_are_the_same_unit() -> None:
    raw = subject_of(PSEUDONYMISER, Roots(), run="run_0_abcdef", device="abc_2026-03-01")
    ready = subject_of(PSEUDONYMISER, Roots(), run=raw.run, device=raw.device)
    assert (raw.run_unit, raw.device_unit) == (ready.run_unit, ready.device_unit)
    assert (raw.device_kind, ready.device_kind) == ("browser", "unknown")


def test_the_device_header_wins_over_the_unit_header_and_neither_is_hashed_as_a_run() -> None:
    headers = {"X-Equipoise-Unit": "abc_2026-03-01", "X-Equipoise-Device": "dev_0123456789ab", "X-Equipoise-Run": "  "}
    subject = subject_of_headers(headers, PSEUDONYMISER, Roots())
    assert subject.device == PSEUDONYMISER.device("dev_0123456789ab")
    assert subject.device_kind == "dev"
    assert (subject.key("run"), subject.key("device")) == ("", subject.device)


@pytest.mark.parametrize(
    ("text", "value"),
    [("Yes", True), ("1", True), ("off", False), ("FALSE", False), ("", None), (None, None), ("x", None)],
)
def test_yes_or_no(text: str | None, value: bool | None) -> None:
    assert yes_or_no(text) is value


def ask(house: House, idea: str = "", **headers: str) -> None:
    client = ollama.Client(house.url, headers={f"X-Equipoise-{k.replace('_', '-')}": v for k, v in headers.items()})
    client.generate(ALIAS, PROMPT + idea)


def test_a_regeneration_inherits_the_bucket_of_the_run_it_repeats(house: House) -> None:
    house.permit("adapter")
    house.start()
    ask(house, Run="run_1")
    ask(house, Run="run_2", Parent_Run="run_1")
    ask(house, Run="run_3", Parent_Run="run_2")
    ask(house, Run="run_4")
    first, second, third, other = house.delivered(4)
    assert first.unit == second.unit == third.unit == PSEUDONYMISER.run("run_1")
    assert {call.eligible for call in (first, second, third, other)} == {("adapter",)}, "or no arms could be compared"
    assert first.bucket == second.bucket == third.bucket != other.bucket
    assert (second.run, second.parent_run) == (PSEUDONYMISER.run("run_2"), PSEUDONYMISER.run("run_1"))


def test_a_call_without_a_run_is_its_own_unit_and_can_be_drawn_again(house: House) -> None:
    house.experiments = {"stage2": experiment(house.double.url, base_weight=1)}
    house.permit("adapter")
    house.start()
    for number in range(40):
        ask(house, f" {number}", Unit="abc_2026-03-01")
    calls = house.delivered(40)
    assert len({call.unit for call in calls}) == 40
    assert {call.arm for call in calls} == {"base", "adapter"}
    for call in calls:
        assert call.run == ""
        assert call.bucket == bucket("stage2", call.unit)
        assert call.arm == ("base" if call.bucket < 2**31 else "adapter")


def test_a_prompt_sent_again_from_the_same_device_keeps_its_arm(house: House) -> None:
    """Drawn anew, the base's blocked prompts would arrive at the adapter as fresh pairs (decision 7)."""
    house.experiments = {"stage2": experiment(house.double.url, base_weight=1)}
    house.permit("adapter")
    house.start()
    for number in range(6):
        ask(house, Unit="abc_2026-03-01", Run=f"run_{number}")
    ask(house, Unit="other_2026-03-01", Run="run_6")
    ask(house, Run="run_7")
    ask(house, Unit="other_2026-03-01", Run="run_8", Parent_Run="run_5")
    again, other, deviceless, child = (calls := house.delivered(9))[:6], *calls[6:]
    assert {call.unit for call in again} == {PSEUDONYMISER.run("run_0")}
    assert len({call.arm for call in again}) == 1
    assert other.unit == PSEUDONYMISER.run("run_6")
    assert deviceless.unit == PSEUDONYMISER.run("run_7")
    assert child.unit == PSEUDONYMISER.run("run_0"), "a regeneration of a resubmission is one of the first run"


def test_prompts_are_forgotten_least_recently_used_first() -> None:
    roots = Roots(size=2)
    for number in range(3):
        roots.again("d", f"p{number}", "", RUN[number])
    assert roots.again("d", "p0", "", RUN[4]) == RUN[4]
    assert roots.again("", "p2", "", RUN[4]) == RUN[4]
    assert roots.again("d", "p2", "", RUN[4]) == RUN[2]


def test_an_experiment_by_device_sticks_to_the_device(house: House) -> None:
    house.experiments = {"stage2": experiment(house.double.url, base_weight=1, unit="device")}
    house.permit("adapter")
    house.start()
    for device in ("a", "b", "c", "d", "e", "f"):
        for number in range(3):
            ask(house, Unit=f"{device}_2026-03-01", Run=f"run_{device}{number}")
    calls = house.delivered(18)
    arms = {call.device: set[str]() for call in calls}
    for call in calls:
        assert call.unit == call.device
        arms[call.device].add(call.arm)
    assert len(arms) == 6
    assert all(len(found) == 1 for found in arms.values())


def test_odd_headers_never_cost_an_answer(house: House) -> None:
    house.permit("adapter")
    house.start()
    ask(
        house, Unit="", Run="", Config="x" * 5000, Language="", Safety_Level="kids", Translated="perhaps", Template="v9"
    )
    [call] = house.delivered(1)
    assert (call.device, call.run, call.translated, call.safety_level) == ("", "", None, "kids")
    assert (len(call.config), call.language, call.template_version) == (200, "unknown", "v9")
