"""The HTML page around Streamlit, and headers by which the browser itself refuses every foreign request."""

import re
from collections.abc import MutableMapping
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import streamlit
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

THEME_KEY: Final = "stActiveTheme-/-v2"
"""Where Streamlit's frontend keeps a person's choice of theme in the browser."""

_ICON: Final = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'><rect width='32' height='32' rx='7' fill='#101820'/>"
    "<g fill='none' stroke-width='2.6' stroke-linecap='round'><path d='M16 6v19M10 26h12M6 10h20' stroke='#e8ecef'/>"
    "<path d='M2.8 17.5a4 4 0 0 0 6.4 0z' fill='#56B4E9' stroke='#56B4E9'/>"
    "<path d='M22.8 17.5a4 4 0 0 0 6.4 0z' fill='#E69F00' stroke='#E69F00'/></g></svg>"
)
# Dark unless the person chose otherwise: without a choice Streamlit would follow the operating system.
_DARK_BY_DEFAULT: Final = (
    f"<script>try{{const k={THEME_KEY!r};if(!localStorage.getItem(k))localStorage.setItem(k,'\"Dark\"')}}"
    "catch{}</script>"
)
_HEADERS: Final = {
    # Streamlit styles at run time and Vega interprets expressions; nothing may come from or go to anywhere else.
    b"content-security-policy": (
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' 'wasm-unsafe-eval'; "
        b"style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
        b"worker-src 'self' blob:; "
        b"connect-src 'self'; form-action 'self'; base-uri 'self'; frame-ancestors 'self'"
    ),
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


@cache
def front_html() -> str:
    """Streamlit's own front page in German, dark by default, with our name and icon.

    Raises:
        RuntimeError: Streamlit's front page is not what this version of it was.
    """
    html = (Path(streamlit.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    icon = f'<link rel="icon" type="image/svg+xml" href="data:image/svg+xml,{quote(_ICON)}" />'
    for pattern, replacement in (
        (r'<html lang="en">', '<html lang="de">'),
        (r"<title>[^<]*</title>", f"<title>Equipoise</title>{_DARK_BY_DEFAULT}"),
        (r'<link rel="shortcut icon"[^>]*/>', icon),
    ):
        start = re.search(pattern, html)
        if start is None:
            raise RuntimeError(f"Streamlit {streamlit.__version__} has another front page: no {pattern} in it")
        html = html[: start.start()] + replacement + html[start.end() :]
    return html


async def front_page(_: Request) -> HTMLResponse:
    """The route ``/``."""
    return HTMLResponse(front_html(), headers={"Cache-Control": "no-cache"})


class OwnOriginOnly:
    """ASGI middleware that adds the headers to every HTTP answer.

    Args:
        app: the application inside.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; answers get the headers."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add(message)
            await send(message)

        await self.app(scope, receive, with_headers)


def _add(message: MutableMapping[str, Any]) -> None:
    kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in _HEADERS]
    message["headers"] = [*kept, *_HEADERS.items()]
