"""The owner service's application: the warehouse it owns, the watchdog, and the API over both."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from collector import events_api, experiments_api, guard_api, health_api, problems, snapshot_api, units_api
from collector.config import ServiceConfig, ServiceSettings
from collector.tokens import Tokens
from collector.watchdog import Watchdog
from experiment.events import Call, Outcome
from warehouse.keeper import CODE_VERSION
from warehouse.store import Warehouse


def is_loopback(host: str) -> bool:
    """Whether an address is this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load_tokens(service: ServiceSettings) -> Tokens | None:
    """The installation's tokens; None in the development mode.

    Raises:
        ValueError: development mode on an address that others can reach.
    """
    if service.development:
        if not is_loopback(service.host):
            raise ValueError(
                f"[service] development = true asks for no tokens, and {service.host} can be reached by others: "
                "use 127.0.0.1 or set development = false"
            )
        return None
    return Tokens(service.data / "tokens.json")


def create_app(config: ServiceConfig) -> FastAPI:
    """The application; its lifespan opens the warehouse and closes it.

    Args:
        config: sections of equipoise.toml that the service needs.

    Raises:
        ValueError: development mode on a public address, or a damaged tokens file.
        StoreError: at start of the lifespan, if the warehouse is held or damaged.
    """
    tokens = load_tokens(config.service)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        store = Warehouse(config.service.data, config.warehouse, config.experiment, synthetic=config.service.synthetic)
        watchdog = Watchdog(store)
        app.state.warehouse, app.state.watchdog = store, watchdog
        watchdog.start()
        try:
            yield
        finally:
            watchdog.stop()
            store.close()

    app = FastAPI(
        title="Equipoise",
        version=CODE_VERSION,
        summary="A/B and bias-audit service for the Stage 2 calls of AI4ArtsEd",
        lifespan=lifespan,
    )
    app.state.tokens = tokens
    app.state.config = config
    problems.install(app)
    for part in (events_api, experiments_api, guard_api, snapshot_api, units_api, health_api):
        app.include_router(part.router)
    _document_events(app)
    return app


def _document_events(app: FastAPI) -> None:
    """Add the event schemas to the OpenAPI: the two endpoints read their bodies themselves, item by item."""
    original = app.openapi

    def openapi() -> dict[str, object]:
        schema = original()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        for model in (Call, Outcome):
            own = model.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(own.pop("$defs", {}))
            schemas.setdefault(model.__name__, own)
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
