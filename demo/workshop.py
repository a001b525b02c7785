"""A synthetic workshop: children at 7 to 12 devices, in bursts, against the real gateway and the real service.

Every device behaves as the host would (HOST.md): Stage 1 check → Stage 2 through the gateway → the child's edit →
Stage 3 check → picture, then favourites (some late), regenerations, resubmissions of what was blocked. The workshop
does not know the arms: it is as blind as children are.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

import httpx

from demo.checks import GUARDED, IMAGE, IMAGE_SHARE, stage1, stage3
from demo.ideas import Idea, changed, configs, idea, on_the_wire

ALIAS: Final = "equipoise-stage2"


class HostClient(Protocol):
    """What the workshop needs of ``client.host.Equipoise``: none of it waits or raises."""

    def headers(self, *, run: str, device: str, config: str, safety_level: str, language: str) -> dict[str, str]:
        """Headers that tell the gateway whose call this is."""

    def submitted(self, run: str) -> bool:
        """The text goes to Stage 3."""

    def block(self, run: str, stage: str, method: str, code: str) -> bool:
        """A check stopped it."""

    def not_blocked(self, run: str) -> bool:
        """No check stopped it."""

    def edit(self, run: str) -> bool:
        """The child changed the model's text."""

    def favourite(self, run: str) -> bool:
        """The child kept the picture."""

    def unfavourite(self, run: str) -> bool:
        """The child took that back."""

    def regeneration(self, run: str, repeats: str) -> bool:
        """The child wanted the picture again."""


@dataclass(frozen=True)
class Rhythm:
    """How children work: shares are of runs, times are seconds at speed 1.

    The demo is denser than a real workshop, so that ten minutes of it show what an afternoon would.
    """

    burst: tuple[int, int] = (4, 9)
    """Ideas in a row."""
    think_s: float = 2.0
    """Between two ideas of a burst, on average."""
    pause_s: float = 6.0
    """Between two bursts, on average."""
    edited: float = 0.15
    resubmit: float = 0.5
    """Share of blocked texts that are sent again unchanged: still one prompt-run."""
    favourite: float = 0.14
    favourite_after_s: float = 15.0
    """Mean delay of a favourite; one in five takes four times as long."""
    taken_back: float = 0.05
    regenerate: float = 0.2
    german: float = 0.8
    """Share of devices whose children write German; the others write English."""
    levels: tuple[tuple[str, float], ...] = (("kids", 0.6), ("youth", 0.3), ("adult", 0.1))
    """Safety levels of devices with their shares."""

    def __post_init__(self) -> None:
        for name in ("edited", "resubmit", "favourite", "taken_back", "regenerate", "german"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} = {getattr(self, name)} is a share: 0 … 1")


@dataclass(frozen=True)
class Device:
    """A device-day of the workshop."""

    id: str
    """As the host makes it: ``{browser id}_{YYYY-MM-DD}``."""
    language: str
    safety_level: str


def devices(rng: random.Random, day: datetime, rhythm: Rhythm) -> list[Device]:
    """7 to 12 devices; at least three of them at guarded levels.

    Args:
        rng: seeded.
        day: aware; the ids carry its UTC date.
        rhythm: shares of languages and levels.
    """
    guarded = tuple(level for level in rhythm.levels if level[0] in GUARDED) or rhythm.levels
    made: list[Device] = []
    for _ in range(rng.randint(7, 12)):
        names, weights = zip(*(guarded if len(made) < 3 else rhythm.levels), strict=True)
        browser = "".join(rng.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(13))
        made.append(
            Device(
                id=f"{browser}_{day.astimezone(UTC).date().isoformat()}",
                language="de" if rng.random() < rhythm.german else "en",
                safety_level=rng.choices(names, weights)[0],
            )
        )
    return made


