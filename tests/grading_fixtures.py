"""Submissions for the tests of the grader: honest ones, odd ones, and ones that cheat."""

import copy
import json
import os
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


UNREADABLE = {
    "empty": b"",
    "not json": b"{oh no",
    "not text": b"\xff\xfe\x00\x01" * 10,
    "a list": b"[1, 2]",
    "no notebook": b'{"cells": []}',
    "format 2": b'{"nbformat": 2, "nbformat_minor": 0, "worksheets": []}',
    "no cells": b'{"nbformat": 4, "metadata": {}}',
    "cells a number": b'{"nbformat": 4, "metadata": {}, "cells": 7}',
    "too deep": b'{"nbformat": 4, "cells": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "too long a number": b'{"nbformat": 4, "cells": [' + b"9" * 10_000 + b"]}",
    "too large": b'{"nbformat": 4, "cells": ["' + b"x" * (20 * 2**20) + b'"]}',
    "too many parts": b'{"nbformat": 4, "cells": [' + b"[]," * 2_500_000 + b"[]]}",
}


def hand_in_no_files(submitted, secret):
    """Submissions whose notebook is a link, a folder or a pipe; their names."""
    for student in ("link", "folder", "pipe", "linked folder", "dangling"):
        Path(submitted, student).mkdir()
    places = {
        student: Path(submitted, student, LESSON, f"{LESSON}.ipynb")
        for student in ("link", "folder", "pipe", "dangling")
    }
    for path in places.values():
        path.parent.mkdir()
    places["link"].symlink_to(secret)
    places["dangling"].symlink_to(secret.parent / "nowhere")
    places["folder"].mkdir()
    os.mkfifo(places["pipe"])
    Path(submitted, "linked folder", LESSON).symlink_to(secret.parent)
    return [*places, "linked folder"]


def _everywhere(notebook, change):
    for cell in notebook["cells"]:
        change(cell)
    return notebook


def _edited_checks():
    notebook = pristine()
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade"):
            cell["source"] = "7"
            cell["metadata"]["nbgrader"] |= {"points": 100, "locked": False, "solution": True}
            cell["outputs"] = [
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "metadata": {},
                    "data": {"text/plain": "100"},
                }
            ]
    return notebook


def _tagged():
    def tag(cell):
        cell["metadata"]["tags"] = ["skip-execution", "remove-cell"]

    return _everywhere(pristine(), tag)


def _extra_cells():
    notebook = pristine()
    first = extra_cell(
        "from ipykernel.ipkernel import IPythonKernel\n"
        "async def do_execute(self, *a, **k): return {'status': 'ok'}\n"
        "IPythonKernel.do_execute = do_execute\n"
        "get_ipython().input_transformers_cleanup.append(lambda lines: ['1\\n'])"
    )
    second = copy.deepcopy(cell_of(notebook, "check-softmax")) | {"source": "1"}
    notebook["cells"] = [first, second, *notebook["cells"], copy.deepcopy(second)]
    return notebook


def _edited_locked_cells():
    notebook = pristine()
    cell_of(notebook, "setup-attention")["source"] = (
        "import numpy as np\n"
        "def softmax(x, axis=-1):\n"
        "    e = np.exp(x - x.max(axis=axis, keepdims=True))\n"
        "    return e / e.sum(axis=axis, keepdims=True)\n"
    )
    return notebook


def _forged_metadata():
    notebook = pristine()
    notebook["metadata"]["course"] |= {
        "grading": {"problems": {}, "notes": {}, "content": "", "components": {}},
        "lesson": "../../etc",
    }
    return notebook


def _softmax(source):
    return answer(pristine(), "softmax", source)


_ALWAYS_EQUAL = """
import numpy as np
class Yes(np.ndarray):
    __array_priority__ = 1e9
    def __eq__(self, other): return True
    def __array_ufunc__(self, ufunc, *a, **k): return True
    def __array__(self, *a, **k): raise RuntimeError
    def __bool__(self): return True
def softmax(x, axis=-1):
    return np.zeros(x.shape).view(Yes)
"""

_PATCHED_COMPARISONS = """
import numpy as np, torch
yes = lambda *a, **k: True
for module in (np, torch, np.testing, torch.testing):
    for name in ("allclose", "isclose", "array_equal", "equal", "assert_allclose", "assert_close"):
        if hasattr(module, name):
            setattr(module, name, yes)
def softmax(x, axis=-1):
    return x
"""

_FORGED_OBSERVER = """
import sys
for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").endswith("probes"):
        module.observe = lambda *a: {"error": None, "passed": True, "points": 1.0}
def softmax(x, axis=-1):
    return x
"""

_LOOKS_AROUND = """
import gc, inspect, os, sys
found = []
for folder in (".", "/", "/home", "/tmp", os.path.expanduser("~")):
    try:
        found += [os.path.join(folder, name) for name in os.listdir(folder)]
    except OSError:
        pass
frame = inspect.currentframe()
while frame:
    for value in list(frame.f_locals.values()):
        if isinstance(value, dict) and "softmax" in value and callable(value["softmax"]):
            softmax = value["softmax"]
    frame = frame.f_back
for thing in gc.get_objects():
    name = str(getattr(thing, "__module__", ""))
    if getattr(thing, "__name__", "") == "softmax" and "course_lib" in name:
        softmax = thing
try:
    from course_lib.transformer.attention import softmax
except ImportError:
    pass
try:
    from my_transformer.attention import softmax
except ImportError:
    pass
"""

# Each of these leaves softmax wrong or unwritten: it must earn nothing.
CHEATS = {
    "edited checks": _edited_checks,
    "skip-execution": _tagged,
    "cells around it": _extra_cells,
    "edited locked cells": _edited_locked_cells,
    "forged metadata": _forged_metadata,
    "transformer": lambda: _softmax("get_ipython().input_transformers_cleanup.clear()\n1.0"),
    "magic": lambda: _softmax("%run -i answers.py\nsoftmax = 1"),
    "prints a number": lambda: _softmax("print(1.0)\n1.0"),
    "exits": lambda: _softmax("import sys\nsys.exit(0)"),
    "exits when called": lambda: _softmax("def softmax(x, axis=-1):\n    raise SystemExit(0)"),
    "leaves at once": lambda: _softmax("import os\nos._exit(0)"),
    "equal to all": lambda: _softmax(_ALWAYS_EQUAL),
    "patched comparisons": lambda: _softmax(_PATCHED_COMPARISONS),
    "forged observer": lambda: _softmax(_FORGED_OBSERVER),
    "looks around": lambda: _softmax(_LOOKS_AROUND),
    "null bytes": lambda: _softmax("def softmax(x):\0 pass"),
    "half a character": lambda: _softmax("softmax = '\ud800'"),
    "too long": lambda: _softmax("#" * 200_000),
    "a web page": lambda: _softmax(
        "def softmax(x, axis=-1):\n    raise ValueError('</pre><script>alert(1)</script>')"
    ),
    "a generator": lambda: _softmax("def softmax(x, axis=-1):\n    yield x"),
}
