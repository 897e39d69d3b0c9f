"""The questions of a lesson, as their author writes them.

    :::{quiz} Why are the scores divided by the square root of D?
    - [ ] So that the weights of a query sum to 1.
      Softmax does that for any scores, scaled or not.
    - [x] So that they do not grow with the width of a head.
      A dot product of D independent terms has a spread of √D.
    :::

The title is the question. Each item is an answer, `[x]` the right one; the indented lines below
it explain why. `quiz.py` shows them on the page; a notebook leaves them out.
"""

import re
import textwrap
from dataclasses import dataclass
from itertools import pairwise

from .text import LessonError

_ITEM = re.compile(r"^- \[(?P<mark>[ xX])\] +(?P<answer>\S.*)$")


@dataclass(frozen=True)
class Answer:
    """One answer that a reader may choose, and what is to be said about it."""

    text: str
    is_right: bool
    explanation: str
    line: int  # of the explanation, counted from the first line below the question


@dataclass(frozen=True)
class Question:
    """A question with its answers, in the order in which they stand."""

    text: str
    answers: tuple[Answer, ...]


def read_question(title: str, lines: list[str]) -> Question:
    """The question that a quiz asks.

    Args:
        title: what stands beside `{quiz}`.
        lines: what stands between it and the end of the directive.

    Raises:
        LessonError: there is no question, an answer is not written as above or has no
            explanation, there are fewer than two, or not exactly one of them is right. Its line
            1 is that of the question.
    """
    title = title.strip()
    if not title:
        raise LessonError("a quiz must have a question beside {quiz}, got none.")
    answers = tuple(_answers(title, lines))
    n_right = sum(answer.is_right for answer in answers)
    if len(answers) < 2:
        raise LessonError(f"a quiz must have two answers or more, got {len(answers)}: {title}")
    if n_right != 1:
        raise LessonError(f"a quiz must have exactly one answer marked [x], got {n_right}: {title}")
    return Question(title, answers)


def _answers(title: str, lines: list[str]):
    starts = [number for number, line in enumerate(lines) if _ITEM.match(line)]
    for number, line in enumerate(lines[: starts[0] if starts else None]):
        if line.strip():
            raise LessonError(
                "an answer of a quiz must begin with `- [ ] ` or `- [x] ` and be one line, "
                f"got {line!r} in: {title}",
                number + 2,
            )
    for start, end in pairwise([*starts, len(lines)]):
        item = _ITEM.match(lines[start])
        below = lines[start + 1 : end]
        for number, line in enumerate(below, start=start + 1):
            if line.strip() and not line.startswith("  "):
                raise LessonError(
                    "what belongs to an answer of a quiz must be indented by two spaces, "
                    f"got {line!r} below {item['answer']!r} in: {title}",
                    number + 2,
                )
        explanation = textwrap.dedent("\n".join(below)).strip()
        if not explanation:
            raise LessonError(
                "each answer of a quiz must be explained in the indented lines below it, "
                f"got none below {item['answer']!r} in: {title}",
                start + 2,
            )
        yield Answer(item["answer"].strip(), item["mark"] != " ", explanation, start + 1)
