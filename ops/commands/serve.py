"""``equipoise serve``: the owner service."""

import os
from typing import Final

from ops.errors import UserError
from ops.listen import bind, serve_asgi
from ops.logs import set_up
from ops.options import Config, Json, load
from ops.output import emit_json_line, say
from ops.settings import reachable

EXAMPLE: Final = "Example: equipoise serve --config equipoise.toml"


def serve(config: Config = None, as_json: Json = False) -> None:
    """Run the owner service: API, warehouse and guard."""
    # Loaded here: the web framework and the database would slow every other command down by a second.
    from collector.app import create_app

    settings = load(config).settings
    service = settings.service
    os.umask(0o077)  # what lies in the data folder is children's: nobody else on this machine reads it
    set_up("serve", service.data)
    sock = bind(service.host, service.api_port, "[service] api_port")
    try:
        app = create_app(settings.service_config())
    except ValueError as error:
        raise UserError(str(error)) from None
    port = int(sock.getsockname()[1])
    url = f"http://{reachable(service.host)}:{port}"
    if as_json:
        emit_json_line({"service": "api", "url": url, "data": service.data})
    else:
        say(f"API on {url} (docs: {url}/docs), data in {service.data}")
    serve_asgi(app, sock)
