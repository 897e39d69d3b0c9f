"""A check of a name that no cell gave a meaning: `NameError`, in words that help.

It arises before `check` is called, so the words come in where IPython shows errors.
"""

import sys
from collections.abc import Callable

from course_lib.lessons.exercises import Exercise, read_exercises, read_notebook


def explain_missing(lesson: str, why: Callable[[Exercise], str]) -> None:
    """From now on, say of an exercise of `lesson` that has no answer what `why` says of it."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return
    exercises = {one.component: one for one in read_exercises(read_notebook(lesson))}

    def explain(shell, kind, error, trace, tb_offset=None):
        last = trace
        while last.tb_next:
            last = last.tb_next
        if error.name in exercises and last.tb_frame.f_code.co_name == "<module>":
            words = why(exercises[error.name]).splitlines()
            error._render_traceback_ = lambda: words
        shell.showtraceback((kind, error, trace), tb_offset=tb_offset)

    shell.set_custom_exc((NameError,), explain)
