"""The checks on a learner's package, for the terminal: `course check`."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from course_lib.checks import find, observe_here, run
from course_lib.checks.capstone import PACKAGE_CHECKS
from course_lib.checks.local import DEFAULT_SEED, success_text
from course_lib.checks.verdict.library import note_at_the_desk
from course_lib.lessons.addresses import rules_address
from course_lib.lessons.exercises import require_exercise

from .borrow import PACKAGE
from .folder import require_workspace
from .importing import module_file, package_component
from .newer_cell import newer_cell
from .reading import definitions
from .status import status
from .whole import judge_whole

WHOLE = tuple(check.name for check in PACKAGE_CHECKS)


class NothingToCheck(Exception):
    """Nothing of the package is the learner's own yet."""


@dataclass(frozen=True)
class Result:
    """One checked component: `text` is what the learner reads."""

    component: str
    passed: bool
    is_yours: bool
    text: str
    diagnosis: str
    seed: int
    broken: tuple[str, ...] = ()  # the rules that do not hold, the first one first
    behaves_like: tuple[str, ...] = ()  # titles of known bugs
    place: str = ""  # file and line of the learner's definition
    n_hints: int = 0
    page: str = ""  # of the book, that says what the component must do

    def as_dict(self) -> dict:
        return asdict(self)


def check_package(
    directory: Path, components: Sequence[str], *, seed: int | None = None, device: str = "cpu"
) -> Iterator[Result]:
    """Check these components of the workspace around `directory`, or all that are the learner's.

    Raises:
        WorkspaceError: there is no workspace, or a module of it cannot be imported.
        UnknownComponent: the course has no component of that name; suggests the nearest.
        NothingToCheck: no names were given, and nothing is the learner's yet.
    """
    for name in components:
        if name not in WHOLE:
            find(name)
    workspace = require_workspace(directory)
    unchecked = ("borrowed", "missing", "waiting")
    names = components or [row.component for row in status(workspace) if row.state not in unchecked]
    if not names:
        raise NothingToCheck(
            "Nothing is yours yet: solve an exercise in a notebook, or write a component into "
            "my_transformer/ yourself. `course check NAME` checks a borrowed one too."
        )
    return (_check(workspace, name, seed, device) for name in names)


def _check(workspace: Path, name: str, seed: int | None, device: str) -> Result:
    used = DEFAULT_SEED if seed is None else seed
    if name in WHOLE:
        whole = judge_whole(workspace / PACKAGE, name, seed=used, device=device)
        return Result(name, whole.passed, True, whole.text, whole.diagnosis, used)
    if newer := newer_cell(workspace, name):
        return Result(name, False, True, newer, "its cell has changed since it passed", used)
    part = package_component(workspace, name)
    verdict = run(find(name), observe_here(part.component), seed=used, device=device)
    text = verdict.message or success_text(verdict)
    if verdict.passed and not part.is_theirs:
        text += " It is borrowed: ours, not yours."
    elif verdict.passed and (note := note_at_the_desk(name, verdict.library)):
        text += f"\n{note}"
    return Result(
        component=name,
        passed=verdict.passed,
        is_yours=part.is_theirs,
        text=text,
        diagnosis=verdict.diagnosis,
        seed=used,
        broken=verdict.broken,
        behaves_like=verdict.names,
        place=_place(workspace, name) if part.is_theirs else "",
        n_hints=len(require_exercise(name).hints),
        page=rules_address(name),
    )


def _place(workspace: Path, name: str) -> str:
    path = module_file(workspace, find(name).module)
    return f"{PACKAGE}/{path.name}:{definitions(path.read_bytes())[name]}"
