"""The book in a real browser: nothing fails, nothing leaves the machine, everything fits."""

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import sync_playwright

from course_lib.lessons.site import build_book

ROOT = Path(__file__).resolve().parent.parent
CONTENTS = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [CONTENTS["root"], *[chapter["file"] for chapter in CONTENTS["chapters"]]]
LESSONS = [page for page in PAGES if page[0].isdigit()]
CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def site():
    """The book's address, on a server of this machine."""
    folder = build_book(ROOT, quiet=True).parent
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    program = shutil.which("chromium")
    assert program, "chromium is missing: sh .ci/need chromium chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield browser
        browser.close()


class Visit:
    """One page, opened, with all that went wrong on the way."""

    def __init__(self, browser, site, name, *, width=1280, scheme="light"):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme
        )
        self.page = self.context.new_page()
        self.problems, self.foreign = [], []
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", self._on_request)
        self.page.on("response", self._on_response)
        self.site = site
        self.page.goto(f"{site}/{name}.html", wait_until="load")

    def _on_console(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(message.text)

    def _on_request(self, request):
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.foreign.append(request.url)

    def _on_response(self, response):
        if response.status >= 400:
            self.problems.append(f"{response.status} {response.url}")


@pytest.fixture
def visit(site, browser):
    visits = []

    def open_page(name, **options):
        visits.append(Visit(browser, site, name, **options))
        return visits[-1]

    yield open_page
    for one in visits:
        one.context.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_without_an_error_and_asks_no_other_host(visit, name):
    opened = visit(name)
    opened.page.wait_for_load_state("networkidle")
    assert opened.problems == []
    assert opened.foreign == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_on_a_phone(visit, name, scheme):
    page = visit(name, width=360, scheme=scheme).page
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_formulas_are_set(visit):
    page = visit("02_self_attention").page
    page.wait_for_selector("mjx-container")
    assert page.locator("mjx-container").count() >= 3
    assert page.locator("mjx-merror").count() == 0


def test_every_picture_is_there_and_says_what_it_shows(visit):
    for name in LESSONS:
        page = visit(name).page
        pictures = page.locator("main img")
        assert pictures.count() >= 3
        for number in range(pictures.count()):
            alt = pictures.nth(number).get_attribute("alt") or ""
            assert len(alt) > 30, pictures.nth(number).get_attribute("src")
            assert pictures.nth(number).evaluate("image => image.naturalWidth") > 0


def test_an_exercise_shows_its_stub_and_opens_its_hints(visit):
    page = visit("03_causal_masking").page
    assert page.get_by_text("Exercise: causal_mask").count() == 1
    assert "raise NotImplementedError" in page.locator("main").inner_text()
    hint = page.locator("details.sd-dropdown").first
    assert not hint.locator(".sd-summary-content").is_visible()
    hint.locator("summary").click()
    assert hint.locator(".sd-summary-content").is_visible()


def test_search_finds_causal_mask(visit):
    page = visit("search", width=1280).page
    page.goto(page.url.split("?")[0] + "?q=causal+mask")
    page.wait_for_selector("#search-results li a")
    assert "Causal masking" in page.locator("#search-results").inner_text()


def test_every_internal_link_and_anchor_leads_somewhere(site, browser):
    context = browser.new_context()
    page = context.new_page()
    anchors, wanted = {}, []
    for name in PAGES:
        page.goto(f"{site}/{name}.html")
        anchors[f"{site}/{name}.html"] = set(
            page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        )
        wanted += page.evaluate("[...document.querySelectorAll('main a[href]')].map(a => a.href)")
    for link in (link for link in wanted if link.startswith(site)):
        address, _, anchor = link.partition("#")
        if address in anchors:
            assert not anchor or anchor in anchors[address], link
        else:
            assert page.request.get(address).ok, link
    context.close()
