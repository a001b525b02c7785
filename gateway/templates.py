"""A prompt split at its label lines into instruction, context and input."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gateway.config import REGEX, TemplateSettings

UNKNOWN = "unknown"

_Matches = Callable[[str], bool]


class Split(NamedTuple):
    """The blocks of a prompt."""

    template: str
    """Version whose labels matched, or 'unknown'."""
    instruction: str | None
    context: str | None
    """None: not known. '' : known to be empty (some of the host's contexts are, by design)."""
    input: str


class _Template(NamedTuple):
    version: str
    instruction: _Matches
    context: _Matches | None
    input: _Matches
    drop: _Matches
    instruction_has: tuple[str, ...]


class Splitter:
    """Splits prompts by the configured templates; the first that matches wins.

    Args:
        templates: by version, in the order to be tried.
    """

    def __init__(self, templates: Mapping[str, TemplateSettings]) -> None:
        self._templates = tuple(
            _Template(
                version,
                _matcher(settings.instruction),
                _matcher(settings.context) if settings.context else None,
                _matcher(settings.input),
                _matcher(settings.drop),
                settings.instruction_has,
            )
            for version, settings in templates.items()
        )

    def split(self, prompt: str) -> Split:
        """The prompt's blocks, or the whole prompt as input where no template matches.

        The first label of each kind counts, in the order instruction, context, input: a label line inside the input
        text stays part of it; one inside the context ends the context early (nothing on the wire tells them apart).
        """
        lines = prompt.replace("\r\n", "\n").split("\n")
        for template in self._templates:
            found = _split(template, lines)
            if found is not None:
                return found
        return Split(UNKNOWN, None, None, prompt)


def _matcher(labels: tuple[str, ...]) -> _Matches:
    plain = frozenset(label.strip().casefold() for label in labels if not label.startswith(REGEX))
    expressions = tuple(re.compile(label[len(REGEX) :]) for label in labels if label.startswith(REGEX))

    def matches(line: str) -> bool:
        line = line.strip()
        return line.casefold() in plain or any(expression.fullmatch(line) for expression in expressions)

    return matches


def _find(matches: _Matches, lines: list[str], start: int) -> int | None:
    return next((index for index in range(start, len(lines)) if matches(lines[index])), None)


def _split(template: _Template, lines: list[str]) -> Split | None:
    first_label = template.context or template.input
    end_of_instruction = _find(first_label, lines, 0)
    if end_of_instruction is None:
        return None
    label = _find(template.instruction, lines[:end_of_instruction], 0)
    instruction = _block(template, lines[0 if label is None else label + 1 : end_of_instruction])
    if any(text not in instruction for text in template.instruction_has):
        return None
    if template.context is None:
        return Split(template.version, instruction, None, _block(template, lines[end_of_instruction + 1 :]))
    input_label = _find(template.input, lines, end_of_instruction + 1)
    if input_label is None:
        return None
    return Split(
        template.version,
        instruction,
        _block(template, lines[end_of_instruction + 1 : input_label]),
        _block(template, lines[input_label + 1 :]),
    )


def _block(template: _Template, lines: list[str]) -> str:
    start, end = 0, len(lines)
    while start < end and (not lines[start].strip() or template.drop(lines[start])):
        start += 1
    while end > start and (not lines[end - 1].strip() or template.drop(lines[end - 1])):
        end -= 1
    return "\n".join(lines[start:end]).strip()
