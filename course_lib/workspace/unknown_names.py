"""A check of a name that no cell gave a meaning: `NameError`, in words that help.

It arises before `check` is called, so the words come in where IPython shows errors.
"""

import sys

from course_lib.lessons.exercises import read_exercises, read_notebook


def explain_missing(lesson: str) -> None:
    """From now on, say of an exercise of `lesson` that no cell defines it, and what to do."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return
    names = {exercise.component for exercise in read_exercises(read_notebook(lesson))}

    def explain(shell, kind, error, trace, tb_offset=None):
        last = trace
        while last.tb_next:
            last = last.tb_next
        if error.name in names and last.tb_frame.f_code.co_name == "<module>":
            words = [
                f"no cell that ran in this notebook defines {error.name}",
                "  hint: run the cell that does. Its name must stay as given, and it must be a",
                "    code cell: one that was turned into text does not run.",
            ]
            error._render_traceback_ = lambda: words
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    shell.set_custom_exc((NameError,), explain)
