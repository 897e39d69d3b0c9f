"""Figures that answer, in a real browser, on a small page of their own that a real build makes."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from browsing import serve, violations
from IPython.core.formatters import DisplayFormatter
from torch.utils.flop_counter import FlopCounterMode

from course_lib import figures
from course_lib.lessons.site import build_book
from course_lib.transformer.long_context import kv_cache_bytes, rotate
from course_lib.transformer.model import GPT, GPTConfig, n_parameters

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

# Figures

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
    alt: Two rows of circles with two arrows each; in the lower row all arrows have turned.
---
QUERY, KEY = np.random.default_rng(2).normal(size=(2, 6))
figures.rotation(QUERY, KEY, positions=(7, 4), base=400.0)
```

```{code-cell} python
---
mystnb:
  image:
    alt: Bars of gigabytes for the weights and the cache of two models, one above the other.
---
names = ("n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp", "mlp_matrices", "vocab_size",
         "rows_looked_up")
figures.cost(
    {"plain": dict(zip(names, (3, 6, 6, 5, 70, 2, 101, 40))),
     "grouped": dict(zip(names, (5, 4, 2, 7, 50, 3, 90, 91)))},
    {"near": {"gigabytes": 0.03, "gigabytes_a_second": 2.5, "teraflops": 0.4, "source": "a sheet"},
     "far": {"gigabytes": 900, "gigabytes_a_second": 7000, "teraflops": 0.001, "source": "a page"}},
    model="plain", machine="near",
)
```

```{code-cell} python
---
mystnb:
  image:
    alt: Three panels of bars, the weights of six keys at two widths and with the root.
---
rng = np.random.default_rng(4)
QUERIES, KEYS = rng.normal(size=(40, 32)), rng.normal(size=(6, 32))
figures.saturation(QUERIES, KEYS, [1, 2, 8, 32], width=8, n_shown=3)
```

```{code-cell} python
---
mystnb:
  image:
    alt: Two products of tables, with one entry of each marked, and what it is made from.
---
figures.entries(
    ["old", "dog", "barks"], [[1, 0.5], [-2, 0], [0, 3]], [[0, 1], [1, -1], [0.5, 0]],
    [[4, 0], [0, -5], [1, 2.5]], looks=["who", "what"], hands=["loud", "sad"],
)
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


N_FIGURES = PAGE.count("alt:")
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


def test_the_pictures_behind_the_figures_tell_true_numbers():
    with torch.device("meta"):
        gpt2 = n_parameters(GPT(GPTConfig(50257, 1024, 768, 12, 12)))
    sizes = {"n_layers": 12, "n_heads": 12, "n_kv_heads": 12, "d_head": 64, "d_mlp": 3072}
    sizes |= {"mlp_matrices": 2, "vocab_size": 50257, "rows_looked_up": 1024}
    sheet = {"gigabytes": 1, "gigabytes_a_second": 1, "teraflops": 1, "source": ""}
    shown = figures.cost({"GPT-2": sizes}, {"a": sheet}, model="GPT-2", machine="a")
    cache = kv_cache_bytes(
        n_layers=12, n_kv_heads=12, d_head=64, n_tokens=8192, bytes_per_element=2
    )
    bars = [float(text.get_text()) for text in shown.picture.axes[0].texts]
    assert bars == pytest.approx([2 * gpt2 / 1e9, cache / 1e9], abs=0.0051)

    shown = figures.rotation(*np.random.default_rng(2).normal(size=(2, 6)), positions=(7, 4))
    score = turned_scores(7, 4, 10_000.0)[2].sum().item()
    titles = [axes.get_title(loc="left") for axes in shown.picture.axes]
    assert titles[0] == f"query at 7, key at 4: score {score:.3f}"
    assert titles[3] == f"query at 8, key at 5: score {score:.3f}"

    q, k, v = (np.array(table) for table in ([[1.0], [-2.0]], [[0.5], [1.0]], [[3.0], [4.0]]))
    shown = figures.entries(["a", "b"], q, k, v, looks=["x"], hands=["y"])
    output = attended(q, k, v)["output"]
    texts = [text.get_text() for text in shown.picture.axes[1].texts]
    assert {f"{one:.2f}" for one in output.flatten().tolist()} < set(texts)


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_figures_come_to_life_without_an_error_and_fit(visit, width, scheme):
    opened = visit("index", width=width, scheme=scheme)
    opened.page.wait_for_load_state("networkidle")
    assert (opened.problems, opened.foreign) == ([], [])
    assert violations(opened.page) == []
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


def turned_scores(at_query, at_key, base):
    """What each pair of the page's query and key adds to the score, by torch."""
    q, k = torch.from_numpy(np.random.default_rng(2).normal(size=(2, 6)))
    q, k = (
        rotate(q[None], torch.tensor([at_query]), base),
        rotate(k[None], torch.tensor([at_key]), base),
    )
    return q[0], k[0], (q * k)[0].unflatten(0, (3, 2)).sum(dim=-1)


