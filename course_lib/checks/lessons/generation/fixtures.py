"""What the checks of generation share: logits, seeds, and judges of ids that are drawn."""

import numpy as np

from ...cases.draw import Draw
from ...judges.expect import no_error, right_dtype, right_kind, right_shape
from ...judges.findings import Finding
from ...judges.seen import Malformed, Output, Seen
from ...judges.tolerances import Tolerance

LESSON = "09_kv_cache"
HALF = ("bfloat16", "float16")
EXACT = Tolerance(relative=0.0, absolute=0.0)  # token ids: the right ones or not

# How often a token is drawn of so many rows. The bound is far beyond what chance does under any
# seed (one in ten thousand million), and the mistakes move frequencies by a tenth and more.
N_ROWS = 2500
N_TEXTS = 1000
DEVIATIONS = 6.5
ROUNDED_PROBABILITIES = 0.01  # of half precision, whose softmax may be taken in half precision

# Frequencies of two runs that do the same differ by less than this.
ALIKE_ON_AVERAGE = 0.08


def distinct_logits(draw: Draw, n_rows: int, n_tokens: int) -> np.ndarray:
    """Rows of logits, each at a height of its own, exact in every dtype and without ties."""
    # Probabilities fall by exp(-0.5) from rank to rank: 0.40, 0.24, 0.15, … of nine tokens.
    steps = np.stack([draw.order(n_tokens) for _ in range(n_rows)])
    heights = draw.order(n_rows)[:, None] if n_rows > 1 else np.zeros((1, 1))
    return 0.5 * steps - 3.0 * heights + 1.0


def outputs_drawn(seen: Seen) -> list[Output]:
    """The raw results of the calls of a probe that draws."""
    outputs = Seen({"outputs": seen.flag("draws")}).outputs
    if not outputs:
        raise Malformed("draws")
    return outputs


def are_ids(output: Output, shape: tuple[int, ...]) -> Finding | None:
    """One whole number for each row."""
    wanted = np.zeros(shape, dtype=np.int64)
    for step in (right_kind, right_shape, right_dtype):
        finding = step(output, wanted, "", "int64")
        if finding:
            return finding
    return None


def are_known(ids, n_tokens: int) -> Finding | None:
    strange = (ids < 0) | (ids >= n_tokens)
    if strange.any():
        got = str(int(ids[strange][0]))
        return Finding("not a token id", expected=f"ids of 0..{n_tokens - 1}", got=got)
    return None


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def decided_by_the_generator(seen: Seen) -> Finding | None:
    """One state of the generator gives the same ids, whatever happened; the next gives others."""
    finding = no_error(seen)
    drawn = [] if finding else [output.array for output in outputs_drawn(seen)]
    if finding or len(drawn) != 3 or any(ids is None for ids in drawn):
        return finding or Finding("the calls cannot be compared", got="results of another kind")
    first, after, again = drawn
    if not np.array_equal(first, again):
        return Finding(
            "one state of the generator gave different ids",
            expected="the generator, and nothing else, decides",
            got="other ids when torch's own generator was in another state",
        )
    if seen.flag("torchs_own_kept") is not True:
        return Finding(
            "torch's own generator was used or seeded",
            expected="the generator that was given, and no other",
        )
    if np.array_equal(first, after):
        return Finding(
            "a second call repeated the first",
            expected="the generator goes on from call to call",
            got="the same ids twice",
        )
    return None
