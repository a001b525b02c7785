"""client/host.py makes the same pseudonyms as experiment/pseudonym.py, and both make the golden ones."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.host import device_kind, pseudonym
from experiment import pseudonym as ours

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "pseudonym.json").read_text(encoding="utf-8"))
KEY = bytes.fromhex(VECTORS["key"])
HEX = "0" * 32
any_text = st.text() | st.sampled_from([f"d_{HEX}", f"p_{HEX}", f"o_{HEX}\n", f"O_{HEX}", "\ud800", " "])


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: f"{vector['kind']}-{vector['raw'][:12]}")
def test_golden_vectors(vector: dict[str, str]) -> None:
    assert pseudonym(KEY, vector["kind"][0], vector["raw"]) == vector["pseudonym"]
    assert getattr(ours.Pseudonymiser(KEY), vector["kind"])(vector["raw"]) == vector["pseudonym"]


@pytest.mark.parametrize(("raw", "kind"), VECTORS["device_kinds"])
def test_golden_device_kinds(raw: str, kind: str) -> None:
    assert device_kind(raw) == kind == ours.device_kind(raw)


@given(any_text)
def test_any_text_has_one_pseudonym(text: str) -> None:
    theirs = ours.Pseudonymiser(KEY)
    made = {prefix: pseudonym(KEY, prefix, text) for prefix in "drpo"}
    assert made == {"d": theirs.device(text), "r": theirs.run(text), "p": theirs.prompt(text), "o": theirs.output(text)}
    assert device_kind(text) == ours.device_kind(text)
