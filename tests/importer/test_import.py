"""A host's export becomes the right events, counted exactly, and the folder stays as it was."""

import json
import os
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from collector.importer import ImportReport, import_host
from collector.importer.blocks import read_error
from collector.importer.classify import EXERCISE, NO_ORIGINAL, NO_SEED, NO_STAGE_2, SAME_SEED
from collector.importer.favourites import NO_TIME, NOT_READABLE, TWICE, UNKNOWN_RUN
from collector.importer.scan import BROKEN_METADATA, NO_METADATA
from experiment.pseudonym import Pseudonymiser
from tests.importer.host_export import BROWSER, INTERCEPTION, LAN, OTHER_BROWSER, OUTPUT, Export, snapshot
from tests.importer.memory_sink import Away, MemorySink

names = Pseudonymiser(bytes(range(32)))
ANSWER = "Am Ufer steht ein Haus, das aus lauter Stimmen fließt."
BLOCK = {"stage": 3, "error_type": "safety_blocked", "message": "Dein Text …", "details": {"check": "86a"}}


@pytest.fixture
def export(tmp_path: Path) -> Export:
    return Export(tmp_path)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


def load(export: Export, sink: MemorySink, **more: Any) -> ImportReport:
    report = import_host(export.json, sink, experiment="stage2", pseudonymiser=names, **more)
    assert report.accounted == report.folders == len(export.folders)
    return report


def call_of(sink: MemorySink, run: str) -> Any:
    return sink.kept_calls[f"imp-{names.run(run)}"]


def test_a_first_run_is_a_call_with_what_was_stored(export: Export, sink: MemorySink) -> None:
    run = export.run()
    load(export, sink)
    call = call_of(sink, run)
    assert call.model_dump(exclude_defaults=True) == {
        "id": f"imp-{names.run(run)}",
        "ts": datetime(2026, 3, 14, 9, 1, 3, tzinfo=UTC),  # 10:01:03 in Berlin: when the answer was stored
        "experiment": "stage2",
        "model": "base-model:7b",
        "reason": "import",
        "device": names.device(export.device()),
        "device_kind": "browser",
        "run": names.run(run),
        "prompt": names.prompt("Ein Haus aus Wasser"),
        "output_key": names.output(ANSWER),
        "config": INTERCEPTION,
        "safety_level": "kids",
        "template_version": "host-post-2026-02-28",
        "parameters": {"model_source": "configured"},
        "input": "Ein Haus aus Wasser",
        "context": "Schreibe die Idee so um, dass jede Stimme des Flusses zu hören ist.",
        "output": ANSWER,
        "origin": "import",
    }
    assert [outcome.kind for outcome in sink.outcomes()] == ["not_blocked"]


def test_the_models_own_output_is_the_first_interception_not_the_final_one(export: Export, sink: MemorySink) -> None:
    run = export.run(edits=("Am Ufer steht ein Boot.", "Am Ufer stehen zwei Boote."))
    report = load(export, sink)
    assert call_of(sink, run).output == ANSWER
    (edit,) = sink.outcomes("edit")
    assert (edit.run, edit.ts) == (names.run(run), datetime(2026, 3, 14, 9, 1, 4, tzinfo=UTC))
    assert report.outcomes["edit"].new == 1


def test_a_final_text_that_differs_is_an_edit_too(export: Export, sink: MemorySink) -> None:
    export.run(final="Ganz anders.")
    export.run(final=f"  {ANSWER}\n")
    export.run(edits=(ANSWER,))
    assert load(export, sink).outcomes["edit"].new == 1


def test_a_context_that_a_child_changed_before_the_answer_is_the_context(export: Export, sink: MemorySink) -> None:
    run = export.run(without=("prompting_process/002_context_prompt.txt",))
    folder = export.folders[0]
    content = json.loads((folder / "metadata.json").read_text())
    steps = content["prompting_process"]
    steps.insert(2, dict(steps[1], sequence=2, filename="prompting_process/002b_context_prompt.txt"))
    (folder / "prompting_process" / "002b_context_prompt.txt").write_text("Mein Kontext")
    (folder / "metadata.json").write_text(json.dumps(content))
    load(export, sink)
    assert call_of(sink, run).context == "Mein Kontext"


