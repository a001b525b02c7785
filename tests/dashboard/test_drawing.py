"""What is drawn from the service's answers: everything escaped, nothing without its n, no colour alone."""

import json
from datetime import UTC

import altair as alt
import pytest

from client.errors import Refused, ServiceDown, Unauthorised
from dashboard import arms_table, charts, guard_card, guard_history, markup, palette, reach, split_tables, words_page
from dashboard import words_guard as words
from dashboard.wording import Voice
from tests.dashboard.answers import LIMITS, adapter, arm, point, rate, step

DE, EN = Voice("de", UTC), Voice("en", UTC)
HOSTILE = '<script>alert(1)</script>" onmouseover="x'
ESCAPED = "&lt;script&gt;alert(1)&lt;/script&gt;&quot; onmouseover=&quot;x"


def test_children_and_attributes_are_escaped_and_html_is_not():
    inner = markup.tag("b", HOSTILE)
    assert markup.tag("p", inner, None, title=HOSTILE, cls="x", aria_label=None) == (
        f'<p title="{ESCAPED}" class="x"><b>{ESCAPED}</b></p>'
    )


def everything(text: str) -> str:
    """Every part of the page with a hostile text wherever an event or a configuration may have one."""
    hostile_arm = arm(text) | {"model": text, "blocks": [{"stage": text, "method": text, "code": text, "calls": 1}]}
    hostile_adapter = adapter("rolled_back", arm=text, adapter=text, configured=text, sentences={"de": text})
    by = {"dimension": "config", "rows": [hostile_arm | {"value": text}]}
    hostile_step = step(arm=text, adapter=text, actor=text, token_id=text, reason=text, sentences={"de": text})
    guard = {"blind": text, "base_only_until": None, "opted_out": 0, "adapters": []}
    return "".join(
        (
            arms_table.table(DE, [hostile_arm]),
            arms_table.hints(DE, [arm(text, 0), arm("b")]),
            split_tables.blocks(DE, [hostile_arm]),
            split_tables.split(DE, by, [text]),
            guard_card.alarm(DE, [hostile_adapter]),
            guard_card.card(DE, hostile_adapter, LIMITS),
            guard_card.circumstances(DE, guard),
            guard_history.table(DE, [hostile_step]),
            reach.trouble(DE, Refused(409, text, "x"), text),
        )
    )


def test_nothing_from_events_is_ever_html():
    html = everything(HOSTILE)
    assert html.count(ESCAPED) > 15
    assert "<script" not in html
    assert 'onmouseover="' not in html


@pytest.mark.parametrize("state", [name for name in palette.STATES if name != "unknown"])
def test_a_state_is_a_colour_a_symbol_and_a_word(state):
    html = guard_card.card(DE, adapter(state, grade="manual" if state == "rolled_back" else None), LIMITS)
    assert f">{palette.STATES[state].symbol}<" in html
    assert f">{words.STATES[state].de}<" in html
    assert palette.STATES[state].cls in html


def test_a_state_that_is_not_known_now_never_looks_healthy():
    html = guard_card.card(DE, adapter("running"), LIMITS, old=True)
    assert ">Unbekannt<" in html
    assert "zuletzt: Läuft" in html
    assert palette.STATES["running"].cls not in html


def test_the_alarm_is_for_rollback_and_failsafe_only():
    assert guard_card.alarm(DE, [adapter("running"), adapter("watch"), adapter("paused")]) == ""
    both = [adapter("rolled_back", grade="precautionary", rule="R1"), adapter("failsafe")]
    html = guard_card.alarm(EN, both)
    assert "ROLLED BACK: lora is switched off" in html
    assert "precautionary · rule R1" in html
    assert "FAILSAFE" in html


def test_the_evidence_stands_beside_its_lines():
    html = guard_card.card(DE, adapter(), LIMITS)
    for part in ("6,0 %", "12 von 200", "+2,0", "löst bei 3,0 aus", "117", "löst bei 10.000 aus", "0,394", "ab 100"):
        assert part in html


def test_without_n_there_is_no_rate_but_a_sentence():
    empty = arm("lora", 0, open=False)
    html = arms_table.table(DE, [arm("base", base=True), empty])
    lora = html.split('data-arm="lora" data-measure="favourites"')[1].split("</td>")[0]
    assert "%" not in lora
    assert "noch keine Daten" in lora
    assert "Scharf schalten" in arms_table.hints(DE, [arm("base"), empty])
    assert "Das Los" in arms_table.hints(DE, [arm("base"), arm("lora", 0)])
    assert "gibt es noch keine Anfragen" in arms_table.hints(DE, [arm("base", 0), empty])


def test_calls_without_verdicts_say_where_verdicts_come_from():
    silent = arm("base") | {"prompt_runs": rate(0, 0)}
    assert "equipoise import host --watch" in arms_table.hints(DE, [silent])
    assert "noch kein Urteil" in arms_table.table(DE, [silent])


