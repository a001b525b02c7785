"""All checks together, in the order in which a person would mend things."""

from client.http import Client
from ops import checks_local, checks_remote
from ops.errors import UserError
from ops.finding import Finding
from ops.options import client_of
from ops.settings import HOW_TO_CONFIGURE, Loaded


def examine(loaded: Loaded, token: str = "") -> list[Finding]:
    """Look at everything; nothing is changed.

    Args:
        loaded: the settings.
        token: given by the person, '' for the tokens file.
    """
    settings = loaded.settings
    findings = [
        Finding("ok", "settings", str(loaded.file) if loaded.file else "the defaults; there is no equipoise.toml")
    ]
    findings += [Finding("warning", "settings", warning, "docs/configuration.md") for warning in loaded.warnings]
    if not settings.experiment:
        findings.append(Finding("problem", "experiment", "none is configured", HOW_TO_CONFIGURE))
    findings += checks_local.data_folder(settings)
    findings += checks_local.disk(settings)
    findings += checks_local.clock()
    findings += checks_local.ports(settings)
    findings += checks_local.warehouse(settings)
    try:
        client = client_of(loaded, "", token, "researcher")
    except UserError:  # a tokens file that can't be used: the check above has said why
        client = Client(settings.api_url())
    with client:
        running, about_service = checks_remote.service(settings, client)
    findings += about_service
    findings += checks_local.permits(settings, running)
    findings += checks_remote.endpoint("gateway", f"{settings.gateway_url()}/readyz", "gateway")
    findings += checks_remote.endpoint("dashboard", f"{settings.dashboard_url()}/_stcore/health", "dashboard")
    findings += checks_remote.backends(settings)
    return findings