def test_a_translation_is_noted_and_the_input_stays_the_childs(export: Export, sink: MemorySink) -> None:
    run = export.run(translation="A house of water")
    load(export, sink)
    assert (call_of(sink, run).translated, call_of(sink, run).input) == (True, "Ein Haus aus Wasser")


def test_the_config_is_the_interception_config_else_config_name_if_it_is_one(export: Export, sink: MemorySink) -> None:
    named = export.run(config_name=OUTPUT, interception_config="other_rules")
    old = export.run(config_name="old_rules", interception_config=None)
    lost = export.run(config_name=OUTPUT, interception_config=None)
    load(export, sink)
    assert [call_of(sink, run).config for run in (named, old, lost)] == ["other_rules", "old_rules", "unknown"]


def test_a_language_is_taken_from_what_is_stored_and_never_guessed(export: Export, sink: MemorySink) -> None:
    stored, none, junk = export.run(language="TR"), export.run(text="A house"), export.run(language=["de"])
    load(export, sink)
    assert [call_of(sink, run).language for run in (stored, none, junk)] == ["tr", "unknown", "unknown"]


# Regenerations


def test_a_repeat_with_a_new_seed_is_a_regeneration_of_the_first_run(export: Export, sink: MemorySink) -> None:
    first = export.run()
    again, third = export.regeneration(seed=12), export.regeneration(seed=13)
    report = load(export, sink)
    assert (report.imported, report.regenerations) == (1, 2)
    found = [(outcome.run, outcome.child_run) for outcome in sink.outcomes("regeneration")]
    assert found == [(names.run(first), names.run(again)), (names.run(first), names.run(third))]


def test_a_repeat_of_an_edited_text_is_found_by_the_text_that_was_generated(export: Export, sink: MemorySink) -> None:
    export.run(edits=("Ein Boot.",))
    export.regeneration("Ein Boot.")
    assert load(export, sink).regenerations == 1


def test_the_same_prompt_on_other_devices_is_an_exercise(export: Export, sink: MemorySink) -> None:
    export.run()
    export.regeneration(device=export.device(OTHER_BROWSER))
    report = load(export, sink)
    assert report.unattributed == {EXERCISE: 1}
    assert sink.outcomes("regeneration") == []


def test_a_repeat_of_nothing_is_listed(export: Export, sink: MemorySink) -> None:
    export.run(text="Anderes", answer="Etwas anderes.")
    export.regeneration()
    assert load(export, sink).unattributed == {NO_ORIGINAL: 1}


def test_a_copy_with_the_same_seed_is_no_regeneration(export: Export, sink: MemorySink) -> None:
    export.run()
    export.regeneration(seed=12)
    export.regeneration(seed=12)
    export.regeneration(seed="11")
    report = load(export, sink)
    assert (report.regenerations, report.unattributed) == (1, {SAME_SEED: 2})


def test_without_a_seed_nobody_can_say_that_it_is_new(export: Export, sink: MemorySink) -> None:
    export.run()
    export.regeneration(seed=None)
    assert load(export, sink).unattributed == {NO_SEED: 1}


def test_a_new_interception_of_the_same_text_is_a_call_of_its_own(export: Export, sink: MemorySink) -> None:
    export.run()
    export.run(outputs=(("image", 99),))
    report = load(export, sink)
    assert (report.imported, report.regenerations) == (2, 0)
    assert len({call.prompt for call in sink.kept_calls.values()}) == 1


def test_a_text_made_twice_is_repeated_by_its_later_run(export: Export, sink: MemorySink) -> None:
    export.run()
    later = export.run(outputs=(("image", 50),))
    export.regeneration(seed=51)
    load(export, sink)
    assert sink.outcomes("regeneration")[0].run == names.run(later)


def test_a_repeat_the_day_after_belongs_to_its_own_device_day(export: Export, sink: MemorySink) -> None:
    export.run(device="dev_0123456789ab")
    export.run(device=export.device())
    export.at = export.at.replace(day=15)
    export.regeneration(device="dev_0123456789ab")
    export.regeneration(device=export.device())
    report = load(export, sink)
    assert (report.regenerations, report.unattributed) == (1, {EXERCISE: 1})


