"""Run a module tied to its parent: ``python -m ops.child PARENT_PID MODULE ARGUMENT…``.

When the parent is gone, however it went, the child stops itself, so that a killed ``up`` leaves nothing behind.
Watching the parent's id needs neither a kernel's help nor the module's.
"""

import os
import runpy
import signal
import sys
import threading
import time
import traceback
from typing import Final

POLL_S: Final = 0.5
GRACE_S: Final = 10.0
"""Seconds for a clean stop after the parent's death; then the process ends as it is."""


def tie_to(parent: int) -> None:
    """Stop this process when ``parent`` is no longer its parent: SIGTERM to itself, after :data:`GRACE_S` the hard way.

    Args:
        parent: process id that started us. If it is gone already, the process ends at once.
    """
    if os.getppid() != parent:
        os._exit(0)
    threading.Thread(target=_watch, args=(parent,), name="parent-watch", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)


def main() -> None:
    """Tie, then run the module as if it had been started by itself."""
    parent, module, arguments = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
    tie_to(parent)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:  # the rim of modules that have none of their own: one line, no traceback
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}:{place.lineno}"
        sys.exit(f"{module}: {type(error).__name__}: {' '.join(str(error).split())[:300]} ({where})")


if __name__ == "__main__":
    main()
