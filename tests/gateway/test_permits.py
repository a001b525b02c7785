"""The permit decides on the very next request; a heartbeat is never parsed."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import ollama
import pytest

from gateway.permits import Permits
from tests.gateway.harness import ADAPTER, ALIAS, BASE, FIXED, PROMPT, House, age_file


def remove(house: House, path: Path) -> None:
    path.unlink()


def old(house: House, path: Path) -> None:
    age_file(path, 61)


def future(house: House, path: Path) -> None:
    age_file(path, -120)


def garbage(house: House, path: Path) -> None:
    house.write_permit("{ this is no permit")


def empty(house: House, path: Path) -> None:
    house.write_permit("")


def another(house: House, path: Path) -> None:
    house.write_permit(path.read_text().replace('"experiment":"stage2"', '"experiment":"other"'))


def folder_gone(house: House, path: Path) -> None:
    shutil.rmtree(house.permits)


def a_folder_in_its_place(house: House, path: Path) -> None:
    path.unlink()
    path.mkdir()


def closed(house: House, path: Path) -> None:
    house.permit()


def today_base_only(house: House, path: Path) -> None:
    house.permit("adapter", base_only_until=house.now() + timedelta(hours=1))


@pytest.mark.parametrize(
    ("happens", "reason", "epoch"),
    [
        (remove, "default", 0),
        (old, "error", 0),
        (future, "error", 0),
        (garbage, "error", 0),
        (empty, "error", 0),
        (another, "error", 0),
        (folder_gone, "error", 0),
        (a_folder_in_its_place, "error", 0),
        (closed, "guard", 1),
        (today_base_only, "override", 1),
    ],
)
def test_the_next_request_goes_to_the_base(house: House, happens, reason: str, epoch: int) -> None:  # type: ignore[no-untyped-def]
    path = house.permit("adapter")
    client = ollama.Client(house.start())
    client.generate(ALIAS, PROMPT)
    happens(house, path)
    client.generate(ALIAS, PROMPT)
    first, second = house.delivered(2)
    assert (first.arm, first.model, first.reason) == ("adapter", ADAPTER, "split")
    assert (second.arm, second.model, second.reason, second.epoch) == ("base", BASE, reason, epoch)


def test_before_anything_was_armed_the_base_answers_by_default(house: House) -> None:
    ollama.Client(house.start()).generate(ALIAS, PROMPT)
    [call] = house.delivered(1)
    assert (call.arm, call.model, call.reason, call.epoch) == ("base", BASE, "default", 0)


def test_a_heartbeat_renews_the_age_and_is_not_parsed(tmp_path: Path, house: House) -> None:
    path = house.permit("adapter")
    now = FIXED
    permits = Permits(house.permits, lambda: now)
    for minute in range(5):
        now = FIXED + timedelta(minutes=minute)
        os.utime(path, (now.timestamp(), now.timestamp()))
        state = permits.state("stage2")
        assert state.permit is not None
        assert state.age_s == pytest.approx(0)
    assert permits.parsed == 1
    now += timedelta(seconds=61)
    assert permits.state("stage2").permit is None
    assert "61 s old" in permits.state("stage2").problem


def test_an_opted_out_device_gets_the_base(house: House) -> None:
    from tests.gateway.harness import PSEUDONYMISER

    device = "abc123_2026-03-01"
    house.permit("adapter", opted_out=frozenset({PSEUDONYMISER.device(device)}))
    url = house.start()
    ollama.Client(url, headers={"X-Equipoise-Unit": device}).generate(ALIAS, PROMPT)
    ollama.Client(url, headers={"X-Equipoise-Unit": "abc124_2026-03-01"}).generate(ALIAS, PROMPT)
    out, other = house.delivered(2)
    assert (out.arm, out.reason) == ("base", "override")
    assert (other.arm, other.reason) == ("adapter", "split")


def test_the_permits_arms_answer_not_the_configured_ones(house: House) -> None:
    frozen = house.experiments["stage2"].proposed("stage2")
    other = frozen.model_copy(update={"arms": tuple(arm.model_copy(update={"model": BASE}) for arm in frozen.arms)})
    house.permit("adapter", arms=other, synthetic=True)
    ollama.Client(house.start()).generate(ALIAS, PROMPT)
    [call] = house.delivered(1)
    assert (call.arm, call.model, call.synthetic) == ("adapter", BASE, True)
