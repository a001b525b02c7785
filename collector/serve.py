"""The owner process: uvicorn over the application, one worker, because one process owns the DuckDB file."""

import uvicorn

from collector.app import create_app
from collector.config import ServiceConfig


def run(config: ServiceConfig) -> None:
    """Serve until told to stop; what is queued is stored before the process ends.

    Args:
        config: sections of equipoise.toml that the service needs.

    Raises:
        ValueError: the configuration can't be served (development mode on a public address).
    """
    uvicorn.run(
        create_app(config),
        host=config.service.host,
        port=config.service.api_port,
        log_level="warning",
        access_log=False,  # access logs hold addresses, and no address is ever kept
        server_header=False,
        timeout_graceful_shutdown=20,
    )
