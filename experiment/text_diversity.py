"""How different an arm's texts are from each other, compared at equal numbers of texts.

Mean pairwise distances do not depend on how many texts there are; distinct-n, compression ratio and unigram entropy do
(between 50 and 450 synthetic texts by factors of 3.1, .94 and .95; real texts differ), so all of them are computed on
random subsets of one size. The openings, the first four words, show a collapse first.
"""

import re
import unicodedata
import zlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse

from experiment.entropy import plug_in

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

OPENING_WORDS: Final = 4
_WORD: Final = re.compile(r"\w+(?:['’]\w+)*")


class TextDiversity(NamedTuple):
    """Measures of one set of texts; higher is more diverse except ``compression_ratio`` and ``opening_share``."""

    texts: int
    jaccard: float
    """Mean pairwise Jaccard distance of the texts' sets of word bigrams, 0 … 1."""
    distinct_1: float
    """Distinct words over all words (Li et al., NAACL 2016), 0 … 1."""
    distinct_2: float
    """The same for bigrams."""
    unigram_entropy: float
    """Plug-in entropy of words, nats."""
    compression_ratio: float
    """Bytes over bytes after zlib, ≥ about 1: repetition compresses (Shaib et al., 2024)."""
    opening_share: float
    """Share of texts with the commonest first four words."""


class EqualN(NamedTuple):
    """Two sets of texts at equal n: means over random subsets."""

    size: int
    """Texts in each subset."""
    arm: TextDiversity
    base: TextDiversity


def words(text: str) -> list[str]:
    """Words in compatibility form and lower case; works for scripts that separate words."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def opening(text: str, count: int = OPENING_WORDS) -> str:
    """The first words of a text, joined by spaces; shorter texts give what they have."""
    return " ".join(words(text)[:count])


def codes(labels: Sequence[str | None]) -> tuple[Ints, tuple[str, ...]]:
    """Category codes for labels (openings, traditions, topics) and their names in order of the codes.

    Returns:
        −1 stands for a label that is None; leave those calls out before counting.
    """
    names = sorted({label for label in labels if label is not None})
    index = {name: code for code, name in enumerate(names)}
    return np.array([-1 if label is None else index[label] for label in labels], dtype=np.int64), tuple(names)


def mean_jaccard(texts: Sequence[str]) -> float:
    """Mean over all pairs of 1 − |A ∩ B| / |A ∪ B|, A and B the sets of word bigrams; NaN below two texts.

    Two texts too short for a bigram count as equal.
    """
    if len(texts) < 2:
        return float("nan")
    ids: dict[tuple[str, str], int] = {}
    rows: list[int] = []
    columns: list[int] = []
    for row, text in enumerate(texts):
        tokens = words(text)
        for pair in set(pairwise(tokens)):
            rows.append(row)
            columns.append(ids.setdefault(pair, len(ids)))
    shape = (len(texts), max(len(ids), 1))
    sets = sparse.csr_matrix((np.ones(len(rows)), (rows, columns)), shape=shape)
    shared = np.asarray((sets @ sets.T).todense(), dtype=np.float64)
    size = np.asarray(sets.sum(axis=1)).ravel()
    union = size[:, None] + size[None, :] - shared
    similar = np.divide(shared, union, out=np.ones_like(shared), where=union > 0)
    upper = np.triu_indices(len(texts), 1)
    return float(1 - similar[upper].mean())


def mean_cosine_distance(embeddings: Floats) -> float:
    """Mean over all pairs of 1 − cosine; shape (texts, dimensions), NaN below two texts.

    Uses Σ_{i≠j} uᵢ·uⱼ = |Σu|² − n, so that a thousand texts need no matrix of pairs.

    Raises:
        ValueError: not a matrix, or a row of zeros or without finite values.
    """
    vectors = np.asarray(embeddings, dtype=np.float64)
    if vectors.ndim != 2:
        raise ValueError(f"embeddings must have shape (texts, dimensions), got {vectors.shape}")
    norms = np.linalg.norm(vectors, axis=1)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise ValueError("an embedding is zero or not finite: leave that text out")
    n = vectors.shape[0]
    if n < 2:
        return float("nan")
    total = (vectors / norms[:, None]).sum(axis=0)
    return float(1 - (total @ total - n) / (n * (n - 1)))


def measure(texts: Sequence[str]) -> TextDiversity:
    """All measures of one set of texts; NaN where it is too small for one."""
    tokens = [words(text) for text in texts]
    flat = [word for text in tokens for word in text]
    pairs = [pair for text in tokens for pair in pairwise(text)]
    raw = "\n".join(texts).encode()
    first = [" ".join(text[:OPENING_WORDS]) for text in tokens]
    nan = float("nan")
    return TextDiversity(
        texts=len(texts),
        jaccard=mean_jaccard(texts),
        distinct_1=len(set(flat)) / len(flat) if flat else nan,
        distinct_2=len(set(pairs)) / len(pairs) if pairs else nan,
        unigram_entropy=float(plug_in(np.unique(np.array(flat), return_counts=True)[1])) if flat else nan,
        compression_ratio=len(raw) / len(zlib.compress(raw, 9)) if raw else nan,
        opening_share=max(np.unique(np.array(first), return_counts=True)[1]) / len(first) if first else nan,
    )


def equal_n(
    arm: Sequence[str],
    base: Sequence[str],
    seed: int | np.random.Generator,
    *,
    size: int | None = None,
    draws: int = 20,
) -> EqualN:
    """Measures of two sets of texts on random subsets of one size, without replacement.

    Args:
        arm: texts of the arm.
        base: texts of the base.
        seed: a seed or a generator.
        size: texts per subset; None: all of the smaller set, at most 200.
        draws: subsets to average; a set of exactly ``size`` texts is measured once.

    Raises:
        ValueError: size above either set, or draws below 1.
    """
    if draws < 1:
        raise ValueError(f"draws = {draws} must be at least 1")
    fewer = min(len(arm), len(base))
    wanted = min(fewer, 200) if size is None else size
    if wanted > fewer:
        raise ValueError(f"cannot draw {wanted} texts from a set of {fewer}")
    rng = np.random.default_rng(seed)
    return EqualN(wanted, _mean_measures(arm, wanted, draws, rng), _mean_measures(base, wanted, draws, rng))


def _mean_measures(texts: Sequence[str], size: int, draws: int, rng: np.random.Generator) -> TextDiversity:
    if len(texts) == size:
        return measure(texts)
    results = []
    for _ in range(draws):
        chosen = rng.choice(len(texts), size, replace=False)
        results.append(measure([texts[i] for i in chosen]))
    return TextDiversity(size, *(float(np.mean([row[i] for row in results])) for i in range(1, 7)))
