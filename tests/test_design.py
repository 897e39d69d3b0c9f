"""The design that CONTRIBUTING promises, kept by reading the imports, and the text of all files."""

import ast
import graphlib
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from course_lib.transformer import MODULES

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "course_lib"

# Whom each house may import from, besides itself. Arrows go one way.
MAY_IMPORT = {
    "transformer": set(),
    "bugs": {"transformer", "parsing.py"},
    "corpus": set(),
    "checks": {"bugs", "corpus", "did_you_mean.py", "lines.py"},
    "plots.py": set(),
    "figures.py": {"plots.py"},  # each wraps a picture and the numbers behind it
    "zoo.py": {"bugs", "checks", "files.py"},
    "lessons": {"did_you_mean.py", "own_files.py", "parsing.py", "lines.py"},
    "workspace": {
        *("lessons", "checks", "corpus"),
        *("files.py", "own_files.py", "did_you_mean.py", "parsing.py", "lines.py"),
    },
    "grading": {
        *("lessons", "checks", "bugs", "corpus"),
        *("files.py", "own_files.py", "did_you_mean.py", "parsing.py", "lines.py"),
    },
    "platforms": {"lessons", "grading", "files.py", "own_files.py"},
    "models": {"transformer", "corpus", "plots.py", "files.py", "did_you_mean.py"},
    "experiments": {
        *("transformer", "bugs", "corpus", "models", "lessons"),
        *("files.py", "did_you_mean.py", "parsing.py", "__init__.py"),
    },
    "gpu": {"transformer", "checks", "models", "files.py", "did_you_mean.py"},
    "files.py": set(),
    "own_files.py": set(),
    "did_you_mean.py": set(),
    "parsing.py": set(),
    "lines.py": set(),
    "cli.py": {
        *("bugs", "lessons", "checks", "workspace", "grading", "platforms", "models"),
        *("experiments", "lines.py"),
    },
    "__main__.py": {"cli.py"},
}
LESSON_ORDER = ["shapes", *MODULES]
# The rooms of a house in the order in which they may use each other: each those before it.
ROOMS = {
    "checks": [
        *("observe", "oracles", "judges", "cases", "lessons", "catalogue.py"),
        *("verdict", "capstone", "local.py", "__init__.py"),
    ],
    "checks/observe": [
        *("calls.py", "observations.py", "wall", "load", "watches", "given", "lent", "probes"),
        *("observing.py", "here.py", "serve.py", "__init__.py"),
    ],
}
OUTSIDE_OF = {  # what a house may use besides Python itself
    "transformer": {"torch", "numpy", "jaxtyping"},
    "checks/observe": {"torch", "numpy"},
}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def house_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


def nodes(tree: ast.AST, *, inside_functions: bool) -> Iterator[ast.AST]:
    yield tree
    if inside_functions or not isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        for child in ast.iter_child_nodes(tree):
            yield from nodes(child, inside_functions=inside_functions)


def imports(path: Path, *, inside_functions: bool = True) -> list[str]:
    """Full names of all that a module imports, at its top or inside a function."""
    package = ["course_lib", *path.relative_to(PACKAGE).parent.parts]
    names = []
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in nodes(tree, inside_functions=inside_functions):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*base, *([node.module] if node.module else [])])
            names += [f"{base}.{alias.name}" for alias in node.names]
    return names


def houses_imported(path: Path) -> set[str]:
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "course_lib" and len(parts) > 1:
            found.add(parts[1] if (PACKAGE / parts[1]).is_dir() else f"{parts[1]}.py")
    return {"__init__.py" if house == "__version__.py" else house for house in found}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_arrows_between_houses_go_one_way(path):
    house = house_of(path)
    if house == "__init__.py":
        assert not houses_imported(path)
    else:
        assert houses_imported(path) - {house, "__init__.py"} <= MAY_IMPORT[house]


def test_text_is_parsed_in_one_place():
    """Behind the wall one thread is alone; everywhere else `parsing.py` sees to it."""
    calls = [
        path
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "ast.parse"
    ]
    outside = {path for path in calls if "observe" not in path.parts}
    assert outside == {PACKAGE / "parsing.py"}


