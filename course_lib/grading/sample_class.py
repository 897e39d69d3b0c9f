"""A class that hands in everything a class hands in: right, blank, wrong, dishonest, broken.

The notebooks are made from the built exercises, the bugs of the zoo and the model's own source,
so that the sample grows with the course.
"""

import ast
import inspect
import json
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from pathlib import Path
from types import ModuleType

from ..bugs import Bug, bugs_of
from ..bugs.capstone import find_package_bug
from ..bugs.reference import names_used
from ..lessons.exercises import lesson_names, read_exercises, read_notebook, read_package_checks
from ..lessons.package_text import PACKAGE, module_of, our_package
from ..lessons.source import to_learner
from ..parsing import parse
from .judging import our_source

Answers = dict[str, str]  # component -> the source of its solution cell

RIGHT = "ada-right"
BLANK = "ben-blank"
WITH_BUGS = ("cleo-bugs", "dan-bugs", "eva-bugs", "finn-bugs", "gus-bugs", "hana-bugs")
PATCHES_THE_KERNEL = "cheat-patched-kernel"
SKIPS_THE_CHECKS = "cheat-skipped-checks"
NOT_A_NOTEBOOK = "zoe-not-a-notebook"
# Whose package holds which bug; the others hand in none, for each is trained in earnest.
PACKAGE_BUGS = {
    "cleo-bugs": "GPTThatRepeatsOneBlock",
    "dan-bugs": "shifts_the_targets_once_more",
}


def make_sample_class(folder: Path) -> list[str]:
    """Write `folder/<student>/<lesson>/<lesson>.ipynb` for a class; returns the students' names.

    Files that are there are written over: the folder must be the sample's own.
    """
    makers = _students()
    for student, make in makers.items():
        for lesson in lesson_names():
            target = folder / student / lesson / f"{lesson}.ipynb"
            target.parent.mkdir(parents=True, exist_ok=True)
            _write_if_changed(target, make(lesson))
            if read_package_checks(read_notebook(lesson)):
                write_package(_package_of(student), target.parent / PACKAGE)
    return list(makers)


def right_answers(lesson: str) -> Answers:
    """Our own source for every component of a lesson."""
    return {
        exercise.component: our_source(exercise)
        for exercise in read_exercises(read_notebook(lesson))
    }


def _package_of(student: str) -> dict[str, str]:
    """The modules that a student hands in as a whole; none for most."""
    if student in PACKAGE_BUGS:
        bug = find_package_bug(PACKAGE_BUGS[student]).bug
        return package_with({bug.component: bug_answer(bug)})
    return our_package() if student == RIGHT else {}


def package_with(answers: Answers) -> dict[str, str]:
    """Our package with other parts put underneath ours, as a workspace does it."""
    package = our_package()
    for component, answer in answers.items():
        package[module_of(component)] += f"\n\n# %% {component}\n{answer}\n"
    return package


def write_package(modules: dict[str, str], folder: Path) -> None:
    """Write the modules of a package, if there are any."""
    for name, text in modules.items():
        folder.mkdir(parents=True, exist_ok=True)
        _write_if_changed(folder / f"{name}.py", text)


def bug_answer(bug: Bug) -> str:
    """A bug as somebody would hand it in: under the component's name, in one cell."""
    return one_cell(bug.source, import_module(f"course_lib.bugs.{bug.module}"))


def one_cell(source: str, module: ModuleType) -> str:
    """A component's source from a module of ours, and what it needs of that module's imports."""
    imports = _imports_used(source, module)
    return to_learner("\n".join([*imports, "", "", source] if imports else [source]))


def stands_alone(bug: Bug) -> bool:
    """Can it be handed in as one cell? Not if it calls the right component, whose name it takes."""
    return bug.component not in names_used(bug.source)


def _imports_used(source: str, module: ModuleType) -> list[str]:
    """The import lines of the module that are needed; its own lesson's parts are given."""
    used = names_used(source)
    own = "course_lib.transformer." + module.__name__.rsplit(".", 1)[-1]
    lines = []
    for node in parse(inspect.getsource(module)).body:
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        if isinstance(node, ast.ImportFrom) and (node.level or node.module == own):
            continue
        node.names = [n for n in node.names if (n.asname or n.name).split(".")[0] in used]
        if node.names:
            lines.append(ast.unparse(node))
    return lines


def filled_in(lesson: str, answers: Answers) -> dict:
    """The lesson's released notebook with these answers; other cells stay as released."""
    notebook = deepcopy(read_notebook(lesson))
    for cell in notebook["cells"]:
        course = cell["metadata"].get("course", {})
        if course.get("role") == "answer" and course["component"] in answers:
            cell["source"] = answers[course["component"]]
    return notebook


def _students() -> dict[str, Callable[[str], str]]:
    """Each student's name, and what they hand in for a lesson: the text of the file."""
    students = {
        RIGHT: lambda lesson: _text(filled_in(lesson, right_answers(lesson))),
        BLANK: lambda lesson: _text(filled_in(lesson, {})),
    }
    for number, name in enumerate(WITH_BUGS):
        students[name] = lambda lesson, n=number: _text(_with_bugs(lesson, n))
    students[PATCHES_THE_KERNEL] = lambda lesson: _text(_patched_kernel(lesson))
    students[SKIPS_THE_CHECKS] = lambda lesson: _text(_skipped_checks(lesson))
    students[NOT_A_NOTEBOOK] = lambda lesson: (
        f"Dear teacher, here is {lesson}. It is a text file.\n"
    )
    return students


def _with_bugs(lesson: str, number: int) -> dict:
    """Right but for every second component, which holds one of its bugs."""
    answers = right_answers(lesson)
    for component, bug in bugs_handed_in(lesson, number).items():
        answers[component] = bug_answer(bug)
    return filled_in(lesson, answers)


def bugs_handed_in(lesson: str, number: int) -> dict[str, Bug]:
    """Which component holds which bug in the notebook of the class's student of that number."""
    chosen = {}
    for position, component in enumerate(right_answers(lesson)):
        bugs = [bug for bug in bugs_of(component) if stands_alone(bug)]
        if bugs and (position + number) % 2 == 0:
            chosen[component] = bugs[(number // 2 + position) % len(bugs)]
    return chosen


def _patched_kernel(lesson: str) -> dict:
    """Makes the kernel report success for every later cell: stock nbgrader gives full marks."""
    notebook = filled_in(lesson, {})
    patch = (
        "import ipykernel.ipkernel as kernel\n"
        "run = kernel.IPythonKernel.do_execute\n"
        "async def do_execute(self, code, *args, **kwargs):\n"
        "    return await run(self, 'pass' if 'check(' in code else code, *args, **kwargs)\n"
        "kernel.IPythonKernel.do_execute = do_execute\n"
    )
    for cell in notebook["cells"]:
        if cell["metadata"].get("course", {}).get("role") == "answer":
            cell["source"] = patch
    return notebook


def _skipped_checks(lesson: str) -> dict:
    """Tags the check cells so that nothing runs them: stock nbgrader gives full marks."""
    notebook = filled_in(lesson, {})
    for cell in notebook["cells"]:
        if cell["metadata"].get("course", {}).get("role") in ("answer", "check"):
            cell["metadata"]["tags"] = ["skip-execution"]
    return notebook


def _text(notebook: dict) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
