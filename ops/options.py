"""Options that commands share, and what follows from them: settings, a client, the experiment meant."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from client.errors import ServiceDown
from client.http import Client
from collector.tokens import Role
from ops.errors import UserError
from ops.output import say
from ops.settings import HOW_TO_CONFIGURE, Loaded, load_settings
from ops.tokens import find_token

Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="Settings file [default: $EQUIPOISE_CONFIG, else ./equipoise.toml].", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Service = Annotated[
    str, typer.Option("--service", help="The service's address [default: from the settings].", show_default=False)
]
Token = Annotated[
    str,
    typer.Option(
        "--token",
        envvar="EQUIPOISE_TOKEN",
        help="Bearer token [default: one of the tokens file, where it can be read].",
        show_default=False,
        show_envvar=False,
    ),
]
Experiment = Annotated[
    str, typer.Option("--experiment", help="The experiment [default: the only one].", show_default=False)
]


def load(config: Path | None) -> Loaded:
    """Settings, with their warnings said."""
    loaded = load_settings(config)
    for warning in loaded.warnings:
        say(f"warning: {warning}")
    return loaded


def client_of(loaded: Loaded, service: str, token: str, role: Role) -> Client:
    """A client of the owner service, whether it answers or not.

    Args:
        loaded: the settings.
        service: address given by the person, '' for that of the settings.
        token: token given by the person or the environment, '' to look into the tokens file.
        role: what the command needs at least.

    Raises:
        UserError: the address is none.
    """
    url = service or loaded.settings.api_url()
    # A token of this machine's file belongs to this machine's service: it is not sent to another address.
    found = token or ("" if service else find_token(loaded.settings.service.data, role))
    try:
        return Client(url, found)
    except ValueError as error:
        raise UserError(str(error)) from None


@contextmanager
def connect(loaded: Loaded, service: str, token: str, role: Role, *, embed: bool = True) -> Iterator[Client]:
    """The owner service, started for this command if none runs and there is a warehouse.

    Args:
        loaded: the settings.
        service: address given by the person; nothing is started in its place.
        token: as in :func:`client_of`.
        role: as in :func:`client_of`.
        embed: False: never start one, because the command lasts.

    Raises:
        UserError: the address is none.
        ServiceError: no service, and none could be started.
    """
    with client_of(loaded, service, token, role) as client:
        try:
            client.health()
        except ServiceDown:
            data = loaded.settings.service.data
            # An empty folder is not a warehouse to be opened: the person is in the wrong place.
            if service or not embed or not (data / "equipoise.duckdb").exists():
                raise
        else:
            yield client
            return
    from client.embedded import embedded  # with the web framework and the database: only where they are needed

    say("no service is running: the warehouse is opened for this command alone")
    try:
        with embedded(loaded.settings.service_config(), role=role) as client:
            yield client
    except ValueError as error:
        raise UserError(str(error)) from None


def the_experiment(client: Client, name: str) -> str:
    """The experiment meant: the one named, else the only one.

    Raises:
        UserError: none or several.
    """
    if name:
        return name
    names = [str(item["name"]) for item in client.experiments()]
    if not names:
        raise UserError(f"the service has no experiment: {HOW_TO_CONFIGURE}")
    if len(names) > 1:
        raise UserError(f"several experiments: say which one with --experiment: {', '.join(names)}")
    return names[0]
