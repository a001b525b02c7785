"""Which calls the figures are about: chosen on the page, kept in the URL, understood by the API."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import streamlit as st

from dashboard import words_page as words
from dashboard.wording import Text, Voice


class Choice(NamedTuple):
    """One filter.

    Attributes:
        key: name in the URL's query.
        options: what may be chosen; the first one is the default and stays out of the URL.
    """

    key: str
    options: tuple[str, ...]


TRAFFIC: Final = Choice("traffic", tuple(words.TRAFFICS))
ORIGIN: Final = Choice("origin", tuple(words.ORIGINS))
HOURS: Final = Choice("hours", tuple(words.WINDOWS))
SPLIT: Final = Choice("by", tuple(words.DIMENSIONS))


def epochs(latest: int) -> Choice:
    """The epochs there are.

    Args:
        latest: number of the current one, 0 before the first arming.
    """
    return Choice("epoch", ("current", "all", *(str(number) for number in range(latest, 0, -1))))


def from_url(choice: Choice, query: Mapping[str, str]) -> str:
    """What the URL asks for if that exists, else the default."""
    asked = query.get(choice.key, "")
    return asked if asked in choice.options else choice.options[0]


def current(choice: Choice) -> str:
    """What is chosen now: on the page, else in the URL. Callable before the widget is drawn."""
    value = st.session_state.get(_state(choice))
    return value if value in choice.options else from_url(choice, st.query_params.to_dict())


def filters(latest_epoch: int) -> dict[str, str]:
    """The scope as the API's query parameters.

    Args:
        latest_epoch: number of the current epoch.
    """
    chosen = {choice.key: current(choice) for choice in (epochs(latest_epoch), TRAFFIC, ORIGIN, SPLIT)}
    hours = current(HOURS)
    return chosen | ({"hours": hours} if hours != "all" else {}) | {"analysis": "false"}


def bar(voice: Voice, latest_epoch: int) -> None:
    """Draw the filters."""

    def epoch_name(value: str) -> str:
        if value == "current":
            return voice.say(words.EPOCH_CURRENT_N, number=latest_epoch) if latest_epoch else say(words.EPOCH_CURRENT)
        return say(words.EPOCH_ALL) if value == "all" else voice.say(words.EPOCH_N, number=value)

    say = voice.say
    for place, choice, label, shown in zip(
        st.columns(4),
        (epochs(latest_epoch), TRAFFIC, ORIGIN, HOURS),
        (words.EPOCH, words.TRAFFIC, words.ORIGIN, words.HOURS),
        (epoch_name, _named(voice, words.TRAFFICS), _named(voice, words.ORIGINS), _named(voice, words.WINDOWS)),
        strict=True,
    ):
        with place:
            _remember(choice)
            st.selectbox(say(label), choice.options, format_func=shown, key=_state(choice), filter_mode=None)
            _to_url(choice)


def split(voice: Voice) -> str:
    """Draw the choice of a dimension; returns it."""
    _remember(SPLIT)
    st.segmented_control(
        voice.say(words.SPLIT_BY),
        SPLIT.options,
        format_func=_named(voice, words.DIMENSIONS),
        key=_state(SPLIT),
        required=True,
        label_visibility="collapsed",
    )
    _to_url(SPLIT)
    return current(SPLIT)


def pick(choice: Choice, label: str, shown: Callable[[str], str] = str) -> str:
    """Any other choice that the URL keeps, as a select box; returns what is chosen."""
    _remember(choice)
    st.selectbox(label, choice.options, format_func=shown, key=_state(choice), filter_mode=None)
    _to_url(choice)
    return current(choice)


def switch(choice: Choice, label: str, names: Sequence[str]) -> str:
    """Any other choice that the URL keeps, as buttons side by side; returns what is chosen."""
    _remember(choice)
    shown = dict(zip(choice.options, names, strict=True))
    st.segmented_control(
        label,
        choice.options,
        format_func=lambda value: shown[value],
        key=_state(choice),
        required=True,
        label_visibility="collapsed",
    )
    _to_url(choice)
    return current(choice)


def _named(voice: Voice, names: Mapping[str, Text]) -> Callable[[str], str]:
    return lambda value: voice.say(names[value])


def _state(choice: Choice) -> str:
    return f"scope-{choice.key}"


def _remember(choice: Choice) -> None:
    """Give the widget its value before it is drawn: the URL's at first, then the page's."""
    if st.session_state.get(_state(choice)) not in choice.options:
        st.session_state[_state(choice)] = from_url(choice, st.query_params.to_dict())


def _to_url(choice: Choice) -> None:
    value = current(choice)
    if value == choice.options[0]:
        if choice.key in st.query_params:
            del st.query_params[choice.key]
    elif st.query_params.get(choice.key) != value:
        st.query_params[choice.key] = value
