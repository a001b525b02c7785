"""The live page in a real browser, over a real dashboard process, over a real service process."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

ROOT = Path(__file__).parents[2]
ARTIFACTS = ROOT / "artifacts"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
CHROMIUM_ARGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip
ARMS = {"base": {"model": "qwen3:4b", "weight": 80}, "lora": {"model": "qwen3:4b-v1", "weight": 20}}
SHOWN_WITHIN_MS = 5_000
START_S = 60

SERVE = """
import json, sys
from collector.config import ServiceConfig
from collector.serve import run
run(ServiceConfig.model_validate(json.loads(sys.argv[1])))
"""
DASHBOARD = """
import sys
from dashboard.config import DashboardSettings
from dashboard.serve import run
run(DashboardSettings(), sys.argv[1], port=int(sys.argv[2]))
"""

# At every frame: where the heading in sight stands, whether anything has faded, and whether a part is there twice.
WATCH_PLACES = """() => {
    window.places = []; window.dimmed = 0; window.cards = 0;
    const look = () => {
        const top = Math.round(document.querySelector("#eq-time").getBoundingClientRect().top);
        if (window.places.at(-1) !== top) window.places.push(top);
        for (const part of document.querySelectorAll('[data-testid="stElementContainer"]'))
            if (getComputedStyle(part).opacity !== "1") window.dimmed += 1;
        window.cards = Math.max(window.cards, document.querySelectorAll(".eq-guard").length);
        requestAnimationFrame(look);
    };
    look();
}"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Process:
    """A subprocess that answers at an address; its output goes to a file."""

    def __init__(self, code: str, *arguments: str, ready: str, log: Path) -> None:
        self.log = log
        with log.open("w") as output:
            self.child = subprocess.Popen(
                [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if self.child.poll() is not None:
                raise AssertionError(f"ended at once: {log.read_text()[-2000:]}")
            try:
                if httpx.get(ready, timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        self.stop()
        raise AssertionError(f"not ready after {START_S} s: {log.read_text()[-2000:]}")

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(25)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(5)


class Service:
    """The owner service on a fixed port, and what a host would send to it."""

    def __init__(self, port: int, data: Path) -> None:
        self.url, self.port, self.data = f"http://127.0.0.1:{port}", port, data
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self.process: Process | None = None

    def start(self, *, development: bool = True, experiment: bool = True, **service: Any) -> "Service":
        section = {"data": str(self.data), "api_port": self.port, "development": development, **service}
        config: dict[str, Any] = {"service": section}
        if experiment:
            config["experiment"] = {"stage2": {"arms": ARMS}}
        log = self.data.parent / "serve.log"
        self.process = Process(SERVE, json.dumps(config), ready=f"{self.url}/readyz", log=log)
        if not development:
            self.http.headers["Authorization"] = f"Bearer {self.token('admin')}"
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.stop()

    def token(self, role: str) -> str:
        return str(json.loads((self.data / "tokens.json").read_text())[role]["token"])

    def post(self, path: str, items: Any) -> None:
        answer = self.http.post(path, json=items)
        assert answer.status_code in (200, 201), answer.text

    def call(self, id: str, *, minutes_ago: float = 0, **more: Any) -> dict[str, Any]:
        return {
            "id": id, "ts": (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat(), "experiment": "stage2",
            "epoch": 1, "arm": "base", "model": "qwen3:4b", "reason": "split", "device": f"abc{id}_2026-03-02",
            "device_kind": "browser", "run": f"run_{id}", "safety_level": "kids", "language": "de", "config": "hoeren",
            "input": f"Ein Hund {id}", "output": f"Ein Hund, man hört {id}", "latency_ms": 800.0,
        } | more  # fmt: skip

    def adapter_call(self, id: str, **more: Any) -> dict[str, Any]:
        return self.call(id, **({"arm": "lora", "model": "qwen3:4b-v1"} | more))

    def outcome(self, kind: str, call: str, **more: Any) -> dict[str, Any]:
        values = {"id": f"{call}-{kind}", "ts": datetime.now(UTC).isoformat(), "experiment": "stage2", "kind": kind}
        if kind in ("block", "not_blocked"):
            values |= {"stage": "stage3", "method": "llm_safety_check", "code": "86a" if kind == "block" else ""}
        return values | {"call": call} | more

    def act(self, action: str, **more: Any) -> httpx.Response:
        body = {"action": action, "arm": "lora", "reason": "a test", "actor": "Ada"} | more
        return self.http.post("/v1/experiments/stage2/guard", json=body)

    def arm(self) -> None:
        self.post("/v1/calls", self.call("first", epoch=0, minutes_ago=50))
        self.post("/v1/outcomes", self.outcome("not_blocked", "first"))
        assert self.act("arm", adapter="qwen3:4b-v1").status_code == 200

    def seed(self) -> None:
        """Armed, with both arms at work: 60 calls of the base, 15 of the adapter, one of them blocked."""
        self.arm()
        base = [self.call(f"c{i}", minutes_ago=40 - i / 2, config=("hoeren", "sehen")[i % 2]) for i in range(60)]
        lora = [self.adapter_call(f"l{i}", minutes_ago=40 - 2 * i) for i in range(15)]
        self.post("/v1/calls", base + lora)
        verdicts = [self.outcome("not_blocked", item["id"]) for item in (base + lora)[1:]]
        others = [self.outcome("favourite", f"c{i}") for i in range(7)] + [self.outcome("favourite", "l3")]
        others += [self.outcome("regeneration", f"c{i}", child_run=f"run_again_{i}") for i in range(10)]
        self.post("/v1/outcomes", [*verdicts, *others, self.outcome("block", "c0")])

    def blocks(self, count: int) -> None:
        """So many blocks of the adapter, each on a device of its own."""
        for i in range(count):
            self.post("/v1/calls", self.adapter_call(f"b{i}"))
            self.post("/v1/outcomes", self.outcome("block", f"b{i}"))

    def results(self, **filters: str) -> dict[str, Any]:
        answer = self.http.get("/v1/experiments/stage2/results", params={"analysis": "false", **filters})
        return dict(answer.json())

    def guard(self) -> dict[str, Any]:
        return dict(self.http.get("/v1/experiments/stage2/guard").json())


@pytest.fixture(scope="module")
def api_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def dashboard(api_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One dashboard process; the service behind it comes and goes with each test."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("dashboard") / "dashboard.log"
    process = Process(DASHBOARD, f"http://127.0.0.1:{api_port}", str(port), ready=f"{url}/_stcore/health", log=log)
    yield url
    process.stop()
    assert "Traceback" not in log.read_text()


@pytest.fixture
def service(api_port: int, tmp_path: Path) -> Iterator[Service]:
    service = Service(api_port, tmp_path / "data")
    yield service
    service.stop()
    service.http.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: 'apt-get install chromium', or set CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGS)
        yield browser
        browser.close()


class Watched:
    """A page that keeps what its console and its network say."""

    def __init__(self, page: Any, home: str) -> None:
        self.page, self.home = page, home
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("console", lambda message: self._heard(message.type, message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))
        page.on("websocket", lambda socket: self._asked(socket.url.replace("ws:", "http:")))
        page.on("dialog", lambda dialog: self.errors.append(f"dialog: {dialog.message}"))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.home, "data:", f"blob:{self.home}")):
            self.foreign.append(url)


@pytest.fixture
def open_page(browser: Any, dashboard: str) -> Iterator[Callable[..., Any]]:
    """Opens the page and waits until it has figures; at the end nothing may have been wrong in the console."""
    opened: list[tuple[Any, Watched]] = []

    def open_(query: str = "", wait: str = "#eq-history", **options: Any) -> Any:
        values = {"viewport": {"width": 1366, "height": 768}, "color_scheme": "light"} | options
        context = browser.new_context(timezone_id="Europe/Berlin", **values)
        page = context.new_page()
        opened.append((context, Watched(page, dashboard)))
        page.goto(f"{dashboard}/{query}")
        expect(page.locator(wait)).to_be_visible(timeout=30_000)
        return page

    yield open_
    for context, watched in opened:
        context.close()
        assert watched.errors == []
        assert watched.foreign == []


def keep(page: Any, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    expect(page.locator('[data-testid="stSkeleton"]')).to_have_count(0, timeout=15_000)
    page.screenshot(path=str(ARTIFACTS / f"live-{name}.png"))


def cell(page: Any, arm: str, measure: str) -> Any:
    return page.locator(f'td[data-arm="{arm}"][data-measure="{measure}"]')


def numbers(text: str) -> list[float]:
    """The numbers of a German text."""
    return [float(found.replace(".", "").replace(",", ".")) for found in re.findall(r"\d[\d.]*(?:,\d+)?", text)]


def text_of(locator: Any) -> str:
    return str(locator.inner_text())


def intervene(page: Any) -> None:
    page.get_by_role("button", name="Eingreifen").click()
    expect(page.get_by_label("Dein Name")).to_be_visible()


def test_every_figure_of_both_arms_is_the_apis(service, open_page):
    service.start().seed()
    page = open_page()
    expect(cell(page, "base", "calls")).to_contain_text("60")
    for arm in service.results()["arms"]:
        assert numbers(text_of(cell(page, arm["arm"], "calls"))) == [arm["calls"], arm["treated"]]
        assert numbers(text_of(cell(page, arm["arm"], "devices"))) == [arm["devices"]]
        for measure in ("favourites", "regenerations", "prompt_runs", "edits", "refusals"):
            rate = arm[measure]
            ends = [round(100 * rate[end], 1) for end in ("low", "high")]
            shown = numbers(text_of(cell(page, arm["arm"], measure)))
            # 11,7 % 7 von 60 · 95 %: 4,8–22,6 %
            assert shown == pytest.approx([round(100 * rate["rate"], 1), rate["k"], rate["n"], 95, *ends], abs=0.051)
        for measure in ("errors", "fallbacks", "guarded"):
            assert numbers(text_of(cell(page, arm["arm"], measure))) == [arm[measure], arm["calls"]]
        times = arm["latency_ms"]
        shown = numbers(text_of(cell(page, arm["arm"], "latency_ms")).replace("p90", "").replace("p99", ""))
        assert shown == pytest.approx([times["median"], times["p90"], times["p99"], times["n"]], abs=0.5)
    adapter = service.guard()["adapters"][0]
    expect(page.locator(".eq-guard .eq-sentence")).to_have_text(adapter["sentences"]["de"])
    keep(page, "de-dark")
    # In both pictures of blocked prompt-runs the limit is drawn.
    expect(page.locator('svg.marks line[stroke="#D55E00"]')).to_have_count(2)


def test_a_new_event_is_on_the_screen_within_five_seconds(service, open_page):
    service.start().seed()
    page = open_page()
    expect(cell(page, "lora", "favourites")).to_contain_text("1 von 15")
    service.post("/v1/outcomes", service.outcome("favourite", "l7"))
    expect(cell(page, "lora", "favourites")).to_contain_text("2 von 15", timeout=SHOWN_WITHIN_MS)


def test_a_rollback_appears_by_itself_and_stays_in_sight(service, open_page):
    service.start().seed()
    page = open_page()
    expect(page.locator(".eq-guard .eq-state-name")).to_have_text("Läuft")
    expect(page.locator(".eq-alarm")).to_have_count(0)
    page.evaluate(WATCH_PLACES)
    service.blocks(4)
    alarm = page.locator(".eq-alarm")
    expect(alarm).to_contain_text("ZURÜCKGEROLLT: lora ist abgeschaltet", timeout=SHOWN_WITHIN_MS)
    expect(page.locator(".eq-guard .eq-state-name")).to_have_text("Zurückgerollt")
    expect(page.locator(".eq-history tbody").first).to_contain_text("R1 · vorsorglich")
    expect(page).to_have_title("✕ Zurückgerollt · Equipoise")
    page.locator("#eq-history").scroll_into_view_if_needed()
    page.mouse.wheel(0, 3000)
    expect(alarm).to_be_in_viewport()
    keep(page, "rollback")
    assert page.evaluate("window.cards") == 1


def test_typing_and_scrolling_survive_every_refresh(service, open_page):
    service.start().seed()
    page = open_page()
    expect(page.locator('[data-testid="stVegaLiteChart"] svg.marks')).to_have_count(10, timeout=15_000)
    page.locator("#eq-time").evaluate("element => element.scrollIntoView()")
    page.evaluate(WATCH_PLACES)
    service.post("/v1/calls", [service.call(f"late{i}") for i in range(5)])
    expect(cell(page, "base", "calls")).to_contain_text("65", timeout=SHOWN_WITHIN_MS)
    stands = text_of(page.locator(".eq-status strong"))
    expect(page.locator(".eq-status strong")).not_to_have_text(stands, timeout=SHOWN_WITHIN_MS)
    assert page.evaluate("window.places.length") == 1
    assert page.evaluate("window.dimmed") == 0
    page.locator("h1").scroll_into_view_if_needed()
    intervene(page)
    page.get_by_label("Warum?").press_sequentially("Die Klasse ", delay=5)
    service.blocks(4)
    expect(page.locator(".eq-alarm")).to_be_visible(timeout=SHOWN_WITHIN_MS)
    page.get_by_label("Warum?").press_sequentially("geht", delay=5)
    expect(page.get_by_label("Warum?")).to_have_value("Die Klasse geht")


def test_an_action_needs_a_name_and_a_reason_and_is_logged_with_them(service, open_page):
    service.start().seed()
    page = open_page()
    intervene(page)
    page.get_by_role("radio", name="Pausieren").click()
    expect(page.get_by_text("bis jemand fortsetzt")).to_be_visible()
    page.get_by_role("button", name="Weiter").click()
    expect(page.get_by_text("Name und Begründung")).to_be_visible()
    page.get_by_label("Dein Name").fill("Grace")
    page.get_by_label("Warum?").fill("Gruppenwechsel im Raum")
    page.get_by_role("button", name="Weiter").click()
    expect(page.get_by_text("Wirklich: pausieren?")).to_be_visible()
    assert service.guard()["adapters"][0]["state"] == "running"
    keep(page, "confirm")
    page.get_by_role("button", name="Ja, pausieren").click()
    expect(page.get_by_text(re.compile("Erledigt um .*: Pausieren"))).to_be_visible()
    logged = service.guard()["history"][0]
    assert (logged["action"], logged["actor"], logged["reason"], logged["to_state"]) == (
        "pause", "Grace", "Gruppenwechsel im Raum", "paused",
    )  # fmt: skip
    expect(page.locator(".eq-history tbody").first).to_contain_text("Gruppenwechsel im Raum", timeout=SHOWN_WITHIN_MS)
    page.get_by_role("button", name="Noch etwas tun").click()
    expect(page.get_by_role("radio", name="Fortsetzen")).to_be_visible()
    expect(page.get_by_label("Dein Name")).to_have_value("Grace")


def test_arming_names_the_adapter_and_a_refusal_says_why(service, open_page):
    service.start().seed()
    service.blocks(4)
    page = open_page()
    intervene(page)
    expect(page.get_by_text("Abkühlzeit")).to_be_visible()
    page.get_by_label("Dein Name").fill("Ada")
    page.get_by_label("Warum?").fill("Codes gelesen")
    page.get_by_label("Version des Adapters").fill("qwen3:4b-v2")
    page.get_by_role("button", name="Weiter").click()
    expect(page.get_by_text("Eingerichtet ist qwen3:4b-v1, nicht qwen3:4b-v2")).to_be_visible()
    page.get_by_label("Version des Adapters").fill("qwen3:4b-v1")
    page.get_by_role("button", name="Weiter").click()
    page.get_by_role("button", name="Ja, scharf schalten").click()
    expect(page.get_by_text("Der Dienst hat abgelehnt")).to_be_visible()
    expect(page.get_by_text("cooling down after a precautionary rollback")).to_be_visible()


def test_base_only_today_is_one_action_and_then_stands_on_the_page(service, open_page):
    service.start().seed()
    page = open_page()
    intervene(page)
    page.get_by_role("radio", name="Heute nur Basis").click()
    page.get_by_label("Dein Name").fill("Grace")
    page.get_by_label("Warum?").fill("Die 4b nimmt nicht teil")
    page.get_by_role("button", name="Weiter").click()
    page.get_by_role("button", name="Ja, heute nur Basis").click()
    expect(page.locator(".eq-notice-hint", has_text="Heute nur Basis, bis")).to_be_visible(timeout=SHOWN_WITHIN_MS)
    assert service.guard()["base_only_until"] is not None


def test_a_token_is_asked_for_and_a_wrong_one_refused(service, open_page):
    service.start(development=False).seed()
    page = open_page(wait='[data-testid="stForm"]')
    expect(page.get_by_text("Der Dienst verlangt ein Token")).to_be_visible()
    expect(page.locator(".eq-guard")).to_have_count(0)
    keep(page, "door")
    page.get_by_label("Token", exact=True).fill("not-a-token")
    page.get_by_role("button", name="Eintreten").click()
    expect(page.get_by_text("Dieses Token gilt hier nicht")).to_be_visible()
    token = service.token("leader")
    page.get_by_label("Token", exact=True).fill(token)
    page.get_by_role("button", name="Eintreten").click()
    expect(page.locator(".eq-guard")).to_be_visible(timeout=15_000)
    expect(page.get_by_label("Token", exact=True)).to_have_count(0)
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert token not in page.url + stored + page.content()


def test_a_leader_may_pause_but_not_resume(service, open_page):
    service.start(development=False).seed()
    assert service.act("pause").status_code == 200
    page = open_page(wait='[data-testid="stForm"]')
    page.get_by_label("Token", exact=True).fill(service.token("leader"))
    page.get_by_role("button", name="Eintreten").click()
    expect(page.locator(".eq-guard")).to_be_visible(timeout=15_000)
    intervene(page)
    page.get_by_role("radio", name="Fortsetzen").click()
    page.get_by_label("Dein Name").fill("Grace")
    page.get_by_label("Warum?").fill("weiter")
    page.get_by_role("button", name="Weiter").click()
    page.get_by_role("button", name="Ja, fortsetzen").click()
    expect(page.get_by_text("Die Rolle dieses Tokens darf das nicht")).to_be_visible()
    assert service.guard()["adapters"][0]["state"] == "paused"


def test_without_the_service_a_sentence_says_what_to_do_and_the_page_recovers(service, open_page):
    page = open_page(wait=".eq-notice")
    expect(page.locator(".eq-notice-trouble")).to_contain_text("'equipoise up' oder 'equipoise serve'")
    service.start().seed()
    expect(page.locator(".eq-guard .eq-state-name")).to_have_text("Läuft", timeout=20_000)
    service.stop()
    expect(page.locator(".eq-guard .eq-state-name")).to_have_text("Unbekannt", timeout=20_000)
    expect(page.locator(".eq-guard .eq-state-detail")).to_have_text("zuletzt: Läuft")
    expect(page.get_by_text("Die Zahlen darunter sind von")).to_be_visible()
    keep(page, "down")
    service.start()
    expect(page.locator(".eq-guard .eq-state-name")).to_have_text("Läuft", timeout=30_000)
    expect(page.locator(".eq-notice-trouble")).to_have_count(0)


def test_an_empty_warehouse_and_one_arm_without_data_say_what_to_do(service, open_page):
    service.start()
    page = open_page()
    expect(page.locator(".eq-guard .eq-state-name")).to_have_text("Nicht scharf")
    expect(page.get_by_text("In diesem Ausschnitt gibt es noch keine Anfragen")).to_be_visible()
    expect(page.get_by_text("Noch kein Eintrag.")).to_be_visible()
    expect(cell(page, "base", "favourites")).to_contain_text("noch keine Daten")
    keep(page, "empty")
    service.post("/v1/calls", [service.call(f"c{i}", epoch=0) for i in range(3)])
    expect(page.get_by_text("lora bekommt keinen Verkehr: Erst wenn")).to_be_visible(timeout=SHOWN_WITHIN_MS)
    expect(page.get_by_text("noch kein Urteil der Sicherheitsprüfung.")).to_be_visible()
    expect(cell(page, "base", "calls")).to_contain_text("3")
    expect(cell(page, "lora", "favourites")).to_contain_text("noch keine Daten")


def test_without_an_experiment_a_sentence_says_what_to_configure(service, open_page):
    service.start(experiment=False)
    page = open_page(wait=".eq-notice")
    expect(page.locator(".eq-notice")).to_contain_text("[experiment.NAME]")


def test_what_comes_from_events_stays_text(service, open_page):
    service.start().seed()
    hostile = '<script>alert(1)</script><img src=x onerror="alert(2)">![x](http://example.invalid/x.png)'
    service.post("/v1/calls", [service.adapter_call("x1", config=hostile), service.adapter_call("x2")])
    service.post("/v1/outcomes", service.outcome("block", "x1", code=hostile, method="**bold**"))
    assert service.act("pause", actor="<b>Eve</b>", reason=hostile).status_code == 200
    page = open_page()
    expect(page.locator('[data-part="split"]')).to_contain_text(hostile)
    expect(page.get_by_role("cell", name="**bold**")).to_be_visible()
    expect(page.locator(".eq-history")).to_contain_text("<b>Eve</b>")
    assert page.locator("img[src=x]").count() == 0
    assert page.locator(".eq-history b", has_text="Eve").count() == 0


def test_the_scope_is_in_the_address_and_comes_back_from_it(service, open_page):
    service.start().seed()
    page = open_page()
    page.get_by_role("combobox", name="Epoche").click()
    page.get_by_role("option", name="Alle").click()
    expect(page).to_have_url(re.compile(r"epoch=all"))
    expect(cell(page, "base", "calls")).to_contain_text("61")
    page.get_by_role("radio", name="EN").click()
    expect(page).to_have_url(re.compile(r"lang=en"))
    expect(page.get_by_role("heading", name="The arms side by side")).to_be_visible()
    linked = open_page("?lang=en&epoch=all&hours=1&by=safety_level&traffic=all")
    expect(linked.get_by_role("combobox", name="Time window")).to_have_value("Last hour")
    expect(linked.get_by_role("heading", name="Split by Safety level")).to_be_visible()
    shown = service.results(epoch="all", hours="1", by="safety_level", traffic="all")["arms"][0]["calls"]
    expect(cell(linked, "base", "calls")).to_contain_text(str(shown))
    unknown = open_page("?epoch=7&by=shoe_size&lang=xx")
    expect(unknown.get_by_role("heading", name="Aufgeteilt nach Host-Konfiguration")).to_be_visible()


def test_english_says_the_same_and_help_is_a_click_away(service, open_page):
    service.start().seed()
    page = open_page("?lang=en")
    adapter = service.guard()["adapters"][0]
    expect(page.locator(".eq-guard .eq-sentence")).to_have_text(adapter["sentences"]["en"])
    page.get_by_role("button", name="What does this mean?").first.click()
    expect(page.get_by_text("evidence across devices", exact=False).first).to_be_visible()
    keep(page, "en-help")


def test_dark_by_default_and_light_by_choice(service, open_page):
    service.start().seed()
    page = open_page()
    background = "getComputedStyle(document.querySelector('.stApp')).backgroundColor"
    assert page.evaluate(background) == "rgb(17, 22, 28)"
    page.locator('[data-testid="stMainMenu"]').click()
    page.get_by_role("menuitemradio", name="Light").click()
    page.wait_for_function(f"{background} === 'rgb(255, 255, 255)'")
    keep(page, "light")


def test_synthetic_traffic_is_marked(service, open_page):
    service.start(synthetic=True).seed()
    page = open_page(viewport={"width": 820, "height": 1180})
    expect(page.locator(".eq-synthetic")).to_contain_text("SYNTHETISCH")
    keep(page, "tablet")


def test_the_browser_is_told_to_refuse_foreign_requests(service, dashboard):
    service.start()
    policy = httpx.get(dashboard, trust_env=False).headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "connect-src 'self'" in policy
