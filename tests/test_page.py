"""What a page adds to the text: notebooks, reading progress, previews, letters, words, paper."""

import json

import pytest
from browsing import broken_words, cut_off, serve
from small_book import small_book

from course_lib.lessons.opening import colab_address
from course_lib.lessons.prose import to_markdown
from course_lib.lessons.source import COLUMNS
from course_lib.lines import OTHER_LINES

ALT = "A green square with a small white letter in its middle."
NOTATION = """\
# Notation

| letter | what it counts | in code |
|---|---|---|
| `B` | texts in a batch | |
| `T` | query positions: *who* asks | `n_queries` |
"""
LESSON = f"""\
# Self-attention

Tensors are `(B, T, 7)`, and again `T`, see {{numref}}`Figure %s <square>`, {{eq}}`the sum <sum>`
and {{ref}}`the end <the-end>`. Also [elsewhere](https://example.org/x).

$$
1 + 1 = 2
$$ (sum)

```{{figure}} _static/favicon.svg
:alt: {ALT}
:name: square

A square.
```

{"More words to scroll past. " * 600}

:::{{dropdown}} One solution
The secret.
:::

```diff
  x = 1
- y = x
+ y = 2
```

(the-end)=
## The end

It ends with `T` and nothing else.
"""
GLOSSARY = """\
# Glossary

`backward`
: Finds slopes, in {doc}`02_self_attention`.

batch
: Several texts.

half batch
: Fewer texts.

seed
: Where numbers start.
"""
MASKS = """\
# Batches

See {ref}`the other end <the-end>`. Half batches go backward, and `backward()` goes from **seeds**.

Another seed, another batch, another half batch, and the batch again.
"""
WIDE = f"""\
# Wide

```text
{"m" * OTHER_LINES}
```

````{{dropdown}} Folded
```python
{"m" * COLUMNS}
```
````

| a word | {" | ".join(["what is counted"] * 4)} |
|---|---|---|---|---|
| `scaled_dot_product_attention` | {" | ".join(["incomprehensibility"] * 4)} |
"""
PAGES = {
    "index": "# First page\n\nWords.",
    "wide": WIDE,
    "notation": NOTATION,
    "02_self_attention": LESSON,
    "glossary": GLOSSARY,
    "03_causal_masking": MASKS,
}
PUBLIC = "https://github.com/owner/course.git"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serve(small_book(tmp_path_factory.mktemp("pages"), PAGES)) as address:
        yield address


def test_a_lesson_hands_out_its_exercise_and_not_its_source(visit, site):
    opened = visit("02_self_attention")
    page = opened.page
    addresses = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
    assert not [a for a in addresses if "_sources" in a]
    assert not [a for a in addresses if "colab" in a]
    (notebook,) = {a for a in addresses if a.endswith(".ipynb")}
    cells = json.loads(page.request.get(notebook).body())["cells"]
    assert any("raise NotImplementedError" in "".join(cell["source"]) for cell in cells)
    command = page.get_by_text("jupyter lab 02_self_attention.ipynb")
    assert not command.is_visible()
    page.get_by_role("button", name="Notebook and print").click()
    page.get_by_role("button", name="Open in JupyterLab").click()
    assert command.is_visible()
    assert opened.problems == opened.foreign == []


def test_colab_is_offered_where_a_repository_is_configured(tmp_path, browser):
    folder = small_book(tmp_path, {"02_self_attention": "# A lesson\n\nWords."}, repository=PUBLIC)
    html = (folder / "02_self_attention.html").read_text(encoding="utf-8")
    address = (
        "https://colab.research.google.com/github/owner/course/blob/main/"
        "exercises/02_self_attention/02_self_attention.ipynb"
    )
    assert html.count(f'href="{address}"') == 2  # a button, and a line of the panel


@pytest.mark.parametrize("url", ["", "https://gitlab.com/o/r", "https://github.com/only"])
def test_colab_reads_from_github_alone(url):
    assert colab_address(url, "main", "02_x") is None


def test_the_sidebar_says_the_number_of_each_lesson(visit):
    entries = visit("index").page.locator(".bd-links a").all_inner_texts()
    assert entries == ["Wide", "Notation", "2. Self-attention", "Glossary", "3. Batches"]


def test_the_browser_remembers_what_was_read_and_forgets_it(visit):
    opened = visit("02_self_attention")
    page = opened.page
    entry = page.locator(".bd-links a", has_text="Self-attention")
    assert entry.locator(".is-read").count() == 0
    page.locator("#the-end").scroll_into_view_if_needed()
    page.keyboard.press("End")
    entry.locator(".is-read").wait_for(state="attached")
    assert "(read)" in entry.text_content()
    page.goto(f"{opened.site}/index.html")
    panel = page.locator(".progress-panel")
    assert "You have read one lesson." in panel.inner_text()
    panel.get_by_role("link", name="Self-attention: The end").click()
    assert page.url.endswith("02_self_attention.html#the-end")
    page.go_back()
    page.get_by_role("button", name="Forget what I have read").click()
    assert page.evaluate("localStorage.getItem('build-a-transformer.reading')") is None
    assert page.locator(".bd-links .is-read").count() == 0
    page.reload()
    assert page.locator(".progress-panel").count() == 0
    assert opened.problems == opened.foreign == []


