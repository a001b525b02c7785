"""'NaN, ∞, NUL, naive times, empty ids, oversized texts, fractions where counts belong are refused at the edge'."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from experiment.events import MAX_DEPTH, MAX_TEXT, Call, Outcome

CALL: dict[str, Any] = {"id": "c1", "ts": "2026-03-01T09:30:00Z", "experiment": "stage2"}
OUTCOME: dict[str, Any] = {**CALL, "id": "o1", "kind": "favourite", "run": "r"}
NAN, INF = float("nan"), float("inf")
SURROGATE = "\ud800"


def nested(depth: int, leaf: object = 1) -> dict[str, Any]:
    value = leaf
    for level in range(depth):
        value = [value] if level % 2 else {"k": value}
    return {"a": value}


def refused(event: type[Call] | type[Outcome], sound: dict[str, Any], /, **change: object) -> None:
    """Refused as a Python value and, where JSON can say it, as JSON."""
    with pytest.raises(ValidationError):
        event(**{**sound, **change})
    with pytest.raises(ValidationError):
        event.model_validate_json(json.dumps({**sound, **change}))


def test_the_smallest_call_and_outcome_are_accepted() -> None:
    assert Call(**CALL).ts == datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
    assert Outcome(**OUTCOME).kind == "favourite"


@pytest.mark.parametrize("field", ["epoch", "bucket", "tokens_in", "tokens_out"])
@pytest.mark.parametrize("value", [1.5, 1.0, True, False, "3", "x", -1, 2**53 + 1, NAN, INF, -INF, [], {}])
def test_a_count_is_a_whole_number(field: str, value: object) -> None:
    refused(Call, CALL, **{field: value})


@pytest.mark.parametrize("value", [NAN, INF, -INF, -0.001, 86_400_001, True, "12", [1]])
def test_a_latency_is_finite_and_not_negative(value: object) -> None:
    refused(Call, CALL, latency_ms=value)


@pytest.mark.parametrize("model", [Call, Outcome])
@pytest.mark.parametrize(
    "ts",
    [
        "2026-03-01T09:30:00",  # naive
        "2026-03-01",
        "1772357400",  # seconds as a text
        1772357400,
        1772357400.5,
        NAN,
        True,
        None,
        "",
        "now",
        "2026-13-01T00:00:00Z",
        "1999-12-31T23:59:59Z",
        "2200-01-01T00:00:00Z",
        "9999-12-31T23:59:59-12:00",
        "0001-01-01T00:00:00+12:00",
    ],
)
def test_a_time_has_a_zone_and_lies_in_this_or_the_next_century(model: type[Call], ts: object) -> None:
    refused(model, CALL if model is Call else OUTCOME, ts=ts)


def test_a_naive_datetime_object_is_refused() -> None:
    with pytest.raises(ValidationError, match="timezone"):
        Call(**{**CALL, "ts": datetime(2026, 3, 1)})


@pytest.mark.parametrize("model", [Call, Outcome])
@pytest.mark.parametrize("field", ["id", "experiment"])
@pytest.mark.parametrize(
    "value", ["", " ", "a b", "a/b", "a\n", "\x00", "ä", ".a", "-a", "a" * 129, 7, None, True, SURROGATE]
)
def test_an_id_is_plain_and_not_empty(model: type[Call], field: str, value: object) -> None:
    refused(model, CALL if model is Call else OUTCOME, **{field: value})


CALL_TEXTS = [
    "arm", "model", "unit", "device", "run", "parent_run", "prompt", "output_key", "config", "language",
    "safety_level", "template_version", "input", "context", "output", "error",
]  # fmt: skip
OUTCOME_TEXTS = ["call", "run", "child_run", "method", "code"]


@pytest.mark.parametrize("bad", ["a\x00b", SURROGATE, "x" * (MAX_TEXT + 1), 7, True, 1.5, ["x"]])
@pytest.mark.parametrize("field", CALL_TEXTS)
def test_no_text_of_a_call_holds_nul_a_lone_surrogate_or_too_much(field: str, bad: object) -> None:
    refused(Call, CALL, **{field: bad})


@pytest.mark.parametrize("bad", ["a\x00b", SURROGATE, "x" * 301, 7, True, ["x"]])
@pytest.mark.parametrize("field", OUTCOME_TEXTS)
def test_no_text_of_an_outcome_does(field: str, bad: object) -> None:
    refused(Outcome, OUTCOME, **{field: bad})


def test_the_longest_text_is_accepted_and_one_character_more_is_not() -> None:
    assert Call(**CALL, input="ü" * MAX_TEXT).input == "ü" * MAX_TEXT
    refused(Call, CALL, input="ü" * (MAX_TEXT + 1))


@pytest.mark.parametrize("field", ["arm", "model", "config", "error"])
def test_labels_are_short(field: str) -> None:
    limit = 2000 if field == "error" else 200
    assert getattr(Call(**{**CALL, field: "x" * limit}), field) == "x" * limit
    refused(Call, CALL, **{field: "x" * (limit + 1)})


@pytest.mark.parametrize("bad", [NAN, INF, -INF, "a\x00b", SURROGATE])
@pytest.mark.parametrize("depth", [0, 1, 2, 7])
def test_parameters_are_searched_to_the_bottom(depth: int, bad: object) -> None:
    refused(Call, CALL, parameters=nested(depth, bad))


@pytest.mark.parametrize("bad", [(1.0, NAN), [(NAN,)]])
def test_parameters_given_as_python_tuples_are_searched_too(bad: object) -> None:
    with pytest.raises(ValidationError, match="NaN"):
        Call(**CALL, parameters={"a": bad})


@pytest.mark.parametrize(
    "parameters", [{"a\x00": 1}, {"a": {"b\x00": 1}}, {SURROGATE: 1}, {"a": {SURROGATE: 1}}, [], "x", 3]
)
def test_parameter_names_are_searched_too(parameters: object) -> None:
    refused(Call, CALL, parameters=parameters)


def test_parameters_nested_too_deep_to_serialise_are_refused_not_crashed_on() -> None:
    assert len(Call(**CALL, parameters=nested(MAX_DEPTH - 1)).digest()) == 64  # the object itself is a level
    for depth in (MAX_DEPTH, 300, 900):
        with pytest.raises(ValidationError, match="nested"):
            Call(**CALL, parameters=nested(depth))


@pytest.mark.parametrize("field", ["surprise", "ip", "user_agent"])
def test_an_unknown_field_is_refused(field: str) -> None:
    refused(Call, CALL, **{field: "x"})
    refused(Outcome, OUTCOME, **{field: "x"})


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "applause"},
        {"kind": None},
        {"run": ""},  # neither call nor run
        {"kind": "block"},  # a block needs its stage
        {"kind": "block", "stage": "stage9"},
        {"kind": "link", "call": "c1"},  # a link needs its child run
        {"kind": "link", "child_run": "r2"},  # … and its call
        {"origin": "elsewhere"},
    ],
)
def test_an_outcome_says_what_happened_to_what(change: dict[str, object]) -> None:
    refused(Outcome, OUTCOME, **change)


def test_an_event_does_not_change_after_it_was_checked() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Call(**CALL).arm = "other"  # type: ignore[misc]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=4), json_values, max_size=4))
def test_what_is_accepted_survives_json_with_the_same_digest(parameters: dict[str, Any]) -> None:
    """Or a retry of the same call would be a 409."""
    call = Call(**CALL, parameters=parameters)
    again = Call.model_validate_json(call.model_dump_json())
    assert again == call
    assert again.digest() == call.digest()


@given(st.integers(-12 * 60, 14 * 60))
def test_the_same_instant_in_another_zone_is_the_same_event(minutes: int) -> None:
    moment = datetime(2026, 3, 1, 9, 30, tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    assert Call(**{**CALL, "ts": moment.isoformat()}).digest() == Call(**CALL).digest()


def test_any_change_of_content_changes_the_digest() -> None:
    variants = [CALL, {**CALL, "input": "x"}, {**CALL, "input": ""}, {**CALL, "refused": True}, {**CALL, "epoch": 1}]
    assert len({Call(**variant).digest() for variant in variants}) == len(variants)