@pytest.mark.parametrize("house", OUTSIDE_OF)
def test_the_model_and_the_observer_need_torch_and_numpy_alone(house):
    for path in sorted((PACKAGE / house).rglob("*.py")):
        outside = {name.split(".")[0] for name in imports(path)} - set(sys.stdlib_module_names)
        assert outside - {"course_lib"} <= OUTSIDE_OF[house], path


def test_the_model_and_the_observer_import_relatively_and_nothing_above_them():
    for house in ("transformer", "checks/observe"):
        own = "course_lib." + house.replace("/", ".")
        for path in sorted((PACKAGE / house).rglob("*.py")):
            ours = [name for name in imports(path) if name.startswith("course_lib")]
            assert all(name.startswith(own) for name in ours), path
            assert "course_lib" not in path.read_text(encoding="utf-8").replace("`course_lib", "")


@pytest.mark.parametrize("house", ROOMS)
def test_a_room_uses_the_rooms_before_it_only(house):
    order = ROOMS[house]
    own = f"course_lib.{house.replace('/', '.')}."
    for path in sorted((PACKAGE / house).rglob("*.py")):
        room = path.relative_to(PACKAGE / house).parts[0]
        for name in imports(path):
            if name.startswith(own):
                used = name.removeprefix(own).split(".")[0]
                used = used if (PACKAGE / house / used).is_dir() else f"{used}.py"
                assert order.index(used) <= order.index(room), f"{path} imports {name}"


def test_the_checks_lie_in_rooms():
    assert len(list((PACKAGE / "checks").glob("*.py"))) <= 10


# A function imports what closes a circle: with the reason.
CLOSED_IN_A_FUNCTION = {
    # `admit` makes the model that a patient is about; models are patients too, and register there.
    ("course_lib.bugs.patients", "course_lib.bugs.patients.model"),
}


def circle(*, inside_functions: bool) -> list[str]:
    """Modules of the package that import one another in a ring; none if there is no ring."""
    full = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(
            ".__init__"
        ): path
        for path in modules()
    }
    edges = {}
    for module, path in full.items():
        names = imports(path, inside_functions=inside_functions)
        used = {name if name in full else name.rpartition(".")[0] for name in names}
        edges[module] = {other for other in used & set(full) if other != module}
    for importer, imported in CLOSED_IN_A_FUNCTION:
        edges.get(importer, set()).discard(imported)
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("inside_functions", [False, True], ids=["at the top", "anywhere"])
def test_no_modules_import_one_another_in_a_circle(inside_functions):
    assert not circle(inside_functions=inside_functions)


def test_a_lesson_imports_earlier_lessons_only():
    for path in sorted((PACKAGE / "transformer").glob("*.py")):
        if path.stem == "__init__":
            continue
        assert path.stem in LESSON_ORDER, f"{path} is no lesson's: nothing else goes to learners"
        used = {name.split(".")[2] for name in imports(path) if name.startswith("course_lib.")}
        earlier = LESSON_ORDER[: LESSON_ORDER.index(path.stem)]
        assert used <= set(earlier), path


def test_expected_values_never_come_from_the_model():
    for path in sorted((PACKAGE / "checks").rglob("*.py")):
        assert "transformer" not in houses_imported(path), path


def test_only_plots_imports_matplotlib():
    users = [path for path in modules() if any(n.startswith("matplotlib") for n in imports(path))]
    assert users == [PACKAGE / "plots.py"]


def test_lessons_never_import_torch():
    for path in sorted((PACKAGE / "lessons").glob("*.py")):
        assert not [n for n in imports(path) if n.split(".")[0] in ("torch", "course_lib.checks")]


