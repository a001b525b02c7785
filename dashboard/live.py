"""The live page, renewed by itself every few seconds: guard, arms side by side, over time, blocks, split, history."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import streamlit as st

from client.errors import ServiceError, Unauthorised
from client.http import Client
from dashboard import arms_table, charts, door, guard_card, guard_history, scope, split_tables, words_help
from dashboard import words_guard as guard_words
from dashboard import words_page as words
from dashboard.markup import Html, joined, notice, tag
from dashboard.reach import Snapshot, look, trouble
from dashboard.wording import Text, Voice

_LAST: Final = "live-last"
_STATES: Final = "live-states"
_RATES: Final = (
    ("favourites", words.FAVOURITES),
    ("regenerations", words.REGENERATIONS),
    ("prompt_runs", words.BLOCKED_RUNS),
)


def page(
    voice: Voice,
    client: Client,
    experiment: str,
    epoch: int,
    refresh_s: float,
    set_title: Callable[[str], None],
) -> None:
    """Draw everything once. Meant to be a fragment that runs again by itself.

    What comes and goes has a container that is always there: parts keep their places, and nothing flickers.

    Args:
        voice: the viewer's language and zone.
        client: the session's connection.
        experiment: its name.
        epoch: its latest epoch when the page was opened.
        refresh_s: seconds between two runs, for the screen.
        set_title: sets what the browser's tab says.
    """
    top = st.container(key="top")
    latest = st.session_state.get(_LAST, (None, None))
    before: Snapshot | None = latest[1] if latest[0] == experiment else None
    epoch = max(epoch, before.results["epoch"] if before is not None else 0)
    try:
        shown = look(client, experiment, scope.filters(epoch))
        old = False
    except Unauthorised as error:
        if error.status == 401:
            door.turned_away()
            st.rerun()
        top.html(trouble(voice, error, client.url))
        return
    except ServiceError as error:
        top.html(trouble(voice, error, client.url))
        if before is None:
            return
        shown, old = before, True
    st.session_state[_LAST] = (experiment, shown)
    with top:
        _frame(voice, shown, old=old)
    _guard(voice, shown, refresh_s, old=old)
    _arms(voice, shown)
    _over_time(voice, shown)
    _blocks(voice, shown)
    _split(voice, shown)
    _history(voice, shown)
    set_title(_title(voice, shown))
    _tell_others(experiment, shown)


def _tell_others(experiment: str, shown: Snapshot) -> None:
    """Run the whole page again when a state changed, so that the control offers what is possible now."""
    states = (experiment, shown.results["epoch"], *(item["state"] for item in shown.guard["adapters"]))
    before = st.session_state.get(_STATES)
    st.session_state[_STATES] = states
    if before is not None and before[0] == experiment and before != states:
        st.rerun()


def _title(voice: Voice, shown: Snapshot) -> str:
    states = {item["state"] for item in shown.guard["adapters"]}
    if "rolled_back" in states:
        return voice.say(guard_words.TITLE_ROLLBACK)
    return voice.say(guard_words.TITLE_FAILSAFE) if "failsafe" in states else ""


def _frame(voice: Voice, shown: Snapshot, *, old: bool) -> None:
    if old:
        time = voice.clock(shown.results["generated_at"])
        st.html(notice("trouble", voice.say(words.OLD, time=time)))
    alarms = guard_card.alarm(voice, [] if old else shown.guard["adapters"])
    if alarms:
        st.html(alarms)


def _status(voice: Voice, shown: Snapshot, refresh_s: float, *, old: bool) -> Html:
    """Of which moment the figures are, and how often they renew themselves."""
    return tag(
        "div",
        tag("span", cls="eq-pulse eq-pulse-old" if old else "eq-pulse", aria_hidden="true"),
        tag("strong", voice.say(words.AS_OF, time=voice.clock(shown.results["generated_at"]))),
        tag("span", voice.say(words.UPDATES, seconds=voice.decimal(refresh_s, 0), zone=str(voice.zone))),
        cls="eq-status",
        lang=voice.language,
    )


def _guard(voice: Voice, shown: Snapshot, refresh_s: float, *, old: bool) -> None:
    _section(voice, guard_words.GUARD, words_help.GUARD, "guard", _status(voice, shown, refresh_s, old=old))
    with st.container(key="circumstances"):
        around = guard_card.circumstances(voice, shown.guard)
        if around:
            st.html(around)
    for adapter in shown.guard["adapters"]:
        st.html(guard_card.card(voice, adapter, shown.guard["limits"], old=old))


def _arms(voice: Voice, shown: Snapshot) -> None:
    _section(voice, words.SIDE_BY_SIDE, words_help.ARMS, "arms")
    scope.bar(voice, shown.results["epoch"])
    with st.container(key="hints"):
        hints = arms_table.hints(voice, shown.arms)
        if hints:
            st.html(hints)
    left, right = st.columns([1.55, 1], gap="medium")
    with left:
        st.html(arms_table.table(voice, shown.arms))
    with right:
        st.html(tag("h4", voice.say(words.INTERVALS), cls="eq-chart-title"))
        for key, name in (*_RATES, ("edits", words.EDITS), ("refusals", words.REFUSALS)):
            limit = shown.guard["limits"]["limit"] if key == "prompt_runs" else None
            _picture(voice, name, charts.intervals(voice, shown.arms, key, name, limit), f"interval-{key}")


def _over_time(voice: Voice, shown: Snapshot) -> None:
    _section(voice, words.OVER_TIME, words_help.TIME, "time")
    st.html(_legend(shown.order))
    series, limits = shown.results["series"], shown.guard["limits"]
    guarded = [item for item in shown.guard["adapters"] if item["evidence"]]
    for number, place in enumerate(st.columns(1 + max(1, len(guarded)), gap="medium")):
        with place:
            if number == 0:
                title = Html(_escaped(voice, words.CALLS_PER_BIN, bin=charts.bin_name(voice, series["bin_s"])))
                _picture(voice, title, charts.calls(voice, series, shown.order), "calls")
            else:
                item = guarded[number - 1] if guarded else None
                arm = item["arm"] if item else "–"
                title = Html(_escaped(voice, words.BLOCKED_AGAINST_LIMIT, arm=arm))
                chart = charts.blocked_against_limit(voice, item, limits, shown.order) if item else None
                _picture(voice, title, chart, f"evidence-{number}")
    for place, (key, name) in zip(st.columns(len(_RATES), gap="medium"), _RATES, strict=True):
        with place:
            title = Html(_escaped(voice, words.RUNNING_SHARE, name=voice.say(name)))
            limit = limits["limit"] if key == "prompt_runs" else None
            _picture(voice, title, charts.running(voice, series, key, name, shown.order, limit), f"running-{key}")


def _blocks(voice: Voice, shown: Snapshot) -> None:
    _section(voice, words.BLOCKS, words_help.BLOCKS, "blocks")
    st.html(split_tables.blocks(voice, shown.arms))


def _split(voice: Voice, shown: Snapshot) -> None:
    by = shown.results["by"]
    title = Text(*(words.SPLIT[index].format(dimension=words.DIMENSIONS[by["dimension"]][index]) for index in (0, 1)))
    _section(voice, title, words_help.SPLIT, "split")
    scope.split(voice)
    st.html(split_tables.split(voice, by, shown.order))


def _history(voice: Voice, shown: Snapshot) -> None:
    _section(voice, guard_words.HISTORY, words_help.HISTORY, "history")
    st.html(guard_history.table(voice, shown.guard["history"]))


def _section(
    voice: Voice, title: Text, entries: Sequence[words_help.Entry], name: str, beside: Html | None = None
) -> None:
    """A heading with what its numbers mean one click away."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"section-{name}"):
        st.html(tag("h2", voice.say(title), cls="eq-section", id=f"eq-{name}", lang=voice.language), width="content")
        with st.popover(voice.say(words.HELP), type="tertiary", key=f"help-{name}"):
            st.html(
                tag(
                    "dl",
                    *(
                        joined(tag("dt", voice.say(entry.term)), tag("dd", voice.say(entry.meaning)))
                        for entry in entries
                    ),
                    cls="eq-help",
                    lang=voice.language,
                )
            )
        if beside is not None:
            st.html(beside)


def _legend(order: Sequence[str]) -> Html:
    return tag("div", *(split_tables.arm_name(name, position) for position, name in enumerate(order)), cls="eq-legend")


def _escaped(voice: Voice, text: Text, **values: Any) -> Html:
    return joined(voice.say(text, **values))


def _picture(voice: Voice, title: Text | Html, picture: charts.Picture | None, key: str) -> None:
    words_above = title if isinstance(title, Html) else voice.say(title)
    st.html(tag("h4", words_above, cls="eq-chart-title", lang=voice.language))
    if picture is None:
        st.html(tag("p", voice.say(words.NO_DATA), cls="eq-empty"))
    else:
        st.vega_lite_chart(picture.spec, key=f"chart-{key}", alt=picture.alt, width="stretch")
