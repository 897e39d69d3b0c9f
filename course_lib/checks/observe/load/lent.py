"""Code that could answer an exercise, and how it comes into the jobs that it cannot answer for.

Some probes hand a component a whole model, or a cache. As text such a thing is the answer to
another exercise, so no sandbox holds the folder `lent/`: a job brings what its own calls need.
At the desk and on the judge's side it is simply imported.
"""

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType

from .answer import ModulesInMemory

PARENT = __package__.rpartition(".")[0]
FOLDER = Path(__file__).parents[1] / "lent"

# What is imported by what is lent.
_WITH = {"growing": ("models",), "untrained": ("models",)}


def lent(name: str) -> ModuleType:
    """The module `name` of what is lent.

    Raises:
        ModuleNotFoundError: this job was not lent it.
    """
    return import_module(f"{PARENT}.lent.{name}")


def lend(sources: Mapping[str, str]) -> None:
    """From now on these modules can be imported, and no other of `lent/`."""
    sys.meta_path.insert(0, ModulesInMemory(f"{PARENT}.lent", sources))


def sources_for(job: Mapping) -> dict[str, str]:
    """The text of all that the calls of a job need, by name."""
    needed = {name for call in job["calls"] for name in _needs(call, job.get("package"))}
    needed |= {other for name in needed for other in _WITH.get(name, ())}
    return {name: (FOLDER / f"{name}.py").read_text(encoding="utf-8") for name in sorted(needed)}


def _needs(call: Mapping, package: Mapping | None) -> tuple[str, ...]:
    if "of" in call:  # calls around a call
        inner = [call["of"], *call.get("careless", ())]
        return tuple({name for one in inner for name in _needs(one, package)})
    model = call.get("model") or {}
    match call["probe"]:
        case "init_weights" | "n_parameters":
            return ("models",)
        case "steps" | "evaluation" | "groups" if model["model"] == "gpt":
            return ("models",)
        case "generate" if "table" not in model:
            return ("models",)
        case "caching":
            return _BY_SUBJECT[call["subject"]]
        case "package" if not package["has_model"]:
            return ("untrained",)
    return ()


_BY_SUBJECT = {
    "KVCache": (),
    "cached_attention": ("caches",),
    "cached_logits": ("caches", "growing"),
    "generate_cached": ("growing",),
}
