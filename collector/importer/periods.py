"""The host's prompt template by date: three regimes that must not be pooled.

From 26 January to 28 February 2026 (both days included, in the host's local time) a bug of the host dropped part of the
instruction block on the wire, so what was measured before, during and after it answers three different prompts.
"""

from datetime import date, datetime, tzinfo
from typing import Final

BUG_FROM: Final = date(2026, 1, 26)
BUG_TO: Final = date(2026, 2, 28)
BEFORE: Final = "host-pre-2026-01-26"
DURING: Final = "host-2026-01-26-bug"
AFTER: Final = "host-post-2026-02-28"


def template_version(ts: datetime, zone: tzinfo) -> str:
    """The template's version at this time.

    Args:
        ts: aware time of the call.
        zone: the host's time zone.
    """
    day = ts.astimezone(zone).date()
    if day < BUG_FROM:
        return BEFORE
    return DURING if day <= BUG_TO else AFTER
