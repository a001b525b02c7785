"""From a run folder's raw contents to a :class:`StoredRun`. Pure: whoever calls has read the files.

metadata.json names its texts twice: ``entities`` (what was final; names without their folder ``final/``) and
``prompting_process`` (every step, in order; names with their folder). The model's own output is the first interception
of prompting_process; later ones, and the final one, are what people made of it.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, NamedTuple

from collector.importer.blocks import read_error
from collector.importer.run import Output, StoredRun
from collector.importer.tree import RunFolder
from collector.importer.values import as_label, as_list, as_object, as_sequence, as_time

_TEXTS: Final = frozenset({"input", "translation_en", "context_prompt", "interception", "generation_prompt"})
_RUN_ID: Final = re.compile(r"^run_(\d{12,14})_[0-9a-f]{2,32}$")


class TextFile(NamedTuple):
    """A text that metadata.json names."""

    part: str
    """``final`` or ``prompting_process``."""
    name: str


class Step(NamedTuple):
    """One entry of ``entities`` or ``prompting_process``."""

    kind: str
    file: TextFile
    ts: datetime | None
    about: Mapping[str, Any]


class Steps(NamedTuple):
    """Both lists, in their own order."""

    prompting: tuple[Step, ...]
    final: tuple[Step, ...]

    def texts(self) -> list[TextFile]:
        """The texts that matter, each once."""
        return list(dict.fromkeys(step.file for step in self.prompting + self.final if step.kind in _TEXTS))


def read_steps(metadata: Mapping[str, Any], zone: tzinfo) -> Steps:
    """The steps that metadata.json lists, whatever else it holds.

    Args:
        metadata: its content.
        zone: for times without one.
    """
    return Steps(
        _list(metadata.get("prompting_process"), "prompting_process", zone),
        _list(metadata.get("entities"), "final", zone),
    )


def _list(value: object, part: str, zone: tzinfo) -> tuple[Step, ...]:
    entries = [entry for entry in map(as_object, as_list(value)) if as_label(entry.get("type"))]
    entries.sort(key=lambda entry: as_sequence(entry.get("sequence")))
    return tuple(
        Step(
            as_label(entry.get("type")),
            TextFile(part, as_label(entry.get("filename")).removeprefix(f"{part}/")),
            as_time(entry.get("timestamp"), zone),
            as_object(entry.get("metadata")),
        )
        for entry in entries
    )


def run_id(folder: RunFolder, metadata: Mapping[str, Any]) -> str:
    """The run's id: metadata.json's if it is one, else the folder's name (a copied folder is not a second run)."""
    stored = as_label(metadata.get("run_id"))
    return stored if _RUN_ID.match(stored) else folder.run


def read_run(
    folder: RunFolder,
    metadata: Mapping[str, Any],
    error: object | None,
    steps: Steps,
    texts: Mapping[TextFile, str],
    unread: Mapping[TextFile, str],
    zone: tzinfo,
) -> StoredRun | None:
    """The run as it was stored; None if no time of it can be read.

    Args:
        folder: where it lies.
        metadata: content of metadata.json.
        error: content of error.json; None without one.
        steps: :func:`read_steps` of the metadata.
        texts: the texts of :meth:`Steps.texts` that could be read.
        unread: why the others could not.
        zone: for times without one.
    """
    prompting, final = steps
    own = next((place for place, step in enumerate(prompting) if step.kind == "interception"), None)
    answer = prompting[own] if own is not None else None
    # What the model was given is what was last before it answered; later changes were for a later run.
    before = prompting if own is None else prompting[:own]
    identity = run_id(folder, metadata)
    ts = (answer.ts if answer else None) or as_time(metadata.get("timestamp"), zone) or _time_of_id(identity)
    if ts is None:
        return None

    def text(step: Step | None) -> str | None:
        return texts.get(step.file) if step else None

    def given(kind: str) -> str | None:
        process = text(_last(before, kind))
        return process if process is not None else text(_first(final, kind))

    later = [step for step in prompting[own + 1 :] if step.kind == "interception"] if own is not None else []
    later += [step for step in final if step.kind == "interception"]
    named = {step.file for step in prompting + final if step.kind in _TEXTS}
    device = as_label(metadata.get("device_id"))
    return StoredRun(
        run=identity,
        device=folder.device,
        ts=ts,
        config_name=as_label(metadata.get("config_name")),
        interception_config=as_label(metadata.get("interception_config")),
        safety_level=as_label(metadata.get("safety_level")).casefold()[:200] or "unknown",
        language=_language(metadata, before, final),
        model=as_label(as_object(metadata.get("models_used")).get("stage2_interception")),
        input=given("input"),
        translation=given("translation_en"),
        context=given("context_prompt"),
        output=text(answer),
        generation_prompt=text(_last(final, "generation_prompt") or _last(prompting, "generation_prompt")),
        prompted=bool(prompting),
        intercepted=any(step.kind == "interception" for step in prompting + final),
        edited_at=_edited_at(text(answer), [(text(step), step.ts or ts) for step in later]),
        outputs=tuple(_output(step) for step in final if step.kind.startswith("output_")),
        error=read_error(error) if error is not None else None,
        missing=tuple(sorted(reason for file, reason in unread.items() if file in named)),
        device_differs=device != folder.device,
    )


def _first(steps: Sequence[Step], kind: str) -> Step | None:
    return next((step for step in steps if step.kind == kind), None)


def _last(steps: Sequence[Step], kind: str) -> Step | None:
    return _first(steps[::-1], kind)


def _edited_at(original: str | None, later: Sequence[tuple[str | None, datetime]]) -> datetime | None:
    """When a text first differed from the model's own; blanks around it are no edit."""
    if original is None:
        return None
    return next((ts for text, ts in later if text is not None and text.strip() != original.strip()), None)


def _output(step: Step) -> Output:
    seed = step.about.get("seed")
    plain = isinstance(seed, int | str) and not isinstance(seed, bool)
    return Output(as_label(step.about.get("config")), as_label(str(seed)) if plain else "", step.ts)


def _language(metadata: Mapping[str, Any], before: Sequence[Step], final: Sequence[Step]) -> str:
    """The language as stored with the run or its input; nothing is guessed from the text."""
    step = _last(before, "input") or _first(final, "input")
    for place in (metadata, step.about if step else {}):
        for name in ("language", "input_language", "ui_language"):
            stored = as_label(place.get(name)).casefold()
            if re.fullmatch(r"[a-z]{2,3}([-_][a-z]{2,4})?", stored):
                return stored
    return "unknown"


def _time_of_id(identity: str) -> datetime | None:
    """The time in a run id: milliseconds since 1970."""
    found = _RUN_ID.match(identity)
    if not found:
        return None
    moment = datetime.fromtimestamp(int(found[1]) / 1000, UTC)
    return moment if 2000 <= moment.year < 2200 else None
