"""The process that `aside` asks: one question after the other, each with a limit of its own.

A question and its answer are JSON behind their length. It imports little, for it is started again
whenever a text was too dear.
"""

import json
import math
import os
import resource
import struct
import time
from typing import BinaryIO

MEMORY_BYTES = 2 * 2**30


def highlight(source: str) -> str:
    """Python in HTML, as nbconvert writes it."""
    import pygments
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    return pygments.highlight(source or " ", PythonLexer(), HtmlFormatter(cssclass=" highlight"))


def defined_parts(modules: dict[str, str]) -> dict[str, list[str]]:
    """The names that each module of a package defines."""
    from ..lessons import package_text

    return {name: sorted(own) for name, own in package_text.defined_parts(modules).items()}


TASKS = {"highlight": highlight, "defined parts": defined_parts}


def main(questions: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nobody asks any more."""
    _limit(resource.RLIMIT_DATA, MEMORY_BYTES)
    while length := questions.read(8):
        task, seconds, *arguments = json.loads(questions.read(*struct.unpack(">Q", length)))
        _limit(resource.RLIMIT_CPU, math.ceil(time.process_time() + seconds))
        try:
            answer = {"answer": TASKS[task](*arguments)}
        except (MemoryError, RecursionError) as error:
            answer = {"too dear": f"it cannot be read ({type(error).__name__})"}
        text = json.dumps(answer).encode()
        answers.write(struct.pack(">Q", len(text)) + text)
        answers.flush()


def _limit(kind: int, most: int) -> None:
    """Set a limit so that it can be set again, as far as the system's own allows."""
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    with os.fdopen(os.dup(0), "rb") as questions, os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)  # what a library prints is no answer
        main(questions, answers)
