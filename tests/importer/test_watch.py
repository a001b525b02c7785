"""Watching joins a run to its one live call, or lists it with the reason; nothing is imported, nothing doubled."""

import json
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from collector.importer import ImportReport, import_host, watch_host
from collector.importer.join import NO_TEXT, NONE, SEVERAL, TAKEN
from collector.importer.settle import ROOT_LOST
from experiment.events import Call
from experiment.pseudonym import Pseudonymiser
from tests.importer.host_export import Export
from tests.importer.memory_sink import MemorySink

names = Pseudonymiser(bytes(range(32)))
ANSWER = "Am Ufer steht ein Haus, das aus lauter Stimmen fließt."
BLOCK = {"stage": 3, "error_type": "safety_blocked", "details": {"check": "llamaguard"}}
LATER = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
"""Hours after the runs, so that no live call is waited for."""
SOON = datetime(2026, 3, 14, 9, 5, tzinfo=UTC)
"""Minutes after the runs: a live call may still come."""


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(tmp_path)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


def live(
    sink: MemorySink, export: Export, name: str, *, before_s: float = 5, text: str = "Ein Haus aus Wasser",
    answer: str = ANSWER, run: str = "",
) -> None:  # fmt: skip
    """A call that came in through the gateway before the export's latest run was answered."""
    answered = export.at.replace(tzinfo=ZoneInfo("Europe/Berlin")) + timedelta(seconds=3)
    ts = answered.astimezone(UTC) - timedelta(seconds=before_s)
    call = Call(
        id=name, ts=ts, experiment="stage2", arm="adapter", run=names.run(run),
        prompt=names.prompt(text), output_key=names.output(answer),
    )  # fmt: skip
    sink.kept_calls[name] = call


def look(export: Export, sink: MemorySink, *, now: datetime = LATER, **more: Any) -> ImportReport:
    """One look at the folder."""
    stop = threading.Event()
    stop.set()
    report = watch_host(
        export.json, sink, experiment="stage2", pseudonymiser=names, interval_s=0, stop=stop, clock=lambda: now, **more
    )
    assert report.accounted == report.folders == len(export.folders)
    return report


def test_one_live_call_with_equal_texts_is_the_run(export: Export, sink: MemorySink) -> None:
    run = export.run(edits=("Ein Boot.",))
    export.favourite(run)
    live(sink, export, "c1")
    report = look(export, sink)
    assert (report.joined, report.imported, list(sink.kept_calls)) == (1, 0, ["c1"])
    (link,) = sink.outcomes("link")
    assert (link.call, link.child_run) == ("c1", names.run(run))
    for kind in ("edit", "not_blocked", "favourite"):
        (outcome,) = sink.outcomes(kind)
        assert (outcome.call, outcome.run) == ("c1", names.run(run))


def test_a_block_is_posted_against_the_live_call(export: Export, sink: MemorySink) -> None:
    export.run(outputs=(), error=BLOCK)
    live(sink, export, "c1")
    look(export, sink)
    (block,) = sink.outcomes("block")
    assert (block.call, block.stage, block.method, block.code) == ("c1", "stage3", "llm_safety_check", "llamaguard")


def test_the_translation_is_what_stood_on_the_wire(export: Export, sink: MemorySink) -> None:
    export.run(translation="A house of water")
    live(sink, export, "c1", text="A house of water")
    assert look(export, sink).joined == 1


def test_spaces_and_case_do_not_matter(export: Export, sink: MemorySink) -> None:
    export.run()
    live(sink, export, "c1", text=" ein HAUS  aus wasser", answer=ANSWER.upper() + "\n")
    assert look(export, sink).joined == 1


@pytest.mark.parametrize(
    ("calls", "reason"),
    [
        ([{"text": "Anderes"}], NONE),
        ([{"answer": "Anderes"}], NONE),
        ([{"before_s": 601}], NONE),
        ([{"before_s": -6}], NONE),
        ([{}, {"before_s": 300}], SEVERAL),
        ([{"run": "run_1773478800000_abcdef"}], NONE),
    ],
)
def test_none_or_several_are_listed_with_the_reason(
    export: Export, sink: MemorySink, calls: list[dict[str, Any]], reason: str
) -> None:
    export.favourite(export.run())
    for number, call in enumerate(calls):
        live(sink, export, f"c{number}", **call)
    report = look(export, sink)
    assert report.unattributed == {reason: 1}
    assert report.favourites_unattributed == {f"its run: {reason}": 1}
    assert sink.outcomes() == []
    assert report.remarks[0].run == names.run(export.folders[0].name)


