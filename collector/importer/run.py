"""One run folder as a value: what was stored, before anything is concluded from it. Raw ids and texts: memory only."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from collector.importer.blocks import Verdict


class Output(NamedTuple):
    """One medium that the run produced."""

    config: str
    """Name of the output config, '' if not stored."""
    seed: str
    """'' if not stored."""
    ts: datetime | None


@dataclass(frozen=True)
class StoredRun:
    """What a run folder holds.

    Attributes:
        run: raw run id.
        device: raw device id: the folder's, which is right where metadata.json has another or none.
        ts: when the model answered, else when the run began; UTC.
        config_name: as stored.
        interception_config: as stored, '' if not.
        safety_level: as stored, 'unknown' if not.
        language: as stored, 'unknown' if not.
        model: the model *configured* for Stage 2.
        input: the text that the model was asked to rewrite.
        translation: its translation, where one was made before the model was asked.
        context: the rules it was to be rewritten by.
        output: the model's own answer: the first interception of prompting_process.
        generation_prompt: the text that Stage 4 got.
        prompted: whether there is a prompting_process.
        intercepted: whether any interception is stored, the model's own or an edited one.
        edited_at: when the model's text was first changed; None if it was not.
        outputs: what was produced.
        error: what error.json says; None without one.
        missing: texts that metadata.json names and that are not there or not readable, with the reason.
        device_differs: metadata.json names another device than the folder, or none.
    """

    run: str
    device: str
    ts: datetime
    config_name: str
    interception_config: str
    safety_level: str
    language: str
    model: str
    input: str | None
    translation: str | None
    context: str | None
    output: str | None
    generation_prompt: str | None
    prompted: bool
    intercepted: bool
    edited_at: datetime | None
    outputs: tuple[Output, ...]
    error: Verdict | None
    missing: tuple[str, ...]
    device_differs: bool

    @property
    def seeds(self) -> frozenset[str]:
        """Seeds of what was produced, as far as they are stored."""
        return frozenset(output.seed for output in self.outputs if output.seed)
