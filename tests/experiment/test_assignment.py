"""STATISTICS.md 5: SHA-256 bucketing, ranges in the order of the configuration, a reason beside every answer."""

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.arms import Arm, Arms, Condition
from experiment.assignment import assign, bucket, split

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "assignment.json").read_text(encoding="utf-8"))["vectors"]
ADAPTER = frozenset({"adapter"})


def arms(weights: str, salt: str = "demo") -> Arms:
    pairs = (pair.split("=") for pair in weights.split(","))
    return Arms(
        experiment="x",
        salt=salt,
        arms=tuple(Arm(name=name, model=name, weight=int(weight)) for name, weight in pairs),
        base="base",
    )


def units(count: int) -> list[str]:
    return [f"r_{number:032x}" for number in range(count)]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['salt']}:{vector['unit']}")
def test_golden_vector(vector: dict[str, Any]) -> None:
    """'the same on every platform': made with sha256sum and shell arithmetic."""
    assert bucket(vector["salt"], vector["unit"]) == vector["bucket"] == int(vector["hex"], 16)
    for case in vector["arms"]:
        assert split(arms(case["weights"], vector["salt"]), vector["unit"]) == (case["arm"], vector["bucket"])


def test_ten_percent_of_100_000_ids() -> None:
    """'10 ± .3 % over 100,000 ids'."""
    share = sum(split(arms("base=90,adapter=10"), unit)[0] == "adapter" for unit in units(100_000)) / 100_000
    assert 0.097 <= share <= 0.103, share


@pytest.mark.parametrize("order", ["base={0},adapter={1}", "adapter={1},base={0}"])
@pytest.mark.parametrize(("before", "after"), [((90, 10), (80, 20)), ((90, 10), (90, 20)), ((99, 1), (50, 50))])
def test_raising_the_adapters_weight_never_moves_one_of_its_units_to_base(
    order: str, before: tuple[int, int], after: tuple[int, int]
) -> None:
    """'raising 10 → 20 % never moves an adapter unit to base', in either order, whether or not the base gives way."""
    low, high = arms(order.format(*before)), arms(order.format(*after))
    moves = Counter((split(low, unit)[0], split(high, unit)[0]) for unit in units(20_000))
    assert moves["adapter", "base"] == 0
    assert moves["base", "adapter"] > 0


@given(st.integers(0, 1000), st.integers(1, 1000), st.integers(1, 1000), st.text(min_size=1, max_size=20))
def test_a_larger_share_keeps_every_adapter_unit(base: int, adapter: int, more: int, unit: str) -> None:
    try:
        unit.encode()
    except UnicodeEncodeError:
        return
    if split(arms(f"base={base},adapter={adapter}"), unit)[0] == "adapter":
        assert split(arms(f"base={base},adapter={adapter + more}"), unit)[0] == "adapter"


def test_three_arms_with_the_base_between_raise_from_the_base_alone() -> None:
    """The layout that assignment.py recommends, at constant total weight."""
    low, high = arms("first=10,base=80,second=10"), arms("first=20,base=70,second=10")
    moves = Counter((split(low, unit)[0], split(high, unit)[0]) for unit in units(20_000))
    assert set(moves) == {("first", "first"), ("base", "base"), ("second", "second"), ("base", "first")}


def test_three_arms_with_the_base_first_may_move_units_between_adapters() -> None:
    """'with three a raised weight may move units between adapters: say so'."""
    low, high = arms("base=80,first=10,second=10"), arms("base=70,first=10,second=20")
    moves = Counter((split(low, unit)[0], split(high, unit)[0]) for unit in units(20_000))
    assert moves["first", "second"] > 0
    assert moves["first", "base"] == moves["second", "base"] == 0