def test_collecting_and_handing_back_import_no_torch():
    script = (
        "import sys\nimport course_lib.platforms.collecting, course_lib.platforms.handing_back\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_component_of_a_lesson_module_is_checked_in_the_order_it_stands():
    from course_lib.checks import all_checks
    from course_lib.lessons.source import component_names

    for module in MODULES:
        checked = [check.name for check in all_checks() if check.module == module]
        assert checked == component_names(module)


# Files that those who wrote this may have, and readers do not.
ABSENT = re.compile(r"\b(CONTRACTS|STYLE|DESIGN|MISTAKES)\b")
UNREAD = {"_build", "node_modules", "__pycache__"}
KINDS = {".py", ".md", ".toml", ".yml", ".json", ".ipynb", ".js", ".css", ".svg", ".txt", ""}
OPEN = {ROOT / "course_lib" / "checks"}  # still speaks of one


def texts() -> dict[Path, str]:
    """What a reader of the repository reads: whole files, and of Python comments and strings."""
    found = {}
    for top in ROOT.iterdir():
        if top.name in UNREAD or re.match(r"\.(?!ci$|github$)", top.name):
            continue
        for path in (top, *top.rglob("*")):
            if path.is_file() and path.suffix in KINDS and not UNREAD & set(path.parts):
                text = path.read_text(encoding="utf-8")
                found[path] = _words(text) if path.suffix == ".py" else text
    return found


def _words(source: str) -> str:
    kinds = {tokenize.COMMENT, tokenize.STRING}
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return "\n".join(token.string for token in tokens if token.type in kinds)


def test_nothing_speaks_of_a_file_that_a_reader_does_not_have():
    told = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path, text in texts().items()
        if path != Path(__file__).resolve() and not OPEN & set(path.parents)
        for match in ABSENT.finditer(text)
    ]
    assert told == []


RUN_ALONE = """
import sys

class Only:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in BLOCKED:
            raise ModuleNotFoundError(f"blocked: {name}", name=top)

sys.meta_path.insert(0, Only())
import torch
from course_lib.transformer.attention import SelfAttention
from course_lib.transformer.masking import CausalSelfAttention, future_influence
head = CausalSelfAttention(3, 5)
assert future_influence(head, torch.randn(4, 3)).triu(1).max() == 0
assert "jaxtyping" not in sys.modules
"""


def test_the_model_runs_where_only_numpy_and_torch_are_installed():
    import importlib.metadata

    needed = {"torch", "numpy", "course_lib", "typing_extensions", "filelock", "fsspec", "jinja2",
              "markupsafe", "mpmath", "networkx", "sympy", "setuptools", "pkg_resources",
              "torchgen", "functorch", "isympy", "_distutils_hack"}  # fmt: skip
    installed = set(importlib.metadata.packages_distributions())
    script = f"BLOCKED = {sorted(installed - needed)!r}\n{RUN_ALONE}"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_declared_shapes_hold_when_jaxtyping_checks_them():
    script = (
        "from jaxtyping import install_import_hook\n"
        "with install_import_hook('course_lib.transformer', 'beartype.beartype'):\n"
        "    from importlib import import_module\n"
        "    from course_lib.transformer import MODULES\n"
        "    modules = {m: import_module(f'course_lib.transformer.{m}') for m in MODULES}\n"
        "from course_lib.checks import all_checks, observe_here, run\n"
        "for check in all_checks():\n"
        "    component = getattr(modules[check.module], check.name)\n"
        "    verdict = run(check, observe_here(component), seed=1)\n"
        "    assert verdict.passed, verdict.message\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_help_answers_without_importing_anything_heavy():
    script = (
        "import sys\nfrom click.testing import CliRunner\nfrom course_lib.cli import main\n"
        "assert CliRunner().invoke(main, ['--help']).exit_code == 0\n"
        "heavy = {'torch', 'numpy', 'nbformat', 'nbgrader', 'rich', 'jupytext', 'yaml'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_examples_in_docstrings_are_true():
    import doctest
    import importlib

    for path in modules():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        houses = ("transformer", "corpus", "checks", "lessons", "platforms", "did_you_mean.py")
        if house_of(path) in houses:
            assert doctest.testmod(importlib.import_module(name)).failed == 0, name