def number(text):
    """A number as the figures write it, with a true minus sign."""
    return float(text.replace("−", "-").replace(",", ""))


def test_the_arrows_turn_and_their_products_are_those_of_torch(figure):
    live, _, page = figure("rotation")
    at = {name: live.get_by_role("slider", name=name) for name in ("query at", "key at")}

    def shows(at_query, at_key, base=400.0):
        q, k, products = turned_scores(at_query, at_key, base)
        shown = [number(text) for text in live.locator(".dial b").all_text_contents()]
        assert shown == pytest.approx(products.tolist(), abs=0.00051)
        says = live.locator(".says").text_content()
        assert f"Query at {at_query}, key at {at_key}:" in says
        score = re.search(r"score is (−?\d+\.\d+)\.", says)[1]
        assert number(score) == pytest.approx(products.sum().item(), abs=0.00051)
        longest = max(pair.norm() for vector in (q, k) for pair in vector.unflatten(0, (3, 2)))
        heads = live.locator(".dial .head").evaluate_all("all => all.map(e => e.getAttribute('d'))")
        tips = torch.stack([q, k]).unflatten(1, (3, 2)).transpose(0, 1).flatten(0, 1) / longest
        for head, (a, b) in zip(heads, tips.tolist(), strict=True):
            x, y = map(float, re.match(r"M(\S+) (\S+) ", head).groups())
            assert (x / 46, -y / 46) == pytest.approx((a, b), abs=1e-4)

    shows(7, 4)
    move(at["key at"], 90)
    shows(7, 90)
    assert "83 before the key" in live.locator(".says").text_content()
    at["query at"].focus()
    page.keyboard.press("ArrowRight")
    shows(8, 90)
    move(at["query at"], 90)
    assert "stands where the key is" in live.locator(".says").text_content()
    live.get_by_role("radio", name="500,000").check()
    shows(90, 90, 500_000.0)
    page.keyboard.press("Home")  # a radio button's own: it stays in its row
    page.keyboard.press("ArrowLeft")
    assert live.get_by_role("radio", name="400", exact=True).is_checked()
    speeds = live.locator(".dial p:nth-of-type(1)").all_text_contents()
    assert speeds == ["1 a step", "0.14 a step", "0.018 a step"]


def test_both_arrows_together_turn_and_leave_every_number_as_it_is(figure):
    live, _, page = figure("rotation")
    products, sum_of_all = live.locator(".dial b"), live.locator("code")
    before = products.all_text_contents(), sum_of_all.text_content()
    heads = live.locator(".dial .head")
    drawn = heads.evaluate_all("all => all.map(e => e.getAttribute('d'))")
    assert live.get_by_role("button", name="both −10").is_disabled()  # there is no such place
    live.get_by_role("button", name="both +10").click()
    live.get_by_role("button", name="both −1", exact=True).focus()
    page.keyboard.press("Enter")
    assert "Query at 16, key at 13" in live.locator(".says").text_content()
    assert (products.all_text_contents(), sum_of_all.text_content()) == before
    moved = heads.evaluate_all("all => all.map(e => e.getAttribute('d'))")
    assert not set(moved) & set(drawn)
    move(live.get_by_role("slider", name="query at"), 91)
    assert live.get_by_role("button", name="both +10").is_disabled()
    assert live.get_by_role("button", name="both +1", exact=True).is_enabled()


UNITS = {"bytes": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "µs": 1e-6, "ms": 1e-3, "s": 1}


def amounts(text):
    """The numbers of a text with their units, as they come."""
    found = re.findall(rf"([\d.,]*\d) ({'|'.join(UNITS)})\b", text)
    return [number(digits) * UNITS[unit] for digits, unit in found]


def counted(words, text):
    """The count in the place of `{}`, with its word for millions or billions."""
    found = re.search(words.replace("{}", r"([\d.,]*\d)(?: (million|billion))?"), text)
    return number(found[1]) * {None: 1, "million": 1e6, "billion": 1e9}[found[2]]


