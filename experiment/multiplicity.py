"""Several p-values at once: Holm within a family that is named, so that a reader knows what was counted."""

import math
from collections.abc import Mapping
from typing import NamedTuple


class Adjusted(NamedTuple):
    """One test of a family."""

    name: str
    p_value: float
    """As computed; NaN: no test was possible."""
    adjusted: float
    """Holm-adjusted, ≥ p_value, ≤ 1; NaN where p_value is."""
    significant: bool


class Family(NamedTuple):
    """Tests that are read together."""

    name: str
    alpha: float
    tests: tuple[Adjusted, ...]
    """In the order given."""
    sentence: str


def holm(name: str, p_values: Mapping[str, float], alpha: float = 0.05) -> Family:
    """Step-down adjustment that keeps the chance of any false finding in the family at ``alpha`` (Holm, 1979).

    Tests without a p-value (NaN: too few data) pass through and are not counted: whether one exists depends on how
    much was seen, not on what.

    Args:
        name: what the family is, for the reader ('metrics of adapter v3', 'favourites by host config').
        p_values: by the name of the test.
        alpha: family-wise error rate in (0, 1).

    Raises:
        ValueError: a p-value outside [0, 1], or alpha outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha = {alpha} is not within (0, 1)")
    for test, p in p_values.items():
        if not (math.isnan(p) or 0 <= p <= 1):
            raise ValueError(f"p-value of {test!r} is {p}, not within 0 … 1")
    ranked = sorted((test for test, p in p_values.items() if not math.isnan(p)), key=lambda test: p_values[test])
    adjusted: dict[str, float] = {}
    running = 0.0
    for rank, test in enumerate(ranked):
        running = max(running, min(1.0, (len(ranked) - rank) * p_values[test]))
        adjusted[test] = running
    tests = tuple(
        Adjusted(test, p, adjusted.get(test, math.nan), adjusted.get(test, 1.0) <= alpha)
        for test, p in p_values.items()
    )
    found = [test.name for test in tests if test.significant]
    sentence = f"{name}: {', '.join(found) if found else 'none'} of {len(ranked)} tests at {alpha:g} after Holm"
    return Family(name, alpha, tests, sentence)
