"""``equipoise dashboard``: the live page."""

from typing import Final

from ops.listen import bind, serve_asgi
from ops.logs import set_up
from ops.options import Config, Json, load
from ops.output import emit_json_line, say
from ops.settings import reachable

EXAMPLE: Final = "Example: equipoise dashboard --config equipoise.toml"


def dashboard(config: Config = None, as_json: Json = False) -> None:
    """Run the dashboard: the live page."""
    settings = load(config).settings
    service = settings.service
    set_up("dashboard", service.data)
    sock = bind(service.host, service.dashboard_port, "[service] dashboard_port")
    # Loaded here: Streamlit would slow every other command down by a second.
    from dashboard.serve import create_app

    app = create_app(settings.dashboard, settings.api_url())
    url = f"http://{reachable(service.host)}:{sock.getsockname()[1]}"
    if as_json:
        emit_json_line({"service": "dashboard", "url": url, "api": settings.api_url()})
    else:
        say(f"dashboard on {url}")
    serve_asgi(app, sock)
