"""The ``[dashboard]`` section of equipoise.toml; its port is ``[service] dashboard_port``."""

from typing import Final

from pydantic import BaseModel, ConfigDict, Field

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")


class DashboardSettings(BaseModel):
    """How the dashboard behaves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    refresh_s: float = Field(default=3.0, ge=1, le=60)
    """Seconds between two looks at the service; an event is on the screen within this time and the answer's own."""
    timeout_s: float = Field(default=4.0, gt=0, le=60)
    """Seconds to wait for one answer before the page says that the service does not answer."""
    host_names: tuple[str, ...] = LOOPBACK_NAMES
    """Names under which browsers may reach the dashboard (protects against DNS rebinding). Behind a proxy add the
    public name; ``["*"]`` accepts any."""
