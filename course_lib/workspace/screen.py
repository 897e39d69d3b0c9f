"""`course status` on one screen: a line a lesson, the model as a drawing, and the next step.

A sign says what a colour says: a part that is theirs has a tick, one that is broken an exclamation
mark. Where the terminal's encoding lacks the signs, plain ASCII takes their place.
"""

from dataclasses import dataclass

from .next_step import Lesson, next_step
from .status import Row, in_words

WIDEST_BAR = 8  # parts: no lesson has more


@dataclass(frozen=True)
class Signs:
    """What a part is marked with, and the lines around a block."""

    theirs: str
    borrowed: str
    broken: str
    full: str
    empty: str
    corner: str
    side: str
    end: str


PRETTY = Signs("✓", "·", "!", "■", "□", "┌", "│", "└")
PLAIN = Signs("x", ".", "!", "#", "-", "+", "|", "+")

# The model from text to text, as its parts build on each other; indented: inside each block.
DRAWING = (
    ("text in", ("CharTokenizer", "Embeddings")),
    ("  norm", ("layer_norm", "LayerNorm")),
    ("  masks", ("causal_mask", "masked_attention")),
    ("  heads", ("split_heads", "MultiHeadAttention")),
    ("  MLP", ("gelu", "MLP")),
    ("  together", ("Block",)),
    ("the model", ("init_weights", "GPT")),
    ("training", ("next_token_loss", "get_batch")),
    ("", ("train_step", "evaluate")),
    ("text out", ("sample", "generate")),
    ("", ("KVCache", "generate_cached")),
)


def signs_for(encoding: str | None) -> Signs:
    """The signs that a terminal of this encoding can show."""
    try:
        "".join(vars(PRETTY).values()).encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN
    return PRETTY


def screen(lessons: list[Lesson], signs: Signs) -> list[str]:
    """The lines of `course status`, none of lessons and drawing wider than 60 columns."""
    rows = [row for lesson in lessons for row in lesson.parts]
    return [
        *(_of_lesson(lesson, signs) for lesson in lessons),
        "",
        *_drawing(rows, signs),
        "",
        in_words(rows),
        next_step(lessons),
    ]


def every_part(lessons: list[Lesson], signs: Signs) -> list[str]:
    """The lines of `course status --all`: each part and the state it is in."""
    lines = []
    for lesson in lessons:
        lines.append(lesson.name)
        lines += [f"  {_mark(row, signs)} {row.component:<22} {row.state}" for row in lesson.parts]
    return [*lines, in_words([row for one in lessons for row in one.parts]), next_step(lessons)]


def _of_lesson(lesson: Lesson, signs: Signs) -> str:
    n, done = len(lesson.parts), len(lesson.done)
    bar = signs.full * done + signs.empty * (n - done)
    points = f"{lesson.points_done:g} of {sum(lesson.points.values()):g} points"
    return f"{lesson.words:<26} {bar:<{WIDEST_BAR}} {done} of {n}  {points}"


def _drawing(rows: list[Row], signs: Signs) -> list[str]:
    by_name = {row.component: row for row in rows}
    lines, inside = [], False
    for place, parts in DRAWING:
        if place.startswith("  ") and not inside:
            lines.append(f"  {signs.corner} each block")
        if inside and not place.startswith("  "):
            lines.append(f"  {signs.end}")
        inside = place.startswith("  ")
        edge = signs.side if inside else " "
        marked = "".join(f"{_mark(by_name[part], signs)} {part:<17}" for part in parts)
        lines.append(f"  {edge} {place.strip():<10} {marked}".rstrip())
    return lines


def _mark(row: Row, signs: Signs) -> str:
    marks = {"yours": signs.theirs, "ready": signs.theirs}
    return marks.get(row.state, signs.borrowed if _is_well(row) else signs.broken)


def _is_well(row: Row) -> bool:
    return row.state not in ("missing", "broken")
