"""The gateway as an application: its parts wired together, its routes, its start and its end."""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from backends import client as backends_client
from experiment.config import ExperimentSettings
from experiment.pseudonym import Pseudonymiser
from gateway import assignments, health, listing, ofrep, proxy
from gateway.access import known_host
from gateway.config import GatewaySettings
from gateway.delivery import Delivery
from gateway.gpu_dialect import GPU_SERVICE
from gateway.metrics import Metrics
from gateway.ollama_dialect import OLLAMA_CHAT, OLLAMA_GENERATE
from gateway.openai_dialect import OPENAI_CHAT
from gateway.outbox import Outbox
from gateway.permits import Permits
from gateway.problems import problem, rim
from gateway.router import endpoint
from gateway.state import GATEWAY, Gateway, Paths, TokenCheck
from gateway.templates import Splitter
from gateway.units import Roots

_NAME: Final = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")


class Misconfigured(ValueError):
    """The settings do not make a gateway; the text says which and what to change."""


def create_app(
    settings: GatewaySettings,
    experiments: Mapping[str, ExperimentSettings],
    paths: Paths,
    pseudonymiser: Pseudonymiser,
    api_url: str,
    api_token: str | Callable[[], str],
    token_check: TokenCheck | None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> web.Application:
    """The application. It opens the outbox and its connections when it starts.

    Args:
        settings: the ``[gateway]`` section.
        experiments: the ``[experiment.NAME]`` sections, in their order.
        paths: permits (read) and outbox (own).
        pseudonymiser: under the installation's key.
        api_url: the owner service, ``http://127.0.0.1:17811``.
        api_token: for the owner service; a function is asked at every delivery.
        token_check: whether a bearer token may ask for assignments (:func:`gateway.access.tokens`). None: nobody is
            asked for one, which needs ``allow_assignments_without_token``.
        clock: aware time.

    Raises:
        Misconfigured: two experiments with one alias, a name unfit for a file, or no token check.
    """
    if token_check is None and not settings.allow_assignments_without_token:
        raise Misconfigured(
            "assignments need a token check: pass one, or set [gateway] allow_assignments_without_token for development"
        )
    proposed = {_named(name): section.proposed(name) for name, section in experiments.items()}
    aliases = _aliases(experiments)

    async def parts(app: web.Application) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            outbox = Outbox(paths.outbox, settings.outbox, clock)
            stack.callback(outbox.close)
            models = await stack.enter_async_context(backends_client.new_session(settings.connect_timeout_s))
            upstream = await stack.enter_async_context(proxy.new_session(settings.connect_timeout_s))
            token = api_token if callable(api_token) else (lambda: api_token)
            delivery = Delivery(outbox, models, api_url, token, settings.outbox)
            gateway = Gateway(
                settings=settings,
                proposed=proposed,
                aliases=aliases,
                permits=Permits(paths.permits, clock),
                roots=Roots(),
                pseudonymiser=pseudonymiser,
                splitter=Splitter(settings.templates),
                refusals=tuple(re.compile(pattern) for pattern in settings.refusal_patterns),
                outbox=outbox,
                delivery=delivery,
                client=backends_client.Client(models),
                upstream=upstream,
                metrics=Metrics(),
                token_check=token_check,
                clock=clock,
            )
            app[GATEWAY] = gateway
            health.watch(gateway)
            task = asyncio.create_task(delivery.run(), name="equipoise-delivery")
            yield
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await delivery.drain(settings.outbox.drain_s)

    # client_max_size only concerns aiohttp's own reading of bodies; ours has its limit in gateway.router.
    app = web.Application(middlewares=[rim, known_host], client_max_size=settings.max_body_bytes)
    app.cleanup_ctx.append(parts)
    app.on_response_prepare.append(_no_banner)
    _routes(app.router)
    return app


def _named(name: str) -> str:
    if not _NAME.match(name):
        raise Misconfigured(f"[experiment.{name}]: use letters, digits, '-', '_' and '.' in an experiment's name")
    return name


def _aliases(experiments: Mapping[str, ExperimentSettings]) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for name, section in experiments.items():
        alias = section.alias.removesuffix(":latest")
        if not alias or alias in aliases:
            other = f" as [experiment.{aliases[alias]}] has" if alias in aliases else ""
            raise Misconfigured(f"[experiment.{name}] has the alias {alias!r}{other}: give each experiment its own")
        aliases[alias] = name
    return aliases


def _routes(router: web.UrlDispatcher) -> None:
    for dialect in (OLLAMA_GENERATE, OLLAMA_CHAT, OPENAI_CHAT, GPU_SERVICE):
        router.add_post(dialect.path, endpoint(dialect))
    router.add_get("/api/tags", listing.tags)
    router.add_get("/v1/models", listing.openai_models)
    router.add_post("/api/show", listing.show)
    router.add_post("/v1/assignments", assignments.assignments)
    router.add_post("/ofrep/v1/evaluate/flags/{key}", ofrep.evaluate_one)
    router.add_post("/ofrep/v1/evaluate/flags", ofrep.evaluate_all)
    router.add_get("/healthz", health.healthz)
    router.add_get("/readyz", health.readyz)
    router.add_get("/metrics", health.metrics)
    # Our own paths with another method, or misspelt: they are not the upstream's.
    router.add_route("*", "/v1/assignments{rest:.*}", _only_post)
    router.add_route("*", "/ofrep{rest:.*}", ofrep.unknown)
    router.add_route("*", "/{path:.*}", proxy.pass_through)


async def _only_post(request: web.Request) -> web.Response:
    return problem(405, "assignments are asked for with POST /v1/assignments", headers={"Allow": "POST"})


async def _no_banner(request: web.Request, response: web.StreamResponse) -> None:
    """Drop the server's name and version that aiohttp adds; an upstream's own stays."""
    if response.headers.get("Server", "").startswith("Python/"):
        del response.headers["Server"]