def token_by_torch(sizes, n_keys):
    """Operations of one token, and the numbers in the matrices that it is multiplied with."""
    n_heads, d_head, width = sizes["n_heads"], sizes["d_head"], sizes["n_heads"] * sizes["d_head"]
    to_keys = sizes["n_kv_heads"] * d_head
    block = [(width, width)] * 2 + [(width, to_keys)] * 2
    block += [(width, sizes["d_mlp"])] * sizes["mlp_matrices"]  # one of them lies the other way
    shapes = sizes["n_layers"] * block + [(width, sizes["vocab_size"])]
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        for shape in shapes:
            torch.zeros(1, shape[0]) @ torch.zeros(shape)
        keys = torch.zeros(n_heads, n_keys, d_head)
        for _ in range(sizes["n_layers"]):
            scores = torch.zeros(n_heads, 1, d_head) @ keys.transpose(1, 2)
            scores @ keys  # the values are as wide
    return counter.get_total_flops(), sum(rows * columns for rows, columns in shapes)


def test_a_token_costs_what_torch_and_the_lesson_count(figure):
    live, data, page = figure("cost")
    says = live.locator(".says")

    def costs_are(model, machine, n_tokens, n_texts, n_bytes, **changed):
        sizes = {**next(one for one in data["models"] if one["name"] == model), **changed}
        machine = next(one for one in data["machines"] if one["name"] == machine)
        operations, multiplied = token_by_torch(sizes, n_tokens)
        cached = {name: sizes[name] for name in ("n_layers", "n_kv_heads", "d_head")}
        caches = [
            kv_cache_bytes(**cached, n_tokens=n, batch_size=b, bytes_per_element=n_bytes)
            for n, b in ((1, 1), (n_tokens, 1), (n_tokens, n_texts))
        ]
        looked_up = sizes["rows_looked_up"] * sizes["n_heads"] * sizes["d_head"]
        weights = n_bytes * (multiplied + looked_up)
        fetching = (n_bytes * multiplied + caches[2]) / machine["gigabytes_a_second"] / 1e9
        computing = n_texts * operations / machine["teraflops"] / 1e12
        facts = live.locator(".facts li").all_text_contents()
        assert amounts(" ".join(facts[:2])) == pytest.approx([*caches, weights], rel=0.0051)
        assert counted(r"of a text: {}, ", facts[2]) == pytest.approx(operations, rel=0.0051)
        share = re.search(r"(\d+) % of them", facts[2])[1]
        attention = 4 * sizes["n_layers"] * n_tokens * sizes["n_heads"] * sizes["d_head"]
        assert float(share) == pytest.approx(100 * attention / operations, abs=0.51)
        bars = amounts(" ".join(live.locator("td.number").all_text_contents()))
        assert bars == pytest.approx([weights + caches[2], fetching, computing], rel=0.0051)
        text = says.text_content()
        fits = weights + caches[2] <= 1e9 * machine["gigabytes"]
        assert text.startswith("It fits." if fits else "It does not fit.")
        expected = (1e9 * machine["gigabytes"] - weights) // caches[1]
        assert counted("room for {} text", text) == pytest.approx(expected, rel=0.0051)
        if fits:
            assert ("must be fetched" in text) == (fetching > computing)
            each = n_texts / max(fetching, computing)
            assert counted("at most {} tokens", text) == pytest.approx(each, rel=0.0051)

    costs_are("plain", "near", 8192, 8, 2)
    move(live.get_by_label("texts"), 4)  # 2⁴ of them
    costs_are("plain", "near", 8192, 16, 2)
    assert "It does not fit" in says.text_content()
    live.get_by_role("slider", name="tokens").focus()
    page.keyboard.press("ArrowLeft")
    costs_are("plain", "near", 4096, 16, 2)
    live.get_by_role("radio", name="float32").check()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    costs_are("plain", "near", 4096, 16, 1)
    live.get_by_role("slider", name="key heads").focus()
    page.keyboard.press("ArrowLeft")
    assert live.get_by_label("key heads").get_attribute("aria-valuetext") == "3 of 6"
    costs_are("plain", "near", 4096, 16, 1, n_kv_heads=3)
    move(live.get_by_role("slider", name="window"), 9)
    costs_are("plain", "near", 512, 16, 1, n_kv_heads=3)
    live.get_by_role("radio", name="grouped").check()
    live.get_by_role("radio", name="far").check()
    costs_are("grouped", "far", 512, 16, 1)
    assert "the products" in says.text_content()


