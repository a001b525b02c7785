"""What error.json says: a safety block with stage, method and code, or the reason why it is none.

Only what is known to be a safety check counts. An outage (a check that failed closed), a check that is switched off and
an error of another kind are never blocks: calling them so would charge the model with the network's faults.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from collector.importer.values import as_label, as_object
from experiment.counting import NEVER_METHODS
from experiment.events import Stage

_METHODS: Final = frozenset({"86a_filter", "llm_safety_check"})
_METHOD_OF_CODE: Final[Mapping[str, str]] = {"86a": "86a_filter", "llamaguard": "llm_safety_check"}
"""Which method a code belongs to where error.json does not say; dsgvo and vlm are checks of their own."""
_CODES: Final = frozenset({"86a", "dsgvo", "llamaguard", "vlm"})
_CODE_OF_METHOD: Final[Mapping[str, str]] = {"86a_filter": "86a"}
_OUTAGE: Final = re.compile(
    r"timeout|timed[_ -]?out|unavailable|unreachable|connection|outage|fail[_ -]?closed|check[_ -]?failed|"
    r"service[_ -]?error|overload|disabled",
    re.IGNORECASE,
)
_SAFETY: Final = re.compile(r"safety|block|guard|86a|dsgvo|youth|kids", re.IGNORECASE)


class Verdict(NamedTuple):
    """What error.json says about the run."""

    stage: Stage
    """'' if it is no block."""
    method: str
    code: str
    reason: str
    """Why it is no block; '' if it is one."""

    @property
    def is_block(self) -> bool:
        """Whether a safety check stopped the run."""
        return not self.reason


def read_error(content: object) -> Verdict:
    """The verdict in error.json's content ``{stage, error_type, message, details{check}}``.

    ``message`` is not read: it may quote the text.
    """
    error = as_object(content)
    details = as_object(error.get("details"))
    kind = as_label(error.get("error_type"))
    check = as_label(details.get("check"))
    method = as_label(details.get("method")) or (check if check in _METHODS else "")
    code = as_label(details.get("code")) or ("" if check in _METHODS else check)
    if {check, method, kind} & NEVER_METHODS:
        return _none("the check did not take place (switched off, or failed in an outage)")
    if _OUTAGE.search(kind):
        return _none("an outage, not a block")
    if not (check in _METHODS | _CODES or method in _METHODS or _SAFETY.search(kind)):
        return _none("an error of another kind")
    stage = _stage(error.get("stage"), check)
    if not stage:
        return _none("a block whose stage is not stored")
    return Verdict(stage, method or _METHOD_OF_CODE.get(code, ""), code or _CODE_OF_METHOD.get(method, ""), "")


def _none(reason: str) -> Verdict:
    return Verdict("", "", "", reason)


def _stage(value: Any, check: str) -> Stage:
    """The stage as events have it; an image check is 'image' whatever number its stage bears."""
    text = str(value).casefold() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if check == "vlm" or "image" in text or "vlm" in text:
        return "image"
    number = re.search(r"\d", text)
    match number[0] if number else "":
        case "1":
            return "stage1"
        case "2":
            return "stage2"
        case "3":
            return "stage3"
        case "4":
            # Stage 4 makes the medium: what is checked there is the medium.
            return "image"
    return ""
