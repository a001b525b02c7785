"""The synthetic workshop: seeded, shaped like the host's traffic, and blind to the arms."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from client.errors import Refused
from demo import run as director_module
from demo.checks import stage1, stage3
from demo.ideas import changed, configs, idea, on_the_wire
from demo.ollama_double import DoubleSettings, create_double
from demo.run import Director, Plan, Stage, arm_words
from demo.transformer import MARKERS, transform
from demo.workshop import ALIAS, Rhythm, Workshop, devices
from experiment.pseudonym import device_kind
from gateway.config import GatewaySettings
from gateway.templates import Splitter

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Recorder:
    """A host client that keeps what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, tuple[str, ...]]] = []

    def headers(self, **about: str) -> dict[str, str]:
        self.told.append(("call", about["run"], (about["device"], about["safety_level"])))
        return {"X-Equipoise-Run": about["run"]}

    def __getattr__(self, kind: str) -> Callable[..., bool]:
        def tell(run: str, *more: str) -> bool:
            self.told.append((kind, run, more))
            return True

        return tell

    def of(self, kind: str) -> list[tuple[str, tuple[str, ...]]]:
        return [(run, more) for what, run, more in self.told if what == kind]


def work(seconds: float, *, harmful: bool = False, speed: float = 60, seed: int = 3) -> tuple[Workshop, Recorder]:
    """A workshop against the double in the gateway's place."""
    recorder = Recorder()

    async def main() -> Workshop:
        settings = DoubleSettings(
            models={ALIAS: "modest"}, latency_ms=5, spread_ms=1, harmful_model=ALIAS if harmful else "", harmful_share=1
        )
        runner = web.AppRunner(create_double(settings))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        stop = asyncio.Event()
        workshop = Workshop(f"http://127.0.0.1:{runner.addresses[0][1]}", recorder, seed=seed, speed=speed)
        asyncio.get_running_loop().call_later(seconds, stop.set)
        try:
            await workshop.run(stop)
        finally:
            await runner.cleanup()
        return workshop

    return asyncio.run(main()), recorder


@pytest.fixture(scope="module")
def calm() -> tuple[Workshop, Recorder]:
    return work(3.0)


@pytest.fixture(scope="module")
def harmful() -> tuple[Workshop, Recorder]:
    return work(2.0, harmful=True)


@pytest.mark.parametrize("seed", range(20))
def test_seven_to_twelve_devices_come_in_and_are_browsers(seed: int) -> None:
    members = devices(random.Random(seed), NOON, Rhythm())
    assert 7 <= len(members) <= 12
    assert {device_kind(member.id) for member in members} == {"browser"}
    assert all(member.id.endswith("_2026-03-02") for member in members)
    assert sum(member.safety_level in ("kids", "youth") for member in members) >= 3


def test_the_same_seed_brings_the_same_children() -> None:
    def made(seed: int) -> tuple[Any, ...]:
        rng = random.Random(seed)
        return tuple(devices(rng, NOON, Rhythm())), tuple(idea(rng, "de", "collage") for _ in range(50))

    assert made(4) == made(4)
    assert made(4) != made(5)


def test_ideas_are_many_and_rarely_edgy() -> None:
    rng = random.Random(1)
    ideas = [idea(rng, "de", rng.choice(configs())) for _ in range(1000)]
    assert len({given.text for given in ideas}) > 600
    blocked = sum(stage3(given.text, "kids") is not None for given in ideas)
    assert 1 <= blocked <= 30


def test_the_gateway_splits_what_is_put_on_the_wire() -> None:
    splitter = Splitter(GatewaySettings().templates)
    for config in configs():
        given = idea(random.Random(2), "en", config)
        split = splitter.split(on_the_wire(given))
        assert (split.template, split.input, split.context) == ("labelled", given.text, given.context)


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("manner", ["modest", "rich"])
def test_only_a_harmful_transformer_is_stopped(language: str, manner: Any) -> None:
    rng = random.Random(5)
    for number in range(200):
        given = idea(rng, language, "collage")
        if stage3(given.text, "kids"):
            continue
        assert stage3(transform(on_the_wire(given), manner, number), "kids") is None
        found = stage3(transform(on_the_wire(given), manner, number, harmful=True), "youth")
        assert found is not None
        assert found.code == "llamaguard"


def test_adult_has_no_stage_3() -> None:
    assert all(stage3(word, "adult") is None for word in MARKERS.values())


def test_stage_1_stops_a_child_before_any_arm() -> None:
    assert stage1("ein Hund mit einer Waffe")
    assert not stage1("ein Hund")


def test_a_childs_edit_keeps_the_text() -> None:
    assert changed(random.Random(1), "ein Hund", "de").startswith("ein Hund, ")


def test_every_verdict_follows_its_submission_and_its_call(calm: tuple[Workshop, Recorder]) -> None:
    steps: dict[str, list[str]] = defaultdict(list)
    for kind, run, _ in calm[1].told:
        if kind in ("call", "submitted", "block", "not_blocked"):
            steps[run].append(kind)
    shapes = Counter(tuple(step) for step in steps.values())
    assert shapes["call", "submitted", "not_blocked"] > 50
    # The last ones are cut off when the workshop ends; an adult device's calls have no verdict.
    assert set(shapes) <= {("call",), ("call", "submitted", "not_blocked"), ("call", "submitted", "block")}


