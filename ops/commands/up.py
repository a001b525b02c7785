"""``equipoise up``: all services on this machine, supervised."""

import asyncio
import sys
from typing import Annotated, Final

import typer

from ops.errors import UserError
from ops.options import Config, Json, load
from ops.services import announce, check_ports, children, logger
from ops.settings import NO_EXPERIMENT
from ops.supervisor import Supervisor

EXAMPLE: Final = "Example: equipoise up --config equipoise.toml"


def up(
    config: Config = None,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Without the dashboard.")] = False,
    as_json: Json = False,
) -> None:
    """Start and supervise all services.

    Owner service, gateway and dashboard, in this order; a service that ends is started again; Ctrl-C stops all.
    """
    loaded = load(config)
    if not loaded.settings.experiment:
        raise UserError(NO_EXPERIMENT)
    dashboard = not no_dashboard
    check_ports(loaded, dashboard=dashboard)
    log = logger(as_json, sys.stderr.isatty())
    asyncio.run(
        Supervisor(children(loaded, dashboard=dashboard), log, announce(loaded, log, dashboard=dashboard)).run()
    )
    log("", "stopped")