@pytest.mark.parametrize("before_s", [0, 599, -4])
def test_the_window_is_ten_minutes_before_and_a_moment_after(export: Export, sink: MemorySink, before_s: float) -> None:
    export.run()
    live(sink, export, "c1", before_s=before_s)
    assert look(export, sink).joined == 1


def test_without_the_models_own_output_there_is_nothing_to_compare(export: Export, sink: MemorySink) -> None:
    export.run(without=("prompting_process/003_interception.txt",))
    live(sink, export, "c1")
    assert look(export, sink).unattributed == {NO_TEXT: 1}


def test_a_live_call_that_bears_the_run_needs_no_link(export: Export, sink: MemorySink) -> None:
    run = export.run()
    live(sink, export, "c1", run=run, before_s=3000)
    live(sink, export, "c2")
    report = look(export, sink)
    assert (report.joined, sink.outcomes("link")) == (1, [])
    (verdict,) = sink.outcomes("not_blocked")
    assert (verdict.call, verdict.run) == ("", names.run(run))


def test_a_live_call_belongs_to_one_run(export: Export, sink: MemorySink) -> None:
    first = export.run()
    live(sink, export, "c1")
    export.run()
    report = look(export, sink)
    assert (report.joined, report.unattributed) == (1, {TAKEN: 1})
    assert sink.outcomes("link")[0].child_run == names.run(first)


def test_two_runs_with_the_same_texts_take_their_calls_in_turn(export: Export, sink: MemorySink) -> None:
    for name in ("c1", "c2"):
        export.run()
        live(sink, export, name)
    assert look(export, sink).joined == 2
    assert [(link.call, link.child_run) for link in sink.outcomes("link")] == [
        (f"c{number + 1}", names.run(folder.name)) for number, folder in enumerate(export.folders)
    ]
    assert look(export, sink).new == 0


def test_another_watch_does_not_give_a_call_away_twice(export: Export, sink: MemorySink) -> None:
    export.run()
    live(sink, export, "c1")
    look(export, sink)
    first = export.folders.pop()
    first.rename(export.root / "gone")
    export.run()
    assert look(export, sink).unattributed == {TAKEN: 1}


def test_a_regeneration_belongs_to_the_live_call_of_its_root(export: Export, sink: MemorySink) -> None:
    first = export.run()
    live(sink, export, "c1")
    again = export.regeneration()
    export.favourite(again)
    report = look(export, sink)
    assert (report.joined, report.regenerations) == (1, 1)
    (outcome,) = sink.outcomes("regeneration")
    assert (outcome.call, outcome.run, outcome.child_run) == ("c1", names.run(first), names.run(again))
    (favourite,) = sink.outcomes("favourite")
    assert (favourite.call, favourite.run) == ("c1", names.run(again))


def test_a_regeneration_of_an_unattributed_run_is_unattributed(export: Export, sink: MemorySink) -> None:
    export.run()
    export.regeneration()
    assert look(export, sink).unattributed == {NONE: 1, ROOT_LOST: 1}


def test_watching_again_doubles_nothing(export: Export, sink: MemorySink) -> None:
    export.favourite(export.run(edits=("Ein Boot.",)))
    live(sink, export, "c1")
    export.regeneration("Ein Boot.")
    first = look(export, sink)
    again = look(export, sink)
    assert (first.joined, again.joined, again.new) == (1, 1, 0)
    assert len(sink.kept_calls) == 1


def test_importing_a_watched_folder_imports_no_run_twice(export: Export, sink: MemorySink) -> None:
    export.run()
    live(sink, export, "c1")
    old = export.run(text="Vor dem Gateway", answer="Nichts.")
    look(export, sink)
    report = import_host(export.json, sink, experiment="stage2", pseudonymiser=names)
    assert (report.joined, report.imported) == (1, 1)
    assert set(sink.kept_calls) == {"c1", f"imp-{names.run(old)}"}
    assert len(sink.outcomes("not_blocked")) == 2


