"""From a class's submissions to scores, feedback and diagnoses.

A submission is read as text (`submission`), observed in a sandbox (`sandbox`) and judged outside
it (`judging`). nbgrader keeps the record: `steps` are the three steps of `nbgrader autograde`
that this course replaces, `gradebook` writes an nbgrader course, `run` grades a whole class.
"""


class GradingError(Exception):
    """Grading cannot go on. The text says what was wrong with what, and what to do."""
