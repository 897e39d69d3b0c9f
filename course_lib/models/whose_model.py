"""Whose transformer runs: the course's own, or a learner's package with the same names."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from . import ModelError

OURS = "course_lib.transformer"
ATTENTION = ("fused", "explicit")


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
        """A GPT of these sizes, each step of it as it was written.

        Raises:
            ModelError: the sizes cannot work.
        """
        try:
            return self.component("model", "GPT")(self.component("model", "GPTConfig")(**sizes))
        except (ValueError, TypeError) as error:
            raise ModelError(f"the model cannot be built: {error}") from error

    def run_by(self, model, attention: str):
        """The model as it will run: "fused" takes ours through torch's fused functions.

        "explicit" leaves it step by step, as the lessons have it. A learner's own is never changed.

        Raises:
            ModelError: `attention` is neither.
        """
        if attention not in ATTENTION:
            raise ModelError(f"attention must be {' or '.join(ATTENTION)}, got {attention!r}.")
        is_fused = attention == "fused" and self.name == OURS
        if not is_fused:
            return model
        from .ours.fused import fuse  # here, because `--help` needs no torch

        return fuse(model)

    def is_fused(self, model) -> bool:
        """Whether `run_by` has taken the model through fused functions."""
        from .ours.fused import FusedGPT

        return self.name == OURS and isinstance(model, FusedGPT)

    def decoder(self, model, n_rows: int, n_positions: int):
        """What is fed a text from left to right and gives the logits that follow: our `Decoder`
        for a fused model, for any other the package's own cache."""
        if self.is_fused(model):
            from .ours.decoding import Decoder

            return Decoder(model, n_rows, n_positions)
        from .cached_decoding import CachedDecoder

        parts = [self.component("cache", name) for name in ("KVCache", "cached_logits")]
        return CachedDecoder(model, *parts, n_rows, n_positions)
