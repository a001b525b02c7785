"""The demo's folder is wiped only if a demo made it; its ports give way; its settings load."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from collector.config import ServiceSettings
from ops.demo_house import MARKER, Ports, choose_ports, fresh_folder, write_settings
from ops.errors import UserError
from ops.listen import bind, is_free
from ops.settings import load_settings


def test_a_demo_folder_is_wiped(tmp_path: Path) -> None:
    folder = fresh_folder(tmp_path / "demo-data")
    (folder / "data").mkdir()
    (folder / "data" / "old").write_text("x")
    again = fresh_folder(tmp_path / "demo-data")
    assert [path.name for path in again.iterdir()] == [MARKER]


def test_nobody_elses_folder_is_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="no demo made it"):
        fresh_folder(tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    fresh_folder(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(UserError, match="no folder"):
        fresh_folder(tmp_path / "link")


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert fresh_folder(tmp_path) == tmp_path


def test_a_taken_port_gives_way_and_says_so() -> None:
    usual = ServiceSettings()
    if not is_free("127.0.0.1", usual.api_port):
        ports = choose_ports()
    else:
        with bind("127.0.0.1", usual.api_port, "x"):
            ports = choose_ports()
    assert ports.api != usual.api_port
    assert any(f"port {usual.api_port} is taken: the API is on {ports.api}" in line for line in ports.moved())
    assert len(set(ports)) == 4


def test_its_settings_load_and_mark_everything(tmp_path: Path) -> None:
    loaded = load_settings(write_settings(tmp_path, Ports(1, 2, 3, 4)))
    service = loaded.settings.service
    assert (service.synthetic, service.development, service.api_port) == (True, True, 1)
    assert service.data == tmp_path / "data"
    assert loaded.warnings == ()
    assert tomllib.loads((tmp_path / "equipoise.toml").read_text())["gateway"]["upstream_url"] == "http://127.0.0.1:4"


def test_a_running_demos_folder_is_not_wiped(tmp_path: Path) -> None:
    folder = fresh_folder(tmp_path / "demo-data")
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)  # equipoise"])
    try:
        (folder / MARKER).write_text(f"Made by\npid {sleeper.pid}\n")
        with pytest.raises(UserError, match=f"process {sleeper.pid}"):
            fresh_folder(folder)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert fresh_folder(folder) == folder
