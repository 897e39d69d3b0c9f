"""The notebooks are what the lessons say, what nbgrader would make, and the same every time."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.lessons.build import build
from course_lib.lessons.exercises import lesson_names, read_exercises, read_notebook
from course_lib.lessons.page import expand_exercises
from course_lib.lessons.prose import to_markdown
from course_lib.lessons.source import component_names, component_source, stub
from course_lib.lessons.text import LessonError

ROOT = Path(__file__).resolve().parent.parent
LESSONS = lesson_names()
WITH_EXERCISES = [name for name in LESSONS if read_exercises(read_notebook(name))]


def notebook(folder: str, lesson: str) -> dict:
    return json.loads((ROOT / folder / lesson / f"{lesson}.ipynb").read_text(encoding="utf-8"))


def sources(nb: dict, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in nb["cells"] if cell["cell_type"] == kind]


def nbgrader(*args: str, cwd: Path) -> subprocess.CompletedProcess:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = [str(Path(sys.executable).parent / "nbgrader"), *args]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )


def test_what_is_committed_is_what_a_build_makes_and_a_second_build_changes_nothing(tmp_path):
    shutil.copytree(ROOT / "book", tmp_path / "book")
    build(tmp_path, say=lambda line: None)
    for folder in ("exercises", "solutions"):
        built = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.glob(f"{folder}/*/*")}
        assert built
        for path, content in built.items():
            assert (ROOT / path).read_bytes() == content, f"{path}: run `course build`"
    assert build(tmp_path, say=lambda line: None) == []


def test_notebooks_of_lessons_that_are_gone_are_removed(tmp_path):
    shutil.copytree(ROOT / "book", tmp_path / "book")
    build(tmp_path, say=lambda line: None)
    (tmp_path / "book" / f"{LESSONS[0]}.md").unlink()
    changed = build(tmp_path, say=lambda line: None)
    assert not (tmp_path / "exercises" / LESSONS[0] / f"{LESSONS[0]}.ipynb").exists()
    assert len(changed) >= 2


@pytest.mark.parametrize("lesson", LESSONS)
def test_our_exercise_is_what_nbgrader_generate_assignment_makes(lesson, tmp_path):
    shutil.copytree(ROOT / "solutions" / lesson, tmp_path / "source" / lesson)
    done = nbgrader("generate_assignment", lesson, "--create", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    theirs = (tmp_path / "release" / lesson / f"{lesson}.ipynb").read_text(encoding="utf-8")
    ours = (ROOT / "exercises" / lesson / f"{lesson}.ipynb").read_text(encoding="utf-8")
    assert theirs.rstrip("\n") == ours.rstrip("\n")


@pytest.mark.parametrize("lesson", LESSONS)
def test_nothing_of_myst_is_left_in_a_notebook(lesson):
    for folder in ("exercises", "solutions"):
        for text in sources(notebook(folder, lesson), "markdown"):
            assert not re.search(r"\{[\w-]+\}`|^\s*(:::|```)\s*\{|^\([\w-]+\)=", text, re.MULTILINE)


@pytest.mark.parametrize("lesson", WITH_EXERCISES)
def test_an_exercise_gives_no_solution_away(lesson):
    released = read_notebook(lesson)["cells"]
    given_to_all = [c for c in released if c["metadata"].get("course", {}).get("role") == "setup"]
    code = "\n".join("".join(cell["source"]) for cell in given_to_all)
    assert given_to_all
    assert "def " not in code.replace("def _", "")
    for exercise in read_exercises(read_notebook(lesson)):
        source = component_source(exercise.module, exercise.component)
        given = stub(source, exercise.sentence)
        written = [
            line.strip()
            for line in source.splitlines()
            if line not in given and len(line.strip()) > 25
        ]
        assert written, exercise.component
        assert not [line for line in written if line in code + exercise.stub], exercise.component
        assert "NotImplementedError" in exercise.stub
        assert 2 <= len(exercise.hints) <= 3
        assert exercise.sentence


def test_every_component_has_an_exercise_in_its_lesson():
    from course_lib.checks import all_checks

    asked = [
        (e.lesson, e.component) for name in LESSONS for e in read_exercises(read_notebook(name))
    ]
    assert asked == [(check.lesson, check.name) for check in all_checks()]


# It runs two whole notebooks: three lessons in `make test`, the rest in `make test-all`.
IN_SHORT = ("00_warm_up", "03_causal_masking", "10_bug_clinic")


@pytest.mark.parametrize(
    "lesson",
    [
        pytest.param(name, marks=() if name in IN_SHORT else pytest.mark.slow)
        for name in WITH_EXERCISES
    ],
)
def test_validate_fails_every_stub_and_passes_every_solution(lesson, tmp_path):
    for folder in ("exercises", "solutions"):
        shutil.copytree(ROOT / folder / lesson, tmp_path / folder)
    passed = nbgrader("validate", f"{lesson}.ipynb", cwd=tmp_path / "solutions")
    assert "Success! Your notebook passes all the tests." in passed.stdout, passed.stdout
    failed = nbgrader("validate", f"{lesson}.ipynb", cwd=tmp_path / "exercises")
    n_exercises = len(read_exercises(read_notebook(lesson)))
    assert f"VALIDATION FAILED ON {n_exercises} CELL(S)" in failed.stdout, failed.stdout
    assert failed.stdout.count("not written yet") == n_exercises


def test_the_page_shows_stub_hints_and_folded_source_in_place_of_the_import():
    text = (ROOT / "book" / "03_causal_masking.md").read_text(encoding="utf-8")
    page = expand_exercises(text)
    assert "solve:" not in page
    for name in component_names("masking"):
        assert f"Exercise: `{name}`" in page
        assert component_source("masking", name) in page
    assert page.count("raise NotImplementedError()") == 6


@pytest.mark.parametrize(
    "text", ["```{code-block} python\nx\n```", "{term}`mask`", "```{note}\nnever closed"]
)
def test_what_a_notebook_cannot_show_is_refused(text):
    with pytest.raises(LessonError):
        to_markdown(text, LESSONS)


def test_prose_becomes_plain_markdown():
    text = (
        "(a-label)=\n## Title\n\n:::{admonition} Before `you` start\nText with {doc}`a page "
        "<notation>`.\n:::\n\n```{dropdown} More\nSee {doc}`masks <03_causal_masking>`.\n```\n"
        "\n```python\n# {note} stays, in code\n```"
    )
    assert to_markdown(text, LESSONS) == (
        "## Title\n\n> **Before `you` start**\n>\n> Text with a page.\n\n<details>\n"
        "<summary>More</summary>\n\nSee [masks](03_causal_masking.ipynb).\n\n"
        "</details>\n\n```python\n# {note} stays, in code\n```"
    )


def test_the_message_on_the_first_page_is_what_the_check_says():
    from course_lib.bugs import all_bugs
    from course_lib.checks import find, observe_here, run

    bug = next(bug for bug in all_bugs() if bug.title == "the mask was inverted")
    verdict = run(find(bug.component), observe_here(bug.implementation), seed=0)
    assert verdict.message in (ROOT / "book" / "index.md").read_text(encoding="utf-8")