# Blocks and verdicts


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"stage": 3, "error_type": "safety_blocked", "details": {"check": "86a"}}, ("stage3", "86a_filter", "86a")),
        ({"stage": "stage3", "error_type": "x", "details": {"check": "86a_filter"}}, ("stage3", "86a_filter", "86a")),
        ({"stage": "Stage 3", "error_type": "blocked", "details": {"check": "llamaguard"}},
         ("stage3", "llm_safety_check", "llamaguard")),
        ({"stage": 3, "details": {"check": "llm_safety_check", "code": "S1"}}, ("stage3", "llm_safety_check", "S1")),
        ({"stage": 3, "details": {"check": "dsgvo"}}, ("stage3", "", "dsgvo")),
        ({"stage": 4, "details": {"check": "vlm"}}, ("image", "", "vlm")),
        ({"stage": "image_check", "error_type": "safety_blocked", "details": {}}, ("image", "", "")),
        ({"stage": 2, "error_type": "youth_safety", "details": {"check": "new_check"}}, ("stage2", "", "new_check")),
        ({"stage": 1, "error_type": "safety_blocked", "details": {"check": "dsgvo"}}, ("stage1", "", "dsgvo")),
    ],
)  # fmt: skip
def test_blocks_have_stage_method_and_code(error: dict[str, Any], expected: tuple[str, str, str]) -> None:
    verdict = read_error(error)
    assert verdict.is_block
    assert (verdict.stage, verdict.method, verdict.code) == expected


@pytest.mark.parametrize(
    "error",
    [
        {"stage": 3, "error_type": "safety_blocked", "details": {"check": "llm_check_failed"}},
        {"stage": 3, "error_type": "safety_blocked", "details": {"check": "disabled"}},
        {"stage": 3, "error_type": "llm_check_failed", "details": {"check": "llamaguard"}},
        {"stage": 3, "error_type": "timeout", "details": {"check": "llamaguard"}},
        {"stage": 3, "error_type": "service_unavailable", "details": {"check": "llm_safety_check"}},
        {"stage": 3, "error_type": "ConnectionError", "details": {"check": "vlm"}},
        {"stage": 4, "error_type": "out_of_memory", "details": {}},
        {"stage": None, "error_type": "safety_blocked", "details": {}},
        {"stage": True, "error_type": "safety_blocked", "details": {}},
        {}, [], None, "blocked", {"details": "x"}, {"details": {"check": ["86a"]}},
    ],
)  # fmt: skip
def test_outages_and_everything_else_are_no_blocks(error: Any) -> None:
    verdict = read_error(error)
    assert not verdict.is_block
    assert verdict.reason
    assert (verdict.stage, verdict.method, verdict.code) == ("", "", "")


def test_a_blocked_run_is_a_block_and_its_texts_do_not_leave_the_folder(export: Export, sink: MemorySink) -> None:
    run = export.run(outputs=(), error=BLOCK)
    report = load(export, sink)
    call = call_of(sink, run)
    assert (call.input, call.context, call.output) == (None, None, None)
    assert (call.prompt, call.output_key) == (names.prompt("Ein Haus aus Wasser"), names.output(ANSWER))
    (block,) = sink.outcomes()
    assert (block.kind, block.stage, block.method, block.code) == ("block", "stage3", "86a_filter", "86a")
    assert report.verdict_unknown == 0


def test_a_refusal_inside_stage_2_is_a_block_without_any_answer(export: Export, sink: MemorySink) -> None:
    export.run(answer=None, outputs=(), error={"stage": 2, "error_type": "youth_safety_block", "details": {}})
    report = load(export, sink)
    assert (report.imported, sink.outcomes()[0].stage) == (1, "stage2")


def test_a_block_in_stage_1_is_no_call(export: Export, sink: MemorySink) -> None:
    export.run(answer=None, outputs=(), error=dict(BLOCK, stage=1))
    report = load(export, sink)
    assert sum(report.skipped.values()) == 1
    assert sink.kept_calls == sink.kept_outcomes == {}


