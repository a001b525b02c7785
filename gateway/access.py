"""Who may speak to the gateway: bearer tokens, and no web page through somebody's browser."""

import hmac
from collections.abc import Collection

from aiohttp import web
from aiohttp.typedefs import Handler
from yarl import URL

from gateway.config import GatewaySettings, is_loopback
from gateway.problems import problem
from gateway.state import GATEWAY, Gateway, TokenCheck


def tokens(valid: Collection[str]) -> TokenCheck:
    """A check against fixed tokens, in constant time.

    Args:
        valid: the tokens that may ask for assignments (host, admin).
    """
    known = [token.encode() for token in valid if token]

    def check(token: str) -> bool:
        given = token.encode(errors="replace")
        # Every token is compared, so that the time says nothing about which one was right.
        return sum(hmac.compare_digest(given, one) for one in known) > 0

    return check


def refused(gateway: Gateway, request: web.Request) -> web.Response | None:
    """The answer to a request without a valid host token; None if it may go on."""
    if gateway.token_check is None:
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and gateway.token_check(token.strip()):
        return None
    detail = "assignments need the host token: send 'Authorization: Bearer …' with the one in data/tokens.json"
    return problem(401, detail, headers={"WWW-Authenticate": 'Bearer realm="equipoise"'})


def foreign_origin(gateway: Gateway, request: web.Request) -> bool:
    """Whether a web page of another place sent this, through somebody's browser.

    Only the gateway's own endpoints ask; for what passes through, the upstream's own rules hold.
    """
    origin = request.headers.get("Origin")
    return origin is not None and not _ours(gateway.settings, _name(origin))


@web.middleware
async def known_host(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A loopback gateway answers under its own names only, so that a foreign name that resolves to it gets nothing.

    Ollama has the same rule; behind this gateway it would see our Host header and could not apply it.
    """
    settings = request.app[GATEWAY].settings
    if is_loopback(settings.host) and not _ours(settings, _name(f"//{request.headers.get('Host', '')}")):
        detail = "this gateway has no such name: use 127.0.0.1, or add the name to [gateway] allowed_hosts"
        return problem(403, detail)
    return await handler(request)


def _name(url: str) -> str:
    try:
        return URL(url).host or ""
    except ValueError:
        return ""


def _ours(settings: GatewaySettings, name: str) -> bool:
    return is_loopback(name) or name == settings.host or name in settings.allowed_hosts
