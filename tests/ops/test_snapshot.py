"""``equipoise snapshot`` freezes an experiment, and ``report --snapshot`` rebuilds every reported number from it."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ops.codebook import column
from ops.rebuild import NO_TEXTS
from tests.collector.conftest import Live
from tests.collector.seeded import Effects, TrafficPlan
from tests.ops.conftest import Said
from tests.ops.seasoned import seasoned


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with seasoned(tmp_path_factory.mktemp("s"), TrafficPlan(calls=1_500, effects=(Effects(favourite=0.1),))) as live:
        live.blocks(3)
        exclusion = {"id": "x", "experiment": "stage2", "day": "2026-03-06", "reason": "stress test", "actor": "Ada"}
        assert live.http.post("/v1/exclusions", json=exclusion).status_code == 201
        live.http.post("/v1/calls", json=live.call("first", epoch=0))  # another content: a conflict is counted
        now = live.store.clock()
        live.store.clock = lambda: now  # so that two answers are about the same moment
        yield live


@pytest.fixture
def freeze(cli: Callable[..., Said], house: Live, tmp_path: Path) -> Callable[..., Path]:
    def run(*options: str) -> Path:
        said = cli("snapshot", str(tmp_path / "frozen"), "--service", house.url, *options)
        assert said.code == 0, said.err
        return tmp_path / "frozen"

    return run


def report(cli: Callable[..., Said], *where: str) -> dict:
    said = cli("report", "--json", "--epoch", "all", "--by", "config", *where)
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_the_report_of_a_snapshot_equals_the_live_services(
    cli: Callable[..., Said], house: Live, freeze: Callable[..., Path]
) -> None:
    again = report(cli, "--snapshot", str(freeze("--texts")))
    assert len(again["provenance"].pop("snapshot")) == 64
    assert again == report(cli, "--service", house.url)
    assert again["provenance"]["counters"]["conflicts"] > 0
    assert again["analysis"][0]["metrics"][0]["n"] > 1_000


def test_without_texts_all_but_the_measures_of_diversity_are_rebuilt(
    cli: Callable[..., Said], house: Live, freeze: Callable[..., Path]
) -> None:
    again, live = report(cli, "--snapshot", str(freeze())), report(cli, "--service", house.url)
    assert again["quality"]["adapters"][0]["collapse"]["sentence"] == NO_TEXTS
    again["provenance"].pop("snapshot")
    for document in (again, live):
        for adapter in document["quality"]["adapters"]:
            del adapter["collapse"], adapter["alarms"], adapter["sentence"]
    assert again == live


def test_nothing_a_child_or_a_model_wrote_and_no_raw_id_is_in_it(freeze: Callable[..., Path]) -> None:
    folder = freeze()
    calls = pq.read_table(folder / "calls.parquet")
    assert not {"input", "context", "output", "digest"} & set(calls.column_names)
    assert all(name.startswith("d_") for name in calls.column("device").to_pylist())
    for file in folder.glob("*.parquet"):
        text = str(pq.read_table(file).to_pylist())
        assert "Idee " not in text
        assert "kid1_2026" not in text


def test_with_texts_they_are_there(freeze: Callable[..., Path]) -> None:
    texts = pq.read_table(freeze("--texts") / "calls.parquet").column("input").to_pylist()
    assert any(text and text.startswith("Idee ") for text in texts)


def test_the_codebook_describes_every_column(freeze: Callable[..., Path]) -> None:
    folder = freeze("--texts")
    book = (folder / "codebook.md").read_text()
    for file in folder.glob("*.parquet"):
        for name in pq.read_schema(file).names:
            assert f"| {name} |" in book.split(f"## {file.name}")[1].split("\n## ")[0]
            assert column(file.stem, name).meaning


def test_every_file_is_hashed_and_so_is_the_whole(cli: Callable[..., Said], house: Live, tmp_path: Path) -> None:
    said = json.loads(cli("snapshot", str(tmp_path / "f"), "--service", house.url, "--json").out)
    assert said["sha256"] == hashlib.sha256((tmp_path / "f" / "SHA256SUMS").read_bytes()).hexdigest()
    assert said["files"] == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (tmp_path / "f").iterdir()
        if file.name != "SHA256SUMS"
    }


def test_a_changed_file_is_refused(cli: Callable[..., Said], freeze: Callable[..., Path]) -> None:
    folder = freeze()
    with (folder / "codebook.md").open("a") as file:
        file.write("x")
    said = cli("report", "--snapshot", str(folder))
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "codebook.md is not what it was" in said.err


def test_a_folder_that_is_there_is_not_written_over(
    cli: Callable[..., Said], house: Live, freeze: Callable[..., Path]
) -> None:
    said = cli("snapshot", str(freeze()), "--service", house.url)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "never written over" in said.err


def test_no_snapshot_is_one_line(cli: Callable[..., Said], tmp_path: Path) -> None:
    said = cli("report", "--snapshot", str(tmp_path))
    assert (said.code, said.err.count("\n")) == (2, 1)


def test_a_wrong_filter_is_refused_as_the_service_would(cli: Callable[..., Said], freeze: Callable[..., Path]) -> None:
    said = cli("report", "--snapshot", str(freeze()), "--by", "weather")
    assert (said.code, said.out, said.err.count("\n", said.err.index("equipoise: "))) == (2, "", 1)


def test_a_page_is_made_from_a_snapshot_and_bears_its_hash(
    cli: Callable[..., Said], freeze: Callable[..., Path], tmp_path: Path
) -> None:
    folder = freeze()
    assert cli("report", "--snapshot", str(folder), "--html", str(tmp_path / "r.html")).code == 0
    assert hashlib.sha256((folder / "SHA256SUMS").read_bytes()).hexdigest() in (tmp_path / "r.html").read_text()