@given(
    st.lists(st.integers(0, 1_000_000), min_size=1, max_size=5).filter(any),
    st.integers(0, 2**32 - 1) | st.sampled_from([0, 2**32 - 1, 2**31, 2**31 - 1]),
)
def test_the_ranges_are_those_of_exact_fractions(weights: list[int], position: int) -> None:
    """slot = ⌊hash·total / 2³²⌋: the arm whose cumulative share first exceeds it."""
    total = sum(weights)
    slot = Fraction(position * total, 2**32)
    expected = next(i for i in range(len(weights)) if sum(weights[: i + 1]) >= int(slot) + 1)
    names = ["base", *(f"a{i}" for i in range(1, len(weights)))]
    laid = arms(",".join(f"{name}={weight}" for name, weight in zip(names, weights, strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("experiment.assignment.bucket", lambda salt, unit: position)
        assert split(laid, "u") == (names[expected], position)


def test_another_salt_draws_anew() -> None:
    """Independent draws: of 10 % and 10 % about 1 % fall on the adapter in both (binomial sd .1 points)."""
    one, two = arms("base=90,adapter=10", "one"), arms("base=90,adapter=10", "two")
    both = sum(split(one, unit)[0] == split(two, unit)[0] == "adapter" for unit in units(10_000))
    assert 60 <= both <= 140, both


def test_an_empty_unit_is_refused() -> None:
    with pytest.raises(ValueError, match="unit is empty"):
        assign(arms("base=90,adapter=10"), "", open_arms=ADAPTER)


def of_adapter(weights: str = "base=1,adapter=1") -> str:
    return next(unit for unit in units(1000) if split(arms(weights), unit)[0] == "adapter")


def test_every_answer_carries_its_reason_and_bucket() -> None:
    laid, unit = arms("base=1,adapter=1"), of_adapter()
    position = bucket("demo", unit)
    assert assign(laid, unit, open_arms=ADAPTER) == ("adapter", "split", position, ("adapter",))
    assert assign(laid, unit, open_arms=frozenset()) == ("base", "guard", position, ())
    assert assign(laid, unit, open_arms=ADAPTER, base_only=True) == ("base", "override", position, ())
    of_base = next(unit for unit in units(1000) if split(laid, unit)[0] == "base")
    assert assign(laid, of_base, open_arms=ADAPTER) == ("base", "split", bucket("demo", of_base), ("adapter",))


def test_a_base_call_that_could_not_have_got_an_adapter_is_no_split() -> None:
    """STATISTICS.md 3: concurrent only. The base calls of a paused hour are no control group."""
    laid = arms("base=1,adapter=1")
    of_base = next(unit for unit in units(1000) if split(laid, unit)[0] == "base")
    assert assign(laid, of_base, open_arms=frozenset())[:2] == ("base", "guard")
    assert assign(laid, of_base, open_arms=ADAPTER, base_only=True)[:2] == ("base", "override")
    assert assign(arms("base=1,adapter=0"), of_base, open_arms=ADAPTER)[:2] == ("base", "default")
    condition = Condition(config=("bauhaus",))
    limited = (Arm(name="base", model="b", weight=1), Arm(name="adapter", model="a", weight=1, condition=condition))
    laid = Arms(experiment="x", salt="demo", arms=limited)
    assert assign(laid, of_base, open_arms=ADAPTER, attributes={"config": "other"})[:2] == ("base", "condition")


def test_a_guarded_off_arms_share_goes_to_the_base_never_to_another_adapter() -> None:
    """STATISTICS.md 1."""
    laid = arms("first=30,base=40,second=30")
    for unit in units(2_000):
        drawn = split(laid, unit)[0]
        got = assign(laid, unit, open_arms=frozenset({"second"}))
        assert got.arm == ("base" if drawn == "first" else drawn)
        assert (got.reason == "guard") == (drawn == "first")


def test_an_arm_serves_only_where_its_condition_holds() -> None:
    condition = Condition(config=("bauhaus",), language=("de", "en"))
    laid = Arms(
        experiment="x",
        salt="demo",
        arms=(Arm(name="base", model="b", weight=1), Arm(name="adapter", model="a", weight=1, condition=condition)),
    )
    unit = of_adapter()
    for attributes, arm, reason in (
        ({"config": "bauhaus", "language": "de"}, "adapter", "split"),
        ({"config": "bauhaus", "language": "tr"}, "base", "condition"),
        ({"config": "bauhaus"}, "base", "condition"),
        ({}, "base", "condition"),
    ):
        assert assign(laid, unit, open_arms=ADAPTER, attributes=attributes)[:2] == (arm, reason), attributes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": ()}, "at least 1"),
        ({"base": "other"}, "not among the arms"),
        ({"salt": ""}, "at least 1"),
        ({"arms": (Arm(name="base", model="b", weight=0),)}, "above 0"),
        ({"arms": (Arm(name="base", model="b", weight=1), Arm(name="base", model="c", weight=1))}, "distinct"),
        ({"unit": "child"}, "run"),
    ],
)
def test_arms_that_make_no_sense_are_refused(change: dict[str, Any], message: str) -> None:
    sound: dict[str, Any] = {"experiment": "x", "salt": "s", "arms": (Arm(name="base", model="b", weight=1),)}
    with pytest.raises(ValueError, match=message):
        Arms(**{**sound, **change})


@pytest.mark.parametrize("name", ["", "Base", "base\n", "a b", "-a", "ä", "x" * 64])
def test_an_arms_name_is_plain(name: str) -> None:
    with pytest.raises(ValueError, match="arm name"):
        Arm(name=name, model="m")


@pytest.mark.parametrize("weight", [-1, 1.5, float("nan"), 1_000_001])
def test_a_weight_is_a_whole_number_in_range(weight: float) -> None:
    with pytest.raises(ValueError, match="weight"):
        Arm(name="a", model="m", weight=weight)  # type: ignore[arg-type]


def test_the_digest_changes_with_anything_that_an_epoch_freezes() -> None:
    sound = arms("base=90,adapter=10")
    others = [
        arms("base=80,adapter=20"),
        arms("adapter=10,base=90"),
        arms("base=90,adapter=10", "other"),
        sound.model_copy(update={"unit": "device"}),
        sound.model_copy(update={"base": "adapter"}),
    ]
    assert len({one.digest() for one in [sound, *others]}) == 6
    assert sound.digest() == arms("base=90,adapter=10").digest()
