"""Sections of a run that go wrong, each in its way, for test_gpu.py."""

import math
import os
import time

from course_lib.gpu.attempts import StartAgain, attempt


def rows(run, *, how):
    if "first" not in run.done:
        yield {"name": "first", "value": 1}
    yield from HOW[how](run)


def hangs(run):
    time.sleep(600)
    yield {"name": "never"}


def fails(run):
    raise RuntimeError("the card is on fire")
    yield


def dies(run):
    os._exit(11)
    yield


def lacks(run):
    import a_package_that_nobody_has

    yield {"name": a_package_that_nobody_has}


def is_infinite(run):
    yield {"name": "second", "value": math.nan}


def has_a_slow_row(run):
    yield attempt({"name": "second"}, lambda: time.sleep(600), 0.2)
    yield attempt({"name": "third"}, lambda: {"value": 3}, 0.2)


def starts_again(run):
    if not run.done:
        raise StartAgain
    yield {"name": "second", "process": os.getpid()}


def never_gets_on(run):
    raise StartAgain
    yield


HOW = {
    one.__name__: one
    for one in (
        hangs, fails, dies, lacks, is_infinite, has_a_slow_row, starts_again, never_gets_on
    )
}  # fmt: skip
