"""Submissions for the tests of the grader: honest ones. `attacks` holds those that are not."""

import json
from pathlib import Path

from course_lib.grading.judging import our_source
from course_lib.lessons.exercises import read_exercises, read_notebook

LESSON = "02_self_attention"


def pristine(lesson=LESSON):
    """The notebook as it is handed out."""
    return read_notebook(lesson)


def solved(lesson=LESSON):
    """A notebook in which every answer is right."""
    notebook = pristine(lesson)
    for exercise in read_exercises(notebook):
        answer(notebook, exercise.component, our_source(exercise))
    return notebook


def answer(notebook, component, source):
    """Write an answer into a notebook."""
    cell_of(notebook, component)["source"] = source
    return notebook


def cell_of(notebook, grade_id):
    """The cell with this grade_id."""
    return next(
        cell
        for cell in notebook["cells"]
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )


def extra_cell(source, **metadata):
    """A code cell that the release does not have."""
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "extra",
        "metadata": metadata,
        "outputs": [],
        "source": source,
    }


def hand_in(submitted, student, notebook, lesson=LESSON):
    """Put a student's notebook where a class's submissions lie; text goes in as it is."""
    path = Path(submitted, student, lesson, f"{lesson}.ipynb")
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(notebook, bytes):
        path.write_bytes(notebook)
    else:
        path.write_text(json.dumps(notebook))
    return path
