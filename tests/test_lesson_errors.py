"""What is wrong with a lesson's text is told with its file and its line."""

from pathlib import Path

import pytest
from small_book import small_book

from course_lib.lessons.build import build
from course_lib.lessons.page import expand_exercises
from course_lib.lessons.site import BookFailed
from course_lib.lessons.text import ABOUT, LessonError, lesson_texts, read_cells, read_lesson

BOOK = Path(__file__).resolve().parent.parent / "book"
ABOVE = """\
---
jupytext:
  text_representation:
    format_name: myst
kernelspec:
  display_name: Python 3
  name: python3
---

# A lesson


"""  # 12 lines
IMPORT = "from course_lib.transformer.masking import causal_mask"
EXERCISE = f"```{{code-cell}} python\n:solve: causal_mask\n{IMPORT}\n```\n"
CHECK = "```{code-cell} python\n:points: 2\ncheck(causal_mask)\n```\n"


@pytest.mark.parametrize(
    ("text", "line", "rule"),
    [
        ("Words.\nA {term}`mask`.", 14, "the role {term} cannot be shown"),
        ("\n\nA {term}`mask`.", 15, "the role {term} cannot be shown"),
        ("Words.\n\n:::{code-block}\nx\n:::", 15, "the directive {code-block} cannot be shown"),
        (":::{note}\n:class: wide\n\nA {term}`mask`.\n:::", 16, "the role {term} cannot be shown"),
        ("::::{dropdown} More\n:::{note}\nA {ref}`x`.\n:::\n::::", 15, "write {ref}`words <x>`"),
        (":::{tip}\nWords.", 13, "{tip} is opened and never closed"),
        (":::{quiz} Why?\nWords.\n:::", 14, "must begin with `- [ ] `"),
        (":::{quiz} Why?\n- [x] A.\n- [ ] B.\n:::", 14, "none below 'A.'"),
        (":::{quiz} Why?\n- [x] A.\nWhy.\n:::", 15, "must be indented by two spaces"),
        (EXERCISE.replace("import causal", "import cusal"), 13, "an exercise must be"),
        (EXERCISE.replace(":solve", ":hint: Look.\n:solve"), 13, "got hint."),
        ("```{code-cell} python\n---\ntags: [demo\n---\nx = 1\n```", 13, "could not be read"),
        ("```{code-cell} python\nx = 1\n```", 13, "every code cell must be a setup"),
        (f"{EXERCISE}\n{CHECK.replace('(causal', '(padding')}", 18, "must be check(causal_mask)"),
        (f"{EXERCISE}\n{EXERCISE}", 18, "causal_mask has no check before this"),
        (f"{EXERCISE}\nThe end.", 18, "causal_mask has no check before this"),
    ],
)
def test_an_error_of_a_build_names_file_and_line(tmp_path, text, line, rule):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "03_masks.md").write_text(ABOVE + text, encoding="utf-8")
    with pytest.raises(LessonError) as refusal:
        build(tmp_path, say=lambda line: None)
    assert str(refusal.value).startswith(f"book/03_masks.md:{line}: ")
    assert rule in str(refusal.value)


def test_an_error_on_a_page_names_file_and_line_too(tmp_path):
    text = ABOVE + EXERCISE.replace("import causal", "import cusal")
    with pytest.raises(BookFailed) as failure:
        small_book(tmp_path, {"index": "# First page", "03_masks": text})
    assert "book/03_masks.md:13: an exercise must be" in " ".join(str(failure.value).split())


@pytest.mark.parametrize("lesson", lesson_texts(BOOK), ids=lambda path: path.stem)
def test_every_cell_knows_where_it_begins(lesson):
    lines = lesson.read_text(encoding="utf-8").splitlines()
    for cell in read_lesson(lesson):
        begins = lines[cell.line - 1]
        if cell.kind == "code":
            assert begins == "```{code-cell} python"
        else:
            assert begins == cell.source.splitlines()[0]


def test_what_an_exercise_leaves_out_is_what_holds_usually():
    (cell,) = (cell for cell in read_cells(ABOVE + EXERCISE) if cell.component)
    assert cell.about == ABOUT
    longer = EXERCISE.replace(":solve", ":minutes: 25\n:solve")
    (cell,) = (cell for cell in read_cells(ABOVE + longer) if cell.component)
    assert cell.about == ABOUT | {"minutes": 25}
    assert f"About {ABOUT['minutes']} minutes" in expand_exercises(ABOVE + EXERCISE)
    assert "About 25 minutes" in expand_exercises(ABOVE + longer)


def test_only_exercises_and_the_setup_change_on_a_page():
    text = (
        ABOVE
        + f"Words.\n\n{EXERCISE}\n```{{code-cell}} python\n:tags: [demo]\nx = 1\n```\n\nEnd.\n"
    )
    page = expand_exercises(text)
    before, after = text.split(EXERCISE)
    assert page.startswith(before)
    assert page.endswith(after)
    assert f"```{{code-cell}} python\n:tags: [remove-cell]\n{IMPORT}\n```\n" in page
    setup = "```{code-cell} python\n:tags: [setup]\nimport math\n```\n"
    hidden = setup.replace("[setup]", "[setup, remove-cell]")
    assert expand_exercises(ABOVE + setup) == ABOVE + hidden
