"""``equipoise guard …``: look at the guard and act on it, as a person with a name and a reason."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from client.http import Client
from ops.errors import UserError
from ops.options import Config, Experiment, Json, Service, Token, connect, load, the_experiment
from ops.output import emit_json, emit_text, say

app = typer.Typer(
    help="The guard: its state, a person's actions on it, its replay.", no_args_is_help=True, rich_markup_mode=None
)

Actor = Annotated[str, typer.Option("--actor", help="Your name; it is kept in the guard's log.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the guard's log.")]
Arm = Annotated[str, typer.Option("--arm", help="The adapter's arm [default: the only one].", show_default=False)]
"""Everything an action needs beside its own options."""

_STATUS: Final = "Example: equipoise guard status"
_ARM: Final = 'Example: equipoise guard arm --adapter qwen3-v2 --actor "A. Lee" --reason "audit passed, team agreed"'
_PAUSE: Final = 'Example: equipoise guard pause --actor "A. Lee" --reason "lunch break test"'
_RESUME: Final = 'Example: equipoise guard resume --actor "A. Lee" --reason "test is over"'
_ROLLBACK: Final = 'Example: equipoise guard rollback --actor "A. Lee" --reason "children saw odd pictures"'
_EXPORT: Final = "Example: equipoise guard export --epoch 2 > events.csv"


@app.command("status", epilog=_STATUS)
def status(
    experiment: Experiment = "", service: Service = "", token: Token = "", config: Config = None, as_json: Json = False
) -> None:
    """Say the guard's state in a sentence per adapter, and its history."""
    with connect(load(config), service, token, "researcher") as client:
        answer = client.guard(the_experiment(client, experiment))
    if as_json:
        emit_json(answer)
    else:
        emit_text("\n".join(status_lines(answer)))


@app.command("arm", epilog=_ARM)
def arm(
    adapter: Annotated[str, typer.Option("--adapter", help="The adapter version: its model's name, as configured.")],
    actor: Actor,
    reason: Reason,
    override: Annotated[
        bool, typer.Option("--override", help="Arm the same version again although its rollback was confirmed.")
    ] = False,
    arm: Arm = "",
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Arm an adapter: opens a new epoch and gives it its share of the traffic."""
    with connect(load(config), service, token, "researcher") as client:
        _act(client, experiment, "arm", arm, actor, reason, as_json, adapter=adapter, override=override)


@app.command("pause", epilog=_PAUSE)
def pause(
    actor: Actor,
    reason: Reason,
    arm: Arm = "",
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Pause an adapter: its share goes to the base; evidence is kept."""
    with connect(load(config), service, token, "leader") as client:
        _act(client, experiment, "pause", arm, actor, reason, as_json)


@app.command("resume", epilog=_RESUME)
def resume(
    actor: Actor,
    reason: Reason,
    arm: Arm = "",
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Resume a paused adapter in the same epoch, or end a failsafe."""
    with connect(load(config), service, token, "researcher") as client:
        _act(client, experiment, "resume", arm, actor, reason, as_json)


@app.command("rollback", epilog=_ROLLBACK)
def rollback(
    actor: Actor,
    reason: Reason,
    arm: Arm = "",
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Roll an adapter back: only arming it again opens it."""
    with connect(load(config), service, token, "leader") as client:
        _act(client, experiment, "rollback", arm, actor, reason, as_json)


@app.command("export", epilog=_EXPORT)
def export(
    epoch: Annotated[
        int | None, typer.Option("--epoch", help="One epoch alone [default: since each adapter was armed].", min=1)
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", help="File to write [default: the screen].")] = None,
    experiment: Experiment = "",
    service: Service = "",
    token: Token = "",
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Write an epoch's verdicts in the order the guard saw them, as `guard replay` reads them."""
    with connect(load(config), service, token, "researcher") as client:
        name = the_experiment(client, experiment)
        wanted = int(client.experiment(name)["epoch"]) if epoch is None else epoch
        if wanted < 1:
            raise UserError(
                f"experiment {name} has no epoch yet: nothing was ever armed, so the guard has seen nothing"
            )
        # Left out: each adapter's verdicts since it was armed, over epochs that another adapter's arming opened.
        text = client.guard_events(name, wanted if epoch is not None else 0)
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if as_json:
        emit_json({"experiment": name, "epoch": wanted, "rows": max(0, text.count("\n") - 1), "file": output})
    elif output is None:
        print(text, end="")
    else:
        say(f"{output}: verdicts of epoch {wanted}; check them with 'equipoise guard replay {output}'")


def _act(
    client: Client,
    experiment: str,
    action: str,
    arm: str,
    actor: str,
    reason: str,
    as_json: bool,
    adapter: str = "",
    override: bool = False,
) -> None:
    for name, text in (("--actor", actor), ("--reason", reason)):
        if not text.strip():
            raise UserError(f"{name} is empty: the guard's log keeps who did what and why")
    name = the_experiment(client, experiment)
    answer = client.act_on_guard(
        name,
        action=action,
        arm=arm,
        reason=reason,
        actor=actor,
        adapter=adapter,
        override=override,
    )
    if as_json:
        emit_json(answer)
    else:
        emit_text(str(answer.get("sentence") or answer.get("state") or "done"))


def status_lines(answer: dict[str, Any]) -> list[str]:
    """The guard's answer for a person: a sentence per adapter, then the history, newest first."""
    marked = " (synthetic traffic)" if answer.get("synthetic") else ""
    lines = [f"experiment {answer['experiment']}{marked}, epoch {answer['epoch']}"]
    if answer.get("blind"):
        lines.append(f"the guard is blind: {answer['blind']}")
    for adapter in answer["adapters"]:
        lines.append(f"{adapter['arm']}: {adapter['sentence']}")
    if answer["history"]:
        lines.append("history, newest first:")
    for entry in answer["history"]:
        who = f" by {entry['actor']}" if entry["actor"] else ""
        why = f": {entry['reason']}" if entry["reason"] else ""
        at = str(entry["ts"])[:19].replace("T", " ")
        lines.append(
            f"  {at} UTC  {entry['arm']}  {entry['from_state']} → {entry['to_state']}  ({entry['action']}{who}{why})"
        )
    return lines
