"""A learner's package, run from its text with none of our transformer in sight.

Its modules begin by borrowing ours. Here that gives them what nobody is asked to write (imports,
constants, `GPTConfig`, private helpers), and for each component a stand-in that can be imported
but not used: whoever calls it learns which part is still borrowed.
"""

import builtins
import linecache
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import SimpleNamespace

from .answer import PACKAGE


class StillBorrowed(Exception):
    """A part that the learner has not written was used."""

    def __init__(self, name: str):
        super().__init__(f"{name} is still borrowed")
        self.name = name


class _Unwritten(type):
    """The type of a component that is not there: a class, so that it can be inherited from."""

    def __call__(cls, *args, **kwargs):
        raise StillBorrowed(cls.unwritten)


class ImportedPackage:
    """A package that can simply be imported, such as ours on a page of the book."""

    has_model = True

    def __init__(self, name: str):
        self.name = name

    def part(self, module: str, name: str):
        """The package's component `name`.

        Raises:
            StillBorrowed: the module does not define it.
        """
        found = getattr(import_module(f"{self.name}.{module}"), name, None)
        if found is None or isinstance(found, _Unwritten):
            raise StillBorrowed(name)
        return found


class LearnersPackage(ImportedPackage, MetaPathFinder, Loader):
    """Within `with`, `import my_transformer` leads to these texts, afresh, and to nothing else.

    Args:
        sources: the text of each of its modules, by name.
        given: for each module of the course `{"components": [names], "source": text}`, the text
            being what it holds besides its components.
        borrow_from: the module that its modules import `borrow` from.
        absent: packages of ours: what would be there at the desk must not be, as in class.
        has_model: False where a model of torch's own functions has to stand in for its GPT.
    """

    def __init__(self, *, sources: Mapping, given: Mapping, borrow_from: str, absent, has_model):
        super().__init__(PACKAGE)
        self.sources, self.given, self.has_model = sources, given, has_model
        self.borrow_from, self.absent = borrow_from, absent
        self._before = {}
        self._builtins = {**vars(builtins), "__import__": self._import}

    def __enter__(self) -> "LearnersPackage":
        self._before = _forget_loaded()
        sys.meta_path.insert(0, self)
        return self

    def __exit__(self, *_) -> None:
        sys.meta_path.remove(self)
        _forget_loaded()
        sys.modules.update(self._before)

    def find_spec(self, fullname, path=None, target=None):
        package, _, name = fullname.partition(".")
        if package != PACKAGE:
            return None
        if not name:
            return ModuleSpec(fullname, self, is_package=True)
        is_known = name in self.sources or name in self.given
        return ModuleSpec(fullname, self) if is_known else None

    def exec_module(self, module):
        name = _module_name(module.__name__)
        module.__dict__["__builtins__"] = self._builtins
        if name not in self.sources:
            self._borrow(module.__name__)
            return
        text, file = self.sources[name], f"<{name}.py>"
        linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)

    def _borrow(self, module_name: str) -> None:
        """What stands in for `workspace.borrow.borrow`."""
        name = _module_name(module_name)
        given = self.given.get(name, {"components": [], "source": ""})
        namespace = sys.modules[module_name].__dict__
        for component in given["components"]:
            namespace[component] = _Unwritten(component, (), {"unwritten": component})
        code = compile(given["source"], f"<given {name}>", "exec", dont_inherit=True)
        exec(code, namespace)

    def _import(self, name, globals=None, locals=None, fromlist=(), level=0):
        """`import`, as the package's modules have it."""
        if level or name.partition(".")[0] not in self.absent:
            return builtins.__import__(name, globals, locals, fromlist, level)
        if name != self.borrow_from:
            raise ModuleNotFoundError(
                f"{name} is not there in class: write the part yourself", name=name
            )
        module = SimpleNamespace(borrow=self._borrow)
        for part in () if fromlist else reversed(name.split(".")[1:]):
            module = SimpleNamespace(**{part: module})
        return module


def _module_name(full_name: str) -> str:
    return full_name.partition(".")[2] or "__init__"


def _forget_loaded() -> dict:
    """Take every module of a `my_transformer` out of those that are loaded; what was taken."""
    names = [name for name in sys.modules if name == PACKAGE or name.startswith(PACKAGE + ".")]
    return {name: sys.modules.pop(name) for name in names}


def load_package(job: Mapping) -> object:
    """The package of a job, in place for good, or the one part of it that the job names."""
    package = LearnersPackage(**job["package"]).__enter__()
    return package.part(*job["part"]) if job.get("part") else package
