"""`course new-component NAME LESSON`: begin every file that a component takes."""

import ast
import builtins
import keyword
import re
from dataclasses import dataclass
from pathlib import Path

from course_lib.did_you_mean import did_you_mean
from course_lib.parsing import parse

from ..text import lesson_texts, read_lesson
from . import inserting, templates


class NewComponentError(ValueError):
    """The component cannot be begun; says why, and what to do."""


@dataclass(frozen=True)
class Written:
    """What came of it: the files, in the order in which to go on."""

    name: str
    files: tuple[tuple[Path, str], ...]  # from the root, and what to write there

    @property
    def text(self) -> str:
        width = max(len(str(path)) for path, _ in self.files)
        steps = [
            f"  {number}. {path!s:{width}}  {what}"
            for number, (path, what) in enumerate(self.files, start=1)
        ]
        return "\n".join(
            [
                f"{self.name} has a skeleton. Go on in this order:",
                *steps,
                f"What is left says: make component C={self.name}",
                "When it says that all is well: course build, then make test.",
            ]
        )


def new_component(root: Path, name: str, lesson: str, kind: str) -> Written:
    """Write the skeleton of every file that adds `name` to `lesson`.

    Args:
        root: the checkout.
        lesson: a lesson as `05_residual_and_layernorm` or `05`, or one of its modules as `norm`.
        kind: "function" or "class".

    Raises:
        NewComponentError: the name is taken or no name, or there is no such lesson.
    """
    if not inserting.has_ruff():
        raise NewComponentError('ruff orders what is written, and is missing: pip install ".[dev]"')
    _must_be_free(root, name)
    lesson_path, module, last = _place(root, lesson)
    texts = _texts(root, name, kind, module, last, lesson_path)
    tidy = {
        path: inserting.tidied(text, root / path) if path.suffix == ".py" else text
        for path, (text, _) in texts.items()
    }
    for path, text in tidy.items():  # nothing is written before all of it is ready
        (root / path).write_text(text, encoding="utf-8")
    return Written(name, tuple((path, what) for path, (_, what) in texts.items() if what))