def test_only_guarded_levels_get_verdicts(calm: tuple[Workshop, Recorder]) -> None:
    levels = {run: about[1] for run, about in calm[1].of("call")}
    assert {levels[run] for run, _ in calm[1].of("submitted")} <= {"kids", "youth"}


def test_runs_have_the_hosts_form_and_are_never_used_twice(calm: tuple[Workshop, Recorder]) -> None:
    runs = [run for run, _ in calm[1].of("call")]
    assert len(runs) == len(set(runs))
    assert all(len(run.split("_")) == 3 and len(run.split("_")[2]) == 6 for run in runs)


def test_a_harmless_workshop_is_hardly_blocked_and_everything_else_happens(calm: tuple[Workshop, Recorder]) -> None:
    counts = calm[0].counts
    assert counts["calls"] > 100
    assert counts["blocked"] <= 0.05 * counts["calls"]
    for kind in ("edited", "regenerated", "favourites"):
        assert 0 < counts[kind] < 0.6 * counts["calls"]


def test_pictures_are_kept_and_repeated_only_after_they_passed(calm: tuple[Workshop, Recorder]) -> None:
    recorder = calm[1]
    known = {run for run, _ in recorder.of("call")} | {run for run, _ in recorder.of("regeneration")}
    blocked = {run for run, _ in recorder.of("block")}
    repeated = {more[0] for _, more in recorder.of("regeneration")}
    kept = {run for run, _ in recorder.of("favourite")}
    assert kept
    assert repeated
    assert kept | repeated <= known
    assert not blocked & (kept | repeated)


def test_a_harmful_model_is_blocked_at_the_guarded_levels_and_texts_are_sent_again(
    harmful: tuple[Workshop, Recorder],
) -> None:
    workshop, recorder = harmful
    assert not recorder.of("not_blocked")
    assert workshop.counts["blocked"] > 20
    assert workshop.counts["resubmitted"] > 5
    assert {more for _, more in recorder.of("block")} <= {
        ("stage3", "llm_safety_check", "llamaguard"),
        ("stage3", "llm_safety_check", "dsgvo"),
    }


def test_a_gateway_that_is_away_stops_nobody() -> None:
    recorder = Recorder()
    said: list[str] = []

    async def main() -> Workshop:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.5, stop.set)
        workshop = Workshop("http://127.0.0.1:9", recorder, speed=50, say=said.append)
        await workshop.run(stop)
        return workshop

    workshop = asyncio.run(main())
    assert workshop.counts["failed"] > 0
    assert not workshop.counts["calls"]
    assert "a call failed: ConnectError" in said


def test_impossible_rhythms_are_refused() -> None:
    with pytest.raises(ValueError, match="favourite = 2 is a share"):
        Rhythm(favourite=2)
    with pytest.raises(ValueError, match="speed = 0 must be above 0"):
        Workshop("http://x", Recorder(), speed=0)


class Service:
    """A service whose guard refuses once, then is armed, watches and rolls back."""

    states = ("running", "running", "watch", "rolled_back")

    def __init__(self, *_: object, **__: object) -> None:
        self.asked = 0
        self.actions: list[dict[str, Any]] = []

    def act_on_guard(self, experiment: str, **given: Any) -> dict[str, Any]:
        self.actions.append(given | {"experiment": experiment})
        if len(self.actions) == 1:
            raise Refused(409, "no source of safety verdicts is connected", "POST")
        return {"sentence": "Armed."}

    def guard(self, experiment: str) -> dict[str, Any]:
        state = self.states[min(self.asked, len(self.states) - 1)]
        self.asked += 1
        return {"adapters": [{"arm": "adapter", "state": state, "sentence": f"Now {state}."}]}

    def results(self, experiment: str, **_: str) -> dict[str, Any]:
        return {"arms": []}

    def close(self) -> None:
        pass


def test_the_director_arms_in_its_own_name_and_tells_every_state_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(director_module, "Client", Service)
    stage = Stage("http://api", "http://gateway", "stage2", "adapter", "demo-adapter-1", 30)

    async def main() -> Service:
        director = Director(stage, Plan(arm_s=0.1, tell_every_s=1), speed=20)
        task = asyncio.create_task(director.direct())
        service: Any = director._client
        for _ in range(400):
            await asyncio.sleep(0.01)
            if service.asked > len(Service.states):
                break
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return service  # type: ignore[no-any-return]

    service = asyncio.run(main())
    assert len(service.actions) == 2
    assert service.actions[1]["actor"] == "demo (automatic)"
    assert "synthetic" in service.actions[1]["reason"]
    assert service.actions[1]["adapter"] == "demo-adapter-1"
    said = capsys.readouterr().out
    assert "not armed yet: no source of safety verdicts is connected" in said
    assert [said.count(f"Now {state}.") for state in ("running", "watch", "rolled_back")] == [1, 1, 1]


def test_an_arm_is_told_in_one_line() -> None:
    arm = {"arm": "base", "calls": 61, "prompt_runs": {"k": 1, "n": 55}, "favourites": {"k": 7}}
    assert arm_words(arm) == "base: 61 calls, 1 of 55 prompt-runs blocked, 7 favourites"
