"""An answer that passes at the desk passes in class: each form of handing in, run both ways."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from grading_fixtures import LESSON, cell_of, hand_in, pristine
from handing_in_forms import REFUSED, RUN_TWICE, TAKEN, UNSURE
from nbclient import NotebookClient
from nbgrader.api import Gradebook

from course_lib.grading import releases
from course_lib.grading.judging import judge, our_source
from course_lib.grading.run import grade_class
from course_lib.grading.sandbox import Sandbox
from course_lib.grading.submission import read_submission, rebuild
from course_lib.lessons.answers import Answers, NoAnswer, Typed
from course_lib.lessons.cell_text import NotPython, python_of
from course_lib.lessons.exercises import (
    exercises_folder,
    lesson_names,
    read_exercises,
    read_notebook,
)
from course_lib.lessons.imports import absent_in_class
from course_lib.lessons.package_text import definitions
from course_lib.lessons.saved_cells import saved_cells
from course_lib.lessons.without_outputs import TooManyParts, without_outputs
from course_lib.workspace.borrow import PACKAGE
from course_lib.workspace.promote import promote
from course_lib.workspace.start import start
from course_lib.workspace.terminal import check_package

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
EXERCISES = {one.component: one for one in read_exercises(pristine())}


def some_cells():
    """The lesson as it is handed out, without the demonstrations that take time."""
    notebook = pristine()
    kept = ("opening", "setup-attention", "demo-03")
    notebook["cells"] = [
        cell
        for cell in notebook["cells"]
        if cell["id"] in kept or cell["metadata"].get("course", {}).get("component") in EXERCISES
    ]
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


# --- the two sides ------------------------------------------------------------------------------


class Desk:
    """A kernel in which a notebook is run from top to bottom, and then checked once more."""

    def __init__(self, client):
        self.client = client

    def run(self, source, cell_id=""):
        session, plain = self.client.kc.session, self.client.kc.session.msg

        def named(kind, *args, **more):
            told = cell_id and kind == "execute_request"
            return plain(kind, *args, **more | ({"metadata": {"cellId": cell_id}} if told else {}))

        session.msg = named
        try:
            cell = nbformat.v4.new_code_cell(source)
            self.client.nb.cells.append(cell)
            self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        finally:
            session.msg = plain
        said = [o.text for o in cell.outputs if o.output_type == "stream"]
        said += [o.data["text/plain"] for o in cell.outputs if o.output_type == "display_data"]
        errors = ["\n".join(o.traceback) for o in cell.outputs if o.output_type == "error"]
        return SimpleNamespace(passed=not errors, text="".join(said + errors))

    def check(self, notebook, component, folder, file, times=1):
        """The verdict; `file` is where the notebook lies if the program tells, as JupyterLab does,
        and then it tells which cell runs, too."""
        self.run("%reset -f\n%reset -f in out")
        self.run(
            f"import os; os.chdir({str(folder)!r})\n"
            f"os.environ['JPY_SESSION_NAME'] = {str(file or '')!r}"
        )
        as_format_4 = nbformat.convert(nbformat.from_dict(notebook), 4)
        for number, cell in enumerate(as_format_4["cells"] * times):
            if cell["cell_type"] == "code":
                source = "".join(cell["source"])
                self.run(source, cell.get("id", f"none-{number}") if file else "")
        return self.run(f"check({component})", "elsewhere" if file else "")


@pytest.fixture(scope="module")
def desk():
    client = NotebookClient(nbformat.v4.new_notebook(), kernel_name="python3", allow_errors=True)
    with client.setup_kernel():
        yield Desk(client)


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def released():
    notebook = read_notebook(LESSON)
    for cell in notebook["cells"]:
        cell["source"] = "".join(cell["source"])
    return notebook


def in_class(path, component, sandbox, released):
    """What `course grade` does with a file, for one component."""
    rebuilt = rebuild(released, read_submission(path))
    results = judge(rebuilt, sandbox.observe, seed=5, sandbox=sandbox.how)
    (result,) = [one for one in results if one["component"] == component]
    return SimpleNamespace(passed=result["passed"], text=result["message"])


def save(folder, notebook):
    path = folder / f"{LESSON}.ipynb"
    path.write_text(json.dumps(notebook), "utf-8")
    return path


@pytest.fixture(scope="module")
def unworked(tmp_path_factory):
    return start(tmp_path_factory.mktemp("unworked") / "course")


@pytest.fixture
def workspace(unworked, tmp_path):
    return Path(shutil.copytree(unworked, tmp_path / "course"))


def each_form():
    for component in ("softmax", "attention", "SelfAttention"):  # of NumPy; of torch; a class
        marks = [] if component == "softmax" else [pytest.mark.slow]
        for form in [*TAKEN, *REFUSED]:
            yield pytest.param(form, component, marks=marks, id=f"{component}-{form.__name__}")


def _right(component):
    return EXERCISES[component], our_source(EXERCISES[component])


@pytest.mark.parametrize(("form", "component"), list(each_form()))
def test_desk_and_class_agree(form, component, desk, sandbox, released, workspace):
    notebook = form(some_cells(), *_right(component))
    path, times = save(workspace, notebook), 2 if form in RUN_TWICE else 1
    at_home = desk.check(notebook, component, workspace, path, times)
    elsewhere = desk.check(notebook, component, workspace.parent, None, times)
    graded = in_class(path, component, sandbox, released)
    if form in TAKEN:
        assert at_home.passed, at_home.text
        assert graded.passed, graded.text
        assert component in definitions((workspace / PACKAGE / "attention.py").read_text("utf-8"))
        unsure = form in UNSURE and UNSURE[form] in " ".join(elsewhere.text.split())
        assert elsewhere.passed != unsure, elsewhere.text
        return
    words = REFUSED[form].format(name=component)
    for side in (at_home, graded):
        assert not side.passed
        assert re.search(words, " ".join(side.text.split())), side.text
    assert not elsewhere.passed
    assert re.search(f"{words}|defines {component}", " ".join(elsewhere.text.split()))


@pytest.mark.slow
def test_nbgrader_autograde_agrees_with_course_grade(tmp_path):
    """Every third form through nbgrader's own command, as a class of its own."""
    forms = [*TAKEN, *REFUSED][::3]
    shutil.copytree(exercises_folder(), tmp_path / "exercises")
    shutil.copy(ROOT / "nbgrader_config.py", tmp_path)
    for form in forms:
        hand_in(tmp_path / "submitted", form.__name__, form(some_cells(), *_right("softmax")))
    releases.release(LESSON, tmp_path)
    grade_class(tmp_path / "submitted", tmp_path / "out", root=tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", "autograde", LESSON],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for folder in (tmp_path, tmp_path / "out"):
        with Gradebook(f"sqlite:///{folder}/gradebook.db") as book:
            for form in forms:
                score = book.find_submission(LESSON, form.__name__).score
                assert score == (1 if form in TAKEN else 0), (form, folder)


# --- the file itself ----------------------------------------------------------------------------


def with_a_mark_of_byte_order(content):
    return b"\xef\xbb\xbf" + content


def with_windows_line_ends(content):
    return content.replace(b"\n", b"\r\n")


def with_50_mb_of_outputs(content):
    notebook = json.loads(content)
    picture = {"image/png": "iVBORw0KGgo" * 4_600_000, "text/plain": '"outputs": [{'}
    said = {"output_type": "stream", "name": "stdout", "text": [']}, [\\"\n'] * 9}
    shown = {"output_type": "display_data", "metadata": {}, "data": picture}
    cell_of(notebook, "check-softmax")["outputs"] = [said, shown, said]
    return json.dumps(notebook).encode()


FILES = [with_a_mark_of_byte_order, with_windows_line_ends, with_50_mb_of_outputs]


@pytest.mark.parametrize("change", FILES, ids=lambda change: change.__name__)
def test_desk_and_class_read_the_same_file(change, desk, sandbox, released, workspace):
    notebook = some_cells()
    cell_of(notebook, "softmax")["source"] = our_source(EXERCISES["softmax"])
    path = workspace / f"{LESSON}.ipynb"
    path.write_bytes(change(json.dumps(notebook, indent=1).encode()))
    at_home = desk.check(notebook, "softmax", workspace, path)
    assert at_home.passed, at_home.text
    graded = in_class(path, "softmax", sandbox, released)
    assert graded.passed, graded.text


def test_outputs_are_cut_out_and_nothing_else():
    notebook = {"a": [{"outputs": [1, "]", {"b": ['\\"']}], "c": '"outputs": ['}], "outputs": 7}
    text = json.dumps(notebook).encode()
    assert json.loads(without_outputs(text)) == {
        "a": [{"outputs": [], "c": '"outputs": ['}],
        "outputs": 7,
    }
    assert without_outputs(b'{"outputs": [1, 2') == b'{"outputs": [1, 2'
    with pytest.raises(TooManyParts):
        without_outputs(b"[" * 4_000_002)


def test_a_notebook_without_a_cell_answers_nothing():
    for name in EXERCISES:
        with pytest.raises(NoAnswer, match=f"no cell defines {name}"):
            Answers([], pristine()).of(name)


# --- a cell that changed since it ran -----------------------------------------------------------


def run_and_save(desk, workspace, ran, saved):
    """A notebook in which softmax ran as one text, and was saved as another ten seconds later."""
    notebook = some_cells()
    own = cell_of(notebook, "softmax")
    path = save(workspace, notebook)
    own["source"] = ran
    assert desk.check(notebook, "softmax", workspace, path).passed
    own["source"] = saved
    save(workspace, notebook)
    later = time.time() + 10
    os.utime(path, (later, later))
    return desk.run("check(softmax)", "elsewhere")


def test_a_cell_that_was_edited_and_saved_and_did_not_run_is_refused(desk, workspace):
    right = our_source(EXERCISES["softmax"])
    for edited in (right.replace("axis", "dim"), right.replace(":", "", 1), "pass"):
        seen = run_and_save(desk, workspace, right, edited)
        assert not seen.passed
        assert re.search(
            r"^the cell that defines softmax has changed since it ran\n  it ran as In \[\d+\]"
            r"|^the cell of softmax \(cell \d+\) is not Python|^no cell .*defines softmax",
            seen.text,
        )
    assert run_and_save(desk, workspace, right, right + "\n\n").passed


# --- the rule -----------------------------------------------------------------------------------


def answer_to(name, *texts):
    """The answer in cells of these texts, all the learner's own."""
    cells = [Typed(text, f"cell {number}", None) for number, text in enumerate(texts, start=1)]
    return Answers(cells, pristine()).of(name)


@pytest.mark.parametrize("lesson", lesson_names())
def test_no_demonstration_defines_what_an_exercise_asks_for(lesson):
    notebook = read_notebook(lesson)
    asked = {one.component for one in read_exercises(notebook)}
    for cell in saved_cells(notebook):
        if cell.is_code and cell.grade_id not in asked:
            assert not asked & cell.defines
            assert not cell.problem


def test_what_an_answer_needs_goes_with_it_and_nothing_else_does():
    found = answer_to(
        "softmax",
        "import numpy as xp\nTABLE = {}\nTABLE.update(a=1)\nfor i in 'ab':\n    TABLE[i] = 2\nx=1",
        "# the answer\ndef softmax(x, axis=-1):\n    return helper(xp.exp(x), TABLE)\nprint(x)",
        "# a helper\ndef helper(e, table): return e\n\nlayer = helper(1, 2)",
    )
    assert found.source == (
        "import numpy as xp\nTABLE = {}\nTABLE.update(a=1)\nfor i in 'ab':\n    TABLE[i] = 2\n\n\n"
        "# the answer\ndef softmax(x, axis=-1):\n    return helper(xp.exp(x), TABLE)\n\n\n"
        "# a helper\ndef helper(e, table): return e"
    )
    assert found.note == "from other cells it takes along: TABLE, helper, xp"


def test_a_whole_cell_stays_as_it_was_typed():
    text = (
        "# mine\nEPS = 0  # none\n\n\ndef softmax(x, axis=-1):  # so\n    return x + EPS\n# the end"
    )
    assert answer_to("softmax", text).source == text


def test_methods_that_another_cell_gives_a_class_are_its_own():
    found = answer_to(
        "SelfAttention",
        "class SelfAttention(Base):\n    pass",
        "class Base(nn.Module): pass",
        "def forward(self, x): return x\nSelfAttention.forward = forward\nSelfAttention(3)",
    )
    assert found.source == (
        "class Base(nn.Module): pass\n\n\nclass SelfAttention(Base):\n    pass\n\n\n"
        "def forward(self, x): return x\nSelfAttention.forward = forward"
    )


@pytest.mark.parametrize(
    ("text", "python"),
    [
        ("a = (7\n  % 4)", "a = (7\n  % 4)"),
        ("%%time\n%%capture\na = 1", "a = 1"),
        ("!pip install x\na = 1\na?", "a = 1"),
        ("  a = 1\n  b = 2", "a = 1\nb = 2"),
        ("a = 1\r\nb = 2\r", "a = 1\nb = 2\n"),
    ],
)
def test_lines_for_the_notebook_are_left_out(text, python):
    assert python_of(text) == python


@pytest.mark.parametrize("text", ["a = !ls", "%%bash\nls", "return 1", "f(", "a = %pwd", "\0"])
def test_what_is_not_python_is_told(text):
    with pytest.raises(NotPython, match=r"^(is|uses) "):
        python_of(text)


@pytest.mark.parametrize(
    "hostile",
    [
        "softmax = " + "(" * 50_000,
        "softmax = " + "-" * 90_000 + "1",
        "softmax = a" + ".b" * 45_000,
        "softmax = [" + "1," * 49_000 + "]",
        "\n" * 99_000 + "def softmax",
        "if x:\n" + "".join(" " * n + "if x:\n" for n in range(1, 200)) + " " * 200 + "softmax = 1",
        "\n".join(f"a{n} = a{n + 1}" for n in range(5_000)) + "\nsoftmax = a0",
        "softmax = 1\n" * 8_000,
    ],
)
def test_no_text_takes_long_to_read(hostile):
    started = time.process_time()
    with contextlib.suppress(NoAnswer):
        answer_to("softmax", *[hostile] * 5)
    assert time.process_time() - started < 10


def test_a_notebook_of_too_much_code_is_refused_with_a_sentence():
    texts = ["def softmax(x): pass", *(f"x = {n}" + " " * 99_000 for n in range(11))]
    with pytest.raises(NoAnswer, match="more than the 1000000 that are read"):
        answer_to("softmax", *texts)


def test_course_check_refuses_a_part_whose_cell_has_changed_since(workspace):
    right = our_source(EXERCISES["softmax"])
    promote(workspace, "softmax", "attention", right)
    notebook = some_cells()

    def check(source, seconds):
        cell_of(notebook, "softmax")["source"] = source
        path = save(workspace, notebook)
        when = (workspace / PACKAGE / "attention.py").stat().st_mtime + seconds
        os.utime(path, (when, when))
        return next(iter(check_package(workspace, ["softmax"])))

    assert check(f"%%time\n{right}\ncheck(softmax)", 9).passed
    assert check(right.replace("axis", "dim"), -9).passed
    for edited, words in [
        (right.replace("axis", "dim"), "cell 4 has another text now"),
        (right.replace(":", "", 1), "the cell of softmax (cell 4) is not Python"),
        ("pass", "no cell defines softmax"),
    ]:
        seen = check(edited, 9)
        assert not seen.passed
        assert "its cell has changed since it passed" in seen.text
        assert f"in {LESSON}.ipynb, {words}" in seen.text


ALL_EXERCISES = [one for name in lesson_names() for one in read_exercises(read_notebook(name))]


@pytest.mark.parametrize("exercise", ALL_EXERCISES, ids=lambda one: one.component)
def test_an_answer_may_import_what_its_lesson_imports_for_it(exercise):
    given = "\n".join(exercise.setup)
    assert absent_in_class(given, exercise.lesson, exercise.component) == ""
    own = f"from {PACKAGE}.{exercise.module} import {exercise.component}"
    assert "not there in class" in absent_in_class(own, exercise.lesson, exercise.component)
