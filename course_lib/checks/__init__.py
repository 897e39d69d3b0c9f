"""What must hold of each component, and the check that says whether it does.

A check has three parts: inputs (`cases/draw.py`), observe (`observe/`, the only part that a
submission meets), judge (`judges/`, `verdict/`). In a notebook they run in one process; the grader
runs observe in a sandbox, by the same calls. What must hold stands in `lessons/` and, of a whole
package, in `capstone/`; where expected values come from, in `oracles/`.
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
