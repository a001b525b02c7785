"""What the owner service needs to know, composed by ops/ from equipoise.toml."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from experiment.config import ExperimentSettings
from warehouse.config import WarehouseSettings


class ServiceSettings(BaseModel):
    """The ``[service]`` section: where the three processes listen and where data lies."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    api_port: int = Field(default=17811, ge=0, le=65535)
    gateway_port: int = Field(default=17812, ge=0, le=65535)
    dashboard_port: int = Field(default=17813, ge=0, le=65535)
    data: Path = Path("data")
    """Folder of warehouse, key, tokens, permits, outbox, spool and logs."""
    development: bool = False
    """True: no tokens are asked for. Refused unless ``host`` is a loopback address."""
    synthetic: bool = False
    """True in the demo: every event, page and export is marked as made-up traffic."""


class ServiceConfig(BaseModel):
    """Everything :func:`collector.app.create_app` needs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: ServiceSettings = ServiceSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    experiment: dict[str, ExperimentSettings] = Field(default_factory=dict)
