"""The ``[alerts]`` section: from which point on ``doctor`` calls something a problem."""

from pydantic import BaseModel, ConfigDict, Field


class AlertSettings(BaseModel):
    """Thresholds of ``equipoise doctor``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    disk_free_gb: float = Field(default=2.0, ge=0)
    """Less free space in the data folder than this is a problem, GB."""
    permit_age_s: float = Field(default=30.0, gt=0, le=60)
    """A permit's heartbeat older than this is a problem while the service runs; from 60 s on every call gets base."""
    waiting_mb: float = Field(default=50.0, ge=0)
    """More than this waiting in outbox and spool for the service is a problem, MB."""
