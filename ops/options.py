"""Options that commands share, and what follows from them: settings, a client, the experiment meant."""

from pathlib import Path
from typing import Annotated

import typer

from client.http import Client
from ops.errors import UserError
from ops.output import say
from ops.settings import NO_EXPERIMENT, Loaded, load_settings
from ops.tokens import find_token

Config = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file [default: $EQUIPOISE_CONFIG, else ./equipoise.toml].", show_default=False),
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


def connect(loaded: Loaded, service: str, token: str, role: str) -> Client:
    """A client of the owner service.

    Args:
        loaded: the settings.
        service: address given by the person, '' for that of the settings.
        token: token given by the person or the environment, '' to look into the tokens file.
        role: what the command needs at least: researcher, leader, admin.

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


def the_experiment(client: Client, name: str) -> str:
    """The experiment meant: the one named, else the only one.

    Raises:
        UserError: none or several.
    """
    if name:
        return name
    names = [str(item["name"]) for item in client.experiments()]
    if not names:
        raise UserError(f"the service has no experiment: {NO_EXPERIMENT}")
    if len(names) > 1:
        raise UserError(f"several experiments: say which one with --experiment: {', '.join(names)}")
    return names[0]