def test_a_machine_of_ones_own_is_typed_and_a_wrong_one_is_left_out(figure):
    live, _, page = figure("cost")
    says, note = live.locator(".says"), live.locator(".note")
    assert note.text_content() == "a sheet."
    memory = live.get_by_label("memory, GB")
    memory.click()
    page.keyboard.press("Control+a")
    page.keyboard.type("0.00004")
    assert memory.get_attribute("aria-invalid") == "true"
    assert note.text_content() == "a sheet."  # nothing has changed
    page.keyboard.press("Control+a")
    page.keyboard.type("0.02")
    assert memory.get_attribute("aria-invalid") is None
    assert "It does not fit." in says.text_content()
    assert note.text_content() == "A machine of your own."
    assert live.locator(".machine input:checked").count() == 0
    live.get_by_role("radio", name="near").check()
    assert (memory.input_value(), note.text_content()) == ("0.03", "a sheet.")
    assert "It fits." in says.text_content()


def softened(width, divided):
    """Scores and weights of the page's 40 queries, by torch, and the slopes of these weights."""
    rng = np.random.default_rng(4)
    q, k = (torch.from_numpy(rng.normal(size=(n, 32))[:, :width]) for n in (40, 6))
    scores = (q @ k.T / (width**0.5 if divided else 1)).requires_grad_()
    weights = scores.softmax(dim=-1)
    jacobian = torch.autograd.functional.jacobian(
        lambda rows: rows.softmax(dim=-1).sum(dim=0), scores.detach()
    )  # (6, 40, 6): of each key's weight by each score of its own query
    return scores.detach(), weights.detach(), jacobian.diagonal(dim1=0, dim2=2)


def test_the_slopes_are_those_of_torch_at_every_width(figure):
    live, _, page = figure("saturation")
    width = live.get_by_label("width D")

    def shows(query, at, divided):
        scores, weights, slopes = softened(at, divided)
        for place, expected in enumerate((scores[query], weights[query], slopes[query])):
            column = live.locator(f"tbody td:nth-of-type({place + 1})").all_text_contents()
            tolerance = 0.051 if place == 0 else 0.0051
            assert list(map(number, column)) == pytest.approx(expected.tolist(), abs=tolerance)
        text = live.locator(".says").text_content()
        assert text.startswith(f"D = {at}, {'divided by √D' if divided else 'not divided'}:")
        told = [number(one) for one in re.findall(r"\d\.\d\d", text)]
        expected = [weights[query].max(), slopes[query].sum(), 5 / 6]
        expected += [weights.max(dim=-1).values.mean(), slopes.sum(dim=-1).mean()]
        assert told == pytest.approx([float(one) for one in expected], abs=0.0051)
        bars = live.locator("tbody td:nth-of-type(2) rect").evaluate_all(
            "bars => bars.map(bar => parseFloat(bar.getAttribute('width')) / 100)"
        )
        assert bars == pytest.approx(weights[query].tolist(), abs=1e-3)

    shows(0, 8, divided=False)
    width.focus()
    page.keyboard.press("ArrowRight")
    assert width.get_attribute("aria-valuetext") == "32"
    shows(0, 32, divided=False)
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    shows(0, 32, divided=True)
    live.get_by_role("radio", name="2", exact=True).check()
    shows(2, 32, divided=True)
    move(width, 0)
    shows(2, 1, divided=True)
    live.get_by_role("radio", name="q·k", exact=True).check()
    shows(2, 1, divided=False)


def attended(q, k, v):
    """Scores, weights and output, by torch, as they are written, to two decimals."""
    q, k, v = (torch.tensor(table, dtype=torch.float64) for table in (q, k, v))
    weights = (q @ k.T).softmax(dim=-1)
    return {"scores": q @ k.T, "weights": weights, "output": weights @ v}


