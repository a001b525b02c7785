"""A settings error as one line: where it stands (file and key path, or the variable), what is wrong, what is known."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from ops.known import PREFIX, keys_at, nearest


def complaints(
    error: ValidationError, model: type[BaseModel], source: str, environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Every problem of a validation as one line each.

    Args:
        error: what pydantic found.
        model: the composed settings, for the nearest known key.
        source: how the settings file is named in the message.
        environment: usually ``os.environ``; a problem with a variable names the variable.
    """
    return tuple(
        _line(path, kind, line, model, source, environment)
        for path, kind, message in _flat(error, ())
        for line in message.split("\n")
    )


def _flat(error: ValidationError, before: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, str]]:
    for item in error.errors():
        path = (*before, *(str(part) for part in item["loc"]))
        inner = (item.get("ctx") or {}).get("error")
        if isinstance(inner, ValidationError):  # a validator that built a model of its own: its errors are the news
            yield from _flat(inner, path)
        else:
            yield path, item["type"], _words(dict(item), inner)


def _words(item: Mapping[str, Any], inner: object) -> str:
    message = str(inner) if inner is not None else str(item["msg"])
    given = item.get("input")
    if inner is None and isinstance(given, str | int | float | bool) and len(str(given)) <= 60:
        message += f" (it is {given!r})"
    return message[:1].lower() + message[1:] if message[1:2].islower() else message


def _line(
    path: Sequence[str],
    kind: str,
    message: str,
    model: type[BaseModel],
    source: str,
    environment: Mapping[str, str],
) -> str:
    if not path:  # sections that don't fit together: the message names them itself
        return f"{source}: {message}"
    where = _variable(path, environment) or f"{source}: {key_path(path)}"
    if kind == "extra_forbidden":
        known = keys_at(model, path[:-1]) or []
        close = nearest(path[-1], known)
        hint = f"did you mean {close!r}?" if close else f"known here: {', '.join(sorted(known))}"
        return f"{where}: unknown key: {hint} (docs/configuration.md)"
    if kind == "missing":
        return f"{where}: this key is needed (docs/configuration.md)"
    return f"{where}: {message}"


def key_path(path: Sequence[str]) -> str:
    """``[experiment.workshop.arms.base] weight`` for the path to a key; a top-level key stands alone."""
    return f"[{'.'.join(path[:-1])}] {path[-1]}" if len(path) > 1 else path[0]


def _variable(path: Sequence[str], environment: Mapping[str, str]) -> str | None:
    by_folded = {name.casefold(): name for name in environment}
    name = by_folded.get((PREFIX + "__".join(path)).casefold())
    return f"environment variable {name}" if name else None
