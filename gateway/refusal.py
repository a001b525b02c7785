"""Is this answer a refusal in place of a transformation? German and English, and conservative on purpose.

A refusal counts as a safety block of its call, so a poem that says 'I cannot sleep' must not be one. Three things
must come together: the answer is short, the refusing phrase stands at its beginning, and what is refused is the
request itself. What is missed here is still found by the host's own checks.
"""

import re
from typing import Final

MAX_LENGTH: Final = 900
"""Characters. A transformation is longer than a refusal, or at least does not begin like one."""
HEAD: Final = 300
"""Characters at the beginning in which the phrase must stand."""

_PATTERNS: Final = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # I('m sorry, but I) can't help with that / I am unable to fulfil this request
        r"\b(?:i\s+(?:can(?:no|')t|can\s+not|won't|will\s+not|must\s+decline\s+to)|i(?:'m|\s+am)\s+(?:unable|not\s+able|"
        r"not\s+allowed)\s+to)\s+(?:\w+\s+){0,2}?(?:help|assist|comply|fulfil|fulfill|process|complete|transform|rewrite|"
        r"generate|create|provide|continue|engage|write|answer|respond)\b[^.!?]{0,80}?\b(?:that|this|the|your|such|these|"
        r"any)\b[^.!?]{0,60}?\b(?:request|prompt|content)s?\b",
        r"\bi\s+(?:can(?:no|')t|can\s+not|won't|will\s+not)\s+(?:help|assist)(?:\s+you)?\s+with\s+(?:that|this)\b",
        r"\bi(?:'m|\s+am)\s+(?:unable|not\s+able)\s+to\s+(?:help|assist|comply)\b",
        r"\b(?:this|the|your)\s+(?:request|prompt|input|content)\b[^.!?]{0,40}\b(?:violates|goes\s+against|is\s+not\s+"
        r"(?:allowed|appropriate|suitable|permitted)|isn't\s+(?:allowed|appropriate|suitable))\b",
        # Es tut mir leid, aber ich kann dir dabei nicht helfen / Diese Anfrage kann ich nicht bearbeiten
        r"\bich\s+(?:kann|darf|werde|möchte)\s+(?:\w+\s+){0,3}?(?:dabei|damit|hierbei)\s+(?:\w+\s+){0,2}?nicht\s+"
        r"(?:\w+\s+){0,2}?(?:helfen|unterstützen|dienen|weitermachen)\b",
        r"\bich\s+(?:kann|darf|werde|möchte)\s+(?:\w+\s+){0,2}?(?:bei|mit)?\s*(?:diese|deine|ihre|solche)[nmrs]?\s+(?:\w+\s+){0,2}?"
        r"(?:anfragen?|wunsch|text|inhalte?|ideen?|thema|themen|eingabe|bitte|prompts?)\b[^.!?]{0,40}?\bnicht\s+(?:\w+\s+){0,2}?"
        r"(?:helfen|unterstützen|bearbeiten|umsetzen|umschreiben|erstellen|erfüllen|verarbeiten|beantworten|verwandeln)\b",
        r"\b(?:dabei|damit|hierbei)\s+(?:kann|darf|werde)\s+ich\s+(?:\w+\s+){0,2}?nicht\s+(?:helfen|unterstützen|dienen)\b",
        r"\bdiese[nrs]?\s+(?:anfrage|wunsch|text|inhalt|idee|thema|eingabe)\s+(?:kann|darf|werde)\s+ich\s+"
        r"(?:\w+\s+){0,2}?nicht\b",
        r"\b(?:diese|deine)\s+(?:anfrage|eingabe|idee)\b[^.!?]{0,40}\b(?:verstößt|ist\s+nicht\s+(?:erlaubt|geeignet|"
        r"angemessen|zulässig))\b",
    )
)

_HINT: Final = re.compile(
    r"nicht|verstößt|n't\b|can(?:not|\s+not)|will\s+not|must\s+decline|unable|not\s+(?:able|allowed)|violates|"
    r"goes\s+against|is\s+not",
    re.IGNORECASE,
)
"""Every pattern needs one of these: most answers hold none, and the host is waiting."""


def is_refusal(output: str, further: tuple[re.Pattern[str], ...] = ()) -> bool:
    """Whether the answer refuses.

    Args:
        output: the model's whole answer.
        further: the installation's own expressions, searched in the head whatever the answer's length.
    """
    text = output.strip().replace("’", "'")
    head = text[:HEAD]
    if any(pattern.search(head) for pattern in further):
        return True
    return (
        0 < len(text) <= MAX_LENGTH and bool(_HINT.search(head)) and any(pattern.search(head) for pattern in _PATTERNS)
    )
