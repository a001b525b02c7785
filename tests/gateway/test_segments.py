"""The spool's files: nothing is lost, nothing is delivered for ever."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.segments import OutboxBusy, Segments


def lines_of(segments: Segments, *, step: int = 3, size: int = 10_000) -> list[bytes]:
    found: list[bytes] = []
    while batch := segments.next_batch(step, size):
        found += batch.lines
        segments.mark(batch)
    return found


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("calls-*"))


def test_lines_come_out_in_order_and_delivered_segments_are_deleted(tmp_path: Path) -> None:
    segments = Segments(tmp_path, 1024)
    lines = [b"%d" % number * 100 for number in range(100)]
    for line in lines:
        segments.append(line)
    assert len(files(tmp_path)) > 5
    assert segments.count == 100
    assert lines_of(segments) == lines
    assert files(tmp_path) == []
    assert (segments.count, segments.pending_bytes) == (0, 0)
    segments.append(b"later")
    assert lines_of(segments) == [b"later"]


def test_what_is_marked_is_not_delivered_again_after_a_restart(tmp_path: Path) -> None:
    segments = Segments(tmp_path, 10_000)
    for number in range(10):
        segments.append(b"%d" % number)
    batch = segments.next_batch(4, 1000)
    assert batch is not None
    segments.mark(batch)
    segments.close()
    again = Segments(tmp_path, 10_000)
    assert again.count == 6
    again.append(b"new")
    assert lines_of(again) == [b"4", b"5", b"6", b"7", b"8", b"9", b"new"]


def test_a_line_cut_off_by_a_crash_is_skipped_and_counted(tmp_path: Path) -> None:
    segments = Segments(tmp_path, 10_000)
    segments.append(b"whole")
    segments.close()
    [name] = files(tmp_path)
    with open(tmp_path / name, "ab") as file:
        file.write(b'{"half": ')
    again = Segments(tmp_path, 10_000)
    again.append(b"new")
    assert (again.torn, again.count) == (1, 2)
    assert lines_of(again) == [b"whole", b"new"]
    assert files(tmp_path) == []


def test_a_segment_of_nothing_but_a_torn_line_goes_away(tmp_path: Path) -> None:
    (tmp_path / "calls-000000000001.jsonl").write_bytes(b"half")
    segments = Segments(tmp_path, 10_000)
    assert segments.count == 0
    assert lines_of(segments) == []
    assert files(tmp_path) == []


@pytest.mark.parametrize("mark", [b"", b"{", b"[]", b'{"segment": "x", "offset": 1}'])
def test_a_damaged_mark_delivers_again_and_loses_nothing(tmp_path: Path, mark: bytes) -> None:
    segments = Segments(tmp_path, 10_000)
    for number in range(3):
        segments.append(b"%d" % number)
    batch = segments.next_batch(1, 1000)
    assert batch is not None
    segments.mark(batch)
    segments.close()
    (tmp_path / "delivered.json").write_bytes(mark)
    assert lines_of(Segments(tmp_path, 10_000)) == [b"0", b"1", b"2"]


def test_a_line_larger_than_a_batch_comes_alone(tmp_path: Path) -> None:
    segments = Segments(tmp_path, 10_000)
    for line in (b"a", b"b" * 5000, b"c"):
        segments.append(line)
    assert lines_of(segments, size=1024) == [b"a", b"b" * 5000, b"c"]


def test_a_half_written_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = Segments(tmp_path, 10_000)
    segments.append(b"first")
    real = os.write

    def half(handle: int, data: bytes) -> int:
        return real(handle, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(OSError, match="No space"):
        segments.append(b"second, which does not fit")
    monkeypatch.setattr(os, "write", real)
    segments.append(b"third")
    assert segments.count == 2
    segments.close()
    again = Segments(tmp_path, 10_000)
    assert again.torn == 0
    assert lines_of(again) == [b"first", b"third"]


def test_a_segment_that_somebody_deleted_does_not_stop_the_others(tmp_path: Path) -> None:
    segments = Segments(tmp_path, 1024)
    for number in range(3):
        segments.append(b"%d" % number * 1100)
    os.unlink(tmp_path / files(tmp_path)[0])
    assert lines_of(segments) == [b"1" * 1100, b"2" * 1100]
    assert segments.count == 0


def test_a_second_gateway_is_told_that_the_folder_is_in_use(tmp_path: Path) -> None:
    first = Segments(tmp_path, 1024)
    with pytest.raises(OutboxBusy, match="used by another gateway"):
        Segments(tmp_path, 1024)
    first.close()
    Segments(tmp_path, 1024).close()


def test_nobody_else_may_read_the_texts(tmp_path: Path) -> None:
    folder = tmp_path / "outbox"
    segments = Segments(folder, 1024)
    segments.append(b"text of a child")
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / files(folder)[0]).stat().st_mode & 0o077 == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("append"), st.integers(0, 400)),
            st.tuples(st.just("deliver"), st.integers(1, 5)),
            st.tuples(st.just("restart"), st.integers(0, 20)),
        ),
        max_size=40,
    )
)
def test_whatever_happens_each_line_comes_out_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    segments = Segments(folder, 1024)
    expected: list[bytes] = []
    found: list[bytes] = []
    for what, number in steps:
        if what == "append":
            line = json.dumps({"n": len(expected), "x": "y" * number}).encode()
            segments.append(line)
            expected.append(line)
        elif what == "deliver":
            batch = segments.next_batch(number, 500)
            if batch is not None:
                found += batch.lines
                segments.mark(batch)
        else:
            segments.close()
            torn = sorted(folder.glob("calls-*"))
            if torn and number:
                with open(torn[-1], "ab") as file:
                    file.write(b"z" * number)  # the process was killed in the middle of a line
            segments = Segments(folder, 1024)
        assert segments.count == len(expected) - len(found)
    found += lines_of(segments)
    assert found == expected
    assert files(folder) == []
    segments.close()
