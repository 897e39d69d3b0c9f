"""After a pass: how far the lesson and the model are, and a link to what comes next."""

from html import escape
from pathlib import Path

from course_lib.lessons.addresses import exercise_anchor
from course_lib.lessons.exercises import Exercise

from .next_step import Lesson, lessons, next_lesson


def what_is_next(workspace: Path | None, exercise: Exercise) -> list[str]:
    """Lines of HTML: the lesson's bar, the model's, and the next exercise.

    Without a workspace nothing is collected, so nothing is known of how far the learner is.
    """
    if workspace is None:
        return []
    found = lessons(workspace)
    here = next(lesson for lesson in found if lesson.name == exercise.lesson)
    every = [part for lesson in found for part in lesson.parts if part.module]
    yours = [part for part in every if part.state == "yours"]
    return [
        f"Lesson: {_bar(len(here.done), len(here.parts))} exercises",
        f"Model: {_bar(len(yours), len(every))} parts are yours",
        _next(here, found),
    ]


def _bar(n: int, of: int) -> str:
    return f'<progress max="{of}" value="{n}" aria-hidden="true"></progress> {n} of {of}'


def _next(here: Lesson, found: list[Lesson]) -> str:
    """A link to the next exercise of this lesson, or to the next lesson that is not done.

    Within the notebook it is an anchor alone: Notebook 7 opens the notebook a second time for a
    link with a file's name, and what is not saved yet is missing there.
    """
    if row := here.first_open:
        return _link(f"#{exercise_anchor(row.component)}", row.component, "Next: ")
    if lesson := next_lesson(found, after=here):
        return _link(
            f"{lesson.name}.ipynb", f"lesson {lesson.words}", "This lesson is done. Next: "
        )
    return "All of it is yours. Take it with you: <code>course export</code>"


def _link(target: str, words: str, before: str) -> str:
    return f'{before}<a href="{escape(target)}">{escape(words)}</a>'