def test_an_outage_is_a_call_without_a_verdict(export: Export, sink: MemorySink) -> None:
    export.run(outputs=(), error={"stage": 3, "error_type": "timeout", "details": {"check": "llamaguard"}})
    report = load(export, sink)
    assert (report.imported, sink.outcomes(), sum(report.errors_not_blocks.values())) == (1, [], 1)


def test_an_interception_without_output_is_unknown_and_never_a_block(export: Export, sink: MemorySink) -> None:
    export.run(outputs=())
    report = load(export, sink)
    assert (report.imported, report.verdict_unknown, sink.outcomes()) == (1, 1, [])


@pytest.mark.parametrize(("level", "kinds"), [("youth", ["not_blocked"]), ("adult", []), ("research", [])])
def test_only_levels_with_a_stage_3_have_a_verdict(
    export: Export, sink: MemorySink, level: str, kinds: list[str]
) -> None:
    export.run(safety_level=level)
    load(export, sink)
    assert [outcome.kind for outcome in sink.outcomes()] == kinds


def test_a_broken_error_file_is_not_the_same_as_none(export: Export, sink: MemorySink) -> None:
    export.run(outputs=())
    (export.folders[0] / "error.json").write_text("{")
    report = load(export, sink)
    assert (report.verdict_unknown, sum(report.errors_not_blocks.values())) == (0, 1)


# Devices, periods, files


def test_the_folder_says_which_device_it_was(export: Export, sink: MemorySink) -> None:
    export.run(device="dev_0123456789ab", metadata_device=None)
    export.run(metadata_device="dev_ffffffffffff")
    export.run(device=f"{LAN}_2026-03-14")
    export.run(device="api_0123456789ab")
    export.run(device="canvas_0123456789ab")
    export.run(device="test-1")
    export.run(device="legacy_20251103")
    export.run(device="somebody")
    report = load(export, sink)
    assert report.device_differs == 2
    assert report.device_kinds == {
        "dev": 1, "browser": 2, "api": 1, "canvas": 1, "test": 1, "legacy": 1, "unknown": 1,
    }  # fmt: skip
    assert Counter(call.device_kind for call in sink.kept_calls.values()) == report.device_kinds
    assert report.imported == 8


@pytest.mark.parametrize(
    ("local", "version"),
    [
        (datetime(2026, 1, 25, 23, 57), "host-pre-2026-01-26"),
        (datetime(2026, 1, 25, 23, 59), "host-2026-01-26-bug"),
        (datetime(2026, 2, 28, 23, 57), "host-2026-01-26-bug"),
        (datetime(2026, 2, 28, 23, 59), "host-post-2026-02-28"),
    ],
)
def test_the_template_is_known_by_the_hosts_local_day(
    export: Export, sink: MemorySink, local: datetime, version: str
) -> None:
    export.at = local
    run = export.run(timestamp=local.isoformat())
    assert load(export, sink).templates == {version: 1}
    assert call_of(sink, run).template_version == version


def test_another_time_zone_can_be_said_and_a_wrong_one_is_refused(export: Export, sink: MemorySink) -> None:
    run = export.run()
    load(export, sink, timezone="Europe/Istanbul")
    assert call_of(sink, run).ts.hour == 7
    with pytest.raises(ValueError, match="Europe/Berlin"):
        load(export, sink, timezone="Europe/Bärlin")


def test_a_time_with_a_zone_is_taken_as_it_is(export: Export, sink: MemorySink) -> None:
    run = export.run(prompting_process=[], timestamp="2026-03-14T10:00:00-05:00")
    load(export, sink)
    assert call_of(sink, run).ts == datetime(2026, 3, 14, 15, tzinfo=UTC)


def test_texts_that_are_missing_are_counted_and_the_run_is_imported(export: Export, sink: MemorySink) -> None:
    run = export.run(without=("prompting_process/003_interception.txt", "final/01_input.txt"))
    report = load(export, sink)
    assert (report.imported, report.missing_files, report.without_output) == (1, {"missing": 2}, 1)
    assert (call_of(sink, run).output, call_of(sink, run).input) == (None, "Ein Haus aus Wasser")


