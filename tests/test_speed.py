"""How long a learner waits, in seconds of the processor: those a busy machine does not lengthen."""

import resource
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from course_lib.lessons.exercises import read_exercises, read_notebook
from course_lib.lessons.source import component_source, to_learner
from course_lib.workspace.start import start

pytestmark = pytest.mark.slow

LESSON = "02_self_attention"
TIMED = """
import time
started = time.process_time()
try:
    check({component})
finally:
    print("took", time.process_time() - started)
"""


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """A desk with lesson 2's parts written."""
    desk = start(tmp_path_factory.mktemp("speed") / "mine")
    with (desk / "my_transformer" / "attention.py").open("a", encoding="utf-8") as file:
        for exercise in read_exercises(read_notebook(LESSON)):
            file.write("\n\n" + right(exercise.component))
    return desk


def right(component: str) -> str:
    return to_learner(component_source("attention", component))


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (["hint", "softmax"], 0.5), (["status"], 0.5), (["check", "softmax"], 4.0),
        (["check", "SelfAttention"], 4.0),
    ],
)  # fmt: skip
def test_a_command_answers_soon(desk, words, most):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-m", "course_lib", *words], cwd=desk)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    assert after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime < most


@pytest.mark.parametrize("is_right", [False, True])
def test_a_check_in_a_notebook_answers_soon(desk, is_right):
    """The first of each, too, for which much is imported."""
    sources = []
    for cell in read_notebook(LESSON)["cells"]:
        course = cell["metadata"].get("course", {})
        role, component = course.get("role"), course.get("component")
        if role in ("opening", "setup"):
            sources.append("".join(cell["source"]))
        elif role == "answer":
            change = "return " if is_right else "return 2 * "
            sources.append(right(component).replace("return ", change))
        elif role == "check":
            sources.append(TIMED.format(component=component))
    client = NotebookClient(
        nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources))),
        allow_errors=True,
        resources={"metadata": {"path": desk}},
    )
    client.execute()
    outputs = [output for cell in client.nb.cells for output in cell.outputs]
    told = [out.text for out in outputs if out.get("text", "").startswith("took ")]
    n = len(read_exercises(read_notebook(LESSON)))
    assert len(told) == n
    assert sum(out.output_type == "error" for out in outputs) == (0 if is_right else n)
    assert max(float(text.split()[1]) for text in told) < 1.0
