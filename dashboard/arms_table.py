"""Both arms side by side: counts, rates with n and interval, latency."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from dashboard import words_page as words
from dashboard.markup import Html, joined, notice, tag
from dashboard.palette import ARM_SYMBOLS, arm_class
from dashboard.wording import Text, Voice

Arm = Mapping[str, Any]


class Cell(NamedTuple):
    """What a cell says: a large figure and what it rests on."""

    value: str
    detail: str = ""


class Measure(NamedTuple):
    """One row."""

    name: Text
    key: str
    cell: Callable[[Voice, Arm, str], Cell]


def _calls(voice: Voice, arm: Arm, _: str) -> Cell:
    if not arm["calls"]:
        return Cell("0", voice.say(words.NO_DATA))
    return Cell(voice.count(arm["calls"]), voice.say(words.TREATED, count=voice.count(arm["treated"])))


def _count(voice: Voice, arm: Arm, key: str) -> Cell:
    return Cell(voice.count(arm[key]))


def share(voice: Voice, arm: Arm, key: str) -> Cell:
    """A rate with k, n and interval; words where n = 0."""
    rate = arm[key]
    if not rate["n"]:
        return Cell("–", voice.say(words.NO_VERDICTS if key == "prompt_runs" and arm["calls"] else words.NO_DATA))
    counts = {"k": voice.count(rate["k"]), "n": voice.count(rate["n"])}
    return Cell(voice.percent(rate["rate"]), voice.say(words.RATE_CELL, **counts, interval=voice.interval(rate)))


def _part(voice: Voice, arm: Arm, key: str) -> Cell:
    if not arm["calls"]:
        return Cell("–", voice.say(words.NO_DATA))
    return Cell(voice.say(words.OF, k=voice.count(arm[key]), n=voice.count(arm["calls"])))


def _latency(voice: Voice, arm: Arm, key: str) -> Cell:
    times = arm[key]
    if not times["n"]:
        return Cell("–", voice.say(words.NO_DATA))
    parts = {name: voice.count(times[name]) for name in ("p90", "p99", "n")}
    return Cell(
        voice.say(words.LATENCY_MEDIAN, median=voice.count(times["median"])), voice.say(words.LATENCY_REST, **parts)
    )


MEASURES: Final = (
    Measure(words.CALLS, "calls", _calls),
    Measure(words.DEVICES, "devices", _count),
    Measure(words.FAVOURITES, "favourites", share),
    Measure(words.REGENERATIONS, "regenerations", share),
    Measure(words.BLOCKED_RUNS, "prompt_runs", share),
    Measure(words.EDITS, "edits", share),
    Measure(words.REFUSALS, "refusals", share),
    Measure(words.ERRORS, "errors", _part),
    Measure(words.FALLBACKS, "fallbacks", _part),
    Measure(words.GUARDED, "guarded", _part),
    Measure(words.LATENCY, "latency_ms", _latency),
)


def table(voice: Voice, arms: Sequence[Arm]) -> Html:
    """The table.

    Args:
        voice: the viewer's language and zone.
        arms: as :attr:`dashboard.reach.Snapshot.arms`.
    """
    head = tag(
        "tr",
        tag("th", voice.say(words.MEASURE), scope="col"),
        *(tag("th", heading(voice, arm, position), scope="col") for position, arm in enumerate(arms)),
    )
    rows = (
        tag(
            "tr",
            tag("th", voice.say(measure.name), scope="row"),
            *(_cell(measure, arm["arm"], measure.cell(voice, arm, measure.key)) for arm in arms),
        )
        for measure in MEASURES
    )
    return tag(
        "table", tag("thead", head), tag("tbody", *rows), cls="eq-table eq-arms", lang=voice.language, data_part="arms"
    )


def heading(voice: Voice, arm: Arm, position: int) -> Html:
    """An arm's name with its symbol and colour, its model, its weight, and whether it gets traffic."""
    kind = voice.say(words.BASE_ARM if arm["base"] else words.ADAPTER_ARM if arm["model"] else words.OTHER_ARM)
    state = voice.say(words.OPEN if arm["open"] else words.CLOSED)
    return joined(
        tag(
            "span",
            tag("span", ARM_SYMBOLS[min(position, len(ARM_SYMBOLS) - 1)], aria_hidden="true"),
            f" {arm['arm'] or voice.say(words.NO_ARM)}",
            cls=f"eq-arm {arm_class(position)}",
        ),
        tag("span", kind, cls="eq-kind"),
        tag("div", arm["model"], cls="eq-small"),
        tag("div", f"{voice.say(words.WEIGHT, weight=voice.count(arm['weight']))} · {state}", cls="eq-small"),
    )


def _cell(measure: Measure, arm: str, cell: Cell) -> Html:
    return tag(
        "td",
        tag("span", cell.value, cls="eq-figure"),
        tag("div", cell.detail, cls="eq-small") if cell.detail else None,
        data_arm=arm,
        data_measure=measure.key,
    )


def hints(voice: Voice, arms: Sequence[Arm]) -> Html:
    """What to do about arms without figures."""
    if not any(arm["calls"] for arm in arms):
        return notice("hint", voice.say(words.NO_CALLS))
    said = [
        notice("hint", voice.say(words.WAITING_ARM if arm["open"] else words.CLOSED_ARM, arm=arm["arm"]))
        for arm in arms
        if not arm["calls"]
    ]
    if not any(arm["prompt_runs"]["n"] for arm in arms):
        said.append(notice("hint", voice.say(words.MISSING_VERDICTS)))
    return joined(*said)