def test_an_older_run_without_a_process_is_a_call_without_output(export: Export, sink: MemorySink) -> None:
    run = export.run(prompted=False)
    report = load(export, sink)
    assert (report.imported, report.without_output, call_of(sink, run).output) == (1, 1, None)


def test_a_run_without_stage_2_is_skipped(export: Export, sink: MemorySink) -> None:
    export.run(answer=None, config_name="image_to_image", interception_config=None)
    assert load(export, sink).skipped == {NO_STAGE_2: 1}


def test_broken_and_missing_metadata_are_told_apart(export: Export, sink: MemorySink) -> None:
    export.run()
    export.run()
    export.run()
    (export.folders[0] / "metadata.json").write_text('{"run_id": ')
    (export.folders[1] / "metadata.json").unlink()
    report = load(export, sink)
    assert (report.imported, report.skipped) == (1, {BROKEN_METADATA: 1, NO_METADATA: 1})


def test_a_copied_folder_is_not_a_second_run(export: Export, sink: MemorySink) -> None:
    export.run()
    copy = export.folders[0].with_name(export.folders[0].name + " (Kopie)")
    copy.mkdir()
    (copy / "metadata.json").write_bytes((export.folders[0] / "metadata.json").read_bytes())
    export.folders.append(copy)
    report = load(export, sink)
    assert (report.imported, sum(report.skipped.values())) == (1, 1)


@pytest.mark.parametrize("name", ["../../../../secret.txt", "/etc/passwd", "..", "a\\b", "x" * 400, "a\x00b", ""])
def test_a_file_name_cannot_lead_out_of_the_folder(export: Export, sink: MemorySink, name: str) -> None:
    (export.root / "secret.txt").write_text("geheim")
    run = export.run()
    content = json.loads((export.folders[0] / "metadata.json").read_text())
    content["prompting_process"][2]["filename"] = name
    (export.folders[0] / "metadata.json").write_text(json.dumps(content))
    load(export, sink)
    assert call_of(sink, run).output is None


def test_links_are_not_followed_wherever_they_are(export: Export, sink: MemorySink, tmp_path: Path) -> None:
    outside = Export(tmp_path / "outside")
    outside.run()
    (tmp_path / "secret.txt").write_text("geheim")
    run = export.run()
    text = export.folders[0] / "prompting_process" / "003_interception.txt"
    text.unlink()
    text.symlink_to(tmp_path / "secret.txt")
    second = export.run()
    os.rename(export.folders[1] / "prompting_process", tmp_path / "moved")
    (export.folders[1] / "prompting_process").symlink_to(tmp_path / "moved")
    third = export.run()
    (export.folders[2] / "metadata.json").rename(tmp_path / "metadata.json")
    (export.folders[2] / "metadata.json").symlink_to(tmp_path / "metadata.json")
    (export.json / "2026-03-13").symlink_to(outside.json / "2026-03-14")
    (export.folders[0].parent / "run_1773478800000_ffffff").symlink_to(outside.folders[0])
    report = load(export, sink)
    assert (report.folders, report.passed_over["a link"]) == (3, 2)
    assert call_of(sink, run).output is None
    assert call_of(sink, second).output is None
    assert f"imp-{names.run(third)}" not in sink.kept_calls
    assert "geheim" not in repr(sink.kept_calls)


def test_a_pipe_and_an_oversized_file_are_not_read(export: Export, sink: MemorySink) -> None:
    export.run()
    export.run()
    text = export.folders[0] / "prompting_process" / "003_interception.txt"
    text.unlink()
    os.mkfifo(text)
    (export.folders[1] / "prompting_process" / "003_interception.txt").write_bytes(b"x" * 900_000)
    assert load(export, sink).missing_files == {"not a regular file": 1, "too large": 1}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\x00b", b"x" * 200_001])
def test_a_text_that_cannot_be_kept_is_counted(export: Export, sink: MemorySink, content: bytes) -> None:
    export.run()
    (export.folders[0] / "prompting_process" / "001_input.txt").write_bytes(content)
    report = load(export, sink)
    assert (report.imported, report.missing_files) == (1, {"not a text that can be kept": 1})


