"""The official Ollama client, unmodified, against the gateway."""

import asyncio

import ollama
import pytest

from tests.gateway.harness import ADAPTER, ALIAS, BASE, PROMPT, PSEUDONYMISER, House

RAW_DEVICE = "0b1f6a52-7f7e-4c1c-9b2e-5f1f0a3c9d11_2026-03-01"
HEADERS = {
    "X-Equipoise-Unit": RAW_DEVICE,
    "X-Equipoise-Run": "run_1772355000000_a1b2c3",
    "X-Equipoise-Config": "stille",
    "X-Equipoise-Language": "de",
    "X-Equipoise-Safety-Level": "kids",
    "X-Equipoise-Translated": "yes",
}


def test_generate_is_answered_under_the_alias_by_the_adapter_and_logged(house: House) -> None:
    house.permit("adapter", epoch=4)
    client = ollama.Client(house.start(), headers=HEADERS)
    answer = client.generate(ALIAS, PROMPT, options={"temperature": 0.5})
    direct = ollama.Client(house.double.url).generate(ADAPTER, PROMPT)
    assert answer.model == ALIAS
    assert answer.response == direct.response
    [call] = house.delivered(1)
    assert (call.arm, call.model, call.reason, call.epoch) == ("adapter", ADAPTER, "split", 4)
    assert (call.input, call.context, call.output) == ("Ein Haus im Wald", "Wie ein Tier es sieht", answer.response)
    assert (call.config, call.language, call.safety_level, call.translated) == ("stille", "de", "kids", True)
    assert call.template_version == "labelled"
    assert call.device == PSEUDONYMISER.device(RAW_DEVICE)
    assert call.device_kind == "browser"
    assert call.run == call.unit == PSEUDONYMISER.run(HEADERS["X-Equipoise-Run"])
    assert call.prompt == PSEUDONYMISER.prompt("Ein Haus im Wald")
    assert call.output_key == PSEUDONYMISER.output(answer.response)
    assert (call.tokens_in, call.tokens_out) == (direct.prompt_eval_count, direct.eval_count)
    assert call.parameters == {"temperature": 0.5}
    assert call.latency_ms is not None
    assert call.latency_ms >= 10


def test_chat_takes_the_system_message_as_context_and_the_last_user_message_as_input(house: House) -> None:
    house.permit("adapter")
    client = ollama.Client(house.start(), headers=HEADERS)
    messages = [
        {"role": "system", "content": "Nur Licht."},
        {"role": "user", "content": "Hallo"},
        {"role": "assistant", "content": "Ja?"},
        {"role": "user", "content": "Ein Wal im Regen"},
    ]
    answer = client.chat(ALIAS, messages)
    assert answer.model == ALIAS
    assert answer.message.content == ollama.Client(house.double.url).chat(ADAPTER, messages).message.content
    [call] = house.delivered(1)
    assert (call.context, call.input, call.template_version) == ("Nur Licht.", "Ein Wal im Regen", "unknown")


@pytest.mark.parametrize("kind", ["generate", "chat"])
def test_a_streamed_answer_has_the_same_text_as_the_backends(house: House, kind: str) -> None:
    house.permit("adapter")
    gateway, direct = ollama.Client(house.start()), ollama.Client(house.double.url)

    def text(client: ollama.Client, model: str) -> str:
        if kind == "generate":
            return "".join(part.response for part in client.generate(model, PROMPT, stream=True))
        messages = [{"role": "user", "content": PROMPT}]
        return "".join(part.message.content or "" for part in client.chat(model, messages, stream=True))

    answered = text(gateway, ALIAS)
    assert answered == text(direct, ADAPTER)
    [call] = house.delivered(1)
    assert (call.output, call.input, call.arm, call.error) == (answered, "Ein Haus im Wald", "adapter", None)
    assert call.tokens_out == len(answered.split(" "))


def test_the_asynchronous_client_works_for_many_calls_at_once(house: House) -> None:
    house.permit("adapter")
    url = house.start()

    async def ask() -> list[str]:
        client = ollama.AsyncClient(url)
        answers = await asyncio.gather(*(client.generate(ALIAS, f"Ein Haus Nummer {n}") for n in range(20)))
        parts = [part async for part in await client.chat(ALIAS, [{"role": "user", "content": "Hallo"}], stream=True)]
        assert parts[-1].done
        return [answer.response for answer in answers]

    texts = asyncio.run(ask())
    assert len(set(texts)) == 20
    assert {call.output for call in house.delivered(21)} >= set(texts)


def test_list_names_the_alias_beside_the_models(house: House) -> None:
    listed = ollama.Client(house.start()).list()
    names = [model.model for model in listed.models]
    assert names == [BASE, ADAPTER, f"{ALIAS}:latest"]


def test_show_of_the_alias_shows_the_base(house: House) -> None:
    client = ollama.Client(house.start())
    assert client.show(ALIAS).modelfile == f"FROM {BASE}"
    assert client.show(ADAPTER).modelfile == f"FROM {ADAPTER}"


def test_an_unknown_model_gets_the_upstreams_own_error(house: House) -> None:
    client = ollama.Client(house.start())
    with pytest.raises(ollama.ResponseError, match="model 'none' not found") as caught:
        client.generate("none", "Hallo")
    assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="not found"):
        list(client.generate("none", "Hallo", stream=True))


def test_loading_the_alias_without_a_prompt_is_no_call(house: House) -> None:
    house.permit("adapter")
    answer = ollama.Client(house.start()).generate(ALIAS)
    assert (answer.model, answer.done_reason) == (ALIAS, "load")
    assert house.state.outbox.pending == 0
    assert not house.api.calls


def test_an_alias_with_the_tag_that_ollama_adds_is_the_alias(house: House) -> None:
    house.permit("adapter")
    answer = ollama.Client(house.start()).generate(f"{ALIAS}:latest", PROMPT)
    assert answer.model == f"{ALIAS}:latest"
    assert house.delivered(1)[0].model == ADAPTER
