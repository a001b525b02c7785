"""Blocks by stage, check and code; and the arms split by one dimension."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dashboard import words_page as words
from dashboard.arms_table import share
from dashboard.markup import Html, notice, tag
from dashboard.palette import ARM_SYMBOLS, arm_class
from dashboard.wording import Voice

Arm = Mapping[str, Any]
_RATES: Final = (
    ("favourites", words.FAVOURITES),
    ("regenerations", words.REGENERATIONS),
    ("blocked_calls", words.BLOCKED_CALLS),
)


def blocks(voice: Voice, arms: Sequence[Arm]) -> Html:
    """Blocked calls per stage, check and code, one column per arm."""
    kinds: dict[tuple[str, str, str], dict[str, int]] = {}
    for arm in arms:
        for block in arm["blocks"]:
            kinds.setdefault((block["stage"], block["method"], block["code"]), {})[arm["arm"]] = block["calls"]
    if not kinds:
        return notice("hint", voice.say(words.NO_BLOCKS))
    names = (voice.say(words.STAGE), voice.say(words.METHOD), voice.say(words.CODE))
    head = tag(
        "tr",
        *(tag("th", name, scope="col") for name in names),
        *(tag("th", arm_name(arm["arm"], position), scope="col", cls="eq-number") for position, arm in enumerate(arms)),
    )
    rows = (
        tag(
            "tr",
            *(tag("td", part or "–") for part in kind),
            *(tag("td", _blocked(voice, arm, counts), cls="eq-number") for arm in arms),
        )
        for kind, counts in sorted(kinds.items(), key=lambda item: (item[0][0], -max(item[1].values()), item[0]))
    )
    return _scrolling(voice, tag("table", tag("thead", head), tag("tbody", *rows), cls="eq-table"), words.BLOCKS.de)


def _blocked(voice: Voice, arm: Arm, counts: Mapping[str, int]) -> str:
    if not arm["calls"]:
        return "–"
    return voice.say(words.OF, k=voice.count(counts.get(arm["arm"], 0)), n=voice.count(arm["calls"]))


def split(voice: Voice, by: Mapping[str, Any], order: Sequence[str]) -> Html:
    """The arms per value of a dimension, both arms under each other.

    Args:
        voice: the viewer's language and zone.
        by: the results answer's ``by``.
        order: names of the arms.
    """
    groups: dict[str, dict[str, Arm]] = {}
    for row in by["rows"]:
        groups.setdefault(row["value"], {})[row["arm"]] = row
    if not groups:
        return notice("hint", voice.say(words.NO_SPLIT))
    dimension = voice.say(words.DIMENSIONS[by["dimension"]])
    columns = (dimension, voice.say(words.ARM), voice.say(words.CALLS), *(voice.say(name) for _, name in _RATES))
    head = tag("tr", *(tag("th", name, scope="col") for name in columns))
    bodies = (_group(voice, value, groups[value], order) for value in sorted(groups))
    table = tag("table", tag("thead", head), *bodies, cls="eq-table eq-split", data_part="split")
    return _scrolling(voice, table, dimension)


def _group(voice: Voice, value: str, rows: Mapping[str, Arm], order: Sequence[str]) -> Html:
    present = [(name, position) for position, name in enumerate(order) if name in rows]
    present += [(name, len(order)) for name in sorted(rows) if name not in order]
    lines = []
    for line, (name, position) in enumerate(present):
        row = rows[name]
        cells = (share(voice, row, key) for key, _ in _RATES)
        lines.append(
            tag(
                "tr",
                tag("th", value or "–", scope="rowgroup", rowspan=str(len(present))) if line == 0 else None,
                tag("td", arm_name(name, position)),
                tag("td", voice.count(row["calls"]), cls="eq-number"),
                *(tag("td", tag("b", cell.value), " ", tag("span", cell.detail, cls="eq-small")) for cell in cells),
            )
        )
    return tag("tbody", *lines)


def arm_name(name: str, position: int) -> Html:
    """An arm's name with symbol and colour."""
    symbol = tag("span", ARM_SYMBOLS[min(position, len(ARM_SYMBOLS) - 1)], aria_hidden="true")
    return tag("span", symbol, f" {name or '–'}", cls=f"eq-arm {arm_class(position)}")


def _scrolling(voice: Voice, table: Html, name: str) -> Html:
    return tag("div", table, cls="eq-scroll", tabindex="0", role="region", aria_label=name, lang=voice.language)
