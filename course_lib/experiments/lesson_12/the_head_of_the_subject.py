"""A model of words that must match verb and subject over a clause, without one of its heads."""

import numpy as np
import torch

from ..experiment import Claim, Experiment, how_many, share, spread

ALL, MOST, LEAST = (
    "all 8 heads",
    "without the one that looks most",
    "without the one that looks least",
)
RIGHT, LOOK = "verbs right", "look at the subject"
N_HEADS = 4


def run(page, seed, without):
    model = page.train_by_words(seed)
    at_subject, at_trap, even, right = page.in_traps(model)
    if without is not None:
        one = at_subject.argmax() if without == "most" else at_subject.argmin()
        _take_away(model, *divmod(int(one), N_HEADS))
        right = page.in_traps(model)[3]
    return {
        RIGHT: np.mean(right),
        LOOK: float(at_subject.max()),
        "at the trap": float(at_trap.flatten()[at_subject.argmax()]),
        "an even look": np.mean(even),
    }


@torch.no_grad()
def _take_away(model, block: int, head: int) -> None:
    """Nothing of this head's output goes on."""
    out = model.blocks[block].attention.out.weight
    width = out.shape[1] // N_HEADS
    out[:, head * width : (head + 1) * width] = 0


EXPERIMENT = Experiment(
    lesson="12_capstone",
    question="Which head finds the subject of the clause, and does the verb depend on it?",
    run=run,
    uses=["train_by_words", "in_traps"],
    arms={ALL: {"without": None}, MOST: {"without": "most"}, LEAST: {"without": "least"}},
    formats={
        RIGHT: "{:.0%}",
        LOOK: "{:.2f}",
        "at the trap": "{:.2f}",
        "an even look": "{:.2f}",
    },
    claims=[
        Claim(
            lambda r: (
                f"The number of the verb is right in {share(r[ALL, RIGHT])} of the traps, and one "
                f"head looks at the subject with {spread(r[ALL, LOOK], '{:.2f}')} of its weight."
            ),
            lambda r: (
                (r[ALL, RIGHT] > 0.95).all() and (r[ALL, LOOK] > 5 * r[ALL, "an even look"]).all()
            ),
        ),
        Claim(
            lambda r: (
                "Without that head the verb suffers "
                f"{how_many(r[MOST, RIGHT] < r[ALL, RIGHT] - 0.1)}: {share(r[MOST, RIGHT])} are "
                "right."
            ),
            lambda r: (r[MOST, RIGHT] < r[ALL, RIGHT] - 0.1).sum() > len(r[MOST, RIGHT]) / 2,
        ),
        Claim(
            lambda r: (
                "That the head which looks least at the subject is not needed for the verb: "
                f"without it {share(r[LEAST, RIGHT])} are right, and the verb suffers "
                f"{how_many(r[LEAST, RIGHT] < r[ALL, RIGHT] - 0.1)}."
            ),
            lambda r: (r[LEAST, RIGHT] < r[ALL, RIGHT] - 0.1).any(),
            not_found=True,
        ),
    ],
)
