"""The book in a real browser: nothing fails, nothing leaves the machine, everything fits."""

from pathlib import Path

import pytest
import yaml
from browsing import broken_words, cut_off, serve, violations

from course_lib.bugs import all_bugs, bugs_of
from course_lib.checks import all_checks
from course_lib.lessons.bug_pages import page_name
from course_lib.lessons.site import build_book

ROOT = Path(__file__).resolve().parent.parent
CONTENTS = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
PAGES = [CONTENTS["root"], *[chapter["file"] for chapter in CONTENTS["chapters"]]]
LESSONS = [page for page in PAGES if page[0].isdigit()]
BUG_PAGES = [page_name(check.name) for check in all_checks() if bugs_of(check.name)]
QUICK = ("index", "02_self_attention", "reference", page_name("causal_mask"))


@pytest.fixture(scope="session")
def site():
    """The book's address, on a server of this machine."""
    with serve(build_book(ROOT, say=str).parent) as address:
        yield address


def in_light_and_dark(test):
    """Every page, in both schemes; a few in `make test`, the others in longer commands."""
    params = [
        pytest.param(name, scheme, marks=[] if name in QUICK else pytest.mark.slow)
        for name in (*PAGES, *BUG_PAGES, "search", "genindex")
        for scheme in ("light", "dark")
    ]
    return pytest.mark.parametrize(("name", "scheme"), params)(test)


@in_light_and_dark
def test_a_page_is_sound_accessible_and_fits_a_phone(visit, name, scheme):
    opened = visit(name, scheme=scheme)
    opened.page.wait_for_load_state("networkidle")
    opened.page.evaluate("window.MathJax?.startup?.promise")
    assert opened.page.locator("mjx-merror").count() == 0
    told = violations(opened.page)
    assert not told, "\n".join(told)
    opened.page.set_viewport_size({"width": 360, "height": 800})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 360
    assert opened.problems == []
    assert opened.foreign == []


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow)
        for name in (*PAGES, *BUG_PAGES)
    ],
)
def test_no_line_is_cut_off_on_a_laptop_and_no_word_of_a_table_on_a_phone(visit, name):
    page = visit(name, width=1280).page
    assert cut_off(page) == []
    page.set_viewport_size({"width": 360, "height": 800})
    assert broken_words(page) == []


def test_formulas_are_set(visit):
    page = visit("02_self_attention").page
    page.wait_for_selector("mjx-container")
    assert page.locator("mjx-container").count() >= 3
    assert page.locator("mjx-merror").count() == 0


@pytest.mark.slow
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
    page.locator("#search-results").get_by_text("Causal masking").first.wait_for()


@pytest.mark.slow
def test_every_internal_link_and_anchor_leads_somewhere(site, browser):
    context = browser.new_context()
    page = context.new_page()
    anchors, wanted = {}, []
    for name in (*PAGES, *BUG_PAGES):
        page.goto(f"{site}/{name}.html", wait_until="domcontentloaded")
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


@pytest.mark.slow
def test_the_lessons_carry_their_figures_and_draw_them(visit):
    expected = {
        "02_self_attention": ["entries", "saturation"],
        "03_causal_masking": ["mask"],
        "07_the_model": ["attention"],
        "09_kv_cache": ["dials", "cache"],
        "11_long_contexts": ["rotation", "mask", "cost"],
        "12_capstone": ["attention"],
    }
    for name in PAGES:
        page = visit(name).page
        drawn = page.locator("figure.interactive:has(.live:visible)").all()
        assert [one.get_attribute("data-figure") for one in drawn] == expected.get(name, [])


def test_the_page_of_a_bug_says_what_the_check_says(visit):
    page = visit("bugs/causal_mask").page
    assert "agrees with: the mask was inverted" in page.locator("main").inner_text()
    section = page.locator("section", has=page.locator("#bug-inverts-the-causal-mask")).last
    assert section.get_by_role("link", name="pytorch/examples#649").count() == 1
    gone, come = section.locator(".gd"), section.locator(".gi")  # Pygments' lines of a diff
    assert gone.count() == come.count() == 1
    assert not come.is_visible()
    section.get_by_text("What it changes").click()
    assert come.is_visible()
    assert "key_positions <= query_positions" in gone.inner_text()


def test_an_exercise_leads_to_its_bugs_and_the_index_to_all(visit):
    page = visit("03_causal_masking").page
    page.get_by_role("link", name="How this goes wrong").first.click()
    assert page.url.endswith("bugs/causal_mask.html")
    page.goto(f"{page.url.rsplit('/', 1)[0]}/index.html")
    assert page.locator("main h3").count() == len(BUG_PAGES)
    assert page.locator("main li a").count() >= len(all_bugs())


def test_search_finds_a_bug_by_its_title(visit):
    page = visit("search").page
    page.goto(page.url.split("?")[0] + "?q=mask+inverted")
    page.locator("#search-results").get_by_text("Bugs of causal_mask").first.wait_for()
