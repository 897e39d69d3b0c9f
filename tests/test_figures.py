"""Figures that answer, in a real browser, on a small page of their own that a real build makes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from browsing import serve
from IPython.core.formatters import DisplayFormatter

from course_lib import figures
from course_lib.lessons.site import build_book

ROOT = Path(__file__).resolve().parent.parent
PAGE = '''\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Four figures

```{code-cell} python
---
mystnb:
  image:
    alt: Arcs from one token to those which it reads, over the words of a short sentence.
---
import numpy as np

from course_lib import figures

WORDS = "the big red ball rolls to me".split()
T = len(WORDS)


def weights_of(seed, text=WORDS):
    """(2, 3, T, T): causal weights of two blocks with three heads."""
    scores = 3 * np.random.default_rng(seed).normal(size=(2, 3, len(text), len(text)))
    raised = np.exp(scores) * np.tril(np.ones((len(text), len(text))))
    return raised / raised.sum(axis=-1, keepdims=True)


figures.attention(WORDS, weights_of(0), block=1, head=2)
```

```{code-cell} python
---
mystnb:
  image:
    alt: Arcs from one token to those which it reads, over the letters of a short sentence.
---
LETTERS = list("the dogs are not old. they are y")
figures.attention(LETTERS, weights_of(1, LETTERS))
```

```{code-cell} python
---
mystnb:
  image:
    alt: Three masks of seven words, one causal, one with padding, one a window.
---
t, s = np.arange(T)[:, None], np.arange(T)[None]
figures.masks(
    WORDS, causal=s <= t, windows=[(s <= t) & (t - s < n + 1) for n in range(T)],
    paddings=[np.arange(T) < n + 1 for n in range(T)],
)
```

```{code-cell} python
---
mystnb:
  image:
    alt: Three panels of bars, the probabilities of eight words at three temperatures.
---
likely = dict(zip([f"word{n}" for n in range(20)], 4 - np.arange(20) ** 0.7))
figures.dials({"one <b>": likely, "another": {word: -x for word, x in likely.items()}})
```

```{code-cell} python
---
mystnb:
  image:
    alt: Two tables of steps and positions, with a cache and without one.
---
TEXT = ". anna meets ben in the garden . anna sings and".split()
figures.cache(TEXT, cached=[4, 1, 1, 1, 1, 1, 1], uncached=[4, 5, 6, 7, 8, 9, 10])
```
'''


N_FIGURES = 5
WORDS = ["the", "big", "red", "ball", "rolls", "to", "me"]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a book with one page, in which every kind of figure stands."""
    root = tmp_path_factory.mktemp("small-book")
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    shutil.copy(ROOT / "book" / "_config.yml", root / "book")
    (root / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (root / "book" / "index.md").write_text(PAGE)
    (root / "course_lib").symlink_to(ROOT / "course_lib")
    with serve(build_book(root, say=str).parent) as address:
        yield address


@pytest.fixture
def figure(visit):
    """Opens the page and finds one of its figures: the drawing, its numbers, the page."""

    def find(name, **options):
        page = visit("index", **options).page
        found = page.locator(f"figure[data-figure={name}]").first
        data = json.loads(found.locator("script").text_content())
        return found.locator(".live"), data, page

    return find


def move(slider, value):
    """What a drag does: the value, and then the event that tells of it."""
    slider.fill(str(value))


def weights_in(text):
    """The numbers of `“t” at 3 reads “e” at 2: 0.75, …` by position."""
    return {int(at): float(weight) for at, weight in re.findall(r"at (\d+): (\d\.\d\d)", text)}


def test_a_notebook_gets_a_picture_and_nothing_that_it_could_not_show():
    shown = figures.cache(["a", "b"], cached=[1], uncached=[1])
    data, metadata = DisplayFormatter().format(shown)
    assert set(data) == {"image/png", "text/plain"}
    assert data["image/png"].startswith("iVBOR")  # a PNG in base64, as notebooks keep it
    assert metadata["image/png"]["figure"]["data"]["cached"] == [1]
    assert "0x" not in data["text/plain"]  # the same in every run


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_figures_come_to_life_without_an_error_and_fit(visit, width, scheme):
    opened = visit("index", width=width, scheme=scheme)
    opened.page.wait_for_load_state("networkidle")
    assert (opened.problems, opened.foreign) == ([], [])
    assert opened.page.locator("figure .live:visible").count() == N_FIGURES
    assert opened.page.locator("figure img:visible").count() == 0
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    for live in opened.page.locator("figure .live").all():
        wide = live.evaluate(
            "live => [...live.querySelectorAll('*')].map(e => e.getBoundingClientRect().right)"
        )
        assert max(wide) <= live.bounding_box()["x"] + live.bounding_box()["width"]


def test_without_a_script_and_on_paper_the_pictures_are_there(visit):
    still = visit("index", java_script_enabled=False).page
    assert still.locator("figure img:visible").count() == N_FIGURES
    for picture in still.locator("figure img").all():
        assert len(picture.get_attribute("alt")) > 30
    printed = visit("index").page
    printed.emulate_media(media="print")
    assert printed.locator("figure img:visible").count() == N_FIGURES
    assert printed.locator("figure .live:visible").count() == 0


def test_a_figure_that_fails_leaves_its_picture_and_the_others(visit, site, browser):
    page = browser.new_page()
    page.route("**/mask.js*", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(f"{site}/index.html")
    assert page.locator("figure[data-figure=mask] img").is_visible()
    assert page.locator("figure .live:visible").count() == N_FIGURES - 1
    page.close()


def test_text_in_the_numbers_is_text_on_the_page(figure):
    live, data, _ = figure("dials")
    assert data["prompts"][0]["prompt"] == "one <b>"
    assert live.get_by_text("one <b>").count() == 1


def test_attention_follows_the_mouse_and_the_keys(figure):
    live, data, page = figure("attention")
    says, tokens = live.locator(".says"), live.get_by_role("radio", name="position")
    table = np.zeros((len(WORDS), len(WORDS)))
    for query, row in enumerate(data["thousandths"][1][2]):
        table[query, : len(row)] = row
    assert np.abs(table.sum(axis=1) - 1000).max() <= 3  # rounded one by one

    def shows(reader, expected):
        assert f"“{WORDS[reader]}” at {reader} reads" in says.text_content()
        for position, weight in weights_in(says.text_content()).items():
            assert weight == pytest.approx(expected[reader, position] / 1000, abs=0.0051)
        n_arcs = (expected[reader] >= 20).sum()
        assert live.locator(".arcs path").count() == n_arcs

    shows(6, table)
    tokens.nth(3).hover()
    shows(3, table)
    page.mouse.move(0, 0)
    shows(6, table)  # what was picked comes back
    tokens.nth(4).click()
    page.keyboard.press("ArrowLeft")
    shows(3, table)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")  # there is none before the first
    shows(0, table)
    assert tokens.nth(0).get_attribute("aria-checked") == "true"
    assert live.locator(".token[tabindex='0']").count() == 1

    live.get_by_role("radio", name="0", exact=True).first.check()  # block 0, with the same head
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")  # from the head's radio buttons: head 1
    other = np.zeros_like(table)
    for query, row in enumerate(data["thousandths"][0][1]):
        other[query, : len(row)] = row
    tokens.nth(5).click()
    shows(5, other)


def test_attention_breaks_its_lines_between_words(figure):
    live, _, _ = figure("attention", width=360)
    second = live.page.locator("figure[data-figure=attention] .live").nth(1)
    lines = {}
    for token in second.locator(".token").all():
        box = token.bounding_box()
        assert box["width"] >= 22  # and 2 px between neighbours: 24 for each finger
        lines.setdefault(round(box["y"] + box["height"] / 2), []).append(token.text_content())
    assert ["".join(line) for _, line in sorted(lines.items())] == [
        "the␣dogs␣", "are␣not␣", "old.␣they␣", "are␣y",
    ]  # fmt: skip


def mask_of(live):
    """The drawn mask, hidden rows left out."""
    rows = [row for row in live.locator(".query").all() if row.is_visible()]
    return np.array([
        ["is-open" in cell.get_attribute("class") for cell in row.locator(".cell").all()]
        for row in rows
    ])  # fmt: skip


def test_the_mask_is_what_its_call_says(figure):
    live, _, page = figure("mask")
    call, says = live.locator("code"), live.locator(".says")
    query, key = np.arange(7)[:, None], np.arange(7)[None]
    causal = key <= query
    assert (mask_of(live) == causal).all()
    assert call.text_content() == "causal_mask(7)"

    move(live.get_by_label("real tokens"), 5)
    assert (mask_of(live) == (causal & (key < 5))).all()
    assert call.text_content() == "causal_mask(7) & padding_mask(torch.tensor([5]), 7)"

    live.get_by_role("radio", name="window").check()
    live.get_by_role("slider", name="window").focus()
    page.keyboard.press("ArrowLeft")  # from 3 to 2
    assert (mask_of(live) == (causal & (query - key < 2) & (key < 5))).all()
    assert "sliding_window_mask(7, window=2) & padding" in call.text_content()
    live.locator(".query").nth(6).hover()
    assert "may read nothing" in says.text_content()

    live.get_by_role("radio", name="none").check()
    move(live.get_by_label("queries"), 2)
    assert mask_of(live).shape == (2, 7)
    names, first = live.locator(".key").first.bounding_box(), live.locator(".query").nth(5)
    assert first.bounding_box()["y"] - names["y"] < 60  # no gap where the others stood
    page.mouse.move(0, 0)
    live.locator(".query[tabindex='0']").focus()
    page.keyboard.press("Home")  # the first of the rows that are left
    assert says.text_content() == "“to” may read 5 of 7: the, big, red, ball, rolls."


def dialled(logits, temperature, k, p):
    """What `sample` draws from, in NumPy."""
    if temperature == 0:
        return (np.arange(len(logits)) == np.argmax(logits)).astype(float)
    scaled = np.array(logits) / temperature
    scaled[np.argsort(-scaled)[k:]] = -np.inf
    shares = np.exp(scaled - scaled.max()) / np.exp(scaled - scaled.max()).sum()
    order = np.argsort(-shares)
    before = np.cumsum(shares[order]) - shares[order]
    shares[order[before >= p]] = 0
    return shares / shares.sum()


@pytest.mark.parametrize(
    ("temperature", "k", "p"),
    [(1, 20, 1), (0.5, 20, 1), (2.3, 20, 1), (0, 20, 1), (1, 3, 1), (1, 20, 0.8), (3, 9, 0.65),
     (0.7, 1, 0.05)],
)  # fmt: skip
def test_the_dials_show_what_numpy_computes(figure, temperature, k, p):
    live, data, _ = figure("dials")
    move(live.get_by_label("temperature"), temperature)
    move(live.get_by_label("top-k"), k)
    move(live.get_by_label("top-p"), p)
    for prompt in data["prompts"]:
        live.get_by_role("radio", name=prompt["prompt"], exact=True).check()
        expected = dialled(prompt["logits"], temperature, k, p)
        assert live.locator("tbody th").all_text_contents() == prompt["tokens"]
        for text, share in zip(live.locator(".number").all_text_contents(), expected, strict=True):
            if share == 0:
                assert text in ("top-k", "top-p", "greedy")
            else:
                assert float(text) == pytest.approx(share, abs=0.00051)
        n_kept = (expected > 0).sum()
        says = live.locator(".says").text_content()
        assert f"{n_kept} of 20" in says if n_kept < 20 else "All 20" in says


def test_the_dials_turn_by_keyboard_and_say_their_call(figure):
    live, _, page = figure("dials")
    live.get_by_label("temperature").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    expected = "sample(logits, temperature=0.9, top_k=19, top_p=0.95)"
    assert live.locator("code").text_content() == expected
    assert live.get_by_label("top-p").get_attribute("aria-valuetext") == "0.95"


def test_the_cache_fills_step_by_step(figure):
    live, data, page = figure("cache")
    panels = live.locator(".panels > div")

    def shows(step):
        for panel, counts in zip(panels.all(), (data["cached"], data["uncached"]), strict=True):
            assert panel.locator("b").text_content() == str(sum(counts[: step + 1]))
            computed = panel.locator(".is-new, .is-again").count()
            assert computed == sum(counts[: step + 1])
        assert f"Step {step}" in live.locator(".says").text_content()
        assert f"writes “{data['tokens'][4 + step]}”" in live.locator(".says").text_content()

    shows(0)
    assert live.get_by_role("button", name="Back").is_disabled()
    live.get_by_role("button", name="Next step").click()
    shows(1)
    live.get_by_label("step", exact=True).focus()
    page.keyboard.press("ArrowRight")
    shows(2)
    page.keyboard.press("End")
    shows(6)
    assert panels.first.locator(".is-kept").count() == sum(range(4, 10))
    assert live.get_by_role("button", name="Next step").is_disabled()
    live.get_by_role("button", name="Back").focus()
    page.keyboard.press("Enter")
    shows(5)
