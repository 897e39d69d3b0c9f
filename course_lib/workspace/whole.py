"""The capstone's checks at the desk: the same verdict on a learner's package as in class.

The package runs from its files, without what it borrows and without `course_lib`, in this process;
what was imported of it before is untouched.
"""

from dataclasses import dataclass
from pathlib import Path

from course_lib.checks import Verdict, run
from course_lib.checks.capstone import STOOD_IN, find_package_check
from course_lib.checks.capstone.parts import first_broken_part
from course_lib.checks.local import failure_text, success_text
from course_lib.checks.observe.here import observe_here
from course_lib.checks.observe.load.package import LearnersPackage
from course_lib.lessons.package_text import as_job, borrowed_parts, defined_parts, read_package

from .borrow import PACKAGE
from .folder import WorkspaceError


@dataclass(frozen=True)
class WholeVerdict:
    """How a package did in one of the capstone's checks; `text` is what the learner reads."""

    passed: bool
    text: str
    diagnosis: str


def judge_whole(folder: Path, name: str, *, seed: int, device: str = "cpu") -> WholeVerdict:
    """Run the capstone's check `name` on the package in `folder`.

    Raises:
        UnknownComponent: there is no such check.
        WorkspaceError: there is no package, or nothing of it is written.
    """
    find_package_check(name)
    package = read_package(folder)
    if package.reason:
        raise WorkspaceError(package.reason)
    modules, borrowed = package.modules, borrowed_parts(package.modules)
    if len(borrowed) == len(borrowed_parts({})):
        raise WorkspaceError(f"nothing of {PACKAGE} is written yet: {name} is about what is yours")
    has_model = name == "computes" or _run(modules, "computes", seed, device).passed
    verdict = _run(modules, name, seed, device, has_model=has_model)
    text = success_text(verdict) if verdict.passed else failure_text(verdict, seed)
    if not has_model:
        text += f"\n  note: {STOOD_IN}"
    diagnosis = verdict.diagnosis
    if not verdict.passed:
        broken = _broken_part(modules, name, seed)
        if broken:
            text, diagnosis = f"{text}\n  {broken.text}", broken.diagnosis
        if borrowed:
            text += f"\n  note: still borrowed, and worth nothing here: {', '.join(borrowed)}"
    return WholeVerdict(verdict.passed, text, diagnosis)


def _run(modules: dict, name: str, seed: int, device: str, *, has_model: bool = True) -> Verdict:
    with LearnersPackage(**as_job(modules, has_model=has_model)) as package:
        return run(find_package_check(name), observe_here(package), seed=seed, device=device)


def _broken_part(modules: dict, name: str, seed: int):
    with LearnersPackage(**as_job(modules)) as package:
        return first_broken_part(
            name,
            defined_parts(modules),
            lambda module, part: observe_here(lambda: package.part(module, part), load=True),
            seed=seed,
        )
