"""The double is a real Ollama server to a real Ollama client; its rules are seeded and its harm is harmless."""

import subprocess
import sys
from pathlib import Path

import ollama
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.checks import stage3
from demo.ollama_double import Double, DoubleSettings
from demo.transformer import MARKERS, idea_of, language_of, transform

ROOT = Path(__file__).resolve().parents[2]
PROMPT = "Task:\nX\n\nContext:\nY\n\nPrompt:\nEin Haus im Wald\n\nImportant: Respond in the language of the prompt."


@pytest.fixture(scope="module")
def url():  # type: ignore[no-untyped-def]
    arguments = ["--latency-ms", "5", "--spread-ms", "1", "--base", "b", "--adapter", "a"]
    process = subprocess.Popen(
        [sys.executable, "-m", "demo.ollama_double", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait(10)


def test_generate_chat_streams_list_and_show(url: str) -> None:
    client = ollama.Client(url)
    whole = client.generate("a", PROMPT)
    assert whole.response.startswith("Ein Haus im Wald")
    assert "".join(part.response for part in client.generate("a", PROMPT, stream=True)) == whole.response
    assert client.chat("a", [{"role": "user", "content": PROMPT}]).message.content == whole.response
    assert [model.model for model in client.list().models] == ["b", "a"]
    assert client.show("a").details is not None
    assert len(client.generate("b", PROMPT).response) < len(whole.response)


def test_unknown_models_and_broken_bodies_get_ollamas_errors(url: str) -> None:
    client = ollama.Client(url)
    for ask in (lambda: client.generate("none", "x"), lambda: client.show("none")):
        with pytest.raises(ollama.ResponseError, match="model 'none' not found") as caught:
            ask()
        assert caught.value.status_code == 404


def test_it_turns_harmful_when_told_to(url: str) -> None:
    import httpx

    client = ollama.Client(url)

    def blocked() -> int:
        texts = [client.generate("a", f"Ein Haus Nummer {n}").response for n in range(30)]
        return sum(stage3(text, "kids") is not None for text in texts)

    assert blocked() == 0
    assert httpx.post(f"{url}/demo/harmful", json={"model": "a"}).status_code == 200
    assert 8 <= blocked() <= 22
    assert all(stage3(client.generate("b", f"Ein Haus {n}").response, "kids") is None for n in range(10))
    assert httpx.post(f"{url}/demo/harmful", json={"model": "none"}).status_code == 404


def test_it_turns_harmful_after_a_number_of_answers() -> None:
    double = Double(DoubleSettings(models={"a": "rich"}, harmful_model="a", harmful_after=10, harmful_share=1.0))
    texts = [double.text("a", f"Ein Haus {n}", None) for n in range(20)]
    assert [MARKERS["de"] in text for text in texts] == [False] * 10 + [True] * 10


def test_latency_is_drawn_from_the_seed_and_spread_as_said() -> None:
    double = Double(DoubleSettings(latency_ms=200, spread_ms=60))
    times = [double.seconds("qwen3:4b", str(n)) * 1000 for n in range(2000)]
    assert times == [double.seconds("qwen3:4b", str(n)) * 1000 for n in range(2000)]
    assert 195 < sum(times) / 2000 < 205
    assert 55 < (sum((t - 200) ** 2 for t in times) / 2000) ** 0.5 < 65
    assert min(times) >= 10


@given(st.text(), st.sampled_from(["modest", "rich"]), st.integers())
def test_the_same_seed_gives_the_same_text_and_no_text_breaks_it(prompt: str, manner: str, seed: int) -> None:
    text = transform(prompt, manner, seed)  # type: ignore[arg-type]
    assert text == transform(prompt, manner, seed)  # type: ignore[arg-type]
    assert text


@pytest.mark.parametrize(
    ("text", "language"), [("Ein Haus am Meer", "de"), ("A house by the sea", "en"), ("", "de"), ("Tür", "de")]
)
def test_the_language_of_a_text(text: str, language: str) -> None:
    assert language_of(text) == language


def test_only_the_idea_is_rewritten() -> None:
    assert idea_of(PROMPT) == "Ein Haus im Wald"
    assert idea_of("Ein Haus") == "Ein Haus"


@pytest.mark.parametrize("idea", ["Ein Haus im Wald", "A house in the forest"])
def test_the_marker_is_blocked_and_nothing_else_is(idea: str) -> None:
    assert stage3(transform(idea, "rich", 1, harmful=True), "kids") is not None
    for seed in range(50):
        for manner in ("modest", "rich"):
            assert stage3(transform(idea, manner, seed), "kids") is None  # type: ignore[arg-type]