def test_each_entry_names_what_makes_it_by_mouse_and_by_keys(figure):
    live, data, page = figure("entries")
    tables = attended(data["query"], data["key"], data["value"])
    says = live.locator(".says")
    groups = {name: live.get_by_role("radiogroup", name=name) for name in tables}

    def marked():
        """What is marked as the parts of an entry, as the labels say it."""
        fields = live.locator(".entry.is-part label").all_text_contents()
        cells = live.locator(".entry-cell.is-part").evaluate_all(
            "cells => cells.map(cell => cell.getAttribute('aria-label'))"
        )
        return fields + [cell.split(":")[0] for cell in cells]

    for name, expected in tables.items():
        shown = [number(text) for text in groups[name].get_by_role("radio").all_text_contents()]
        assert shown == pytest.approx(expected.flatten().tolist(), abs=0.0051)
    assert says.text_content() == "Score of query barks with key old: 0·0 + 3·1 = 3."
    groups["scores"].get_by_role("radio").nth(4).hover()
    assert says.text_content() == "Score of query dog with key dog: −2·1 + 0·(−1) = −2."
    expected = ["query of dog, who", "query of dog, what", "key of dog, who", "key of dog, what"]
    assert sorted(marked()) == sorted(expected)
    page.mouse.move(0, 0)
    assert "barks with key old" in says.text_content()  # what was picked comes back

    groups["weights"].get_by_role("radio").nth(0).click()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert marked() == ["dog, old", "dog, dog", "dog, barks"]
    assert says.text_content() == (
        "Weight that query dog gives dog: exp(−2) / (exp(0) + exp(−2) + exp(−1)) "
        "≈ 0.14 / 1.50 ≈ 0.09."
    )
    page.keyboard.press("Tab")  # to the output
    page.keyboard.press("ArrowUp")
    w = tables["weights"][1].tolist()
    assert says.text_content() == (
        f"Output of dog, loud: {w[0]:.3f}·4 + {w[1]:.3f}·0 + {w[2]:.3f}·1 "
        f"≈ {tables['output'][1, 0]:.2f}."
    )
    parts = ["value of old, loud", "value of dog, loud", "value of barks, loud"]
    assert marked() == [*parts, "dog, old", "dog, dog", "dog, barks"]
    groups["scores"].get_by_role("radio", checked=True).focus()
    assert "Score of query barks with key old" in says.text_content()


def test_a_changed_number_moves_what_depends_on_it_and_nothing_else(figure):
    live, data, page = figure("entries")
    at = {name: [list(row) for row in data[name]] for name in ("query", "key", "value")}
    channels = {"query": data["looks"], "key": data["looks"], "value": data["hands"]}
    moved = live.locator(".moved")

    def cells(name):
        return live.get_by_role("radiogroup", name=name).get_by_role("radio")

    def changes(kind, token, channel, value, *, rows, counts):
        label = f"{kind} of {data['tokens'][token]}, {channels[kind][channel]}"
        live.get_by_label(label).click()
        page.keyboard.press("Control+a")
        page.keyboard.type(str(value))
        at[kind][token][channel] = value
        found = {}
        for name, expected in attended(*at.values()).items():
            shown = [number(text) for text in cells(name).all_text_contents()]
            assert shown == pytest.approx(expected.flatten().tolist(), abs=0.0051)
            has = cells(name).evaluate_all("all => all.map(e => e.className.includes('moved'))")
            found[name] = np.array(has).reshape(expected.shape)
            assert set(np.nonzero(found[name])[0]) <= set(rows)
        assert [int(one.sum()) for one in found.values()] == counts
        told = [int(one) for one in re.findall(r"(\d) of", moved.text_content())]
        assert told == counts
        return found

    changes("query", 1, 0, 2, rows=[1], counts=[2, 2, 2])
    by_key = changes("key", 0, 1, 3, rows=[0, 2], counts=[2, 5, 4])
    assert by_key["scores"][:, 0].tolist() == [True, False, True]
    by_value = changes("value", 2, 1, 9, rows=[0, 1, 2], counts=[0, 0, 2])
    assert not by_value["output"][:, 0].any()

    # What has moved counts from where the typing began, not from its last digit.
    changes("value", 0, 0, 7.0, rows=[0, 1, 2], counts=[0, 0, 3])

    field = live.get_by_label("query of old, who")
    before = cells("output").all_text_contents(), moved.text_content()
    field.fill("77")  # exp of such scores would tell nothing
    assert field.get_attribute("aria-invalid") == "true"
    field.fill("")
    assert (cells("output").all_text_contents(), moved.text_content()) == before
    live.get_by_role("button", name="Back to the page's numbers").click()
    assert (field.input_value(), field.get_attribute("aria-invalid")) == ("1", None)
    expected = attended(data["query"], data["key"], data["value"])["output"].flatten().tolist()
    shown = [number(text) for text in cells("output").all_text_contents()]
    assert shown == pytest.approx(expected, abs=0.0051)
    assert live.locator(".has-moved").count() == 0


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
                assert text in ("top-k", "top-p", "T = 0")
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
