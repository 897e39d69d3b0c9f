"""Plain gradient descent with steps that are too bold: clipped, not clipped, or made shorter."""

import numpy as np
import torch

from ..experiment import Claim, Experiment, spread

WILD, TAME, SMALL = "rate 3, not clipped", "rate 3, clipped at 0.5", "rate 0.3, not clipped"
LOSS, LONGEST = "loss after 100 steps", "longest gradient"


def run(page, seed, rate, max_grad_norm):
    losses, lengths = page.run(
        torch.optim.SGD, lambda step: rate, n_steps=100, max_grad_norm=max_grad_norm, seed=seed
    )
    return {LOSS: page.at_the_end(losses), LONGEST: np.max(lengths), "loss": losses[::3]}


EXPERIMENT = Experiment(
    lesson="08_training",
    question="What does clipping prevent, and what would a smaller step have done?",
    run=run,
    uses=["run", "at_the_end"],
    arms={
        WILD: {"rate": 3.0, "max_grad_norm": 1e9},
        TAME: {"rate": 3.0, "max_grad_norm": 0.5},
        SMALL: {"rate": 0.3, "max_grad_norm": 1e9},
    },
    formats={LOSS: "{:.3g}", LONGEST: "{:.2g}"},
    claims=[
        Claim(
            lambda r: (
                "With a rate of 3 gradient descent runs away: the gradient grows to "
                f"{spread(r[WILD, LONGEST], '{:.0e}')}, and the loss ends at "
                f"{spread(r[WILD, LOSS], '{:.0e}')}. Clipped it ends at "
                f"{spread(r[TAME, LOSS], '{:.2f}')}, and no gradient is longer than "
                f"{r[TAME, LONGEST].max():.1f}."
            ),
            lambda r: (
                r[WILD, LOSS].min() > 1e6
                and r[TAME, LOSS].max() < 2.5
                and r[TAME, LONGEST].max() < 10
            ),
        ),
        Claim(
            lambda r: (
                "A rate ten times smaller needs no clipping here, and ends lower than the "
                f"clipped run: at {spread(r[SMALL, LOSS], '{:.2f}')}."
            ),
            lambda r: r[SMALL, LOSS].max() < r[TAME, LOSS].min(),
        ),
    ],
)
