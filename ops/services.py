"""The three services as supervised children: what to run and where to ask whether they are ready."""

from collections.abc import Callable
from pathlib import Path

from ops.errors import UserError
from ops.listen import is_free, port_taken
from ops.output import emit_json_line, say
from ops.settings import Loaded
from ops.supervisor import Child, Log

_COLOURS = {"serve": 36, "gateway": 35, "dashboard": 34, "ollama": 33, "workshop": 32}


def children(loaded: Loaded, *, dashboard: bool = True) -> list[Child]:
    """serve, gateway and dashboard, in the order in which they need each other."""
    settings = loaded.settings
    config = ("--config", str(loaded.file)) if loaded.file else ()
    services = [
        Child("serve", "equipoise", ("serve", *config), f"{settings.api_url()}/readyz"),
        Child("gateway", "equipoise", ("gateway", *config), f"{settings.gateway_url()}/readyz"),
    ]
    if dashboard:
        services.append(
            Child("dashboard", "equipoise", ("dashboard", *config), f"{settings.dashboard_url()}/_stcore/health")
        )
    return services


def check_ports(loaded: Loaded, *, dashboard: bool = True) -> None:
    """Refuse before anything starts if a port is taken.

    Raises:
        UserError: one line per taken port, naming process and command.
    """
    service, gateway = loaded.settings.service, loaded.settings.gateway
    wanted = [("api_port", service.host, service.api_port), ("gateway_port", gateway.host, gateway.port)]
    if dashboard:
        wanted.append(("dashboard_port", service.host, service.dashboard_port))
    lines = []
    for name, host, port in wanted:
        if port == 0:
            lines.append(f"[service] {name} is 0: 'up' needs fixed ports, so that its services find each other")
        elif not is_free(host, port):
            lines.append(port_taken(port, f"[service] {name}"))
    if lines:
        raise UserError(*lines)


def logger(as_json: bool, colour: bool) -> Log:
    """How lines of the children are shown: prefixed with their name, or as JSON lines on stdout.

    Args:
        as_json: one object {"from", "line"} per line.
        colour: tint the prefixes (a terminal).
    """

    def text(name: str, line: str) -> None:
        label = f"{name or 'equipoise':>9} │"
        if colour:
            label = f"\x1b[{_COLOURS.get(name, 1)}m{label}\x1b[0m"
        say(f"{label} {line}")

    def json_line(name: str, line: str) -> None:
        emit_json_line({"from": name or "equipoise", "line": line})

    return json_line if as_json else text


def announce(loaded: Loaded, log: Log, *, dashboard: bool = True) -> Callable[[], None]:
    """What is said when everything is ready: addresses, and where the tokens are."""
    settings = loaded.settings

    def ready() -> None:
        if dashboard:
            log("", f"dashboard  {settings.dashboard_url()}")
        log("", f"gateway    {settings.gateway_url()}  (point the host's OLLAMA_API_BASE_URL here)")
        log("", f"API        {settings.api_url()}/docs")
        if not settings.service.development:
            tokens: Path = settings.service.data / "tokens.json"
            log("", f"tokens     {tokens}")
        log("", "everything is up; Ctrl-C stops it")

    return ready
