"""The process: its options, its front page, its settings, its files."""

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

import dashboard
from dashboard import shell
from dashboard.config import DashboardSettings
from dashboard.scope import HOURS, TRAFFIC, epochs, from_url
from dashboard.serve import options

FOLDER = Path(dashboard.__file__).parent
ROOMS = {"experiment", "backends", "warehouse", "collector", "gateway", "client", "judge", "audit", "trainer",
         "dashboard", "demo", "ops", "equipoise", "tests", "benchmarks"}  # fmt: skip


def test_no_file_hides_a_room_or_a_standard_module():
    names = {path.stem for path in FOLDER.glob("*.py")} - {"__init__"}
    assert names.isdisjoint(ROOMS)
    assert names.isdisjoint(sys.stdlib_module_names)


def test_the_readme_names_every_file():
    readme = (FOLDER / "README.md").read_text()
    files = [path.name for path in FOLDER.iterdir() if path.suffix in (".py", ".css") and path.name != "__init__.py"]
    assert [name for name in files if f"`{name}`" not in readme] == []


def test_streamlit_neither_watches_files_nor_phones_home():
    chosen = options(DashboardSettings())
    assert chosen["browser.gatherUsageStats"] is False
    assert chosen["server.fileWatcherType"] == "none"
    assert chosen["client.showErrorDetails"] == "none"
    assert chosen["server.allowedHosts"] == ["127.0.0.1", "localhost", "[::1]"]
    assert options(DashboardSettings(host_names=("*",)))["server.allowedHosts"] == []


def test_the_front_page_is_dark_by_default_and_ours():
    html = shell.front_html()
    assert shell.THEME_KEY in html
    assert "<title>Equipoise</title>" in html
    assert 'lang="de"' in html
    assert 'rel="icon" type="image/svg+xml" href="data:' in html
    assert "shortcut icon" not in html


def test_another_front_page_is_noticed(monkeypatch, tmp_path):
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "index.html").write_text("<html></html>")
    monkeypatch.setattr(shell.streamlit, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(RuntimeError, match="another front page"):
        shell.front_html.__wrapped__()


@pytest.mark.parametrize("wrong", [{"refresh_s": 0.1}, {"timeout_s": 0}, {"colour": "red"}])
def test_settings_are_checked(wrong):
    with pytest.raises(ValidationError):
        DashboardSettings.model_validate(wrong)


@pytest.mark.parametrize(
    ("choice", "query", "chosen"),
    [
        (epochs(3), {}, "current"),
        (epochs(3), {"epoch": "2"}, "2"),
        (epochs(3), {"epoch": "4"}, "current"),
        (epochs(0), {"epoch": "all"}, "all"),
        (TRAFFIC, {"traffic": "all"}, "all"),
        (HOURS, {"hours": "1e9"}, "all"),
    ],
)
def test_the_address_chooses_what_exists(choice, query, chosen):
    assert from_url(choice, query) == chosen
