"""The command line in this process, and settings that reach no port of this machine's services."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import equipoise

ARMS = """
[experiment.stage2.arms.base]
model = "base-model"
weight = 60
[experiment.stage2.arms.adapter]
model = "adapter-model"
weight = 40
"""


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No test sees this machine's equipoise.toml or EQUIPOISE_… variables."""
    for name in list(os.environ):
        if name.startswith("EQUIPOISE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    mask = os.umask(0o022)
    yield
    os.umask(mask)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Runs the command line; a traceback anywhere fails the test."""

    def run(*arguments: str) -> Said:
        code = equipoise.main(list(arguments))
        said = Said(code, *capsys.readouterr())
        assert "Traceback" not in said.out + said.err
        return said

    return run
