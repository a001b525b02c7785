"""A prompt is split at its label lines, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.config import GatewaySettings, TemplateSettings
from gateway.templates import Split, Splitter

DEFAULT = Splitter(GatewaySettings().templates)


@pytest.mark.parametrize(
    ("prompt", "context", "text"),
    [
        ("Task:\nRewrite.\n\nContext:\nWie ein Tier\n\nPrompt:\nEin Haus", "Wie ein Tier", "Ein Haus"),
        ("Aufgabe:\nSchreib um.\nKontext:\n\nEingabe:\nEin Haus", "", "Ein Haus"),
        ("Rewrite.\r\nCONTEXT:\r\nZ1\r\nZ2\r\n  input:  \r\nEin\r\nHaus\r\n", "Z1\nZ2", "Ein\nHaus"),
        (
            "Task:\nX\nContext:\nY\nImportant: Respond in the same language as the input below.\nPrompt:\nEin Haus",
            "Y",
            "Ein Haus",
        ),
        ("Context:\nY\nPrompt:\nEin Haus\n\nImportant: Respond in the language of the prompt.", "Y", "Ein Haus"),
        ("Context:\nY\nPrompt:\nEr sagte:\nPrompt:\nZwei", "Y", "Er sagte:\nPrompt:\nZwei"),
    ],
)
def test_the_default_labels(prompt: str, context: str, text: str) -> None:
    split = DEFAULT.split(prompt)
    assert (split.template, split.context, split.input) == ("labelled", context, text)


@pytest.mark.parametrize(
    "prompt",
    ["", "Ein Haus", "Prompt:\nEin Haus", "Context:\nnur das", "Prompt:\nA\nContext:\nB", "Context: B\nPrompt: A"],
)
def test_without_the_labels_in_order_the_whole_prompt_is_the_input(prompt: str) -> None:
    assert DEFAULT.split(prompt) == Split("unknown", None, None, prompt)


LINE = st.text(st.characters(blacklist_characters="\r\n", blacklist_categories=["Cs"]), max_size=30)
BLOCK = st.lists(LINE, max_size=4).map("\n".join).map(str.strip)


@given(BLOCK, BLOCK, BLOCK)
def test_what_was_joined_is_split_again(instruction: str, context: str, text: str) -> None:
    template = TemplateSettings(instruction=("§1",), context=("§2",), input=("§3",))
    blocks = (instruction, context, text)
    if any(line.strip() in ("§1", "§2", "§3") for block in blocks for line in block.split("\n")):
        return
    split = Splitter({"v": template}).split(f"§1\n{instruction}\n§2\n{context}\n§3\n{text}")
    assert split == Split("v", instruction, context, text)


@given(st.text())
def test_no_text_breaks_the_splitter(text: str) -> None:
    split = DEFAULT.split(text)
    assert split.template in ("labelled", "unknown")
    assert split.input in text.replace("\r\n", "\n")


def test_versions_with_the_same_labels_are_told_apart_by_their_instruction() -> None:
    labels = {"context": ("Context:",), "input": ("Prompt:",)}
    splitter = Splitter(
        {
            "whole": TemplateSettings(**labels, instruction_has=("no exotic clichés",)),
            "cut": TemplateSettings(**labels),
        }
    )
    assert splitter.split("Avoid: no exotic clichés.\nContext:\nA\nPrompt:\nB").template == "whole"
    assert splitter.split("Rewrite.\nContext:\nA\nPrompt:\nB").template == "cut"


def test_labels_may_be_expressions_and_a_template_may_have_no_context() -> None:
    splitter = Splitter({"v": TemplateSettings(input=(r"re:#+ *(Text|Idee) *#*",))})
    assert splitter.split("Schreib um.\n## Idee ##\nEin Haus") == Split("v", "Schreib um.", None, "Ein Haus")


@pytest.mark.parametrize("labels", [("",), ("  ",), ("re:(",)])
def test_labels_that_would_match_anything_or_nothing_are_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match=r"label line is empty|not a regular expression"):
        TemplateSettings(input=labels)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("upstream_url", "ftp://x"),
        ("upstreams", {"api": "http://x"}),
        ("upstreams", {"/api": "x"}),
        ("refusal_patterns", ("(",)),
        ("port", 70000),
        ("unheard_of", 1),
    ],
)
def test_settings_that_make_no_sense_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError):
        GatewaySettings.model_validate({field: value})


def test_development_mode_needs_a_loopback_host() -> None:
    with pytest.raises(ValidationError, match="loopback"):
        GatewaySettings(host="0.0.0.0", allow_assignments_without_token=True)
    assert GatewaySettings(host="127.0.0.5", allow_assignments_without_token=True)
