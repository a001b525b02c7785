"""Text measures, by hand and for their dependence on n."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulate_quality import synthetic_texts
from experiment.text_diversity import codes, equal_n, mean_cosine_distance, mean_jaccard, measure, opening, words


def test_words_of_several_scripts() -> None:
    assert words("Die Blume, ÜBER'm Fluß!") == ["die", "blume", "über'm", "fluss"]
    assert words("زهرة في النهر") == ["زهرة", "في", "النهر"]


def test_the_opening_is_four_words() -> None:
    assert opening("In the quiet light of dawn") == opening("in  the, quiet light!") == "in the quiet light"
    assert opening("Two words") == "two words"
    assert opening("") == ""


def test_jaccard_by_hand() -> None:
    # Bigrams {ab, bc}, {bc, cd}, {xy}: distances 1 − 1/3, 1, 1.
    assert mean_jaccard(["a b c", "b c d", "x y"]) == pytest.approx((2 / 3 + 1 + 1) / 3)
    assert mean_jaccard(["a b", "a b"]) == 0.0
    assert mean_jaccard(["a", "b"]) == 0.0
    assert math.isnan(mean_jaccard(["a b"]))


def test_cosine_by_hand() -> None:
    # Pairs: orthogonal (1), opposite (2), orthogonal (1).
    assert mean_cosine_distance(np.array([[2.0, 0], [0, 1], [-1, 0]])) == pytest.approx(4 / 3)
    assert math.isnan(mean_cosine_distance(np.array([[1.0, 0]])))


@settings(deadline=None)
@given(st.integers(2, 12), st.integers(0, 100))
def test_cosine_equals_the_mean_over_pairs(n: int, seed: int) -> None:
    vectors = np.random.default_rng(seed).normal(size=(n, 5))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[np.triu_indices(n, 1)]
    assert mean_cosine_distance(vectors) == pytest.approx(float(1 - pairs.mean()))


@pytest.mark.parametrize("vectors", [np.zeros((2, 3)), np.ones(3), np.array([[1.0, np.nan]])])
def test_embeddings_that_are_none_are_refused(vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"shape|zero or not finite"):
        mean_cosine_distance(vectors)


def test_measures_by_hand() -> None:
    # Words a b a c: 3 of 4 distinct; bigrams ab, ac: 2 of 2; entropy of 2, 1, 1: 1/2 log 2 + 2 · 1/4 log 4.
    result = measure(["a b", "a c"])
    assert (result.distinct_1, result.distinct_2) == (0.75, 1.0)
    assert result.unigram_entropy == pytest.approx(1.5 * math.log(2))
    assert result.opening_share == 0.5


def test_no_texts_give_no_numbers() -> None:
    assert all(math.isnan(value) for value in measure([])[1:])


def test_at_equal_n_like_sets_look_alike_and_repetitive_ones_do_not() -> None:
    rng = np.random.default_rng(1)
    many, few = synthetic_texts(300, 0.05, rng), synthetic_texts(40, 0.05, rng)
    whole, part = measure(many), measure(few)
    assert part.distinct_1 / whole.distinct_1 > 2
    result = equal_n(many, few, 1)
    assert result.size == 40
    assert result.arm.distinct_1 == pytest.approx(result.base.distinct_1, rel=0.06)
    assert part.jaccard == pytest.approx(whole.jaccard, rel=0.02)
    stale = equal_n(synthetic_texts(300, 0.5, rng), few, 1)
    assert stale.arm.opening_share > 0.35 > stale.base.opening_share


def test_an_impossible_size_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot draw 3"):
        equal_n(["a"] * 5, ["b"] * 2, 1, size=3)
    with pytest.raises(ValueError, match="at least 1"):
        equal_n(["a"], ["b"], 1, draws=0)


def test_codes_follow_the_alphabet_and_keep_what_is_missing() -> None:
    assert codes(["b", None, "a", "b"])[0].tolist() == [1, -1, 0, 1]
    assert codes(["b", "a"])[1] == ("a", "b")
