"""What a run is: a Stage 2 call, a regeneration of an earlier run, or neither, with the reason.

A regeneration leaves no event of its own (HOST.md, *Outcomes*): it is a later run of the same device with the same
generation prompt and new seeds, whose config is an output config and which has no prompting_process. The same prompt on
other devices is an exercise, and a new interception of the same text is a call of its own.
"""

import hashlib
from collections import defaultdict
from datetime import datetime
from typing import Final, Literal, NamedTuple

from collector.importer.run import StoredRun

Kind = Literal["call", "regeneration", "unattributed", "neither"]

NO_STAGE_2: Final = "no Stage 2 in it: no interception is stored"
BLOCKED_EARLY: Final = "blocked in Stage 1, before any assignment"
NO_PROMPT: Final = "a repeat whose generation prompt cannot be read"
NO_ORIGINAL: Final = "a repeat, but this device has no earlier run with its prompt"
EXERCISE: Final = "a repeat, but only other devices have earlier runs with its prompt: an exercise, not a regeneration"
SAME_SEED: Final = "a repeat with a seed that the run it repeats had already"
NO_SEED: Final = "a repeat whose seed, or the repeated run's, is not stored"


class Class(NamedTuple):
    """What a run is."""

    kind: Kind
    root: str = ""
    """Of a regeneration: the run it repeats, the first of its chain."""
    reason: str = ""
    """Why it is no call and no regeneration."""


class _Original(NamedTuple):
    run: str
    ts: datetime
    seeds: set[str]
    """Of the run and of every repeat of it so far."""


class Classifier:
    """Classifies runs in the order of their time; remembers what it needs for later ones, under hashes."""

    def __init__(self) -> None:
        self._interception_configs: set[str] = set()
        self._output_configs: set[str] = set()
        self._originals: dict[tuple[str, str], list[_Original]] = defaultdict(list)
        self._devices: dict[str, set[str]] = defaultdict(set)
        self._done: dict[str, Class] = {}

    def learn(self, *, interception_config: str, output_configs: frozenset[str]) -> None:
        """Learn which config names are of which kind, from any run: the importer has no list of the host's configs."""
        self._interception_configs |= {interception_config} - {""}
        self._output_configs |= output_configs - {""}

    def classify(self, run: StoredRun) -> Class:
        """What this run is. A run that was classified as a regeneration stays one."""
        before = self._done.get(run.run)
        if before is not None and before.kind == "regeneration":
            return before
        found = self._classify(run)
        if found.kind in ("call", "regeneration"):
            self._done[run.run] = found
        return found

    def _classify(self, run: StoredRun) -> Class:
        self.learn(
            interception_config=run.interception_config,
            output_configs=frozenset(output.config for output in run.outputs),
        )
        if run.error is not None and run.error.stage == "stage1" and not run.intercepted:
            return Class("neither", reason=BLOCKED_EARLY)
        if not run.prompted and self._is_output_config(run.config_name):
            return self._regeneration(run)
        blocked_inside = run.error is not None and run.error.stage == "stage2" and run.input is not None
        if not run.intercepted and not blocked_inside:
            return Class("neither", reason=NO_STAGE_2)
        self._remember(run)
        return Class("call")

    def config_of(self, run: StoredRun) -> str:
        """The run's interception config; 'unknown' where only an output config is stored."""
        if run.interception_config:
            return run.interception_config
        return run.config_name if run.config_name and not self._is_output_config(run.config_name) else "unknown"

    def _is_output_config(self, name: str) -> bool:
        return name in self._output_configs and name not in self._interception_configs

    def _remember(self, run: StoredRun) -> None:
        if run.generation_prompt is None:
            return
        key = _key(run.generation_prompt)
        originals = self._originals[run.device, key]
        known = next((original for original in originals if original.run == run.run), None)
        if known is None:
            originals.append(_Original(run.run, run.ts, set(run.seeds)))
            self._devices[key].add(run.device)
        else:
            known.seeds.update(run.seeds)

    def _regeneration(self, run: StoredRun) -> Class:
        if run.generation_prompt is None:
            return Class("unattributed", reason=NO_PROMPT)
        key = _key(run.generation_prompt)
        earlier = [original for original in self._originals.get((run.device, key), ()) if original.ts <= run.ts]
        if not earlier:
            return Class("unattributed", reason=EXERCISE if self._devices.get(key) else NO_ORIGINAL)
        # A child who had the same text made twice repeats the later one.
        original = max(earlier, key=lambda candidate: candidate.ts)
        if not run.seeds or not original.seeds:
            return Class("unattributed", reason=NO_SEED)
        if run.seeds & original.seeds:
            return Class("unattributed", reason=SAME_SEED)
        original.seeds.update(run.seeds)
        return Class("regeneration", root=original.run)


def _key(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()
