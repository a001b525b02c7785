"""HMAC-SHA256 pseudonyms 'at first touch'; prompt key = 'NFKC, case-folded, spaces collapsed' (DESIGN.md, *Data*)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment.pseudonym import Pseudonymiser, device_kind, is_pseudonym, normalise_prompt

KEY = bytes(range(32))
DEVICE = "123e4567-e89b-42d3-a456-426614174000_2026-03-01"
sound = st.text(st.characters(codec="utf-8"), max_size=60)


def test_golden_vectors() -> None:
    """Made with: printf PREFIX:TEXT | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f, first 32 digits."""
    names = Pseudonymiser(KEY)
    assert names.device(DEVICE) == "d_7195280324070dd1d4316a42c5f226bd"
    assert names.run("run_1772357400000_a1b2c3") == "r_d378483c61f6ebb659b1a343b4b2ec4e"
    assert names.prompt("Ein rotes Haus") == "p_4addd68f504badb8ba51514349a0e8f8"
    assert names.output("Ein rotes Haus") == "o_0792bf344acee23b62ac86b3ab01941b"
    assert names.prompt("Straße") == "p_f5c834606214f8acd23a577004706eaf"  # case-folded: strasse


@pytest.mark.parametrize(
    "same",
    [
        ["Ein rotes Haus", "  ein   ROTES\thaus\n", "Ein\u00a0rotes\u3000Haus", "Ｅｉｎ ｒｏｔｅｓ Ｈａｕｓ"],
        ["Straße", "STRASSE", "strasse"],
        ["Müller", "Mu\u0308ller", "MÜLLER"],  # composed, decomposed
        ["ﬁlm", "film"],  # ligature
    ],
)
def test_the_same_prompt_written_differently_has_one_key(same: list[str]) -> None:
    assert len({Pseudonymiser(KEY).prompt(text) for text in same}) == 1


def test_different_prompts_and_different_kinds_of_key_differ() -> None:
    names = Pseudonymiser(KEY)
    texts = ["ein haus", "ein haus.", "einhaus", "ein häus", "a house"]
    assert len({names.prompt(text) for text in texts}) == 5
    assert len({names.device("x")[2:], names.run("x")[2:], names.prompt("x")[2:], names.output("x")[2:]}) == 4


@given(sound)
def test_a_pseudonym_is_recognised_and_never_hashed_twice(text: str) -> None:
    names = Pseudonymiser(KEY)
    for make in (names.device, names.run, names.prompt, names.output):
        key = make(text)
        assert (key == "") or is_pseudonym(key)
        assert make(key) == key


@given(sound.filter(lambda text: bool(text.strip()) and not is_pseudonym(text)))
def test_no_part_of_a_long_raw_text_shows_and_another_key_gives_another_name(text: str) -> None:
    one, other = Pseudonymiser(KEY), Pseudonymiser(bytes(range(1, 33)))
    assert one.device(text) != other.device(text)
    assert one.device(text) == Pseudonymiser(KEY).device(text)
    if len(text) > 4:
        assert text not in one.device(text)


@given(sound, st.sampled_from([" ", "\t", "\n", "\u00a0", "\u3000"]))
def test_spaces_around_never_matter(text: str, space: str) -> None:
    assert normalise_prompt(f"{space}{text}{space}") == normalise_prompt(text)
    assert "  " not in normalise_prompt(text)


@pytest.mark.parametrize("digits", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n", "٠" * 32])
@pytest.mark.parametrize("prefix", ["d_", "p_"])
def test_what_only_looks_like_a_pseudonym_is_hashed(prefix: str, digits: str) -> None:
    assert not is_pseudonym(prefix + digits)
    assert is_pseudonym(Pseudonymiser(KEY).device(prefix + digits))


def test_a_prefix_of_no_kind_is_hashed() -> None:
    assert not is_pseudonym("x_" + "0" * 32)


@pytest.mark.parametrize("length", [0, 1, 16, 31])
def test_a_short_key_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="at least 32"):
        Pseudonymiser(b"k" * length)


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (DEVICE, "browser"),
        (DEVICE.upper(), "browser"),
        ("k3j9x0_2026-03-01", "browser"),  # plain-HTTP LAN
        ("dev_0123456789ab", "dev"),
        ("api_0123456789ab", "api"),
        ("canvas_0123456789ab", "canvas"),
        ("test-7", "test"),
        ("legacy_20260228", "legacy"),
        ("", "unknown"),
        ("k3j9x0", "unknown"),  # no date
        ("123e4567-e89b-12d3-a456-426614174000_2026-03-01", "unknown"),  # a UUID1, not a UUID4
        ("k3j9x0_2026-03-01\n", "unknown"),
        ("k3j9x0_２０２６-03-01", "unknown"),
        ("Name Of A Child_2026-03-01", "unknown"),
    ],
)
def test_device_kinds_of_the_host(raw: str, kind: str) -> None:
    """HOST.md, *Ids*: dev_, api_, canvas_, test-, legacy_ are not workshop traffic."""
    assert device_kind(raw) == kind
