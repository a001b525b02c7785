"""``equipoise guard replay``: the contract's JSON, its exit codes, and every way a file can be wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ops.conftest import Said

HEADER = "event_id,ts,arm,device,prompt,blocked"


def rows(arm: str, blocked: list[bool], devices: int = 5) -> list[str]:
    return [
        f"{arm}-{i},2026-03-02T09:00:{i % 60:02d}Z,{arm},d{i % devices},p{i},{int(bad)}"
        for i, bad in enumerate(blocked, 1)
    ]


def spread(n: int, s: int) -> list[bool]:
    """The k-th of s blocks at prompt-run round(n·k/s): STATISTICS.md 2, *Vectors*."""
    at = {round(n * k / s) for k in range(1, s + 1)}
    return [i in at for i in range(1, n + 1)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def write(*lines: str) -> Path:
        path = tmp_path / "events.csv"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def test_a_trip_is_reported_at_its_event_and_refused(cli: Callable[..., Said], write: Callable[..., Path]) -> None:
    path = write(HEADER, *rows("base", spread(200, 10)), *rows("adapter", spread(100, 8) + [False] * 20))
    said = cli("guard", "replay", str(path), "--json")
    arms = json.loads(said.out)["arms"]
    assert list(arms) == ["base", "adapter"]
    assert set(arms["base"]) == {"state", "rule", "grade", "event_id", "n", "blocked", "devices", "e_value"}
    assert (arms["base"]["rule"], arms["base"]["event_id"], arms["base"]["n"]) == (None, None, 200)
    # 8 − 0.05·n ≥ 3 holds first at the 8th block, n = 100.
    assert {k: v for k, v in arms["adapter"].items() if k != "e_value"} == {
        "state": "rolled_back", "rule": "R1", "grade": "precautionary", "event_id": "adapter-100", "n": 100,
        "blocked": 8, "devices": 5,
    }  # fmt: skip
    assert said.code == 1


def test_a_base_arm_that_trips_is_no_refusal(cli: Callable[..., Said], write: Callable[..., Path]) -> None:
    path = write(HEADER, *rows("base", [True] * 10))
    said = cli("guard", "replay", str(path), "--json")
    assert json.loads(said.out)["arms"]["base"]["state"] == "rolled_back"
    assert said.code == 0
    assert cli("guard", "replay", str(path), "--base", "other").code == 1


def test_watch_is_no_refusal(cli: Callable[..., Said], write: Callable[..., Path]) -> None:
    said = cli("guard", "replay", str(write(HEADER, *rows("adapter", spread(100, 6)))), "--json")
    assert json.loads(said.out)["arms"]["adapter"]["state"] == "watch"
    assert said.code == 0


def test_no_verdict_counts_nothing_and_a_repeat_counts_once(
    cli: Callable[..., Said], write: Callable[..., Path]
) -> None:
    path = write(
        HEADER, "a,2026-03-02T09:00:00Z,x,d,p,", "b,2026-03-02T09:00:01Z,x,d,p,1", "c,2026-03-02T09:00:02,x,d,p,0"
    )
    arm = json.loads(cli("guard", "replay", str(path), "--json").out)["arms"]["x"]
    assert (arm["n"], arm["blocked"], arm["devices"]) == (1, 1, 1)


def test_columns_may_stand_in_another_order(cli: Callable[..., Said], write: Callable[..., Path]) -> None:
    path = write("blocked,arm,device,prompt,ts,event_id", "1,x,d,p,2026-03-02T09:00:00+01:00,e")
    assert json.loads(cli("guard", "replay", str(path), "--json").out)["arms"]["x"]["blocked"] == 1


def test_people_get_a_table(cli: Callable[..., Said], write: Callable[..., Path]) -> None:
    said = cli("guard", "replay", str(write(HEADER, *rows("adapter", [True] * 5))))
    assert "adapter-4" in said.out
    assert said.code == 1


def test_limits_come_from_the_settings_when_asked(cli: Callable[..., Said], write: Callable[..., Path]) -> None:
    Path("equipoise.toml").write_text(
        '[experiment.s.arms.base]\nmodel = "m"\nweight = 1\n[experiment.s.guard]\nexcess = 8\ndetector = 1e12\n'
    )
    path = write(HEADER, *rows("adapter", [True] * 5))
    assert cli("guard", "replay", str(path)).code == 1
    assert cli("guard", "replay", str(path), "--experiment", "s").code == 0
    wrong = cli("guard", "replay", str(path), "--experiment", "t")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)


def test_it_needs_no_settings(cli: Callable[..., Said], write: Callable[..., Path]) -> None:
    Path("equipoise.toml").write_text("this is no TOML")
    assert cli("guard", "replay", str(write(HEADER))).code == 0


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("",), "line 1"),
        (("event_id,ts,arm,device,prompt",), "line 1: the header"),
        ((HEADER + ",more",), "line 1: the header"),
        ((HEADER, "a,2026-03-02T09:00:00Z,x,d,p"), "line 2: 5 fields"),
        ((HEADER, "a,2026-03-02T09:00:00Z,x,d,p,0", "b,2026-03-02T09:00:00Z,x,d,p,yes"), "line 3: blocked is 'yes'"),
        ((HEADER, "a,soon,x,d,p,1"), "line 2: ts is 'soon'"),
        ((HEADER, "a,99999999999999999999,x,d,p,1"), "line 2: ts is"),
        ((HEADER, ",2026-03-02T09:00:00Z,x,d,p,1"), "line 2: event_id is empty"),
        ((HEADER, "a,2026-03-02T09:00:00Z,,d,p,1"), "line 2: arm is empty"),
        ((HEADER, "a,2026-03-02T09:00:00Z,x,d,,1"), "line 2: a verdict needs its prompt"),
        ((HEADER, 'a,2026-03-02T09:00:00Z,x,d,"p"q,1'), "line 2: not valid CSV"),
    ],
)
def test_a_bad_file_is_one_line_with_its_number(
    cli: Callable[..., Said], write: Callable[..., Path], lines: tuple[str, ...], words: str
) -> None:
    said = cli("guard", "replay", str(write(*lines)), "--json")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert words in said.err


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"event_id,ts\x00"])
def test_a_file_that_is_no_text_is_refused(cli: Callable[..., Said], tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    said = cli("guard", "replay", "x.csv")
    assert (said.code, said.err.count("\n")) == (2, 1)


def test_no_file_and_a_folder_are_refused(cli: Callable[..., Said], tmp_path: Path) -> None:
    for name in ("nowhere.csv", str(tmp_path)):
        said = cli("guard", "replay", name)
        assert (said.code, said.err.count("\n")) == (2, 1)