def test_every_share_is_shown_with_counts_and_interval():
    html = arms_table.table(EN, [arm("base", base=True)])
    assert "20 of 200 · 95 %: 6.0–14.0 %" in html
    assert "median · p90 1,240 ms · p99 2,000 ms · n = 200" in html


def test_blocks_name_stage_check_and_code_for_both_arms():
    kinds = [{"stage": "stage3", "method": "86a_filter", "code": "86a", "calls": 3}]
    html = split_tables.blocks(DE, [arm("base", base=True) | {"blocks": kinds}, arm("lora")])
    assert "3 von 200" in html
    assert "0 von 200" in html
    assert "Keine Blockierung" in split_tables.blocks(DE, [arm("base")])


def test_the_history_says_who_why_and_from_where_to_where():
    rows = [step(), step(from_state="disarmed", to_state="running", rule="", grade="", actor="Ada", reason="Workshop")]
    html = guard_history.table(DE, rows)
    assert "Läuft → " in html
    assert "R2 · vorsorglich" in html
    assert "12 von 200" in html
    assert "58 von 1.000" in html
    assert ">Wächter<" in html
    assert "Ada" in html
    assert "Workshop" in html
    assert "wenn ein Mensch den Adapter scharf schaltet" in guard_history.table(DE, [])


def pictures(voice: Voice) -> list[charts.Picture | None]:
    arms = [arm("base", base=True), arm("lora")]
    series = {
        "bin_s": 60,
        "points": [point(minute, name, minute, 40) for minute in range(9) for name in ("base", "lora")],
    }
    order = ["base", "lora"]
    return [
        charts.intervals(voice, arms, "prompt_runs", words_page.BLOCKED_RUNS, 0.05),
        charts.calls(voice, series, order),
        charts.blocked_against_limit(voice, adapter(), LIMITS, order),
        charts.running(voice, series, "favourites", words_page.FAVOURITES, order),
    ]


@pytest.mark.parametrize("index", range(4))
def test_a_picture_is_valid_and_says_its_figures_in_words(index):
    picture = pictures(DE)[index]
    spec = {key: value for key, value in picture.spec.items() if key != "datasets"}
    alt.LayerChart.from_dict(spec) if "layer" in spec else alt.Chart.from_dict(spec)
    named = json.dumps(spec).count('"name": "')
    assert named >= 1
    assert {"rows", *(["limit"] if index == 0 else [])} <= set(picture.spec["datasets"])
    assert len(picture.alt) > 30
    if index != 1:
        assert " von " in picture.alt


def test_a_refresh_changes_rows_alone():
    before = pictures(DE)
    after = pictures(DE)
    for one, other in zip(before, after, strict=True):
        assert json.dumps(one.spec | {"datasets": 0}) == json.dumps(other.spec | {"datasets": 0})


def test_without_data_there_is_no_picture():
    nothing = {"bin_s": 60, "points": []}
    assert charts.intervals(DE, [arm("base", 0)], "favourites", words_page.FAVOURITES) is None
    assert charts.calls(DE, nothing, ["base"]) is None
    assert charts.running(DE, nothing, "favourites", words_page.FAVOURITES, ["base"]) is None
    assert charts.blocked_against_limit(DE, adapter(evidence=[]), LIMITS, ["base"]) is None


def test_running_shares_start_where_their_interval_says_something():
    points = [point(minute, "base", 1, n) for minute, n in enumerate((5, 19, 20, 30))]
    picture = charts.running(DE, {"bin_s": 60, "points": points}, "favourites", words_page.FAVOURITES, ["base"])
    assert picture.spec["datasets"]["rows"].num_rows == 2
    few = charts.running(DE, {"bin_s": 60, "points": points[:2]}, "favourites", words_page.FAVOURITES, ["base"])
    assert few.spec["datasets"]["rows"].num_rows == 1


@pytest.mark.parametrize(
    ("seconds", "german"), [(10, "10 Sekunden"), (60, "Minute"), (1800, "30 Minuten"), (21600, "6 Stunden")]
)
def test_periods_have_names(seconds, german):
    assert charts.bin_name(DE, seconds) == german


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (ServiceDown("GET x: nobody"), "'equipoise up' oder 'equipoise serve'"),
        (Unauthorised(401, "x", "GET"), "Dieses Token gilt hier nicht"),
        (Unauthorised(403, "x", "GET"), "Die Rolle dieses Tokens"),
        (Refused(404, "unknown experiment", "GET"), "unknown experiment"),
    ],
)
def test_each_failure_is_a_sentence_that_helps(error, part):
    assert part in reach.trouble(DE, error, "http://127.0.0.1:17811").replace("&#x27;", "'")
