"""Both languages say everything, with the same facts, and write numbers as they are written there."""

import string
from datetime import UTC
from types import ModuleType
from typing import get_args

import pytest

from dashboard import palette, words_guard, words_help, words_page
from dashboard.wording import Text, Voice, zone
from experiment.guard import Grade, State

DE, EN = Voice("de", zone("Europe/Berlin")), Voice("en", UTC)


def texts(module: ModuleType) -> list[Text]:
    found: list[Text] = []

    def collect(value: object) -> None:
        if isinstance(value, Text):
            found.append(value)
        elif isinstance(value, dict):
            [collect(item) for item in value.values()]
        elif isinstance(value, tuple):
            [collect(item) for item in value]

    [collect(value) for name, value in vars(module).items() if name.isupper()]
    return found


ALL = [text for module in (words_page, words_guard, words_help) for text in texts(module)]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_there_are_texts():
    assert len(ALL) > 150


@pytest.mark.parametrize("text", ALL, ids=lambda text: text.en[:30])
def test_both_languages_are_there_and_take_the_same_values(text):
    assert text.de.strip()
    assert text.en.strip()
    assert fields(text.de) == fields(text.en)


def test_every_state_and_grade_has_a_name_a_colour_and_a_symbol():
    states = {*get_args(State), "unknown"}
    assert set(words_guard.STATES) == states
    assert set(palette.STATES) == states
    assert len({look.symbol for look in palette.STATES.values()}) == len(states)
    assert set(words_guard.GRADES) == set(get_args(Grade))


def test_every_action_is_named_and_explained():
    assert set(words_guard.ACTIONS) == set(words_guard.MEANS) == set(words_guard.ACTION_LOWER)


@pytest.mark.parametrize(
    ("write", "german", "english"),
    [
        (lambda voice: voice.count(1234567), "1.234.567", "1,234,567"),
        (lambda voice: voice.percent(0.0605), "6,0 %", "6.0 %"),
        (lambda voice: voice.percent(0.05, 0), "5 %", "5 %"),
        (lambda voice: voice.interval({"low": 0.0314, "high": 0.1025}), "3,1–10,2 %", "3.1–10.2 %"),
        (lambda voice: voice.of({"k": 12, "n": 1200}), "12 von 1.200", "12 of 1,200"),
        (lambda voice: voice.decimal(2.5, signed=True), "+2,5", "+2.5"),
        (lambda voice: voice.decimal(-0.75), "−0,8", "−0.8"),
        (lambda voice: voice.evidence(0.3941), "0,394", "0.394"),
        (lambda voice: voice.evidence(12345.6), "12.346", "12,346"),
        (lambda voice: voice.evidence(3.21e9), "3,2 · 10⁹", "3.2 · 10⁹"),
        (lambda voice: voice.clock("2026-11-22T10:03:04Z"), "11:03:04", "10:03:04"),
        (lambda voice: voice.moment("2026-11-22T10:03:04Z"), "22.11.2026 11:03:04", "2026-11-22 10:03:04"),
    ],
)
def test_numbers_and_times(write, german, english):
    assert (write(DE), write(EN)) == (german, english)


def test_an_unknown_zone_is_utc():
    assert zone(None) is UTC
    assert zone("Nowhere/Nothing") is UTC
    assert zone("../etc") is UTC