def test_what_is_no_run_is_passed_over_and_counted(export: Export, sink: MemorySink) -> None:
    export.run()
    (export.json / "sessions").mkdir()
    (export.json / "index.json").write_text("{}")
    (export.folders[0].parent / "notes.txt").write_text("x")
    report = load(export, sink)
    assert (report.folders, report.passed_over) == (1, {"not a date folder": 1, "a file among folders": 2})


# Favourites


def test_favourites_are_attributed_or_told_why_not(export: Export, sink: MemorySink) -> None:
    first, skipped = export.run(), export.run(answer=None, config_name="image_to_image", interception_config=None)
    again = export.regeneration()
    export.favourite(first, device=export.device())
    export.favourite(again, device=None, added_at="2026-07-14T12:00:00")
    export.favourite("run_1700000000000_aaaaaa")
    export.favourite(skipped)
    export.favourite(first)
    export.favourite(export.run(), added_at="gestern")
    export.favourites += ["x", {"added_at": "2026-03-14T12:00:00"}]
    export.write_favourites()
    report = load(export, sink)
    assert (report.favourites, report.favourites_attributed) == (8, 2)
    assert report.favourites_unattributed == {
        UNKNOWN_RUN: 1, f"its run: {NO_STAGE_2}": 1, TWICE: 1, NO_TIME: 1, NOT_READABLE: 2,
    }  # fmt: skip
    found = {(outcome.run, outcome.ts) for outcome in sink.outcomes("favourite")}
    assert found == {
        (names.run(first), datetime(2026, 3, 14, 11, 0, 0, 123456, tzinfo=UTC)),
        (names.run(again), datetime(2026, 7, 14, 10, tzinfo=UTC)),
    }
    assert "nur für mich" not in repr(sink.kept_outcomes)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "missing"), ("{", "broken JSON"), ("[]", ""), ('{"favorites": 3}', "")]
)
def test_a_favourites_file_of_any_kind_stops_nothing(
    export: Export, sink: MemorySink, content: str | None, said: str
) -> None:
    export.run()
    if content is not None:
        (export.json / "favorites.json").write_text(content)
    report = load(export, sink)
    assert (report.imported, report.favourites, report.favourites_file) == (1, 0, said)


# Again, and all together


def workshop(export: Export) -> None:
    """One of everything."""
    first = export.run()
    export.run(edits=("Ein Boot.",), device=export.device(OTHER_BROWSER))
    export.favourite(export.regeneration())
    export.regeneration(device=export.device(LAN))
    export.run(outputs=(), error=BLOCK)
    export.run(outputs=(), error={"stage": 3, "error_type": "timeout", "details": {"check": "llamaguard"}})
    export.run(outputs=())
    export.run(device="dev_0123456789ab", metadata_device=None, safety_level="adult")
    export.run(without=("prompting_process/003_interception.txt",))
    export.run(answer=None, config_name="image_to_image", interception_config=None)
    export.run()
    (export.folders[-1] / "metadata.json").write_text("{")
    export.run()
    (export.folders[-1] / "metadata.json").unlink()
    export.favourite(first, device=export.device(BROWSER))
    export.favourite("run_1700000000000_aaaaaa")


def test_everything_is_accounted_for_once(export: Export, sink: MemorySink) -> None:
    workshop(export)
    report = load(export, sink)
    assert (report.folders, report.imported, report.regenerations) == (12, 7, 1)
    assert report.unattributed == {EXERCISE: 1}
    assert report.skipped == {NO_STAGE_2: 1, BROKEN_METADATA: 1, NO_METADATA: 1}
    assert {kind: tally.new for kind, tally in report.outcomes.items()} == {
        "regeneration": 1, "edit": 1, "block": 1, "not_blocked": 4, "favourite": 2,
    }  # fmt: skip
    assert (report.verdict_unknown, report.favourites, report.favourites_attributed) == (1, 3, 2)
    assert report.new == len(sink.kept_calls) + len(sink.kept_outcomes) == 7 + 9


