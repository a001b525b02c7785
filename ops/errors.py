"""What the command line says when it can't go on: a line that names what to do, never a traceback."""

from typing import Final

SAID_NO: Final = 1
"""Exit code: the question was asked properly and the answer is no (guard, gate, doctor)."""

COULD_NOT: Final = 2
"""Exit code: wrong usage, wrong settings, or something that is needed is missing."""


class UserError(Exception):
    """One or more lines for a person, and the exit code.

    Args:
        lines: each says what happened, where, and what to do.
        code: :data:`COULD_NOT` or :data:`SAID_NO`.
    """

    def __init__(self, *lines: str, code: int = COULD_NOT) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.code = code