def _must_be_free(root: Path, name: str) -> None:
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise NewComponentError(
            f"a component has a public name of Python, such as rms_norm or RMSNorm, got {name!r}."
        )
    if hasattr(builtins, name):
        raise NewComponentError(f"{name} is Python's own. Choose another name.")
    imported = ""
    for path in sorted((root / "course_lib/transformer").glob("*.py")):
        for node in parse(path.read_text(encoding="utf-8")).body:
            names = [getattr(node, "name", "")]
            names += [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
            where = f"{path.relative_to(root)}:{node.lineno}"
            if name in names:
                raise NewComponentError(f"{name} exists: {where}. Choose another name.")
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                aliases = [(a.asname or a.name).partition(".")[0] for a in node.names]
                imported = imported or (where if name in aliases else "")
    if imported:
        raise NewComponentError(f"{name} is imported: {imported}. Choose another name.")
    if name == "check" or _is_check_of_packages(root, name):
        raise NewComponentError(f"{name} means something else in a lesson. Choose another name.")


def _is_check_of_packages(root: Path, name: str) -> bool:
    """Does a lesson ask for `check("name")`, as the capstone does?"""
    asked = rf'^check\("{name}"'
    return any(
        re.search(asked, path.read_text(encoding="utf-8"), re.MULTILINE)
        for path in lesson_texts(root / "book")
    )


def _place(root: Path, lesson: str) -> tuple[Path, str, str]:
    """The lesson's text, the module, and the component that the new one follows."""
    components = {}
    for path in lesson_texts(root / "book"):
        for cell in read_lesson(path):
            if cell.component:
                module, last = cell.component
                components.setdefault(path, {})[module] = last
    for path, by_module in components.items():
        if lesson in (path.stem, path.stem[:2]):
            module = list(by_module)[-1]
            return path, module, by_module[module]
        if lesson in by_module:
            return path, lesson, by_module[lesson]
    known = [path.stem for path in components]
    raise NewComponentError(
        f"no lesson with components is called {lesson!r}. {did_you_mean(lesson, known)}"
    )


def _texts(root: Path, name: str, kind: str, module: str, last: str, lesson: Path) -> dict:
    """The new text of each file, from the root, and what to write there, in order."""
    check, folder = _check_name(root, module, name), root / "course_lib/checks/lessons" / module
    oracle = check if kind == "function" else f"{check}_of"
    names = {"name": name, "module": module, "check": check, "oracle": oracle}
    names |= _names_of_bugs(name, kind)
    texts = {}

    def read(path: Path, docstring: str) -> str:
        if (root / path).exists():
            return (root / path).read_text(encoding="utf-8")
        return f'"""{docstring}"""\n'

    def append(path, template, imports, what, docstring=""):
        path = Path(path)
        source = inserting.with_imports(read(path, docstring), imports)
        section = templates.filled_in(template, **names)
        texts[path] = inserting.with_section(source, name, section), what

    append(
        f"course_lib/transformer/{module}.py", templates.COMPONENT[kind],
        templates.COMPONENT_IMPORTS[kind], "signature, contract, code",
    )  # fmt: skip
    append(
        f"course_lib/checks/oracles/{module}.py", templates.ORACLE[kind],
        templates.ORACLE_IMPORTS[kind], "where expected values come from: not from our code",
        f"Where the right answers of {lesson.stem} come from.",
    )  # fmt: skip
    what = "what must hold: rules, hints, inputs that tell bugs apart"
    up = "..." if folder.is_dir() else ".."
    imports = [templates.filled_in(line, up=up, **names) for line in templates.CHECK_IMPORTS[kind]]
    if folder.is_dir():
        path, listing = folder / f"{check}.py", folder / "__init__.py"
        source = f'"""What must hold of `{name}`."""\n'
        source = inserting.with_imports(source, [*imports, "from .fixtures import LESSON"])
        section = templates.filled_in(templates.CHECK[kind], **names)
        texts[path.relative_to(root)] = inserting.with_section(source, name, section), what
        source = listing.read_text(encoding="utf-8")
        source = inserting.with_imports(source, [f"from .{check} import {check}"])
        texts[listing.relative_to(root)] = inserting.with_entry(source, check), ""
    else:
        append(f"course_lib/checks/lessons/{module}.py", templates.CHECK[kind], imports, what)
    append(
        f"course_lib/bugs/{module}.py", templates.BUGS, ["from . import bugs"],
        "ten mistakes, each as the change that it makes",
    )  # fmt: skip
    for path, decorator, answers, helper, what in _for_the_tests(name, names):
        template = "\n\n".join(
            templates.answer(kind, decorator=decorator.replace("<n>", each), answer=each, what=way)
            for each, way in answers
        )
        imports = [f"from . import {helper}", *(["from torch import nn"] * (kind == "class"))]
        append(path / f"{module}.py", template, imports, what)
    path = lesson.relative_to(root)
    cells = templates.filled_in(templates.CELLS, **names)
    text = inserting.with_cells(lesson.read_text(encoding="utf-8"), last, cells)
    texts[path] = text, "why it is needed, and the exercise: sentence, hints, points"
    return texts


def _for_the_tests(name: str, names: dict) -> list[tuple]:
    """Folder, decorator, the answers' names with what each is, its import, and what to write."""
    stem = names["answers"]
    ways = ("another right way to write it", "a third right way to write it")
    variants = list(zip(_numbered(stem, "Variant"), ways, strict=True))
    title = templates.to_write(name, "what is different about it")
    second = [(_joined(stem, "Second", "Form"), "the same mistake in other words")]
    wrong = [(_joined(stem, "Wrong", "Answer"), "a mistake that no bug is like")]
    return [
        (Path("tests/right_variants"), f'variant("{name}", title="{title}")', variants, "variant",
         "right answers that look unlike ours: two or more"),
        (Path("tests/bugs_written_differently"), f'same_bug_as("{names["first_bug"]}")', second,
         "same_bug_as", "each bug in other words, where there are some"),
        (Path("tests/wrong_answers"), f'wrong_answer("{name}")', wrong, "wrong_answer",
         "wrong answers that are like no bug: two or more"),
    ]  # fmt: skip


def _names_of_bugs(name: str, kind: str) -> dict[str, str]:
    stem = name if kind == "class" else _snake(name)
    first, second = _numbered(stem, "Bug")
    return {"first_bug": first, "second_bug": second, "answers": stem}


def _numbered(stem: str, what: str) -> list[str]:
    return [_joined(stem, number, what) for number in ("First", "Second")]


def _joined(stem: str, *words: str) -> str:
    """`FirstBugOfRMSNorm` of a class, `first_bug_of_rms_norm` of a function."""
    if stem[0].isupper():
        return "".join([*words, "Of", stem])
    return "_".join([*(word.lower() for word in words), "of", stem])


def _check_name(root: Path, module: str, name: str) -> str:
    """What the check is called in its module: the component's name in small letters, if free."""
    stem = _snake(name)
    folder = root / "course_lib/checks/lessons"
    taken = [folder / module / f"{stem}.py", folder / f"{module}.py"]
    oracles = root / f"course_lib/checks/oracles/{module}.py"
    texts = [path.read_text(encoding="utf-8") for path in (*taken[1:], oracles) if path.exists()]
    is_taken = taken[0].exists() or any(re.search(rf"\b{stem}\b", text) for text in texts)
    return f"{stem}_module" if is_taken else stem


def _snake(name: str) -> str:
    """`rms_norm` of `RMSNorm`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
