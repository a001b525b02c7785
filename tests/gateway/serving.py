"""A gateway as a process of its own, for tests that kill it: ``python tests/gateway/serving.py FOLDER BACKEND API``.

Run as a file, with the repository on PYTHONPATH: a package of our development tools installs a 'tests' of its own.
"""

import logging
import sys
from pathlib import Path

from harness import PSEUDONYMISER, experiment

from gateway.config import GatewaySettings
from gateway.serve import CannotStart, run
from gateway.state import Paths


def main(folder: str, backend: str, api: str, port: str = "0") -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    settings = GatewaySettings(
        port=int(port),
        upstream_url=backend,
        allow_assignments_without_token=True,
        outbox={"linger_ms": 1, "drain_s": 3},
    )
    paths = Paths(Path(folder) / "permits", Path(folder) / "outbox")
    try:
        run(
            settings,
            {"stage2": experiment(backend)},
            paths,
            PSEUDONYMISER,
            api,
            "api-token",
            None,
            on_ready=lambda url: print(url, flush=True),
        )
    except CannotStart as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
