"""Mode collapse: does an arm answer less diversely than the base, beyond what its fewer calls explain?

The arms' diversities are compared by permutation: under assignment per run the arm labels change places within each
device (what a child writes about stays where it is), under sticky assignment whole devices change places within their
stratum. Numbers of calls per arm and device stay as they are, so the bias of any measure with n is the same in every
permutation, and identical arms raise an alarm in α of the cases whatever their sizes.
"""

from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from experiment.arms import Unit
from experiment.entropy import chao_wang_jost, collision, plug_in, top_share

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

Measure = Literal["entropy", "collision", "top_share"]

MIN_CALLS: Final = 20
"""Labelled calls of the smaller arm below which nothing is said."""

MAX_CALLS: Final = 50_000
"""Calls above which whole devices are drawn for the permutation; the measures themselves use all calls."""

_CATEGORY_BITS: Final = 18
_RANDOM_BITS: Final = 24


class Diversity(NamedTuple):
    """One arm's diversity over one set of categories."""

    calls: int
    entropy: float
    """Chao–Wang–Jost, nats."""
    collision: float
    """Simpson's unbiased probability that two calls share a category."""
    top_share: float
    """Share of the commonest category."""
    rarefied: float
    """Mean plug-in entropy of random subsets as large as the smaller arm, nats: comparable between the arms."""


class Collapse(NamedTuple):
    """Comparison of an arm with the base over one set of categories, and the warning to show."""

    categories: str
    """What was counted: 'tradition', 'opening', 'topic'."""
    arm: Diversity
    base: Diversity
    p_entropy: float
    """One-sided: probability of an entropy this much below the base's if the arms are alike; NaN: too few calls."""
    p_collision: float
    p_top_share: float
    measure: Measure
    """The measure that decides the alarm, fixed beforehand: 'top_share' for openings, else 'entropy'."""
    alarm: bool
    sentence: str


def compare_diversity(
    categories: str,
    category: Ints,
    device: Ints,
    treated: Bools,
    seed: int | np.random.Generator,
    *,
    unit: Unit = "run",
    stratum: Ints | None = None,
    measure: Measure = "entropy",
    draws: int = 999,
    alpha: float = 0.05,
) -> Collapse:
    """Test whether the arm is less diverse than the base.

    Args:
        categories: name of what was counted, for the sentence.
        category: code ≥ 0 per labelled call; calls without a label are left out beforehand.
        device: code per call.
        treated: True for calls of the arm, False for the base's.
        seed: a seed or a generator.
        unit: what was randomised.
        stratum: code per call; labels never change places between strata. None: one stratum.
        measure: which measure decides the alarm.
        draws: permutations, at least 99.
        alpha: level of the alarm.

    Raises:
        ValueError: different lengths, a negative code, draws below 99, or more than 2¹⁸ categories.
    """
    layers = np.zeros(category.size, np.int64) if stratum is None else stratum
    if not category.size == device.size == treated.size == layers.size:
        raise ValueError("category, device, treated and stratum need one element per call")
    if draws < 99:
        raise ValueError(f"draws = {draws}: at least 99 are needed")
    if category.size and category.min() < 0:
        raise ValueError("categories must be codes of at least 0")
    rng = np.random.default_rng(seed)
    _, codes = np.unique(category, return_inverse=True)
    size = int(codes.max()) + 1 if codes.size else 1
    if size >= 2**_CATEGORY_BITS:
        raise ValueError(f"{size} categories are too many to compare: group them")
    table = np.stack([np.bincount(codes[treated == side], minlength=size) for side in (True, False)])
    fewer = int(table.sum(axis=1).min())
    arm, base = (_diversity(row, fewer, rng) for row in table)
    p_values: dict[Measure, float] = {"entropy": np.nan, "collision": np.nan, "top_share": np.nan}
    if fewer >= MIN_CALLS:
        keep = _sample(device, rng)
        shuffle = _devices if unit == "device" else _labels
        tables = shuffle(codes[keep], device[keep], treated[keep], layers[keep], size, draws, rng)
        p_values = _p_values(tables)
    alarm = bool(p_values[measure] <= alpha)
    return Collapse(
        categories,
        arm,
        base,
        p_values["entropy"],
        p_values["collision"],
        p_values["top_share"],
        measure,
        alarm,
        _sentence(categories, arm, base, measure, p_values[measure], alarm),
    )


def rarefied_entropy(counts: Ints, size: int, seed: int | np.random.Generator, draws: int = 200) -> float:
    """Mean plug-in entropy of random subsets of ``size`` calls (rarefaction: Hurlbert, Ecology 1971), nats.

    Raises:
        ValueError: size above the number of calls.
    """
    total = int(counts.sum())
    if size > total:
        raise ValueError(f"cannot draw {size} of {total} calls")
    if size == 0:
        return float("nan")
    if size == total:
        return float(plug_in(counts))
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(counts, size, size=draws, method="marginals")
    return float(plug_in(drawn).mean())


