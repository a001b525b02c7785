"""``equipoise conclude``: close an experiment; what it says by its plan is kept."""

from typing import Annotated, Final

import typer

from client.errors import Refused
from ops.commands.guard import Actor, Arm, Reason
from ops.errors import COULD_NOT, SAID_NO, UserError
from ops.options import Config, Json, Service, Token, connect, load, the_experiment
from ops.output import emit_json, emit_text

EXAMPLE: Final = 'Example: equipoise conclude stage2 --actor "A. Lee" --reason "planned end reached"'


def conclude(
    actor: Actor,
    reason: Reason,
    name: Annotated[str, typer.Argument(help="The experiment [default: the only one].", show_default=False)] = "",
    arm: Arm = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Close an experiment: adapters are paused, the verdict by its plan is kept; arming again begins a new one.

    Exit code 1 if there is nothing to conclude or it is concluded already.
    """
    with connect(load(config), service, token, "researcher") as client:
        name = the_experiment(client, name)
        try:
            answer = client.conclude(name, reason=reason, actor=actor, arm=arm)
        except Refused as error:
            code = COULD_NOT if error.status == 404 else SAID_NO
            raise UserError(error.detail or str(error), code=code) from None
    if as_json:
        emit_json(answer)
    else:
        emit_text(f"{answer['experiment']}, {answer['arm']}, up to epoch {answer['epoch']}: {answer['sentence']}")