def test_pages_work_where_nothing_can_be_stored(site, browser):
    context = browser.new_context()
    context.add_init_script(
        "const read = Storage.prototype.getItem;"
        "for (const name of ['getItem', 'setItem', 'removeItem'])"
        "  Storage.prototype[name] = function (key, ...more) {"
        "    if (String(key).startsWith('build-')) throw new DOMException('no storage');"
        "    return name === 'getItem' ? read.call(this, key) : undefined; };"
    )
    page, problems = context.new_page(), []
    page.on("pageerror", lambda error: problems.append(str(error)))
    for name in ("index", "02_self_attention"):
        page.goto(f"{site}/{name}.html")
        page.keyboard.press("End")
        page.wait_for_timeout(400)
        assert page.locator(".progress-panel, .is-read").count() == 0
    assert problems == []
    context.close()


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        ("Figure 1", "A square."),
        ("the end", "It ends with"),
        ("(B, T, 7)", "T: query positions: who asks (n_queries)"),
    ],
)
def test_a_reference_shows_what_it_leads_to(visit, words, shows):
    opened = visit("02_self_attention")
    link = opened.page.locator("article a.internal", has_text=words).first
    preview = opened.page.get_by_role("tooltip")
    link.hover()
    preview.wait_for(state="visible")
    assert shows in preview.inner_text()
    opened.page.keyboard.press("Escape")
    assert not preview.is_visible()
    link.focus()
    preview.wait_for(state="visible")
    assert link.get_attribute("aria-describedby") == "preview"
    link.blur()
    assert not preview.is_visible()
    assert opened.problems == opened.foreign == []


def test_a_preview_sets_formulas_and_reads_other_pages(visit):
    opened = visit("02_self_attention")
    opened.page.locator("article a.internal", has_text="(1)").first.hover()
    opened.page.locator(".preview mjx-container").wait_for(state="visible")
    other = visit("03_causal_masking")
    other.page.locator("article a.internal", has_text="the other end").focus()
    other.page.get_by_role("tooltip").wait_for(state="visible")
    assert "It ends with" in other.page.get_by_role("tooltip").inner_text()
    assert opened.problems == other.problems == []


def test_letters_lead_to_the_notation_once_a_section(visit):
    page = visit("02_self_attention").page
    links = page.locator("a.letter")
    assert links.all_inner_texts() == ["(B, T, 7)", "T"]  # the second T is in another section
    links.nth(1).click()
    assert page.url.endswith("notation.html#letter-t")
    assert page.locator("tr#letter-t").count() == 1


def test_the_first_mention_of_a_word_leads_to_the_glossary(visit):
    opened = visit("03_causal_masking")
    words = opened.page.locator("a.term")
    # not "Batches" in the title, nor "seed", which stands in bold before
    assert words.all_inner_texts() == ["Half batches", "backward()", "batch"]
    words.nth(1).focus()
    preview = opened.page.get_by_role("tooltip")
    preview.wait_for(state="visible")
    assert "Finds slopes" in preview.inner_text()
    words.nth(0).click()
    assert opened.page.url.endswith("glossary.html#term-half-batch")
    assert opened.page.locator("dt#term-half-batch").count() == 1
    assert opened.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_a_change_takes_out_and_puts_in_has_colours_that_can_be_read(visit, scheme):
    page = visit("02_self_attention", scheme=scheme).page
    colours = """span => {
        const {color, backgroundColor} = getComputedStyle(span)
        return [color, backgroundColor].map(one => one.match(/\\d+/g).map(Number))
    }"""
    out, come = (
        page.eval_on_selector(f".highlight-diff .{kind}", colours) for kind in ("gd", "gi")
    )
    assert all(red > green for red, green, _ in out)
    assert all(green > red for red, green, _ in come)
    assert contrast(*out) >= 4.5
    assert contrast(*come) >= 4.5


def test_the_longest_line_of_a_check_and_of_folded_code_fit_on_a_laptop(visit):
    page = visit("wide", width=1280).page
    assert cut_off(page) == []
    page.set_viewport_size({"width": 360, "height": 800})
    assert len(cut_off(page)) == 2


def test_a_table_scrolls_on_a_phone_and_keeps_its_words_whole(visit):
    page = visit("wide", width=360).page
    assert broken_words(page) == []
    table = page.locator(".pst-scrollable-table-container")
    assert table.evaluate("box => box.scrollWidth > box.clientWidth")
    assert table.get_attribute("tabindex") == "0"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def contrast(first, second) -> float:
    """The contrast of two colours as WCAG 2 computes it."""

    def brightness(colour):
        parts = [c / 255 for c in colour]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] + 0.05

    lighter, darker = sorted((brightness(first), brightness(second)), reverse=True)
    return lighter / darker


def test_a_page_prints_as_text_alone(visit):
    page = visit("02_self_attention", scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    for part in (".bd-sidebar-primary", ".bd-header-article", ".open-notebook"):
        assert not page.locator(part).first.is_visible(), part
    assert page.get_by_role("heading", name="Self-attention", level=1).count() == 1
    assert not page.get_by_text("The secret.").is_visible()
    page.set_viewport_size({"width": 794, "height": 1123})  # A4
    right = page.locator("article p").first.evaluate("p => p.getBoundingClientRect().right")
    assert right <= 794
    picture = page.locator("article img").evaluate("image => getComputedStyle(image).filter")
    assert picture == "none"
    address = "getComputedStyle(document.querySelector('a.external'), '::after').content"
    assert "example.org/x" in page.evaluate(address)
    ink = page.locator("article p").first.evaluate("p => getComputedStyle(p).color")
    assert ink == "rgb(0, 0, 0)"


def test_a_notebook_shows_the_words_of_a_reference_without_its_number():
    assert to_markdown("See {numref}`Figure %s <square>`.", []) == "See Figure."
