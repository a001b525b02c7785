"""A call can always be kept, whatever stands in it."""

import math
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backends.request import Message, ModelRequest
from experiment.assignment import Assignment
from experiment.events import Call
from gateway.config import GatewaySettings
from gateway.decide import Decision
from gateway.dialect import Asked
from gateway.ollama_dialect import OLLAMA_GENERATE
from gateway.record import Arrival, Happened, draft, finished
from gateway.templates import Splitter
from gateway.units import Subject
from tests.gateway.harness import FIXED, PSEUDONYMISER, experiment

ARMS = experiment("http://127.0.0.1:1").proposed("stage2")
BASE = ARMS.arm("base")


def arrival(prompt: str, system: str | None = None, **attributes: str) -> Arrival:
    messages = [Message("system", system)] if system is not None else []
    request = ModelRequest((*messages, Message("user", prompt)), False, False)
    return Arrival(
        id="c_1",
        ts=FIXED,
        started=0.0,
        dialect=OLLAMA_GENERATE,
        asked=Asked("alias", request, b"", {}),
        subject=Subject(attributes=attributes),
        decision=Decision("stage2", Assignment("base", "split", 5), BASE, BASE, 1, "r_x", False),
        template="",
        translated=None,
        authorization="",
    )


def kept(arrived: Arrival, **changes: Any) -> Call:
    happened = Happened("base", "split", "m", {}, 0.25)._replace(**changes)
    splitter = Splitter(GatewaySettings().templates)
    drafted = draft(arrived, splitter=splitter, pseudonymiser=PSEUDONYMISER)
    call = finished(drafted, happened, pseudonymiser=PSEUDONYMISER, refusals=())
    assert Call.model_validate_json(call.model_dump_json(exclude_defaults=True)) == call
    return call


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)
ANY_TEXT = st.text(st.characters(), max_size=50)  # with NUL and lone surrogates


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT, st.none() | ANY_TEXT, st.dictionaries(ANY_TEXT, JSON, max_size=4), st.dictionaries(
    st.sampled_from(["config", "language", "safety_level"]), ANY_TEXT), st.floats(), st.none() | ANY_TEXT)  # fmt: skip
def test_no_text_no_parameter_and_no_label_loses_a_call(
    prompt: str,
    output: str | None,
    parameters: dict[str, Any],
    attributes: dict[str, str],
    seconds: float,
    error: str | None,
) -> None:
    call = kept(
        arrival(prompt, **attributes),
        output=output,
        parameters=parameters,
        seconds=seconds,
        error=error,
        model=prompt,
    )
    assert call.experiment == "stage2"
    assert call.arm == "base"


def test_what_is_refused_in_spite_of_everything_is_left_out_and_named() -> None:
    call = kept(arrival("Ein Haus"), parameters={"temperature": math.nan, "seed": 1}, seconds=math.inf)
    assert (call.input, call.latency_ms) == ("Ein Haus", None)
    assert call.parameters == {"equipoise_changed": ["parameters"], "seed": 1}


def test_only_small_parameters_are_kept() -> None:
    parameters = {"temperature": 0.5, "think": False, "format": {"type": "object"}, "stop": ["x"], "system": "y" * 300}
    assert kept(arrival("x"), parameters=parameters).parameters == {"temperature": 0.5, "think": False}


def test_keys_are_made_from_the_whole_texts() -> None:
    long = "Ä" * 300_000
    call = kept(arrival(long), output=long)
    assert len(call.input or "") == 200_000
    assert (call.prompt, call.output_key) == (PSEUDONYMISER.prompt(long), PSEUDONYMISER.output(long))


def test_the_system_message_is_the_context_only_where_the_prompt_has_none() -> None:
    assert kept(arrival("Ein Haus", "Nur Licht")).context == "Nur Licht"
    assert kept(arrival("Context:\n\nPrompt:\nEin Haus", "Nur Licht")).context == ""
    assert kept(arrival("Ein Haus")).context is None


def test_the_hosts_template_wins_over_the_labels() -> None:
    assert kept(replace(arrival("Context:\nA\nPrompt:\nB"), template=" v7 ")).template_version == "v7"


def test_a_refusal_is_marked() -> None:
    assert kept(arrival("x"), output="I'm sorry, but I can't help with that.").refused
    assert not kept(arrival("x"), output="Ein Haus").refused
