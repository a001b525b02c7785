"""``equipoise report``: what it says first, and a page that stands alone and can be trusted with stored names."""

import json
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ops.report_page import page
from ops.report_plots import Estimate, forest, steps
from ops.report_words import needed, p_value, published, scale
from tests.collector.conftest import Live
from tests.collector.seeded import Effects, TrafficPlan
from tests.ops.conftest import Said
from tests.ops.seasoned import seasoned

EVIL = "<script>alert(1)</script>"
EXCLUSION = {"id": "x1", "experiment": "stage2", "device": "kid1_2026-03-02", "reason": EVIL, "actor": "Ada"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    traffic = TrafficPlan(calls=2_000, effects=(Effects(favourite=0.12),))
    with seasoned(tmp_path_factory.mktemp("season"), traffic, config=EVIL) as live:
        assert live.http.post("/v1/exclusions", json=EXCLUSION).status_code == 201
        yield live


@pytest.fixture(scope="module")
def unplanned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with seasoned(tmp_path_factory.mktemp("open"), TrafficPlan(calls=120), plan={}, synthetic=True) as live:
        yield live


@pytest.fixture
def document(cli: Callable[..., Said], house: Live) -> dict:
    said = cli("report", "--service", house.url, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


@pytest.fixture
def html(cli: Callable[..., Said], house: Live, tmp_path: Path) -> str:
    said = cli("report", "--service", house.url, "--html", str(tmp_path / "report.html"))
    assert (said.code, said.out) == (0, "")
    return (tmp_path / "report.html").read_text()


class Reader(HTMLParser):
    """Visible text and tags of a page, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if data.strip() and self.tags and self.tags[-1][0] not in ("style", "title"):
            self.texts.append(" ".join(data.split()))


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_the_plans_standing_is_the_first_thing_on_the_page(html: str, document: dict) -> None:
    assert read(html).texts[0] == document["analysis"][0]["standing"]["sentence"]
    assert document["analysis"][0]["standing"]["verdict"] == "higher"


def test_the_terminal_says_the_standing_and_the_alarms_before_any_table(cli: Callable[..., Said], house: Live) -> None:
    said = cli("report", "--service", house.url)
    assert said.out.startswith("lora: higher: ")
    assert said.out.index("! late events") < said.out.index("stage2, epoch 1")


def test_an_experiment_without_a_plan_says_so_first_and_synthetic_traffic_bears_its_banner(
    cli: Callable[..., Said], unplanned: Live, tmp_path: Path
) -> None:
    assert cli("report", "--service", unplanned.url, "--html", str(tmp_path / "r.html")).code == 0
    texts = read((tmp_path / "r.html").read_text()).texts
    assert texts[0].startswith("SYNTHETIC TRAFFIC")
    assert texts[1].startswith("cannot be decided: no end was planned")
    assert cli("report", "--service", unplanned.url).out.startswith("lora: cannot be decided")


def test_the_page_runs_no_script_and_asks_for_nothing(html: str) -> None:
    reader = read(html)
    assert not {tag for tag, _ in reader.tags} & {"script", "link", "img", "iframe", "object", "embed", "form"}
    assert not [attrs for _, attrs in reader.tags if {"src", "href", "action", "xlink:href"} & set(attrs)]
    assert "url(" not in html
    assert "@import" not in html
    assert not [name for _, attrs in reader.tags for name in attrs if name.startswith("on")]


def test_stored_names_and_reasons_are_shown_as_text(html: str) -> None:
    assert EVIL not in html
    assert "&lt;script&gt;alert(1)&lt;/script" in html  # a segment's name
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td>" in html  # an exclusion's reason


def test_the_page_has_every_part(html: str) -> None:
    text = " ".join(read(html).texts)
    for part in ("difference, as assigned", "difference, as treated", "p (Holm)", "detectable now", "live interval",
                 "By config", "By language", "younger than 7 days", "Every transition", "Exclusions",
                 "answer less diversely", "The plan, as it was before arming", "configuration (SHA-256)",
                 "Look at these before you believe a number"):  # fmt: skip
        assert part in text, part
    assert html.count("<svg") >= 4


def test_the_interval_on_the_page_is_the_re_randomised_one(html: str, document: dict) -> None:
    favourites = document["analysis"][0]["metrics"][0]
    drawn = favourites["rerandomised"]
    shown = f"({100 * drawn['low']:+.1f} to {100 * drawn['high']:+.1f})".replace("-", "−")
    assert shown in html
    assert document["analysis"][0]["family"]["sentence"] in " ".join(read(html).texts)


def test_every_number_of_the_page_is_a_formatted_number_of_the_json(document: dict) -> None:
    before = page(document)
    favourites = document["analysis"][0]["metrics"][0]
    favourites["p_value"], favourites["rerandomised"]["low"] = 0.5432, -0.0772
    after = page(document)
    assert "0.543" not in before
    assert "0.543" in after
    assert "−7.7 to" in after


def test_no_interval_is_shown_before_there_are_devices_enough(cli: Callable[..., Said], unplanned: Live) -> None:
    metrics = json.loads(cli("report", "--service", unplanned.url, "--json").out)["analysis"][0]["metrics"]
    favourites = next(metric for metric in metrics if metric["metric"] == "favourites")
    assert published(favourites)["low"] is None
    assert "too few" in favourites["sentence"]


def test_a_folder_that_does_not_exist_is_one_line(cli: Callable[..., Said], house: Live) -> None:
    said = cli("report", "--service", house.url, "--html", "nowhere/report.html")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "folder that exists" in said.err


class TestPlots:
    def test_zero_is_in_the_middle_and_intervals_keep_their_order(self) -> None:
        plot = forest([Estimate("a", "", 5.0, 1.0, 9.0), Estimate("b", "", -2.0, -4.0, 0.0)])
        a, b = plot.rows
        assert plot.zero == (plot.left + plot.right) / 2
        assert plot.zero < a.low < a.point < a.high <= plot.right
        assert plot.left <= b.low < b.point < b.high == plot.zero

    def test_one_wide_cell_does_not_press_the_others_flat(self) -> None:
        rows = [Estimate(str(i), "", 1.0, -1.0, 3.0) for i in range(5)] + [Estimate("wide", "", 9.0, -500.0, 500.0)]
        plot = forest(rows)
        assert plot.rows[0].high - plot.rows[0].low > 50
        assert (plot.rows[-1].low, plot.rows[-1].high) == (plot.left, plot.right)

    def test_nothing_to_show_is_no_plot(self) -> None:
        assert forest([Estimate("a", "", None, None, None)]) is None

    @pytest.mark.parametrize(("low", "high"), [(-12.3, 12.3), (0, 0.7), (0, 31)])
    def test_ticks_are_round_and_few(self, low: float, high: float) -> None:
        found = steps(low, high)
        assert 3 <= len(found) <= 6
        assert all(re.fullmatch(r"-?\d+(\.\d)?", f"{value:g}") for value in found)


def test_words() -> None:
    assert (p_value(None), p_value(0.0004), p_value(0.0123)) == ("–", "< 0.001", "0.012")
    assert scale("latency") == (1.0, "ms")
    outlook = {"effect": 0.05, "calls_needed": 17.2, "workshops_needed": 1.01, "calls_needed_even": 0.0}
    assert needed(outlook) == "18 calls more ≈ 2 workshops for 5.0 points; at 50/50 0 calls"
