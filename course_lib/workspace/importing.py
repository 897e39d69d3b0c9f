"""Where `import my_transformer` leads: to a workspace, or to a package of borrowed modules.

A module that a workspace lacks (it was made before the lesson was) is borrowed too. A workspace's
modules are always compiled from their text: Python's own cache tells two versions apart by size
and whole seconds, and a learner saves `<` as `>` within one.
"""

import contextlib
import graphlib
import importlib
import sys
from collections.abc import Iterator
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import NamedTuple

from .borrow import PACKAGE, borrow, our_modules, our_path
from .folder import WorkspaceError
from .reading import definitions, imported_modules


class Part(NamedTuple):
    """One component of a learner's package."""

    component: object
    is_theirs: bool


def install_borrowed_package() -> None:
    """Make `import my_transformer` work where there is no workspace: all of it is ours."""
    _forget_package()
    # Last, so that a `my_transformer` which does lie on the path is the one that is found.
    sys.meta_path.append(_PackageFinder(None))


def use_package(workspace: Path) -> None:
    """Make `import my_transformer` lead to this workspace, and to its files as they are now."""
    _forget_package()
    sys.path[:] = [str(workspace), *(entry for entry in sys.path if entry != str(workspace))]
    sys.meta_path.insert(0, _PackageFinder(workspace))
    importlib.invalidate_caches()


def package_component(workspace: Path, name: str) -> Part:
    """The learner's component `name`, freshly imported, and whether they wrote it.

    Raises:
        UnknownComponent: the course has no such component.
        WorkspaceError: the module that holds it cannot be imported, or does not hold it.
    """
    from course_lib.checks import find  # here, because it takes torch along

    module_name = find(name).module
    use_package(workspace)
    module = import_part(module_name)
    path = module_file(workspace, module_name)
    is_theirs = path.is_file() and name in definitions(path.read_bytes())
    if not hasattr(module, name):
        raise WorkspaceError(
            f"{PACKAGE}/{path.name} neither defines {name} nor borrows it: write it there, or put "
            f"back the lines that borrow:\n  from {borrow.__module__} import borrow\n"
            "  borrow(__name__)"
        )
    return Part(getattr(module, name), is_theirs)


def import_part(module_name: str):
    """Import `my_transformer.<module_name>`.

    Raises:
        WorkspaceError: it cannot be imported, said with the error and its place.
    """
    full_name = f"{PACKAGE}.{module_name}"
    try:
        return importlib.import_module(full_name)
    except (Exception, SystemExit) as error:
        raise WorkspaceError(
            f"{full_name} cannot be imported: {describe(error)}\n"
            f"  mend the file (earlier versions of its parts: {PACKAGE}/.history), then try again"
        ) from error


def describe(error: BaseException) -> str:
    """An error in one line: `NameError: name 'x' is not defined (masking.py, line 7)`."""
    text = " ".join(str(error).split())
    if isinstance(error, SyntaxError):  # its text already ends in the place
        return f"{type(error).__name__}: {text}"
    place, step = "", error.__traceback__
    while step:
        path = Path(step.tb_frame.f_code.co_filename)
        if path.parent.name == PACKAGE:
            place = f" ({path.name}, line {step.tb_lineno})"
        step = step.tb_next
    return f"{type(error).__name__}: {text}{place}"


def module_file(workspace: Path, module_name: str) -> Path:
    """The learner's file of a module."""
    return workspace / PACKAGE / f"{module_name}.py"


@contextlib.contextmanager
def package_of(workspace: Path) -> Iterator[bool]:
    """Inside, `my_transformer` is this workspace's; after, whatever it was before.

    Yields:
        Whether it was this workspace's already.
    """
    if any(isinstance(f, _PackageFinder) and f.workspace == workspace for f in sys.meta_path):
        yield True
        return
    path, finders = sys.path[:], sys.meta_path[:]
    modules = {name: sys.modules[name] for name in _loaded()}
    use_package(workspace)
    try:
        yield False
    finally:
        _forget_package()
        sys.path[:], sys.meta_path[:] = path, finders
        sys.modules.update(modules)


def reload_from(workspace: Path, module_name: str) -> None:
    """Run a module of the package again, and those that import it, where they are loaded.

    Module objects stay the same, so `import my_transformer.masking as masking` sees the change.
    """
    imports = {name: _imports(workspace, name) & set(_loaded()) for name in _loaded()}
    changed = {f"{PACKAGE}.{module_name}"} & set(imports)
    try:
        order = list(graphlib.TopologicalSorter(imports).static_order())
    except graphlib.CycleError:  # a learner's own doing; any order is as good as another
        order = list(imports)
    for name in order:
        if name in changed or imports[name] & changed:
            changed.add(name)
            importlib.reload(sys.modules[name])


def _imports(workspace: Path, full_name: str) -> set[str]:
    """Which modules a loaded module of the package imports, by our source and by theirs."""
    name = full_name.removeprefix(PACKAGE).lstrip(".") or "__init__"
    found = set()
    for path in (our_path(name) if name in _ours() else None, module_file(workspace, name)):
        if path and path.is_file():
            found |= imported_modules(path.read_bytes())
    return found - {PACKAGE, full_name}


def _ours() -> set[str]:
    return {"__init__", *our_modules()}


def _loaded() -> list[str]:
    return [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]


def _forget_package() -> None:
    """Undo `use_package` and `install_borrowed_package`, and forget every module they led to."""
    for name in _loaded():
        del sys.modules[name]
    finders = [finder for finder in sys.meta_path if isinstance(finder, _PackageFinder)]
    places = {str(finder.workspace) for finder in finders}
    sys.meta_path[:] = [finder for finder in sys.meta_path if finder not in finders]
    sys.path[:] = [entry for entry in sys.path if entry not in places]


class _PackageFinder(MetaPathFinder):
    """Finds the modules of `my_transformer`: in the workspace, if there is one, else borrowed."""

    def __init__(self, workspace: Path | None):
        self.workspace = workspace

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.partition(".")
        if package != PACKAGE or "." in name:
            return None
        name = name or "__init__"
        places = [] if self.workspace is None else [str(self.workspace / PACKAGE)]
        below = places if name == "__init__" else None
        theirs = None if self.workspace is None else module_file(self.workspace, name)
        if theirs is not None and theirs.is_file():
            loader, path = _FromText(fullname, str(theirs)), theirs
        elif name in _ours():
            loader, path = _Borrowed(), our_path(name)
        else:
            return None
        spec = spec_from_file_location(fullname, path, loader=loader)
        spec.submodule_search_locations = below
        return spec


class _FromText(SourceFileLoader):
    """Compiles the file's text each time, and writes no bytecode."""

    def get_code(self, fullname):
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)


class _Borrowed(Loader):
    """A module that is ours from end to end."""

    def exec_module(self, module):
        borrow(module.__name__)
