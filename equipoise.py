"""The command line: one Typer app; its commands live in ``ops/commands/``."""

import os
import sys
import traceback
from collections.abc import Sequence

import typer

from client.errors import Refused, ServiceError, Unauthorised
from ops.commands import (
    conclude,
    dashboard,
    demo,
    doctor,
    gateway,
    guard,
    import_,
    replay,
    report,
    serve,
    simulate,
    snapshot,
    up,
)
from ops.errors import COULD_NOT, SAID_NO, UserError

app = typer.Typer(
    name="equipoise",
    help="Decide, keep, stop and show: evaluation-centric A/B tests for the Stage 2 calls of AI4ArtsEd.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
guard.app.command("replay", epilog=replay.EXAMPLE)(replay.replay)
app.command("up", epilog=up.EXAMPLE)(up.up)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("gateway", epilog=gateway.EXAMPLE)(gateway.gateway)
app.command("dashboard", epilog=dashboard.EXAMPLE)(dashboard.dashboard)
app.add_typer(import_.app, name="import")
app.add_typer(guard.app, name="guard")
app.command("report", epilog=report.EXAMPLE)(report.report)
app.command("snapshot", epilog=snapshot.EXAMPLE)(snapshot.snapshot)
app.command("conclude", epilog=conclude.EXAMPLE)(conclude.conclude)
app.command("simulate", epilog=simulate.EXAMPLE)(simulate.simulate)
app.command("doctor", epilog=doctor.EXAMPLE)(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 (said no), 2 (could not: usage, settings, something missing).

    This is the command line's rim, the one place where every exception is caught: none reaches a person as a traceback.

    Args:
        arguments: without the program's name; None: those of the process.
    """
    command = typer.main.get_command(app)
    try:
        result = command.main(
            args=None if arguments is None else list(arguments), prog_name="equipoise", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except UserError as error:
        for line in error.lines:
            _complain(line)
        return error.code
    except Unauthorised as error:
        _complain(str(error))
        return COULD_NOT if error.status == 401 else SAID_NO
    except Refused as error:
        _complain(error.detail or str(error))
        return SAID_NO if error.status == 409 else COULD_NOT
    except ServiceError as error:
        _complain(str(error))
        return COULD_NOT
    except typer.Abort:
        return COULD_NOT
    except typer.TyperException as error:
        _complain(_usage(error))
        return COULD_NOT
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # `equipoise report | head`: nobody reads on. What is left in the buffer must not raise at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _complain(f"{error.filename or 'system'}: {error.strerror or error}")
        return COULD_NOT
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = " ".join(str(error).split())[:300]
        _complain(
            f"a defect of Equipoise, please report this line: {type(error).__name__}: {words} "
            f"({os.path.basename(place.filename)}:{place.lineno})"
        )
        return COULD_NOT


def _complain(line: str) -> None:
    print(f"equipoise: {line}", file=sys.stderr, flush=True)


def _usage(error: Exception) -> str:
    """Typer's own words on one line, with where to look."""
    words = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "equipoise"
    return f"{' '.join(str(words).split())} (see '{where} --help')"


if __name__ == "__main__":
    sys.exit(main())
