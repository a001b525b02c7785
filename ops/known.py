"""Which keys and variables exist, and the nearest known one to a name that does not."""

import difflib
import types
from collections.abc import Iterable, Mapping
from typing import Any, Final, Union, get_args, get_origin

from pydantic import BaseModel

PREFIX: Final = "EQUIPOISE_"
"""Environment variables with this prefix are ours; one that nobody reads is an error."""

OTHER_VARIABLES: Final = {
    "EQUIPOISE_CONFIG": "path of the settings file",
    "EQUIPOISE_TOKEN": "bearer token for the commands that speak to the service",
}
"""Variables that are not settings, with what they mean."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks most like ``name`` (case ignored); None when none comes close."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = difflib.get_close_matches(name.casefold(), list(by_folded), n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def section_of(annotation: Any) -> tuple[type[BaseModel] | None, bool]:
    """(the model behind a field's type, whether the type is a mapping of names to it); (None, …) for a plain value."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for option in get_args(annotation):
            model, mapping = section_of(option)
            if model is not None:
                return model, mapping
        return None, False
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        model, _ = section_of(get_args(annotation)[1])
        return model, model is not None  # a mapping of plain values is a value itself
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    return None, False


def keys_at(model: type[BaseModel], path: Iterable[str]) -> list[str] | None:
    """The keys known below ``path`` in a settings model; None where any name or only a plain value may stand.

    Args:
        model: the model to start at.
        path: keys from there; a name of one's own (an experiment's, an arm's) counts as a step.
    """
    here: type[BaseModel] | None = model
    named = False
    for key in path:
        if named:
            named = False
            continue
        if here is None or key not in here.model_fields:
            return None
        here, named = section_of(here.model_fields[key].annotation)
    return None if named or here is None else list(here.model_fields)


def unknown_variables(model: type[BaseModel], environment: Mapping[str, str]) -> list[str]:
    """One line per ``EQUIPOISE_…`` variable that means nothing, each with the nearest one that does.

    Args:
        model: the composed settings.
        environment: usually ``os.environ``.
    """
    lines = []
    for variable in sorted(environment):
        if not variable.upper().startswith(PREFIX) or variable.upper() in OTHER_VARIABLES:
            continue
        line = _unknown_variable(model, variable)
        if line:
            lines.append(line)
    return lines


def _unknown_variable(model: type[BaseModel], variable: str) -> str | None:
    steps = variable[len(PREFIX) :].split("__")
    here: type[BaseModel] | None = model
    named = False
    for position, step in enumerate(steps):
        if named:
            named = False
            continue
        if here is None:
            # Inside a table of free form its values would all arrive as text: 0.5 as '0.5'.
            whole = PREFIX + "__".join(steps[:position])
            return f"environment variable {variable} reaches into a value: write the whole of it as JSON into {whole}"
        if step.lower() not in here.model_fields:
            before = steps[:position]
            known = ["__".join([*before, key]).upper() for key in here.model_fields]
            if not before:
                known += [name.removeprefix(PREFIX) for name in OTHER_VARIABLES]
            # Only as many parts as exist at this level take part in the comparison; the rest is put back behind it.
            close = nearest("__".join(steps[: position + 1]), known)
            rest = "".join(f"__{part}" for part in steps[position + 1 :]) if close and position + 1 < len(steps) else ""
            hint = (
                f"did you mean {PREFIX}{close}{rest}?"
                if close
                else f"known: {', '.join(PREFIX + name for name in sorted(known)[:12])}"
            )
            return f"environment variable {variable} is unknown: {hint} (docs/configuration.md)"
        here, named = section_of(here.model_fields[step.lower()].annotation)
    return None
