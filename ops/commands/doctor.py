"""``equipoise doctor``: what is missing, and what to do about it."""

from typing import Final

from ops.doctor import examine
from ops.errors import SAID_NO, UserError
from ops.finding import Finding
from ops.options import Config, Json, Token
from ops.output import emit_json, emit_text
from ops.settings import load_settings

EXAMPLE: Final = "Example: equipoise doctor --config equipoise.toml"
_MARKS: Final = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}


def doctor(config: Config = None, token: Token = "", as_json: Json = False) -> int:
    """Say what is missing and what to do.

    Checks settings, folders, tokens, disk, clock, ports, services, permits, backends. Exit 1 if something is wrong.
    """
    try:
        findings = examine(load_settings(config), token)
    except UserError as error:
        # The settings themselves: everything else would be a guess.
        findings = [
            Finding("problem", "settings", line, "mend this first, then run doctor again") for line in error.lines
        ]
    wrong = any(finding.level == "problem" for finding in findings)
    if as_json:
        emit_json({"ok": not wrong, "findings": [finding._asdict() for finding in findings]})
    else:
        for finding in findings:
            todo = f"\n        → {finding.todo}" if finding.todo else ""
            emit_text(f"{_MARKS[finding.level]} {finding.what}: {finding.detail}{todo}")
    return SAID_NO if wrong else 0
