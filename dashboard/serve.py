"""The dashboard's process: Streamlit as an ASGI app under uvicorn."""

import logging
from pathlib import Path
from typing import Any, Final

import streamlit as st
import uvicorn
from starlette.middleware import Middleware
from starlette.routing import Route
from streamlit.web import bootstrap

from dashboard.config import DashboardSettings
from dashboard.palette import THEMES
from dashboard.shell import OwnOriginOnly, front_page
from dashboard.words_page import BROKEN

SCRIPT: Final = Path(__file__).with_name("front.py")
STYLE: Final = Path(__file__).with_name("style.css")
SECRETS: Final = "equipoise"
"""Where the script finds its settings: Streamlit hands values to a script as secrets (none of these is one)."""
_LOG: Final = logging.getLogger("equipoise.dashboard")


def options(settings: DashboardSettings) -> dict[str, Any]:
    """Streamlit's options; they win over its files and over the environment.

    Args:
        settings: the ``[dashboard]`` section.
    """
    chosen = {
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "logger.enableRich": False,
        "logger.level": "warning",
        "runner.magicEnabled": False,
        "server.allowedHosts": [] if "*" in settings.host_names else list(settings.host_names),
        # A laptop that slept over lunch finds its session, and with it the token, again.
        "server.disconnectedSessionTTL": 3600,
        "server.enableStaticServing": False,
        "server.fileWatcherType": "none",
        "server.headless": True,
        "server.maxUploadSize": 1,
        "server.runOnSave": False,
    }
    return chosen | THEMES


def create_app(settings: DashboardSettings, api_url: str) -> st.App:
    """The ASGI application. One per process: Streamlit's options belong to the process.

    Args:
        settings: the ``[dashboard]`` section.
        api_url: where the owner service answers, such as ``http://127.0.0.1:17811``.
    """
    bootstrap.load_config_options(options(settings))
    # It would print every traceback once more, in colours, past our log.
    logging.getLogger("streamlit.error_util").disabled = True
    return st.App(
        SCRIPT,
        secrets={SECRETS: {"api_url": api_url, **settings.model_dump(mode="json")}},
        routes=[Route("/", front_page)],
        middleware=[Middleware(OwnOriginOnly)],
        on_script_error=_say_sorry,
    )


def _say_sorry(error: Exception) -> bool:
    """The rim: a bug's traceback goes to the log, the person gets a sentence."""
    _LOG.error("unexpected error on the page", exc_info=error)
    st.error(f"{BROKEN.de}  \n{BROKEN.en}")
    return True


def run(settings: DashboardSettings, api_url: str, host: str = "127.0.0.1", port: int = 17813) -> None:
    """Serve until told to stop.

    Args:
        settings: the ``[dashboard]`` section.
        api_url: where the owner service answers.
        host: address to listen on.
        port: 0 takes any free one.
    """
    uvicorn.run(
        create_app(settings, api_url),
        host=host,
        port=port,
        log_level="warning",
        access_log=False,  # access logs hold addresses, and no address is ever kept
        server_header=False,
        timeout_graceful_shutdown=8,
    )
