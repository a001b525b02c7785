"""The console: tables and sentences for people, JSON for machines. Results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text


def say(text: str) -> None:
    """A line about what is happening, on stderr, so that stdout stays a result."""
    print(text, file=sys.stderr, flush=True)


def emit_json(value: Any) -> None:
    """A result for machines: one JSON document on stdout."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str), flush=True)


def emit_json_line(value: Any) -> None:
    """One JSON object on one line of stdout, for commands that run on (`up`, `serve`, `demo`)."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def emit_text(text: str) -> None:
    """A result for people, as it is."""
    print(text, flush=True)


def emit_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A result for people as a table; columns whose name starts with '#' are numbers, set flush right.

    Args:
        title: above the table; '' for none.
        columns: names, '#' in front of numeric ones.
        rows: cells; None is shown as '–'.
    """
    # A pipe has no width: tables are then as wide as they need to be, so that nothing is cut off in a log.
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    table = Table(title=title or None, title_justify="left")
    for name in columns:
        table.add_column(name.removeprefix("#"), justify="right" if name.startswith("#") else "left")
    for row in rows:
        table.add_row(*(Text("–" if cell is None else str(cell)) for cell in row))
    console.print(table)
