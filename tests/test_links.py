"""Every link of every notebook leads somewhere, wherever the notebook lies."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from markdown_it import MarkdownIt

from course_lib.lessons.build import build
from course_lib.lessons.exercises import lesson_names
from course_lib.lessons.images import attached
from course_lib.lessons.links import side_by_side, standing_alone, with_links
from course_lib.lessons.notebook import source_notebook
from course_lib.lessons.prose import to_markdown
from course_lib.lessons.text import Cell, LessonError
from course_lib.workspace.start import start

ROOT = Path(__file__).resolve().parent.parent
LESSONS = lesson_names()
BOOK = "https://example.org/book"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    return start(tmp_path_factory.mktemp("learner") / "mein Kurs é")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The notebooks as they are built when the book has an address."""
    root = tmp_path_factory.mktemp("published")
    shutil.copytree(ROOT / "book", root / "book")
    config = root / "book" / "_config.yml"
    settings = yaml.safe_load(config.read_text(encoding="utf-8"))
    settings["html"]["baseurl"] = BOOK
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    build(root, say=lambda line: None)
    return root


def links_of(path: Path) -> list[tuple[dict, str]]:
    """Every address in the Markdown of a notebook, with the cell that it stands in."""
    parser, found = MarkdownIt("commonmark").enable("table"), []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            for token in _tokens(parser.parse("".join(cell["source"]))):
                addresses = [token.attrs.get(name) for name in ("href", "src")]
                if token.type in ("html_inline", "html_block"):
                    addresses += re.findall(
                        r"""(?:href|src)\s*=\s*["']?([^"'\s>]+)""", token.content
                    )
                found += [(cell, address) for address in addresses if address is not None]
    return found


def _tokens(tokens):
    for token in tokens:
        yield token
        yield from _tokens(token.children or ())


def dead_links(path: Path) -> list[str]:
    """The links of a notebook that lead nowhere from where it lies."""
    return [link for cell, link in links_of(path) if not _leads_somewhere(link, cell, path)]


def _leads_somewhere(link: str, cell: dict, path: Path) -> bool:
    if link.startswith(f"{BOOK}/"):
        return (ROOT / "book" / f"{Path(link).stem}.md").is_file()
    parts = urlsplit(link)
    if parts.scheme == "attachment":
        return parts.path in cell.get("attachments", {})
    if parts.scheme:
        return parts.scheme == "https" and bool(parts.netloc)
    target = path.parent / unquote(parts.path) if parts.path else path
    return target.is_file() and (not parts.fragment or unquote(parts.fragment) in _anchors(target))


