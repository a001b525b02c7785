"""``equipoise import host``: the importer behind the command line; once, again, and watching."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from client.embedded import embedded
from ops.listen import free_port
from ops.settings import load_settings
from tests.ops.conftest import ARMS, Said

ROOT = Path(__file__).parents[2]
RUN = "run_1772443800000_abcdef"


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """One run of a host, as HOST.md describes it."""
    device = "abc123_2026-03-02"
    folder = tmp_path / "host" / "exports" / "json" / "2026-03-02" / device / RUN
    (folder / "final").mkdir(parents=True)
    (folder / "prompting_process").mkdir()
    texts = {"input": "Ein Hund", "context_prompt": "Nur Geräusche.", "interception": "Ein Hund, man hört ihn."}
    process = []
    for number, (kind, text) in enumerate(texts.items(), 1):
        name = f"prompting_process/{number:03d}_{kind}.txt"
        (folder / name).write_text(text)
        process.append({"sequence": number, "type": kind, "filename": name, "timestamp": "2026-03-02T10:30:00"})
    (folder / "final" / "01_output_image.png").write_bytes(b"png")
    image = {
        "sequence": 1,
        "type": "output_image",
        "filename": "01_output_image.png",
        "timestamp": "2026-03-02T10:31:00",
    }
    metadata = {
        "run_id": RUN,
        "timestamp": "2026-03-02T10:30:00",
        "config_name": "sound_map",
        "interception_config": "sound_map",
        "execution_mode": "eco",
        "safety_level": "kids",
        "user_id": "x",
        "device_id": device,
        "expected_outputs": ["image"],
        "current_state": {"stage": 4, "step": "done", "progress": 100},
        "entities": [image | {"metadata": {"config": "img", "backend": "b", "model": "m", "seed": 1}}],
        "models_used": {"stage2_interception": "base-model", "stage4_output": "img"},
        "prompting_process": process,
    }
    (folder / "metadata.json").write_text(json.dumps(metadata))
    return tmp_path / "host" / "exports" / "json"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An installation whose service was running once and is stopped now."""
    config = tmp_path / "equipoise.toml"
    config.write_text(f"[service]\napi_port = {free_port('127.0.0.1')}\n" + ARMS)
    (tmp_path / "data").mkdir()
    # The command opens a warehouse for itself only where there is one.
    with embedded(load_settings(config).settings.service_config()):
        pass
    return config


def test_an_import_is_told_and_doubles_nothing(cli: Callable[..., Said], house: Path, exports: Path) -> None:
    first = cli("import", "host", str(exports), "--json")
    assert first.code == 0
    report = json.loads(first.out)
    assert (report["folders"], report["imported"], report["accounted"]) == (1, 1, 1)
    assert report["new"] > 0
    again = json.loads(cli("import", "host", str(exports), "--json").out)
    assert (again["known"], again["imported"], again["new"]) == (1, 0, 0)
    people = cli("import", "host", str(exports))
    assert people.out.startswith("1 run folders\n")
    assert RUN not in people.out + first.out


@pytest.mark.parametrize("arguments", [("/nowhere",), ("{exports}", "--timezone", "Mars/Olympus"), ("{house}",)])
def test_a_wrong_folder_or_zone_is_one_line(
    cli: Callable[..., Said], house: Path, exports: Path, arguments: tuple[str, ...]
) -> None:
    said = cli("import", "host", *(part.format(exports=exports, house=house) for part in arguments))
    assert said.code == 2
    lines = [line for line in said.err.splitlines() if line.startswith("equipoise: ")]
    assert len(lines) == 1


@pytest.mark.parametrize("seconds", ["0", "-1", "often"])
def test_a_wrong_interval_is_one_line(cli: Callable[..., Said], exports: Path, seconds: str) -> None:
    said = cli("import", "host", str(exports), "--watch", seconds)
    assert (said.code, said.err.count("\n")) == (2, 1)


def test_a_watch_never_opens_the_warehouse_itself(cli: Callable[..., Said], house: Path, exports: Path) -> None:
    said = cli("import", "host", str(exports), "--watch", "1")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "equipoise serve" in said.err


def test_a_watch_reports_and_ends_when_it_is_told_to(house: Path, exports: Path) -> None:
    def start(*arguments: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "equipoise", *arguments, "--config", str(house)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)

    service = start("serve", "--json")
    try:
        assert service.stdout is not None
        assert "url" in service.stdout.readline()
        watch: subprocess.Popen[str] | None = None
        end = time.monotonic() + 60
        said = ""
        while "unattributed" not in said and time.monotonic() < end:
            # The service listens before its warehouse is open, so that the first command waits and works.
            watch = start("import", "host", str(exports), "--watch", "1")
            assert watch.stdout is not None
            for line in watch.stdout:
                said += line
                if "unattributed" in line or "Traceback" in line:
                    break
        assert watch is not None
        assert watch.poll() is None, said
        os.kill(watch.pid, signal.SIGINT)
        rest = watch.communicate(timeout=20)[0]
        assert watch.returncode == 0
        assert "Traceback" not in said + rest
    finally:
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=20)