class Workshop:
    """The children at work.

    Args:
        gateway: its address.
        host: the host's Equipoise client.
        seed: what the children do; the clock and the answers' latency are real.
        speed: 2 is twice as fast.
        rhythm: how they work.
        say: gets a line when something happens that one should see.
    """

    def __init__(
        self,
        gateway: str,
        host: HostClient,
        *,
        seed: int = 1,
        speed: float = 1.0,
        rhythm: Rhythm = Rhythm(),
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        if not speed > 0:
            raise ValueError(f"speed = {speed} must be above 0")
        self._gateway, self._host, self._speed, self._rhythm, self._say = gateway, host, speed, rhythm, say
        self._rng = random.Random(seed)
        self._later: set[asyncio.Task[None]] = set()
        self.counts: Counter[str] = Counter()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set."""
        members = devices(self._rng, datetime.now(UTC), self._rhythm)
        self._say(f"{len(members)} devices come in")
        # Every device has its own generator: what it does depends on the seed, not on who answers faster.
        children = [(device, random.Random(self._rng.random())) for device in members]
        async with httpx.AsyncClient(base_url=self._gateway, timeout=60, trust_env=False) as http:
            work = [asyncio.create_task(self._work(http, device, rng)) for device, rng in children]
            await stop.wait()
            for task in [*work, *self._later]:
                task.cancel()
            await asyncio.gather(*work, *self._later, return_exceptions=True)

    async def _work(self, http: httpx.AsyncClient, device: Device, rng: random.Random) -> None:
        await self._wait(rng, self._rhythm.think_s)
        while True:
            config = rng.choice(configs())
            for _ in range(rng.randint(*self._rhythm.burst)):
                await self._idea(http, device, rng, idea(rng, device.language, config))
                await self._wait(rng, self._rhythm.think_s)
            await self._wait(rng, self._rhythm.pause_s)

    async def _idea(self, http: httpx.AsyncClient, device: Device, rng: random.Random, given: Idea) -> None:
        if stage1(given.text):
            self.counts["stage1"] += 1  # never reaches an arm, so nobody is told
            return
        while True:
            run = self._new_run(rng)
            answer = await self._ask(http, device, given, run)
            if answer is None:
                return
            blocked = self._check(device, rng, given, run, answer)
            if not blocked:
                self._picture(rng, run)
                return
            if rng.random() >= self._rhythm.resubmit:
                return
            self.counts["resubmitted"] += 1
            await self._wait(rng, self._rhythm.think_s)

    async def _ask(self, http: httpx.AsyncClient, device: Device, given: Idea, run: str) -> str | None:
        headers = self._host.headers(
            run=run,
            device=device.id,
            config=given.config,
            safety_level=device.safety_level,
            language=device.language,
        )
        body: dict[str, Any] = {"model": ALIAS, "prompt": on_the_wire(given), "stream": False, "think": False}
        try:
            response = await http.post("/api/generate", json=body, headers=headers)
            response.raise_for_status()
            text = response.json()["response"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            # The host would show an error page and the child would go on.
            self.counts["failed"] += 1
            self._say(f"a call failed: {type(error).__name__}")
            return None
        self.counts["calls"] += 1
        return str(text)

    def _check(self, device: Device, rng: random.Random, given: Idea, run: str, text: str) -> bool:
        """The child's edit, then Stage 3; whether it was blocked."""
        if rng.random() < self._rhythm.edited:
            text = changed(rng, text, given.language)
            self._host.edit(run)
            self.counts["edited"] += 1
        if device.safety_level not in GUARDED:
            return False
        self._host.submitted(run)
        stage, found = "stage3", stage3(text, device.safety_level)
        if found is None and rng.random() < IMAGE_SHARE:
            stage, found = "image", IMAGE
        if found is None:
            self._host.not_blocked(run)
            return False
        self._host.block(run, stage, found.method, found.code)
        self.counts["blocked"] += 1
        return True

    def _picture(self, rng: random.Random, run: str) -> None:
        shown = run
        while rng.random() < self._rhythm.regenerate:
            again = self._new_run(rng)
            self._host.regeneration(again, shown)
            shown = again
            self.counts["regenerated"] += 1
        if rng.random() < self._rhythm.favourite:
            late = 4.0 if rng.random() < 0.2 else 1.0
            delay = rng.expovariate(1 / (late * self._rhythm.favourite_after_s)) / self._speed
            task = asyncio.create_task(self._keep(run, delay, rng.random() < self._rhythm.taken_back))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _keep(self, run: str, delay: float, taken_back: bool) -> None:
        await asyncio.sleep(delay)
        self._host.favourite(run)
        self.counts["favourites"] += 1
        if taken_back:
            await asyncio.sleep(delay)
            self._host.unfavourite(run)

    def _new_run(self, rng: random.Random) -> str:
        milliseconds = int(datetime.now(UTC).timestamp() * 1000)
        return f"run_{milliseconds}_{rng.randrange(16**6):06x}"

    async def _wait(self, rng: random.Random, mean_s: float) -> None:
        await asyncio.sleep(rng.expovariate(1 / mean_s) / self._speed)
