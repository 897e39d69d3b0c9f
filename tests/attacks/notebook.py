"""Kind 0: an edited notebook, and cells that do something else than to answer."""

from textwrap import dedent

from . import NOTEBOOK, TEXT, Attack

SOFTMAX = "softmax"


def _notebook(name: str, source: str) -> Attack:
    return Attack(name, 0, NOTEBOOK, dedent(source))


def _cell(name: str, source: str) -> Attack:
    return Attack(name, 0, SOFTMAX, dedent(source))


EDITED = [
    _notebook("edited checks", """
        for cell in notebook["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade"):
                cell["source"] = "7"
                cell["metadata"]["nbgrader"] |= {"points": 100, "locked": False, "solution": True}
                cell["outputs"] = [{
                    "output_type": "execute_result", "execution_count": 1, "metadata": {},
                    "data": {"text/plain": "100"},
                }]
    """),
    _notebook("skip-execution", """
        for cell in notebook["cells"]:
            cell["metadata"]["tags"] = ["skip-execution", "remove-cell"]
    """),
    _notebook("cells around it", """
        first = extra_cell(
            "from ipykernel.ipkernel import IPythonKernel\\n"
            "async def do_execute(self, *a, **k): return {'status': 'ok'}\\n"
            "IPythonKernel.do_execute = do_execute\\n"
            "get_ipython().input_transformers_cleanup.append(lambda lines: ['1\\\\n'])"
        )
        second = dict(cell_of(notebook, "check-softmax")) | {"source": "1"}
        notebook["cells"] = [first, second, *notebook["cells"], dict(second)]
    """),
    _notebook("edited locked cells", """
        cell_of(notebook, "setup-attention")["source"] = (
            "import numpy as np\\n"
            "def softmax(x, axis=-1):\\n"
            "    e = np.exp(x - x.max(axis=axis, keepdims=True))\\n"
            "    return e / e.sum(axis=axis, keepdims=True)\\n"
        )
    """),
    _notebook("forged metadata", """
        notebook["metadata"]["course"] |= {
            "grading": {"problems": {}, "notes": {}, "content": "", "components": {}},
            "lesson": "../../etc",
        }
    """),
    _notebook("a judged notebook, handed in again", """
        full = {"points": 1.0, "diagnosis": "", "sandbox": "bubblewrap", "seconds": 0}
        notebook["metadata"]["course"]["grading"] = {
            "components": {"softmax": full}, "checks": "x", "seed": 0, "sandbox": "bubblewrap",
        }
    """),
    _notebook("points below the check", """
        for cell in notebook["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade"):
                cell["metadata"]["nbgrader"]["points"] = float("inf")
    """),
    _notebook("the check calls itself the answer", """
        check = cell_of(notebook, "check-softmax")
        check["metadata"]["nbgrader"]["grade_id"] = "softmax"
        check["source"] = "1.0"
        notebook["cells"].remove(cell_of(notebook, "softmax"))
    """),
    _notebook("every cell the same", """
        one = cell_of(notebook, "softmax")
        one["source"] = "softmax = 1"
        notebook["cells"] = [dict(one) for _ in range(9_000)]
    """),
    _notebook("a cell in Markdown", """
        cell_of(notebook, "softmax") | {"cell_type": "markdown"}
        cell_of(notebook, "softmax")["cell_type"] = "markdown"
    """),
    _notebook("another lesson's name", """
        notebook["metadata"]["course"]["lesson"] = "00_warm_up"
        notebook["metadata"]["kernelspec"] = {"name": "bash", "display_name": "x", "language": "x"}
    """),
    _notebook("a page in every output", """
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"] = [{
                    "output_type": "display_data", "metadata": {},
                    "data": {"text/html": "<script>alert(1)</script>"},
                }]
    """),
    _notebook("a page in every text", """
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                cell["source"] = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    """),
]  # fmt: skip

ALWAYS_EQUAL = """
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

PATCHED_COMPARISONS = """
import numpy as np, torch
yes = lambda *a, **k: True
for module in (np, torch, np.testing, torch.testing):
    for name in ("allclose", "isclose", "array_equal", "equal", "assert_allclose", "assert_close"):
        if hasattr(module, name):
            setattr(module, name, yes)
def softmax(x, axis=-1):
    return x
"""

FORGED_OBSERVER = """
import sys
for module in list(sys.modules.values()):
    if getattr(module, "__name__", "").endswith("probes"):
        module.observe = lambda *a: {"error": None, "passed": True, "points": 1.0}
def softmax(x, axis=-1):
    return x
"""

LOOKS_AROUND = """
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

