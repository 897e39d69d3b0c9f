"""What the cases of a whole package's checks are made of: one run of it, and what went wrong."""

import numpy as np

from ..cases.check import Case
from ..cases.draw import Draw
from ..judges.expect import Judge, also
from ..judges.findings import Finding
from ..judges.seen import Malformed, Seen
from ..judges.tolerances import Tolerance

LESSON = "12_capstone"

EXACT = Tolerance(relative=1e-6, absolute=1e-8)  # float64, through two blocks and back
FLOAT32 = Tolerance(relative=1e-2, absolute=2e-2)  # logits of size 20, through two blocks


def run_case(run: str, shown: str, judge: Judge, **call) -> Case:
    """One run of a package (`observe/probes/whole.py` says which there are)."""
    call = {"probe": "package", "run": run, "device": "cpu", "dtype": "float64", **call}
    return Case({"weights": None, **call}, shown, also(_needs_nothing_borrowed, judge))


def _needs_nothing_borrowed(seen: Seen) -> Finding | None:
    error = seen.error
    if error and error["type"] == "StillBorrowed":
        return Finding(
            f"{error['name']} is still borrowed",
            details=("what is borrowed earns nothing here: write it in its lesson",),
        )
    return None


def arrays(seen: Seen, count: int) -> list[np.ndarray]:
    """The first `count` arrays of a run."""
    found = [output.array for output in seen.outputs[:count]]
    if len(found) < count or any(array is None for array in found):
        raise Malformed("arrays")
    return found


def sizes(draw: Draw, *, tied: bool = True) -> dict:
    """A small model's config, its sizes pairwise different."""
    n_heads, d_head = ((3, 5), (5, 3))[int(draw.integers(0, 1))]
    return {
        "vocab_size": 17 + 2 * int(draw.integers(0, 3)),
        "context_length": 11,
        "d_model": n_heads * d_head,
        "n_heads": n_heads,
        "n_layers": 2,
        "bias": tied,
        "tie_weights": tied,
        "gelu_approximate": "none" if tied else "tanh",
    }


def wrong_shape(expected, got) -> Finding:
    return Finding("wrong shape", expected=str(tuple(expected)), got=str(got))