def _diversity(counts: Ints, size: int, rng: np.random.Generator) -> Diversity:
    return Diversity(
        calls=int(counts.sum()),
        entropy=float(chao_wang_jost(counts)),
        collision=float(collision(counts)),
        top_share=float(top_share(counts)),
        rarefied=rarefied_entropy(counts, size, rng),
    )


def _sample(device: Ints, rng: np.random.Generator) -> Ints:
    """Indices of all calls, or of whole devices up to about MAX_CALLS."""
    if device.size <= MAX_CALLS:
        return np.arange(device.size, dtype=np.int64)
    codes, which = np.unique(device, return_inverse=True)
    chosen = rng.random(codes.size) < MAX_CALLS / device.size
    return np.flatnonzero(chosen[which]).astype(np.int64)


def _labels(
    codes: Ints, device: Ints, treated: Bools, layers: Ints, size: int, draws: int, rng: np.random.Generator
) -> Floats:
    """Counts of arm and base, observed first: (1 + draws, 2, categories). Labels move within (stratum, device)."""
    block = _pairs(layers, device)
    order = np.argsort(block, kind="stable")
    codes, block, treated = codes[order], block[order], treated[order]
    whole = np.bincount(codes, minlength=size)
    rank = np.arange(codes.size) - np.searchsorted(block, block)
    slots = rank < np.bincount(block, treated).astype(np.int64)[block]
    # Block, random bits and category share one integer: sorting it shuffles the categories within every block.
    high = block << (_RANDOM_BITS + _CATEGORY_BITS)
    mask = (1 << _CATEGORY_BITS) - 1
    arm = np.empty((draws + 1, size))
    arm[0] = np.bincount(codes[treated], minlength=size)
    for i in range(1, draws + 1):
        noise = rng.integers(0, 1 << _RANDOM_BITS, codes.size) << _CATEGORY_BITS
        arm[i] = np.bincount(np.sort(high | noise | codes)[slots] & mask, minlength=size)
    return np.stack([arm, whole - arm], axis=1)


def _devices(
    codes: Ints, device: Ints, treated: Bools, layers: Ints, size: int, draws: int, rng: np.random.Generator
) -> Floats:
    """The same under sticky assignment: devices move between the arms within their stratum."""
    block = _pairs(layers, device)
    blocks = int(block.max()) + 1
    counts = np.bincount(block * size + codes, minlength=blocks * size).reshape(blocks, size).astype(np.float64)
    label, layer = np.zeros(blocks, np.bool_), np.zeros(blocks, np.int64)
    label[block], layer[block] = treated, layers
    arm = np.empty((draws + 1, size))
    arm[0] = label @ counts
    order = np.argsort(layer, kind="stable")
    starts = np.searchsorted(layer[order], layer[order])
    slots = np.arange(blocks) - starts < np.bincount(layer, label).astype(np.int64)[layer[order]]
    for i in range(1, draws + 1):
        shuffled = order[np.lexsort((rng.random(blocks), layer[order]))]
        arm[i] = counts[shuffled[slots]].sum(axis=0)
    return np.stack([arm, counts.sum(axis=0) - arm], axis=1)


def _pairs(layers: Ints, device: Ints) -> Ints:
    """Dense codes of (stratum, device)."""
    _, dense = np.unique(device, return_inverse=True)
    _, block = np.unique(layers * (int(dense.max()) + 1) + dense, return_inverse=True)
    return np.asarray(block, dtype=np.int64)


def _p_values(tables: Floats) -> dict[Measure, float]:
    """One-sided p-values; the first table is the observed one. Draws that leave an arm empty are left out."""
    valid = (tables.sum(axis=2) > 1).all(axis=1)
    tables = tables[valid]
    gaps: dict[Measure, Floats] = {
        "entropy": chao_wang_jost(tables[:, 1]) - chao_wang_jost(tables[:, 0]),
        "collision": collision(tables[:, 0]) - collision(tables[:, 1]),
        "top_share": top_share(tables[:, 0]) - top_share(tables[:, 1]),
    }
    # Equal statistics differ by rounding; they must count as equal.
    return {name: float((gap >= gap[0] - 1e-12).mean()) for name, gap in gaps.items()}


def _sentence(categories: str, arm: Diversity, base: Diversity, measure: Measure, p: float, alarm: bool) -> str:
    if np.isnan(p):
        return f"{categories}: too few calls ({min(arm.calls, base.calls)} of {MIN_CALLS}) to compare diversity"
    values = {
        "entropy": f"entropy {arm.entropy:.2f} against {base.entropy:.2f} nats",
        "collision": f"two answers agree in {arm.collision:.0%} of pairs against {base.collision:.0%}",
        "top_share": f"the commonest makes up {arm.top_share:.0%} of answers against {base.top_share:.0%}",
    }[measure]
    verdict = "the adapter answers less diversely than the base" if alarm else "no sign of mode collapse"
    return f"{categories}: {verdict} ({values}, p = {p:.3f})"
