"""Sample ratio, entropy and text measures against the figures of STATISTICS.md 3 and 4."""

from collections.abc import Iterator

import numpy as np

from benchmarks.table import Row, contrast, figure, share
from experiment.collapse import compare_diversity
from experiment.entropy import chao_wang_jost, plug_in
from experiment.sample_ratio import start, update
from experiment.text_diversity import TextDiversity, equal_n, measure


def quality(runs: int, seed: int) -> Iterator[Row]:
    yield from sample_ratio(runs, seed)
    yield from entropy(runs, seed)
    yield from texts(seed)


def sample_ratio(runs: int, seed: int) -> Iterator[Row]:
    rng = np.random.default_rng(seed + 10)
    false = found = peeked = 0
    n = np.arange(1, 10_001)
    for _ in range(runs):
        sound = rng.random(10_000) < 0.10
        false += update(start((90, 10)), sound).alarm_at > 0
        found += update(start((90, 10)), rng.random(2_000) < 0.15).alarm_at > 0
        chi2 = (np.cumsum(sound) - 0.1 * n) ** 2 / (0.09 * n)
        # χ² with one degree of freedom, read after every unit once 5 are expected in the smaller arm.
        peeked += bool((chi2[49:] > 3.841).any())
    yield share("sample ratio: false alarm within 10,000 units", false, runs, high=0.01)
    yield share("sample ratio: true 15 % instead of 10 % found by 2,000 units", found, runs, low=0.99)
    yield contrast("χ² at .05 read after every unit, false", peeked, runs, "55 %")


def entropy(runs: int, seed: int) -> Iterator[Row]:
    rng = np.random.default_rng(seed + 11)
    for categories in (8, 20, 60, 300):
        shares = 1 / np.arange(1, categories + 1)
        shares /= shares.sum()
        arm, base = (rng.multinomial(n, shares, 4_000) for n in (50, 450))
        naive = plug_in(base) - plug_in(arm)
        better = chao_wang_jost(base) - chao_wang_jost(arm)
        z = naive / np.sqrt(plug_in_variance(arm) + plug_in_variance(base))
        label = f"identical arms, 50 against 450, {categories} categories (Zipf)"
        yield figure(f"{label}: plug-in false collapse, nats", ".16 – .79", f"{naive.mean():.2f}")
        yield figure(f"{label}: Chao–Wang–Jost false collapse, nats", "–", f"{better.mean():.2f}")
        yield contrast(f"{label}: plug-in one-sided z fires", int((z > 1.645).sum()), 4_000, "51 %")
        for unit in ("run", "device"):
            fired = sum(_alarm(shares, unit, rng) for _ in range(runs))
            sizes = "" if unit == "run" else " sticky,"
            yield share(f"{label}:{sizes} permutation alarm", fired, runs, low=0.03, high=0.07)


def _alarm(shares: np.ndarray, unit: str, rng: np.random.Generator) -> bool:
    """One comparison of identical arms whose devices have topics of their own."""
    devices = 20 if unit == "run" else 60
    device = rng.integers(0, devices, 500)
    own = np.cumsum(rng.dirichlet(shares * 20, devices), axis=1)
    category = np.minimum((rng.random((500, 1)) > own[device]).sum(axis=1), shares.size - 1)
    if unit == "run":
        treated = np.zeros(500, np.bool_)
        treated[rng.permutation(500)[:50]] = True
    else:
        treated = np.isin(device, rng.permutation(devices)[:6])
    return compare_diversity(
        "x", category, device, treated, rng, unit="run" if unit == "run" else "device", draws=199
    ).alarm


def plug_in_variance(counts: np.ndarray) -> np.ndarray:
    """Basharin's variance of the plug-in entropy, for the naive test."""
    p = counts / counts.sum(axis=1, keepdims=True)
    log = np.log(np.where(p > 0, p, 1))
    return ((p * log**2).sum(axis=1) - plug_in(counts) ** 2) / counts.sum(axis=1)


def texts(seed: int) -> Iterator[Row]:
    """Dependence on n, and what sees a collapsed opening first."""
    rng = np.random.default_rng(seed + 12)
    few = [measure(synthetic_texts(50, 0.05, rng)) for _ in range(20)]
    many = [measure(synthetic_texts(450, 0.05, rng)) for _ in range(20)]
    for name, wanted in [
        ("jaccard", "1.02"),
        ("distinct_2", "2.9 (distinct-n)"),
        ("distinct_1", "2.9 (distinct-n)"),
        ("compression_ratio", ".8"),
        ("unigram_entropy", ".9"),
    ]:
        ratio = mean(few, name) / mean(many, name)
        yield figure(f"{name}: ratio between 50 and 450 like texts", wanted, f"{ratio:.2f}")
    plain = [measure(synthetic_texts(100, 0.05, rng)) for _ in range(40)]
    stale = [measure(synthetic_texts(100, 0.5, rng)) for _ in range(40)]
    for name in ("opening_share", "jaccard", "unigram_entropy"):
        spread = float(np.std([getattr(item, name) for item in plain], ddof=1))
        z = abs(mean(stale, name) - mean(plain, name)) / spread
        yield figure(
            f"half the texts open alike, n = 100: z of {name}",
            {"opening_share": "31", "unigram_entropy": ".5"}.get(name, "–"),
            f"{z:.1f}",
        )
    equal = equal_n(synthetic_texts(450, 0.05, rng), synthetic_texts(50, 0.05, rng), 1)
    yield figure(
        "equal n: distinct_2 of 450 over that of 50 like texts",
        "1.0",
        f"{equal.arm.distinct_2 / equal.base.distinct_2:.2f}",
        abs(equal.arm.distinct_2 / equal.base.distinct_2 - 1) < 0.1,
    )


def mean(measured: list[TextDiversity], name: str) -> float:
    return float(np.mean([getattr(item, name) for item in measured]))


def synthetic_texts(count: int, stale: float, rng: np.random.Generator) -> list[str]:
    """Texts of 60 to 120 words from a Zipf vocabulary; a share of them begins with the same four words."""
    ranks = 1 / np.arange(1, 4_001) ** 1.05
    ranks /= ranks.sum()
    result = []
    for _ in range(count):
        body = rng.choice(4_000, int(rng.integers(60, 121)), p=ranks)
        start_words = "in the quiet light " if rng.random() < stale else ""
        result.append(start_words + " ".join(f"w{word}" for word in body))
    return result
