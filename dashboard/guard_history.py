"""The guard's log as a table, newest first; each step's sentence stands under its numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import words_guard as words
from dashboard.markup import Html, notice, tag
from dashboard.palette import STATES
from dashboard.wording import Voice


def table(voice: Voice, history: Sequence[Mapping[str, Any]]) -> Html:
    """The whole table, or what to do while it is empty."""
    if not history:
        return notice("hint", voice.say(words.NO_HISTORY))
    head = tag("tr", *(tag("th", voice.say(name), scope="col") for name in words.COLUMNS.values()))
    return tag(
        "div",
        tag("table", tag("thead", head), *(_step(voice, row) for row in history), cls="eq-table eq-history"),
        cls="eq-scroll",
        tabindex="0",
        role="region",
        aria_label=voice.say(words.HISTORY),
        lang=voice.language,
    )


def _step(voice: Voice, row: Mapping[str, Any]) -> Html:
    grade = voice.say(words.GRADES[row["grade"]]) if row["grade"] else ""
    why = " · ".join(part for part in (row["rule"], grade) if part)
    numbers = tag(
        "tr",
        tag("td", tag("span", voice.moment(row["ts"]), cls="eq-nowrap")),
        tag("td", tag("b", row["arm"]), tag("div", row["adapter"], cls="eq-small")),
        tag("td", _change(voice, row)),
        tag("td", why or "–"),
        tag("td", _share(voice, row["prompt_runs"]), cls="eq-number"),
        tag("td", voice.evidence(row["e_value"]), cls="eq-number"),
        tag("td", _share(voice, row["base"]), cls="eq-number"),
        tag("td", _actor(voice, row)),
        tag("td", row["reason"] or "–"),
    )
    said = tag("td", voice.pick(row["sentences"]), colspan=str(len(words.COLUMNS)))
    return tag("tbody", numbers, tag("tr", said, cls="eq-said"))


def _change(voice: Voice, row: Mapping[str, Any]) -> Html:
    before, after = row["from_state"], row["to_state"]
    name = voice.say(words.STATES[after])
    chip = tag("span", f"{STATES[after].symbol} {name}", cls=f"eq-chip {STATES[after].cls}")
    if before == after:
        return chip
    return tag("span", voice.say(words.STATES[before]), " → ", chip)


def _share(voice: Voice, rate: Mapping[str, Any]) -> Html:
    if not rate["n"]:
        return tag("span", "–", title=voice.say(words.NO_DATA))
    return tag("span", voice.percent(rate["rate"]), tag("div", voice.of(rate), cls="eq-small"))


def _actor(voice: Voice, row: Mapping[str, Any]) -> Html:
    known = words.ACTORS.get(row["actor"])
    return tag(
        "span",
        voice.say(known) if known else row["actor"],
        tag("div", row["token_id"], cls="eq-small") if row["token_id"] else None,
    )