CELLS = [
    _cell("transformer", "get_ipython().input_transformers_cleanup.clear()\n1.0"),
    _cell("magic", "%run -i answers.py\nsoftmax = 1"),
    _cell("a shell line", "!cp /etc/passwd .\nsoftmax = 1"),
    _cell("prints a number", "print(1.0)\n1.0"),
    _cell("exits", "import sys\nsys.exit(0)"),
    _cell("exits when called", "def softmax(x, axis=-1):\n    raise SystemExit(0)"),
    _cell("leaves at once", "import os\nos._exit(0)"),
    _cell("leaves when called", "import os\ndef softmax(x, axis=-1):\n    os._exit(0)"),
    _cell("equal to all", ALWAYS_EQUAL),
    _cell("patched comparisons", PATCHED_COMPARISONS),
    _cell("forged observer", FORGED_OBSERVER),
    _cell("looks around", LOOKS_AROUND),
    _cell("null bytes", "def softmax(x):\0 pass"),
    _cell("half a character", "softmax = '\ud800'"),
    _cell("too long", "#" * 200_000),
    _cell("a generator", "def softmax(x, axis=-1):\n    yield x"),
    _cell("a coroutine", "async def softmax(x, axis=-1):\n    return x"),
    _cell("a class", "class softmax:\n    def __new__(cls, *a, **k): return 1.0"),
    _cell("a number", "softmax = 1.0"),
    _cell("nothing but a comment", "# softmax"),
    _cell("an answer by a name of Python", "softmax = eval"),
    _cell("its input", "def softmax(x, axis=-1):\n    return x"),
    _cell("the input, changed in place", """
        def softmax(x, axis=-1):
            x[...] = 1 / x.shape[axis]
            return x
    """),
    _cell("numbers that are none", """
        import numpy as np
        def softmax(x, axis=-1):
            return np.full(x.shape, np.nan)
    """),
    _cell("every number at once", """
        import numpy as np
        def softmax(x, axis=-1):
            return np.full(x.shape, np.inf)
    """),
    _cell("a view without end", """
        import numpy as np
        def softmax(x, axis=-1):
            return np.broadcast_to(np.float32(1), (2**20, 2**20))
    """),
    _cell("things in an array", """
        import numpy as np
        def softmax(x, axis=-1):
            return np.array([eval] * x.size, dtype=object).reshape(x.shape)
    """),
    _cell("an array that runs when it is unpickled", """
        import numpy as np
        class Runs:  # where it ran, a file is left that the traces of a run show
            def __reduce__(self):
                ran = "pathlib.Path(tempfile.gettempdir(), 'course-ran').touch()"
                return exec, (f"import pathlib, tempfile; {ran}",)
        def softmax(x, axis=-1):
            return np.array([Runs()], dtype=object)
    """),
    _cell("an error that passes", """
        class AssertionPassed(Exception):
            passed, points = True, 1.0
        def softmax(x, axis=-1):
            raise AssertionPassed("1.0")
    """),
    _cell("raises what it should never raise", "def softmax(x, axis=-1): raise KeyboardInterrupt"),
    _cell("raises a generator's end", "def softmax(x, axis=-1): raise GeneratorExit"),
    _cell("raises an error without an end", """
        def softmax(x, axis=-1):
            error = RuntimeError()
            error.__cause__ = error
            raise error
    """),
    _cell("an error whose text is a trap", """
        class Trap(Exception):
            def __str__(self):
                while True: pass
        def softmax(x, axis=-1): raise Trap
    """),
]  # fmt: skip

UNREADABLE = [
    Attack(name, 0, TEXT, text)
    for name, text in {
        "empty": "",
        "not json": "{oh no",
        "not text": "\udcff\udcfe\0\1" * 10,
        "a list": "[1, 2]",
        "no notebook": '{"cells": []}',
        "format 2": '{"nbformat": 2, "nbformat_minor": 0, "worksheets": []}',
        "format true": '{"nbformat": true, "cells": []}',
        "no cells": '{"nbformat": 4, "metadata": {}}',
        "cells a number": '{"nbformat": 4, "metadata": {}, "cells": 7}',
        "too deep": '{"nbformat": 4, "cells": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "too deep with names": '{"cells": ' * 100_000,
        "too long a number": '{"nbformat": 4, "cells": [' + "9" * 10_000 + "]}",
        "an endless number": '{"nbformat": 1e999999999, "cells": []}',
        "a format that is no number": '{"nbformat": NaN, "cells": Infinity}',
        "the same name a thousand times": "{" + '"nbformat": 4, ' * 1000 + '"cells": 0}',
        "too large": '{"nbformat": 4, "cells": ["' + "x" * (20 * 2**20) + '"]}',
        "too many parts": '{"nbformat": 4, "cells": [' + "[]," * 2_500_000 + "[]]}",
        "a byte order mark alone": "\ufeff",
        "half a file": '{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "code", "sou',
    }.items()
]