class Watch:
    """A running watch, stopped at the end of the with."""

    def __init__(self, export: Export, sink: MemorySink, *, now: datetime = LATER) -> None:
        self.stop = threading.Event()
        self.reports: list[ImportReport] = []
        self.errors: list[str] = []
        self.now = now
        self.thread = threading.Thread(
            target=lambda: watch_host(
                export.json, sink, experiment="stage2", pseudonymiser=names, interval_s=0.01, stop=self.stop,
                on_progress=self.reports.append, on_error=self.errors.append, clock=lambda: self.now,
            )
        )  # fmt: skip

    def __enter__(self) -> "Watch":
        self.thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def until(self, holds: Callable[[ImportReport], bool]) -> ImportReport:
        deadline = time.monotonic() + 10
        while not (self.reports and holds(self.reports[-1])):
            assert time.monotonic() < deadline, f"never: {self.reports[-1:]} {self.errors[-1:]}"
            time.sleep(0.005)
        return self.reports[-1]


def test_a_call_that_comes_late_is_still_found(export: Export, sink: MemorySink) -> None:
    export.run()
    with Watch(export, sink, now=SOON) as watch:
        watch.until(lambda report: report.waiting == 1)
        live(sink, export, "c1")
        watch.until(lambda report: report.joined == 1)


def test_waiting_for_a_call_ends(export: Export, sink: MemorySink) -> None:
    export.run()
    export.regeneration()
    with Watch(export, sink, now=SOON) as watch:
        watch.until(lambda report: report.waiting == 2)
        watch.now = LATER
        watch.until(lambda report: report.unattributed == {NONE: 1, ROOT_LOST: 1})


def test_a_run_still_being_written_is_looked_at_again(export: Export, sink: MemorySink) -> None:
    export.run(outputs=())
    live(sink, export, "c1")
    with Watch(export, sink, now=datetime.now(UTC)) as watch:
        assert watch.until(lambda report: report.folders == 1).waiting == 1
        (export.folders[0] / "error.json").write_text(json.dumps(BLOCK))
        watch.until(lambda report: report.joined == 1)
        assert sink.outcomes("block")[0].call == "c1"


def test_a_run_that_stopped_without_an_end_is_taken_as_it_is(export: Export, sink: MemorySink) -> None:
    export.run(outputs=())
    live(sink, export, "c1")
    export.age(120)
    report = look(export, sink, now=datetime.now(UTC), settle_s=60)
    assert (report.joined, report.verdict_unknown) == (1, 1)


def test_what_happens_to_a_run_later_is_posted_later(export: Export, sink: MemorySink) -> None:
    run = export.run()
    live(sink, export, "c1")
    with Watch(export, sink) as watch:
        watch.until(lambda report: report.joined == 1)
        export.regeneration()
        export.favourite(run)
        report = watch.until(lambda report: report.favourites_attributed == 1 and report.regenerations == 1)
        assert report.folders == 2


def test_a_favourite_that_is_taken_back_is_an_event_and_a_file_being_written_is_not(
    export: Export, sink: MemorySink
) -> None:
    export.favourite(export.run())
    live(sink, export, "c1")
    with Watch(export, sink) as watch:
        watch.until(lambda report: report.favourites_attributed == 1)
        (export.json / "favorites.json").write_text('{"favorites": [')
        watch.until(lambda report: report.favourites_file == "broken JSON")
        assert sink.outcomes("unfavourite") == []
        export.favourites.clear()
        export.write_favourites()
        watch.until(lambda report: "unfavourite" in report.outcomes)
        (gone,) = sink.outcomes("unfavourite")
        assert (gone.call, gone.ts) == ("c1", LATER)


def test_a_service_that_is_away_for_a_while_ends_no_watch(export: Export, sink: MemorySink) -> None:
    export.run()
    live(sink, export, "c1")
    sink.away = True
    with Watch(export, sink) as watch:
        deadline = time.monotonic() + 10
        while not watch.errors:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert "\n" not in watch.errors[0]
        sink.away = False
        watch.until(lambda report: report.joined == 1)


def test_folders_that_did_not_change_are_not_asked_about_again(export: Export, sink: MemorySink) -> None:
    export.run()
    live(sink, export, "c1")
    with Watch(export, sink) as watch:
        watch.until(lambda report: report.joined == 1)
        asked, looks = len(sink.questions), len(watch.reports)
        watch.until(lambda report: len(watch.reports) > looks + 5)
        assert len(sink.questions) == asked


def test_a_folder_that_is_gone_is_no_longer_counted(export: Export, sink: MemorySink) -> None:
    export.run()
    export.run()
    with Watch(export, sink) as watch:
        watch.until(lambda report: report.folders == 2)
        export.folders[0].rename(export.root / "gone")
        watch.until(lambda report: report.folders == 1)
