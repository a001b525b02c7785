"""``equipoise gateway``: the host's wire."""

import os
from collections.abc import Callable
from typing import Final

from ops.errors import UserError
from ops.listen import is_free, port_taken
from ops.logs import set_up
from ops.options import Config, Json, load
from ops.output import emit_json_line, say
from ops.settings import NO_EXPERIMENT, Settings

EXAMPLE: Final = "Example: equipoise gateway --config equipoise.toml"


def gateway(config: Config = None, as_json: Json = False) -> None:
    """Run the gateway: the host's wire to its models."""
    settings = load(config).settings
    if not settings.experiment:
        raise UserError(NO_EXPERIMENT)
    wanted = settings.gateway
    os.umask(0o077)  # what lies in the data folder is children's: nobody else on this machine reads it
    set_up("gateway", settings.service.data)
    if wanted.port and not is_free(wanted.host, wanted.port):
        raise UserError(port_taken(wanted.port, "[service] gateway_port"))

    def ready(url: str) -> None:
        if as_json:
            emit_json_line({"service": "gateway", "url": url, "upstream": wanted.upstream_url})
        else:
            aliases = ", ".join(experiment.alias for experiment in settings.experiment.values())
            say(f"gateway on {url}, model {aliases}; everything else goes to {wanted.upstream_url}")

    _run(settings, ready)


def _run(settings: Settings, ready: Callable[[str], None]) -> None:
    # Loaded here: the web framework and the database would slow every other command down.
    from collector.tokens import Tokens
    from gateway.access import tokens
    from gateway.serve import CannotStart, run
    from gateway.state import Paths
    from warehouse.keyring import pseudonymiser

    data = settings.service.data
    try:
        # In development mode nobody has tokens; else the gateway's own is the host's.
        known = None if settings.service.development else Tokens(data / "tokens.json")
        run(
            settings.gateway,
            settings.experiment,
            Paths(permits=data / "permits", outbox=data / "outbox"),
            pseudonymiser(data),
            settings.api_url(),
            known.token("host") if known else "",
            tokens([known.token("host"), known.token("admin")]) if known else None,
            on_ready=ready,
        )
    except (CannotStart, ValueError) as error:
        raise UserError(str(error)) from None
