"""The book in a real browser: nothing fails, nothing leaves the machine, everything fits."""

from pathlib import Path

import pytest
import yaml
from browsing import served

from course_lib.lessons.site import build_book

ROOT = Path(__file__).resolve().parent.parent
CONTENTS = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [CONTENTS["root"], *[chapter["file"] for chapter in CONTENTS["chapters"]]]
LESSONS = [page for page in PAGES if page[0].isdigit()]


@pytest.fixture(scope="session")
def site():
    """The book's address, on a server of this machine."""
    with served(build_book(ROOT, quiet=True).parent) as address:
        yield address


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