def test_importing_again_doubles_nothing(export: Export, sink: MemorySink) -> None:
    workshop(export)
    first = load(export, sink)
    before = (dict(sink.kept_calls), dict(sink.kept_outcomes))
    again = load(export, sink)
    assert (again.new, again.imported, again.known) == (0, 0, first.imported)
    assert (sink.kept_calls, sink.kept_outcomes) == before
    assert all(tally.new == tally.refused == 0 for tally in again.outcomes.values())
    assert again.favourites_attributed == first.favourites_attributed


def test_a_run_that_goes_on_later_gets_its_verdict_later(export: Export, sink: MemorySink) -> None:
    run = export.run(outputs=())
    load(export, sink)
    folder = export.folders[0]
    content = json.loads((folder / "metadata.json").read_text())
    content["entities"].append({"sequence": 9, "type": "output_image", "filename": "09.png", "metadata": {"seed": 1}})
    (folder / "metadata.json").write_text(json.dumps(content))
    report = load(export, sink)
    assert (report.known, report.conflicts, report.outcomes["not_blocked"].new) == (1, 0, 1)
    assert sink.outcomes("not_blocked")[0].run == names.run(run)


def test_a_folder_that_changed_keeps_its_first_content(export: Export, sink: MemorySink) -> None:
    run = export.run()
    load(export, sink)
    (export.folders[0] / "prompting_process" / "003_interception.txt").write_text("Etwas anderes.")
    report = load(export, sink)
    assert (report.conflicts, call_of(sink, run).output) == (1, ANSWER)


def test_an_import_that_was_cut_off_goes_on_where_it_was(export: Export, sink: MemorySink) -> None:
    workshop(export)
    sink.away = True
    with pytest.raises(Away):
        load(export, sink)
    sink.away = False
    assert load(export, sink).imported == 7


def test_the_folder_is_not_touched(export: Export, sink: MemorySink) -> None:
    workshop(export)
    before = snapshot(export.root)
    load(export, sink)
    assert snapshot(export.root) == before


def test_a_folder_that_cannot_be_written_is_good_enough(export: Export, sink: MemorySink) -> None:
    workshop(export)
    paths = [export.json, *export.json.rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        before = snapshot(export.root)
        assert load(export, sink).imported == 7
        assert snapshot(export.root) == before
    finally:
        for path in paths:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_nothing_raw_is_in_any_event_or_in_the_report(export: Export, sink: MemorySink) -> None:
    workshop(export)
    report = load(export, sink)
    said = repr(sink.kept_calls) + repr(sink.kept_outcomes) + repr(report) + "\n".join(report.lines())
    for raw in (BROWSER, OTHER_BROWSER, LAN, "dev_0123456789ab", "run_17"):
        assert raw not in said


def test_what_the_service_refuses_is_told_with_its_words(export: Export) -> None:
    export.run()
    export.favourite(export.run())
    report = load(export, MemorySink(experiment="another"))
    assert report.refused == {"unknown experiment 'stage2'": 2}
    assert report.outcomes == {}


def test_progress_is_told(export: Export, sink: MemorySink) -> None:
    workshop(export)
    told: list[tuple[int, int]] = []
    load(export, sink, on_progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (12, 12)


@pytest.mark.parametrize("part", ["", "exports", "exports/json"])
def test_the_folder_may_be_given_from_further_out(export: Export, sink: MemorySink, part: str) -> None:
    export.run()
    report = import_host(export.root / part, sink, experiment="stage2", pseudonymiser=names)
    assert report.imported == 1


def test_a_wrong_folder_says_what_was_expected(tmp_path: Path, sink: MemorySink) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ValueError, match="exports/json"):
            import_host(path, sink, experiment="stage2", pseudonymiser=names)


def test_the_report_reads_as_lines(export: Export, sink: MemorySink) -> None:
    workshop(export)
    lines = load(export, sink).lines()
    assert lines[0] == "12 run folders"
    assert "  7 calls imported" in lines
    assert "2 of 3 favourites attributed" in lines
    assert f"  skipped: 1 × {NO_STAGE_2}" in lines
