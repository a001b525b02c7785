"""Whatever fails, the child gets an answer; what really happened is logged."""

import asyncio
import socket

import aiohttp
import ollama
import pytest
from aiohttp import web

from demo.ollama_double import DOUBLE
from tests.gateway.harness import ADAPTER, ALIAS, BASE, PROMPT, House, backend, experiment, until, wait_until


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


async def slow(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def broken(request: web.Request) -> web.StreamResponse:
    return web.json_response({"error": "out of memory"}, status=500)


async def page(request: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>Welcome</html>", content_type="text/html")


async def error_line(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"error":"the runner died"}\n', content_type="application/x-ndjson")


async def nothing(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"")


async def hangs_up(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("failure", ["missing", "down", slow, broken, page, error_line, nothing, hangs_up])
def test_an_adapter_that_fails_before_its_first_byte_is_replaced_by_the_base(
    house: House,
    failure,  # type: ignore[no-untyped-def]
    stream: bool,
) -> None:
    changes = {"model": "gone:1b"} if failure == "missing" else {}
    if failure == "down":
        changes["url"] = closed_port()
    elif failure != "missing":
        changes["url"] = house.serve(backend(failure)).url
    house.experiments = {"stage2": experiment(house.double.url, arms={"adapter": changes})}
    house.permit("adapter", epoch=3)
    client = ollama.Client(house.start(adapter_timeout_s=0.2))
    if stream:
        text = "".join(part.response for part in client.generate(ALIAS, PROMPT, stream=True))
    else:
        text = client.generate(ALIAS, PROMPT).response
    assert text == ollama.Client(house.double.url).generate(BASE, PROMPT).response
    [call] = house.delivered(1)
    assert (call.arm, call.model, call.reason, call.epoch) == ("adapter", BASE, "fallback", 3)
    assert (call.output, call.error) == (text, None)


@pytest.mark.parametrize(
    ("failure", "status", "says"),
    [
        ("missing", 404, "has no model 'gone:1b': install it"),
        ("down", 502, "does not answer: start it"),
        (slow, 504, "within 0.2 s"),
        (broken, 500, "answered 500"),
        (page, 502, "not JSON"),
    ],
)
def test_a_base_that_fails_is_an_error_in_the_dialects_form_and_a_logged_call(
    house: House,
    failure,  # type: ignore[no-untyped-def]
    status: int,
    says: str,
) -> None:
    changes = {"model": "gone:1b"} if failure == "missing" else {}
    if failure == "down":
        changes["url"] = closed_port()
    elif failure != "missing":
        changes["url"] = house.serve(backend(failure)).url
    house.experiments = {"stage2": experiment(house.double.url, arms={"base": changes})}
    url = house.start(answer_timeout_s=0.2)
    for stream in (False, True):
        with pytest.raises(ollama.ResponseError, match=says) as caught:
            list(ollama.Client(url).generate(ALIAS, PROMPT, stream=stream))
        assert caught.value.status_code == status
    for call in house.delivered(2):
        assert says in (call.error or "")
        assert (call.arm, call.model, call.output, call.input) == ("base", "", None, "Ein Haus im Wald")


def test_the_backends_own_words_are_told_to_the_host_and_not_kept(house: House) -> None:
    async def quoting(request: web.Request) -> web.StreamResponse:
        return web.json_response({"error": f"bad prompt: {(await request.json())['prompt']}"}, status=400)

    url = house.serve(backend(quoting)).url
    house.experiments = {"stage2": experiment(house.double.url, arms={"base": {"url": url}})}
    with pytest.raises(ollama.ResponseError, match="bad prompt: Geheimnis"):
        ollama.Client(house.start()).generate(ALIAS, "Geheimnis")
    [call] = house.delivered(1)
    assert "Geheimnis" not in (call.error or "")


def waiting_backend(house: House) -> tuple[str, "asyncio.Event", list[int]]:
    """A backend that has begun to work and answers when it is told to."""
    go = house.loop.call(asyncio.Event)
    begun: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        begun.append(1)
        await go.wait()
        return web.Response(body=b'{"model":"%s","response":"reich","done":true}\n' % ADAPTER.encode())

    return house.serve(backend(answer)).url, go, begun


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["closed", "deleted", "another adapter", "opted out"])
def test_a_permit_that_closes_while_the_adapter_works_keeps_its_answer_from_the_child(
    house: House, how: str, stream: bool
) -> None:
    url, go, begun = waiting_backend(house)
    house.experiments = {"stage2": experiment(house.double.url, arms={"adapter": {"url": url}})}
    path = house.permit("adapter", epoch=2)
    client = ollama.AsyncClient(house.start(), headers={"X-Equipoise-Unit": "abc_2026-03-01"})

    async def ask() -> str:
        task = asyncio.create_task(client.generate(ALIAS, PROMPT, stream=stream))  # type: ignore[call-overload]
        if stream:
            task = asyncio.create_task(joined(await task))
        await until(lambda: bool(begun))
        if how == "closed":
            house.permit(epoch=2)
        elif how == "deleted":
            path.unlink()
        elif how == "opted out":
            from tests.gateway.harness import PSEUDONYMISER

            house.permit("adapter", epoch=2, opted_out=frozenset({PSEUDONYMISER.device("abc_2026-03-01")}))
        else:  # a new adapter under the same arm's name: the old one's answer is not its answer
            frozen = house.experiments["stage2"].proposed("stage2")
            changed = tuple(a.model_copy(update={"model": f"{a.model}-v2"}) for a in frozen.arms)
            house.permit("adapter", epoch=3, arms=frozen.model_copy(update={"arms": changed}))
        house.loop.call(go.set)
        answer = await task
        return answer if stream else answer.response

    async def joined(parts) -> str:  # type: ignore[no-untyped-def]
        return "".join([part.response async for part in parts])

    text = asyncio.run(ask())
    assert text == ollama.Client(house.double.url).generate(BASE, PROMPT).response
    [call] = house.delivered(1)
    assert (call.arm, call.model, call.reason, call.epoch) == ("base", BASE, "guard", 2)


def test_a_heartbeat_while_the_adapter_works_changes_nothing(house: House) -> None:
    url, go, begun = waiting_backend(house)
    house.experiments = {"stage2": experiment(house.double.url, arms={"adapter": {"url": url}})}
    path = house.permit("adapter")
    client = ollama.AsyncClient(house.start())

    async def ask() -> str:
        task = asyncio.create_task(client.generate(ALIAS, PROMPT))
        await until(lambda: bool(begun))
        path.touch()
        house.loop.call(go.set)
        return (await task).response

    assert asyncio.run(ask()) == "reich"


def test_a_stream_that_breaks_off_ends_in_the_dialects_error_and_is_logged(house: House) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        await response.write(b'{"model":"%s","response":"Ein halber","done":false}\n' % ADAPTER.encode())
        assert request.transport is not None
        request.transport.close()
        return response

    url = house.serve(backend(half)).url
    house.experiments = {"stage2": experiment(house.double.url, arms={"adapter": {"url": url}})}
    house.permit("adapter")
    parts = ollama.Client(house.start()).generate(ALIAS, PROMPT, stream=True)
    assert next(parts).response == "Ein halber"
    with pytest.raises(ollama.ResponseError, match="does not answer"):
        next(parts)
    [call] = house.delivered(1)
    assert (call.output, call.arm, call.model) == ("Ein halber", "adapter", ADAPTER)
    assert "does not answer" in (call.error or "")
    assert not list((house.outbox / "open").iterdir())


def test_a_stream_that_ends_too_soon_is_an_error(house: House) -> None:
    async def half(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"model":"m","response":"Ein halber","done":false}\n')

    url = house.serve(backend(half)).url
    house.experiments = {"stage2": experiment(house.double.url, arms={"adapter": {"url": url}})}
    house.permit("adapter")
    with pytest.raises(ollama.ResponseError, match="ended before"):
        list(ollama.Client(house.start()).generate(ALIAS, PROMPT, stream=True))
    assert "ended before" in (house.delivered(1)[0].error or "")


def test_a_stream_that_stands_still_is_an_error(house: House) -> None:
    async def still(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"model":"m","response":"Ein","done":false}\n')
        await asyncio.sleep(30)
        return response

    url = house.serve(backend(still)).url
    house.experiments = {"stage2": experiment(house.double.url, arms={"adapter": {"url": url}})}
    house.permit("adapter")
    with pytest.raises(ollama.ResponseError, match=r"within 0\.1 s"):
        list(ollama.Client(house.start(answer_timeout_s=0.1)).generate(ALIAS, PROMPT, stream=True))


@pytest.mark.parametrize("stream", [False, True])
def test_a_host_that_hangs_up_is_logged_and_frees_the_backend(house: House, stream: bool) -> None:
    ended: list[int] = []
    begun: list[int] = []

    async def endless(request: web.Request) -> web.StreamResponse:
        begun.append(1)
        try:
            response = web.StreamResponse()
            if stream:
                await response.prepare(request)
            while True:
                if stream:
                    await response.write(b'{"model":"m","response":"x","done":false}\n')
                await asyncio.sleep(0.01)
        finally:
            ended.append(1)

    runner = web.AppRunner(backend(endless), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    url = house.serve(backend(endless), runner).url
    house.experiments = {"stage2": experiment(house.double.url, arms={"adapter": {"url": url}})}
    house.permit("adapter")
    gateway = house.start()

    async def hang_up() -> None:
        body = {"model": ALIAS, "prompt": PROMPT, "stream": stream}
        async with aiohttp.ClientSession() as session:
            if stream:
                async with session.post(f"{gateway}/api/generate", json=body) as response:
                    await response.content.readany()
            else:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(session.post(f"{gateway}/api/generate", json=body), 0.1)

    asyncio.run(hang_up())
    [call] = house.delivered(1)
    assert call.error == "client went away"
    assert (call.arm, call.reason) == ("adapter", "split")
    assert (call.output or "").startswith("x") == stream
    wait_until(lambda: bool(ended), "the backend's handler was cancelled")


def test_stopping_lets_a_call_finish_and_delivers_it(house: House) -> None:
    house.permit("adapter")
    url = house.start()

    async def ask_and_stop() -> str:
        client = ollama.AsyncClient(url)
        task = asyncio.create_task(client.generate(ALIAS, PROMPT))
        await until(lambda: bool(house.double.app[DOUBLE].answered))
        await asyncio.to_thread(house.stop)
        return (await task).response

    text = asyncio.run(ask_and_stop())
    assert [call.output for call in house.api.calls] == [text]
