"""What a learner's module has before its parts are written: ours, run inside theirs.

Every module of `my_transformer` begins by borrowing (see `borrowing_text`): our source runs in
their module's namespace, so its relative imports lead to their package and its functions find
theirs by name. Once `masked_softmax` is written, our `masked_attention` calls it.
"""

import sys
from pathlib import Path

PACKAGE = "my_transformer"

_OURS = Path(__file__).resolve().parent.parent / "transformer"
# Modules in folders from earlier versions that no lesson is about: borrowed, they are empty.
_NO_LONGER_LENT = ("fused", "decoding")


def borrow(module_name: str) -> None:
    """Run our module of the same name inside the module `module_name`, which is being imported.

    Args:
        module_name: `__name__` of the module that borrows, such as "my_transformer.masking".

    Raises:
        ValueError: we have no module of that name, or it is not being imported.
    """
    name = module_name.rpartition(".")[2] if "." in module_name else "__init__"
    if name in _NO_LONGER_LENT:
        return
    path = our_path(name)
    module = sys.modules.get(module_name)
    if module is None:
        raise ValueError(
            "borrow(__name__) must stand in a module that is being imported, "
            f"got {module_name!r}, which is not."
        )
    # Compiled under our path, so that a traceback shows our lines and an editor opens them.
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), module.__dict__)


def our_modules() -> list[str]:
    """The names of all modules that can be borrowed, without `__init__`."""
    return sorted(path.stem for path in _OURS.glob("*.py") if path.stem != "__init__")


def our_path(name: str) -> Path:
    """The file of our module `name`.

    Raises:
        ValueError: there is none.
    """
    path = _OURS / f"{name}.py"
    if not name.isidentifier() or not path.is_file():
        raise ValueError(
            f"only a module of the course can be borrowed ({', '.join(our_modules())}), "
            f"got {name!r}."
        )
    return path


def borrowing_text(module: str, *, is_for_writing: bool = True) -> str:
    """A learner's module before any of it is theirs."""
    if module == "__init__":
        about = ["# Your transformer as a package. It offers what the course's own package does."]
    elif is_for_writing:
        about = [
            "# These lines borrow the course's finished module, so that all of your transformer",
            "# runs from the first day. What you write in a notebook, and `check` finds right, is",
            "# put underneath, part by part, and takes the place of ours.",
        ]
    else:
        about = ["# There is nothing to write in this module: it is borrowed for good."]
    code = ["from course_lib.workspace.borrow import borrow", "", "borrow(__name__)", ""]
    return "\n".join([*about, *code])