def _anchors(path: Path) -> set[str]:
    """What Jupyter lets a link lead to: each heading, with hyphens between its words."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    headings = re.findall(r"^#+ +(.+?) *$", "\n".join(texts), re.MULTILINE)
    return {heading.replace(" ", "-") for heading in headings}


def to_lessons(path: Path) -> list[str]:
    return [link for _, link in links_of(path) if Path(link).stem in LESSONS]


# --- the places where notebooks lie --------------------------------------------------------------


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_link_leads_somewhere_in_a_folder_of_ones_own(lesson, workspace):
    assert dead_links(workspace / f"{lesson}.ipynb") == []


@pytest.mark.parametrize("folder", ["exercises", "solutions"])
@pytest.mark.parametrize("lesson", LESSONS)
def test_every_link_leads_somewhere_in_the_checkout(lesson, folder):
    assert dead_links(ROOT / folder / lesson / f"{lesson}.ipynb") == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_link_leads_somewhere_in_a_notebook_alone(lesson, tmp_path):
    alone = shutil.copy(ROOT / "exercises" / lesson / f"{lesson}.ipynb", tmp_path)
    assert dead_links(Path(alone)) == []


@pytest.mark.parametrize("lesson", LESSONS)
def test_with_an_address_of_the_book_a_notebook_alone_links_to_its_pages(
    lesson, published, tmp_path
):
    alone = Path(shutil.copy(published / "exercises" / lesson / f"{lesson}.ipynb", tmp_path))
    assert dead_links(alone) == []
    in_words = (ROOT / "exercises" / lesson / f"{lesson}.ipynb").read_text(encoding="utf-8")
    n_links = sum(
        len(cell["metadata"].get("course", {}).get("links", ()))
        for cell in json.loads(in_words)["cells"]
    )
    assert len(to_lessons(alone)) == n_links
    assert all(link.startswith(f"{BOOK}/") for link in to_lessons(alone))


def test_every_link_leads_somewhere_in_what_nbgrader_fetches_from_its_exchange(tmp_path):
    lesson = "07_the_model"  # in words or to the book, it names most lessons
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    shutil.copytree(ROOT / "exercises" / lesson, tmp_path / "exercises" / lesson)
    (tmp_path / "exchange").mkdir()
    (tmp_path / "exchange").chmod(0o777)
    (tmp_path / "student").mkdir()
    exchange = [f"--Exchange.root={tmp_path / 'exchange'}", "--course", "transformers"]
    _nbgrader("release_assignment", lesson, *exchange, cwd=tmp_path)
    _nbgrader("fetch_assignment", lesson, *exchange, cwd=tmp_path / "student")
    (fetched,) = (tmp_path / "student").rglob("*.ipynb")
    assert dead_links(fetched) == []


def _nbgrader(*args: str, cwd: Path) -> None:
    programs = Path(sys.executable).parent
    environment = os.environ | {
        "PATH": os.pathsep.join([str(programs), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT),
        "JUPYTER_DATA_DIR": str(cwd / "jupyter"),
    }
    done = subprocess.run(
        [str(programs / "nbgrader"), *args], cwd=cwd, env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


# --- what is linked ------------------------------------------------------------------------------


def test_in_a_folder_of_ones_own_every_lesson_that_the_text_refers_to_is_a_link(workspace):
    for lesson in LESSONS:
        text = (ROOT / "book" / f"{lesson}.md").read_text(encoding="utf-8")
        text = re.sub(r"^(:{3,})\{quiz\}.*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
        named = re.findall(r"\{doc\}`(?:[^`<]*<)?(\d\d_\w+)>?`", text)
        linked = [Path(link).stem for link in to_lessons(workspace / f"{lesson}.ipynb")]
        assert linked == named, lesson
    assert sum(len(to_lessons(workspace / f"{name}.ipynb")) for name in LESSONS) > 60


def test_but_for_its_links_a_learners_notebook_is_the_exercise(workspace):
    for lesson in LESSONS:
        mine = json.loads((workspace / f"{lesson}.ipynb").read_text(encoding="utf-8"))
        ours = json.loads((ROOT / "exercises" / lesson / f"{lesson}.ipynb").read_text("utf-8"))
        for cell, original in zip(mine["cells"], ours["cells"], strict=True):
            links = cell["metadata"].get("course", {}).get("links", ())
            assert with_links("".join(original["source"]), links) == "".join(cell["source"])
            assert cell | {"source": []} == original | {"source": []}


def test_a_lesson_that_is_not_there_is_named_in_words():
    cell = {
        "cell_type": "markdown",
        "metadata": {"course": {"links": ["[lesson 3](03_a.ipynb)", "[lesson 31](31_b.ipynb)"]}},
        "source": ["After lesson 3\n", "comes lesson 31."],
    }
    linked = side_by_side({"cells": [cell]}, there=["31_b"])["cells"][0]["source"]
    assert linked == ["After lesson 3\n", "comes [lesson 31](31_b.ipynb)."]


@pytest.mark.parametrize("book", ["", BOOK])
def test_links_that_were_taken_out_can_be_put_back(book):
    text = "[Lesson 1](01_a.ipynb) and [`x` of lesson 1](01_a.ipynb), lesson 2, [one](http://a.b)"
    alone, links = standing_alone(text, book)
    assert "ipynb" not in alone
    assert alone.count(BOOK) == (2 if book else 0)
    assert with_links(alone, links) == text


def test_a_reference_whose_words_were_said_before_is_refused():
    text = "Since lesson 3, and with {doc}`lesson 3 <03_causal_masking>` in mind."
    with pytest.raises(LessonError, match="must be the first place in its cell"):
        source_notebook("x", [Cell("markdown", text)], LESSONS, folder=ROOT / "book")


def test_a_reference_without_words_says_the_lessons_number():
    text = "{doc}`02_self_attention` ends. As {doc}`03_causal_masking` shows. {doc}`08_training`."
    alone, _ = standing_alone(to_markdown(text, LESSONS), book="")
    assert alone == "Lesson 2 ends. As lesson 3 shows. Lesson 8."


def test_other_pages_of_the_book_are_links_once_it_has_an_address():
    text = (
        "See {doc}`letters <notation>` and {doc}`teaching`, [above](#top), [a file](_static/a.csv)."
    )
    assert to_markdown(text, LESSONS) == "See letters and teaching, above, a file."
    assert to_markdown(text, LESSONS, BOOK) == (
        f"See [letters]({BOOK}/notation.html) and [teaching]({BOOK}/teaching.html), above, a file."
    )


def test_an_image_travels_inside_its_cell(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "a.svg").write_text("<svg/>")
    text = "```{figure} _static/a.svg\n:alt: a square\nWords.\n```"
    notebook = source_notebook("x", [Cell("markdown", text)], [], folder=tmp_path)
    path = tmp_path / "elsewhere.ipynb"
    path.write_text(json.dumps(notebook))
    assert [link for _, link in links_of(path)] == ["attachment:_static-a.svg"]
    assert dead_links(path) == []
    with pytest.raises(LessonError, match=r"must be a file .* got '_static/b\.svg'"):
        attached("![b](_static/b.svg)", tmp_path)


@pytest.mark.parametrize(
    "link",
    [
        "[x](../03_causal_masking/03_causal_masking.ipynb)",
        "[x](#No-such-heading)",
        "![x](attachment:none.png)",
        "<a href='gone.html'>x</a>",
        "[x][y]\n\n[y]: gone.md",
        "| a |\n|---|\n| [x](gone.ipynb) |",
        f"[x]({BOOK}/13_gone.html)",
    ],
)
def test_a_dead_link_is_found(link, tmp_path):
    cells = [{"cell_type": "markdown", "metadata": {}, "source": f"# A heading\n\n{link}"}]
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert len(dead_links(path)) == 1


def test_a_link_to_what_is_there_is_not_called_dead(tmp_path):
    text = "# A heading\n\n[x](#A-heading), [x](a.ipynb#A-heading), <a href='a.ipynb'>x</a>"
    path = tmp_path / "a.ipynb"
    cell = {"cell_type": "markdown", "metadata": {}, "source": f"{text}, <https://a.b/c>"}
    path.write_text(json.dumps({"cells": [cell]}))
    assert len(links_of(path)) == 4
    assert dead_links(path) == []
