"""`course solution`: ours beside theirs, once theirs is right."""

import difflib
from dataclasses import dataclass
from pathlib import Path

from course_lib.lessons.exercises import require_exercise
from course_lib.lessons.source import component_source, to_learner

from .folder import WorkspaceError
from .importing import module_file
from .reading import definition_text


@dataclass(frozen=True)
class Solution:
    """Our way to write a component, and how it differs from theirs."""

    component: str
    ours: str
    theirs: str | None  # None: they have not written it

    def lines(self) -> list[str]:
        """Ours as a change of theirs; ours alone where there is nothing to compare with."""
        if self.theirs is None:
            return self.ours.splitlines()
        if self.theirs == self.ours:
            return [f"Your {self.component} is ours to the letter."]
        before, after = self.theirs.splitlines(), self.ours.splitlines()
        whole = max(len(before), len(after))
        changed = list(difflib.unified_diff(before, after, "yours", "ours", "", "", whole, ""))
        return [line for line in changed if not line.startswith("@@")]


def solution(workspace: Path, component: str, *, anyway: bool = False) -> Solution:
    """Our source of `component`, for who has written it right or asks for it `anyway`.

    Raises:
        UnknownExercise: no lesson asks for a component of this name.
        WorkspaceError: theirs is not right yet, and they did not ask for ours anyway.
    """
    exercise = require_exercise(component)
    ours = to_learner(component_source(exercise.module, component)).strip()
    theirs = definition_text(module_file(workspace, exercise.module), component)
    if not anyway:
        _must_be_right(workspace, component, theirs)
    return Solution(component, ours, theirs)


def _must_be_right(workspace: Path, component: str, theirs: str | None) -> None:
    from .terminal import check_package  # here, because it takes torch along

    otherwise = f"To see ours all the same: course solution {component} --anyway"
    if theirs is None:
        raise WorkspaceError(
            f"{component} is not yours yet, so there is nothing to compare.\n"
            f"A step on: course hint {component}\n{otherwise}"
        )
    (result,) = check_package(workspace, [component])
    if not result.passed:
        raise WorkspaceError(
            f"{component} is not right yet: {result.diagnosis}.\n"
            f"A step on: course check {component}, course hint {component}\n{otherwise}"
        )
