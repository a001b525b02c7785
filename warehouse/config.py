"""The ``[warehouse]`` section of equipoise.toml."""

from pydantic import BaseModel, ConfigDict, Field


class WarehouseSettings(BaseModel):
    """Where and how long things are kept."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str = ""
    """DuckDB file; left out: ``equipoise.duckdb`` in the service's data folder."""
    retention_days: int = Field(default=365, ge=1)
    """Texts older than this are turned off by ``purge``; counted evidence stays."""
    queue_limit: int = Field(default=20_000, ge=1)
    """Events waiting for the writer; beyond it the API answers 503 with Retry-After."""
    linger_ms: float = Field(default=2.0, ge=0, le=1000)
    """How long the writer waits for company before it commits."""
    batch_limit: int = Field(default=1_000, ge=1)
    """Events in one transaction at most."""
    checkpoint_mb: int = Field(default=64, ge=1)
    """Write-ahead log size at which the writer checkpoints even while busy."""
