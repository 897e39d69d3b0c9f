"""Whose transformer runs: the course's own, or a learner's package with the same names."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from . import ModelError

OURS = "course_lib.transformer"


@dataclass(frozen=True)
class Package:
    """A package of components, such as `course_lib.transformer` or `my_transformer`."""

    name: str

    def module(self, module: str) -> ModuleType:
        """One of its modules.

        Raises:
            ModelError: it is not there or cannot be imported.
        """
        try:
            return importlib.import_module(f"{self.name}.{module}")
        except Exception as error:  # a learner's module may raise anything
            raise ModelError(
                f"{self.name}.{module} cannot be imported ({type(error).__name__}: {error}): mend "
                f"the file, or run with --package {OURS}."
            ) from error

    def component(self, module: str, name: str) -> Callable:
        """One of its functions or classes.

        Raises:
            ModelError: the module lacks it.
        """
        found = getattr(self.module(module), name, None)
        if found is None:
            raise ModelError(f"{self.name}.{module} has no {name}: write it, or borrow it again.")
        return found

    def build(self, **sizes):
        """A GPT of these sizes; the fused one where the package is ours.

        Raises:
            ModelError: the sizes cannot work.
        """
        try:
            model = self.component("model", "GPT")(self.component("model", "GPTConfig")(**sizes))
        except (ValueError, TypeError) as error:
            raise ModelError(f"the model cannot be built: {error}") from error
        return self.fused(model)

    def fused(self, model):
        """The model through torch's fused functions where it is ours; a learner's own as it is."""
        return self.module("fused").fuse(model) if self.name == OURS else model
