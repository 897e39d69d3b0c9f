"""What is measured, in which order, and how long each section may take."""

from dataclasses import dataclass, field
from typing import NamedTuple

LIMIT = 465  # seconds for all of it: `make gpu` promises at most eight minutes


@dataclass(frozen=True)
class Section:
    """A part of the run.

    Args:
        module: its function `rows` measures it.
        seconds: how long it may take; what it has told by then is kept.
    """

    name: str
    about: str
    module: str
    seconds: int
    options: dict = field(default_factory=dict)


class Run(NamedTuple):
    """How a section runs.

    Args:
        device: "cuda", or "cpu" to try the script without a card.
        is_small: tiny sizes, which measure nothing and try everything.
        done: names of the rows that an earlier process of the section has told already.
    """

    device: str
    is_small: bool
    done: frozenset[str] = frozenset()


SECTIONS = (
    Section("machine", "the card and its own limits", f"{__package__}.limits", 45),
    Section("components", "the checks of all components", f"{__package__}.components", 90),
    Section("equality", "CPU and card compute the same", f"{__package__}.equality", 70),
    Section("training", "training, 124M, T = 1024", f"{__package__}.training", 180),
    Section(
        "decode-1", "decoding, 124M, batch 1", f"{__package__}.decoding", 95, {"batch_size": 1}
    ),
    Section(
        "decode-8", "decoding, 124M, batch 8", f"{__package__}.decoding", 95, {"batch_size": 8}
    ),
    Section("commands", "course train and course generate", f"{__package__}.commands", 125),
)
