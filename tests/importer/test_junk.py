"""Whatever lies in the folder, an import ends with every run folder accounted for and never with an exception."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.importer import import_host
from experiment.pseudonym import Pseudonymiser
from tests.importer.host_export import Export, snapshot
from tests.importer.memory_sink import MemorySink

names = Pseudonymiser(bytes(range(32)))
plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20),
    st.sampled_from(["interception", "input", "final/01_input.txt", "../x", "2026-03-14T10:00:00", "\ud800", "\x00",
                     "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00", "run_1773478860000_000001", "ß" * 200,
                     "x" * 300, "run_99999999999999_ab", 10**400, "output_image", "kids"]),
)  # fmt: skip
junk = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
step = st.fixed_dictionaries(
    {},
    optional={
        "sequence": junk,
        "type": st.sampled_from(["input", "interception", "generation_prompt", "output_image"]) | junk,
        "filename": st.sampled_from(["prompting_process/003_interception.txt", "01_input.txt"]) | junk,
        "timestamp": st.just("2026-03-14T10:00:00") | junk,
        "metadata": st.fixed_dictionaries({}, optional={"config": junk, "seed": junk}) | junk,
    },
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        "run_id": junk, "timestamp": junk, "config_name": junk, "interception_config": junk, "safety_level": junk,
        "device_id": junk, "language": junk,
        "models_used": junk | st.dictionaries(st.just("stage2_interception"), junk),
        "entities": st.lists(step | junk, max_size=5) | junk,
        "prompting_process": st.lists(step | junk, max_size=5) | junk,
    },
)  # fmt: skip
error = st.fixed_dictionaries(
    {}, optional={"stage": junk, "error_type": junk, "details": st.dictionaries(st.just("check"), junk) | junk}
)
favourites = st.fixed_dictionaries({}, optional={"favorites": st.lists(junk, max_size=4) | junk})


def as_bytes(content: Any) -> bytes:
    return json.dumps(content).encode()


def imported(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    export = Export(tmp_path_factory.mktemp("export"))
    export.run()
    good = export.run(text="Ein anderes Haus", answer="Ein Haus aus Luft.")
    for name, content in files.items():
        path = (export.json if name == "favorites.json" else export.folders[0]) / name
        path.write_bytes(content)
    before = snapshot(export.root)
    sink = MemorySink()
    report = import_host(export.json, sink, experiment="stage2", pseudonymiser=names)
    assert report.accounted == report.folders == 2
    assert f"imp-{names.run(good)}" in sink.kept_calls
    assert import_host(export.json, sink, experiment="stage2", pseudonymiser=names).new == 0
    assert snapshot(export.root) == before
    assert "\n".join(report.lines())


@given(metadata | junk, error | junk | st.none(), favourites | junk)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_json_of_any_shape(tmp_path_factory: pytest.TempPathFactory, about: Any, wrong: Any, kept: Any) -> None:
    files = {"metadata.json": as_bytes(about), "favorites.json": as_bytes(kept)}
    imported(tmp_path_factory, files if wrong is None else files | {"error.json": as_bytes(wrong)})


@given(st.binary(max_size=200), st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_bytes_of_any_kind(
    tmp_path_factory: pytest.TempPathFactory, about: bytes, wrong: bytes, text: bytes, kept: bytes
) -> None:
    imported(tmp_path_factory, {"error.json": wrong, "prompting_process/003_interception.txt": text})
    imported(tmp_path_factory, {"metadata.json": about, "favorites.json": kept})


@pytest.mark.parametrize(
    "content",
    [b"[" * 200_000, b'{"a":' * 100_000, b"9" * 6_000, b"\xef\xbb\xbf{}", b"", b"null", b"NaN", b"x" * 5_000_000],
)
def test_json_that_is_an_attack(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    for name in ("metadata.json", "error.json", "favorites.json"):
        imported(tmp_path_factory, {name: content})


def test_folder_names_of_any_kind(tmp_path: Path) -> None:
    export = Export(tmp_path)
    export.run()
    for name in (b"\xff\xfe", "日本".encode(), b"a b", b"-rf", b".hidden", b"x" * 200):
        folder = str(export.folders[0].parent).encode() + b"/" + name
        Path(folder.decode(errors="surrogateescape")).mkdir()
    report = import_host(export.json, MemorySink(), experiment="stage2", pseudonymiser=names)
    assert (report.folders, report.accounted, report.imported) == (6, 6, 1)
    assert report.passed_over == {"a name that is not UTF-8": 1}
