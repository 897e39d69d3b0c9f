"""What must hold of each component, and the check that says whether it does.

A check has three parts: inputs (`cases.Draw`), observe (`observe/`, the only part that a
submission meets), judge (`expect`, `verdict`). In a notebook they run in one process; the grader
runs observe in a sandbox, by the same calls.
"""

from .cases.check import ComponentCheck
from .catalogue import UnknownComponent, all_checks, find
from .local import CheckFailed, check
from .observe.here import observe_here
from .verdict.running import Verdict, run

__all__ = [
    "CheckFailed",
    "ComponentCheck",
    "UnknownComponent",
    "Verdict",
    "all_checks",
    "check",
    "find",
    "observe_here",
    "run",
]
