"""Only the top-level model name changes; no other byte does."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.rewrite import models, rename

JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.one_of(st.just("model"), st.text(max_size=8)), inner, max_size=4),
    ),
    max_leaves=20,
)
STYLES = st.sampled_from([{"indent": None}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


@given(st.dictionaries(st.text(max_size=8), JSON), st.text(min_size=1), STYLES)
def test_renaming_is_changing_the_value_and_nothing_else(
    value: dict[str, object], name: str, style: dict[str, object]
) -> None:
    value = {"a": value, "model": "old", "z": value}
    style = {"ensure_ascii": True, **style}
    data = json.dumps(value, **style).encode("utf-8", "surrogatepass")  # type: ignore[arg-type]
    new = rename(data, name)
    assert json.loads(new.decode("utf-8", "surrogatepass")) == value | {"model": name}
    # Back again gives the very same bytes: nothing else was touched.
    assert rename(new, "old") == data
    assert list(models(data)) == ["old"]


@given(JSON)
def test_json_without_a_top_level_model_stays_as_it_is(value: object) -> None:
    if isinstance(value, dict) and isinstance(value.get("model"), str):
        return
    data = json.dumps(value).encode()
    assert rename(data, "new") == data
    assert list(models(data)) == []


@given(st.binary())
def test_no_bytes_break_it(data: bytes) -> None:
    assert rename(b'{"x":' + data, "new") is not None
    assert isinstance(list(models(data)), list)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"model":"a"}', b'{"model":"N"}'),
        (b' { "model" :\t"a" , "x":1.0}\n', b' { "model" :\t"N" , "x":1.0}\n'),
        (b'{"mod\\u0065l":"a"}', b'{"mod\\u0065l":"N"}'),
        (b'{"model":"a","model":"b"}', b'{"model":"N","model":"N"}'),
        (b'{"model":"a\\"}","x":"model"}', b'{"model":"N","x":"model"}'),
        (b'{"x":{"model":"a"},"y":["model",{"model":"b"}]}', None),
        (b'{"model":5,"x":"y"}', None),
        (b'{"model":null,"x":"model"}', None),
        (b'{"model":{"model":"a"}}', None),
        (b'["model","a"]', None),
        (b'"model"', None),
        (b'x{"model":"a"}', None),
        (b'{"x":"\\"model\\":\\"a\\""}', None),
        (b'{}{"model":"a"}', None),
        (b"", None),
    ],
)
def test_by_hand(data: bytes, expected: bytes | None) -> None:
    assert rename(data, "N") == (data if expected is None else expected)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"model": "a", "prompt": "cut o', ["a"]),
        (b'{"prompt": "cut o', []),
        (b'{"model": "cut o', []),
        (b'{"images": ["' + b"A" * 1_000_000, []),
    ],
)
def test_a_beginning_tells_the_model_if_it_stands_there(data: bytes, expected: list[str]) -> None:
    assert list(models(data)) == expected
