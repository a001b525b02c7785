"""What README and docs/ show is tried: commands, settings, files and links.

- ``console``: every ``$ equipoise …`` is parsed by the command line (``--help`` behind it, so that nothing runs: an
  unknown command or option fails); every ``$ make …`` names a target; other programs are a short list.
- ``console run``: the commands are run, in a folder with the document's ``csv NAME`` files, and must print what stands
  below them ('…' stands for anything on a line).
- ``toml``: loads, laid over equipoise.example.toml.
- ``python run``: runs.
"""

import os
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

import equipoise
from ops.known import section_of
from ops.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<target>[^)#\s]+)(?:#[^)]*)?\)")
_OTHER_PROGRAMS = {"cp", "rm", "cat", "cd", "git", "curl", "python3", ".venv/bin/pip", "systemctl", "ollama"}


class Block(NamedTuple):
    """A fenced block of a document."""

    document: Path
    line: int
    info: str
    body: str


def blocks(kind: str) -> list[Block]:
    found = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in _FENCE.finditer(text):
            if match["info"].strip() == kind:
                found.append(Block(document, text[: match.start()].count("\n") + 1, kind, match["body"]))
    return found


def where(value: Any) -> str:
    return f"{value.document.name}:{value.line}" if isinstance(value, Block) else ""


def commands(body: str) -> Iterator[str]:
    return (line[2:] for line in body.splitlines() if line.startswith("$ "))


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Runs a shell line's ``equipoise`` in an empty folder; (exit code, stdout, stderr)."""
    for name in [name for name in os.environ if name.startswith("EQUIPOISE_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)

    def run(words: list[str]) -> tuple[int, str, str]:
        code = equipoise.main(words)
        return code, *capsys.readouterr()

    return run


def split(line: str) -> tuple[dict[str, str], list[str]]:
    """(variables set before the command, words of the command)."""
    words = shlex.split(line)
    variables = {}
    while words and re.fullmatch(r"[A-Z_0-9]+=.*", words[0]):
        name, _, value = words.pop(0).partition("=")
        variables[name] = value
    return variables, words


def test_there_is_something_to_try() -> None:
    assert len(blocks("console")) >= 8
    assert blocks("console run")
    assert blocks("toml")


@pytest.mark.parametrize("block", blocks("console") + blocks("console run"), ids=where)
def test_every_command_shown_exists(block: Block, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for line in commands(block.body):
        variables, words = split(line)
        if words[0] == "make":
            assert set(words[1:2]) <= targets, line
        elif words[0] != "equipoise":
            assert words[0] in _OTHER_PROGRAMS, f"untested program in {line!r}"
        else:
            for name, value in variables.items():
                monkeypatch.setenv(name, value)
            code, out, err = cli([*words[1:], "--help"])
            assert (code, err) == (0, ""), line
            assert "Example: equipoise" in out, line


@pytest.mark.parametrize("block", blocks("console"), ids=where)
def test_every_variable_shown_is_a_setting(
    block: Block, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path.cwd() / "equipoise.toml").write_text((ROOT / "equipoise.example.toml").read_text())
    for line in commands(block.body):
        variables, _ = split(line)
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            content = tomllib.loads(Path("equipoise.toml").read_text())
            Settings(**content)


@pytest.mark.parametrize("block", blocks("console run"), ids=where)
def test_what_is_run_prints_what_is_shown(block: Block, cli: Callable[..., Any]) -> None:
    text = block.document.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        kind, _, name = match["info"].strip().partition(" ")
        if kind == "csv":
            Path(name).write_text(match["body"], encoding="utf-8")
    steps = re.split(r"^\$ ", block.body, flags=re.MULTILINE)[1:]
    for step in steps:
        line, _, shown = step.partition("\n")
        _, out, err = cli(split(line)[1][1:])
        assert err == ""
        pattern = re.escape(shown.strip()).replace("…", "[^\n]*")
        assert re.fullmatch(pattern, out.strip()), f"{line}:\n{out}"


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = laid_over(merged[key], value) if both else value
    return merged


@pytest.mark.parametrize("block", blocks("toml"), ids=where)
def test_every_setting_shown_loads(block: Block, cli: Callable[..., Any]) -> None:
    example = tomllib.loads((ROOT / "equipoise.example.toml").read_text())
    Settings(**laid_over(example, tomllib.loads(block.body)))


@pytest.mark.parametrize("block", blocks("python run"), ids=where)
def test_every_program_shown_runs(block: Block, cli: Callable[..., Any]) -> None:
    exec(compile(block.body, where(block), "exec"), {"__name__": "example"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    for match in _LINK.finditer(_FENCE.sub("", document.read_text(encoding="utf-8"))):
        target = match["target"]
        if "://" not in target:
            assert (document.parent / target).exists(), target


def keys(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, str]]:
    """(heading of the section, key) of every setting."""
    for name, field in model.model_fields.items():
        section, mapping = section_of(field.annotation)
        if path:
            yield path, name
        if section is not None:
            own = {"experiment": "NAME", "arms": "ARM", "templates": "VERSION"}.get(name)
            assert mapping == (own is not None), f"say how the names below {name!r} are called in the documentation"
            yield from keys(section, ".".join(part for part in (path, name, own) if part))


def test_every_key_is_documented_and_every_documented_key_exists() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    written: set[tuple[str, str]] = set()
    for section in re.split(r"^## \[", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("]")
        written |= {(heading, key) for key in re.findall(r"^\| `([a-z_0-9]+)` \|", body, re.MULTILINE)}
    # A table of its own has a heading instead of a row, or both.
    sections = {heading for heading, _ in written}
    existing = set(keys(Settings))
    tables = {(path, key) for path, key in existing if any(s.startswith(f"{path}.{key}") for s in sections)}
    assert existing - tables - written == set()
    assert written - existing == set()
