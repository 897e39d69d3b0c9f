"""The zoo as plain data: each bug, its source, and what the check says of it.

    python -m course_lib.zoo zoo.json

runs the check of every bug, which takes a minute or two. The book makes its pages of bugs from
the file (`lessons/bug_pages.py`), and itself never imports torch.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from course_lib.bugs import Bug, all_bugs, bugs_of
from course_lib.checks import all_checks, find, observe_here, run
from course_lib.files import write_atomically


def describe(component: str) -> dict:
    """A component's place in the course and its bugs, each with the message of its check."""
    check = find(component)
    bugs = [describe_bug(bug) for bug in bugs_of(component)]
    return {
        "component": component,
        "module": check.module,
        "lesson": check.lesson,
        "bugs": bugs,
    }


def describe_bug(bug: Bug) -> dict:
    """A bug with what it changes in the component's source, and the check's message."""
    verdict = run(find(bug.component), observe_here(bug.implementation), seed=0)
    return {
        "name": bug.name,
        "title": bug.title,
        "misconception": bug.misconception,
        "symptom": bug.symptom,
        "threads": list(bug.threads),
        "is_change": bool(bug.change),
        "lines": bug.marked_source,
        "message": verdict.message,
    }


def write(path: Path) -> None:
    """Write the whole zoo to `path`, in lesson order; nothing half-written is left behind."""
    components = [check.name for check in all_checks() if bugs_of(check.name)]
    with ProcessPoolExecutor(os.cpu_count()) as workers:
        described = list(workers.map(describe, components))
    write_atomically(path, json.dumps(described, indent=1))


if __name__ == "__main__":
    all_bugs()
    write(Path(sys.argv[1]))
