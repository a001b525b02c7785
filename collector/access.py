"""Who may do what: the bearer token's role, checked before anything else happens."""

from collections.abc import Callable
from typing import Annotated, cast

from fastapi import Depends, Request

from collector.problems import Problem
from collector.tokens import DEVELOPER, Principal, Role, Tokens
from warehouse.store import Warehouse


def warehouse(request: Request) -> Warehouse:
    """The service's warehouse."""
    return cast(Warehouse, request.app.state.warehouse)


def _principal(request: Request) -> Principal:
    tokens = cast(Tokens | None, request.app.state.tokens)
    if tokens is None:
        return DEVELOPER
    header = request.headers.get("authorization", "")
    scheme, _, presented = header.partition(" ")
    if scheme.lower() != "bearer" or not presented.strip():
        raise Problem(
            401,
            f"a token is needed: send 'Authorization: Bearer …'; tokens are in {tokens.path} on the service's machine",
            {"WWW-Authenticate": "Bearer"},
        )
    principal = tokens.check(presented.strip())
    if principal is None:
        raise Problem(401, "this token is not valid here; was it rotated?", {"WWW-Authenticate": "Bearer"})
    return principal


def allow(*roles: Role) -> Callable[[Request], Principal]:
    """A dependency that lets these roles (and admin) pass.

    Raises:
        Problem: 401 without a valid token, 403 with a role that may not.
    """

    def check(request: Request) -> Principal:
        principal = _principal(request)
        if principal.role not in roles and principal.role != "admin":
            raise Problem(
                403, f"the role '{principal.role}' may not do this; it takes one of: {', '.join(roles)}, admin"
            )
        return principal

    return check


Store = Annotated[Warehouse, Depends(warehouse)]
AsHost = Annotated[Principal, Depends(allow("host", "researcher"))]
AsViewer = Annotated[Principal, Depends(allow("researcher", "leader", "host"))]
AsResearcher = Annotated[Principal, Depends(allow("researcher"))]
AsPerson = Annotated[Principal, Depends(allow("researcher", "leader"))]
AsAdmin = Annotated[Principal, Depends(allow())]


def experiment_of(store: Warehouse, name: str) -> str:
    """The name, if such an experiment is configured.

    Raises:
        Problem: 404, naming the known ones.
    """
    if name not in store.experiments:
        known = ", ".join(sorted(store.experiments)) or "none is configured"
        raise Problem(404, f"unknown experiment {name!r}; known: {known}")
    return name


def arm_of(store: Warehouse, name: str, given: str) -> str:
    """The adapter's arm; '' is enough where there is one adapter only.

    Raises:
        Problem: 422, naming the adapters.
    """
    adapters = sorted(store.keeper.guards(name))
    if given in adapters:
        return given
    if given:
        base = store.experiments[name].base
        why = "the base arm is not guarded" if given == base else f"unknown adapter arm {given!r}"
        raise Problem(422, f"{why}; adapters: {', '.join(adapters) or 'none'}")
    if len(adapters) != 1:
        raise Problem(422, f"say which arm; adapters: {', '.join(adapters) or 'none is configured'}")
    return adapters[0]
