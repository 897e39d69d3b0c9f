"""Four parts of a batch whose gradients are added up without dividing, by optimizer."""

import numpy as np
import torch

from ..experiment import Claim, Experiment, how_many, spread

LOSS = "loss after 50 steps"


def run(page, seed, divided, optimizer, lr):
    step = page.train_step if divided else page.bugs["adds_the_parts_without_dividing"]
    return {
        LOSS: page.at_the_end(page.in_parts(step, getattr(torch.optim, optimizer), lr, seed=seed))
    }


def _arm(optimizer, divided, lr):
    return f"{optimizer} {lr}, {'divided' if divided else 'not divided'}"


SGD, SGD_NOT = _arm("SGD", True, 0.3), _arm("SGD", False, 0.3)
QUARTER_NOT = _arm("SGD", False, 0.075)
ADAM, ADAM_NOT = _arm("AdamW", True, 0.003), _arm("AdamW", False, 0.003)

EXPERIMENT = Experiment(
    lesson="08_training",
    question="Who notices that the parts of a batch are not divided?",
    run=run,
    uses=["in_parts", "at_the_end", "train_step"],
    bugs=["adds_the_parts_without_dividing"],
    arms={
        _arm(optimizer, divided, lr): {"optimizer": optimizer, "divided": divided, "lr": lr}
        for optimizer, divided, lr in [
            ("SGD", True, 0.3),
            ("SGD", False, 0.3),
            ("SGD", False, 0.075),
            ("AdamW", True, 0.003),
            ("AdamW", False, 0.003),
        ]
    },
    claims=[
        Claim(
            lambda r: (
                f"Plain gradient descent runs away {how_many(r[SGD_NOT, LOSS] > 1e3)}: its loss is "
                f"{spread(r[SGD_NOT, LOSS], '{:.2g}')} after 50 steps, divided "
                f"{spread(r[SGD, LOSS], '{:.2f}')}. At a quarter of the rate it is "
                f"{spread(r[QUARTER_NOT, LOSS], '{:.2f}')}, so the factor of four is all there is."
            ),
            lambda r: (
                np.median(r[SGD_NOT, LOSS]) > 1e3
                and r[SGD_NOT, LOSS].min() > r[SGD, LOSS].max()
                and (np.abs(r[QUARTER_NOT, LOSS] - r[SGD, LOSS]) < 0.02).all()
            ),
        ),
        Claim(
            lambda r: (
                "AdamW divides the factor away: "
                f"{spread(r[ADAM_NOT, LOSS], '{:.2f}')}, and divided "
                f"{spread(r[ADAM, LOSS], '{:.2f}')}."
            ),
            lambda r: (np.abs(r[ADAM_NOT, LOSS] - r[ADAM, LOSS]) < 0.02).all(),
        ),
    ],
)
