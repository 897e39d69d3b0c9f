"""Lesson 12: what a whole package must do. Its parts have checks of their own, in their lessons.

Weights that were trained by the package come back as numbers and are evaluated here, in a GPT
made of torch's own functions, on text that the package has never seen. How long anything takes,
in which order layers were made, and which numbers chance drew does not matter.

runs.py        what the cases of all checks are made of
computing.py   the model is the function of its weights that it must be
training.py    the loop learns what can be known
generating.py  text, without a cache and with one
parts.py       where to look when one of them fails
"""

from course_lib.did_you_mean import did_you_mean

from ..cases.check import Check
from ..catalogue import UnknownComponent
from .computing import computes
from .generating import caches, generates
from .training import trains

PACKAGE_CHECKS = (computes, trains, generates, caches)

# The modules that each one is about, in lesson order: where to look when it fails.
MODULES_OF = {
    "computes": ("tokens", "attention", "masking", "multihead", "norm", "mlp", "block", "model"),
    "trains": ("training",),
    "generates": ("tokens", "training", "generation"),
    "caches": ("training", "generation", "cache"),
}

# What to tell of a check in which the package's model was not used.
STOOD_IN = (
    "a model of torch's own functions stood in for yours, which the check `computes` finds wrong"
)


def find_package_check(name: str) -> Check:
    """The check of whole packages called `name`.

    Raises:
        UnknownComponent: there is none.
    """
    checks = {check.name: check for check in PACKAGE_CHECKS}
    if name in checks:
        return checks[name]
    advice = did_you_mean(name, checks)
    raise UnknownComponent(f"no check of a package is called {name!r}. {advice}")
