"""The pages about bugs: made from the zoo, computed once, and about all of it."""

from pathlib import Path

from course_lib.bugs import all_bugs
from course_lib.lessons import site
from course_lib.lessons.bug_pages import INDEX, bug_pages
from course_lib.zoo import describe

ROOT = Path(__file__).resolve().parent.parent
BUGS = {bug.name: bug for bug in all_bugs()}


def test_a_page_has_all_that_is_known_of_a_bug():
    part = describe("causal_mask")
    pages = bug_pages([part], ROOT / "book")
    bug = BUGS["inverts_the_causal_mask"]
    page = pages["bugs/causal_mask"]
    for words in (bug.misconception, bug.symptom, "agrees with: " + bug.title):
        assert words in page
    assert "```diff\n  def causal_mask(" in page
    assert "(https://github.com/pytorch/examples/issues/649)" in page
    assert "{doc}`Causal masking </03_causal_masking>`" in page
    assert "[The mask was inverted](#bug-inverts-the-causal-mask)" in pages[INDEX]


def test_a_page_shows_the_change_inside_the_component():
    page = bug_pages([describe("softmax")], ROOT / "book")["bugs/softmax"]
    bug = BUGS["shifts_its_input_in_place"]
    shown = [f"{' ' if mark == '=' else mark} {line}" for mark, line in bug.marked_source]
    assert "\n".join(shown) in page
    assert {line[0] for line in shown} == {" ", "-", "+"}


def test_a_title_keeps_the_small_letter_of_a_name():
    page = bug_pages([describe("future_influence")], ROOT / "book")["bugs/future_influence"]
    assert "## x itself was switched to requires\\_grad" in page
    assert "## The square root of the norm is missing" in page


def test_what_looks_like_markup_in_a_title_is_shown_as_it_is():
    bug = {
        "name": "a_bug", "title": "0 * -inf: `x < y` and a_b_c", "misconception": "$",
        "symptom": "|", "threads": [], "lines": [("+", "def a_bug(): ...")], "message": "wrong",
        "is_change": False,
    }  # fmt: skip
    part = {"component": "softmax", "lesson": "02_self_attention", "bugs": [bug]}
    page = bug_pages([part], ROOT / "book")["bugs/softmax"]
    assert r"## 0 \* -inf: `x < y` and a\_b\_c" in page
    assert "In public" not in page


def test_the_zoo_is_run_again_only_when_its_code_has_changed(tmp_path, monkeypatch):
    runs = []

    def run(command, *args, **variables):
        runs.append(command)
        Path(command[-1]).parent.mkdir(parents=True)
        Path(command[-1]).write_text("[]")

    monkeypatch.setattr(site, "_run", run)
    (tmp_path / "course_lib").symlink_to(ROOT / "course_lib")
    assert site._zoo(tmp_path, tmp_path / "_build") == []
    assert site._zoo(tmp_path, tmp_path / "_build") == []
    assert len(runs) == 1
    assert not {"lessons", "grading", "cli.py"} & set(site.IMPORTED_BY_ZOO)


def test_what_is_staged_follows_the_book(tmp_path):
    book, source = tmp_path / "book", tmp_path / "_build" / "source"
    book.mkdir()
    (tmp_path / "_build").mkdir()
    (book / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    for name in ("index.md", "old.md"):
        (book / name).write_text("# Page")
    site._stage(tmp_path, tmp_path / "_build")
    assert (source / "old.md").read_text() == "# Page"
    written = (source / "_toc.yml").stat().st_mtime_ns
    (book / "old.md").unlink()
    site._stage(tmp_path, tmp_path / "_build")
    assert sorted(path.name for path in source.iterdir()) == ["_toc.yml", "index.md"]
    assert (source / "_toc.yml").stat().st_mtime_ns == written  # Sphinx has nothing to read again
