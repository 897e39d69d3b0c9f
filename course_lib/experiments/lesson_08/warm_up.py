"""Four schedules at one top rate: with and without a warm-up, with and without a cosine."""

import numpy as np
import torch

from ..experiment import Claim, Experiment, spread

CONSTANT, COSINE = "constant", "cosine"
WARM_CONSTANT, WARM_COSINE = "warm-up, constant", "warm-up, cosine"
LOSS = "loss after 120 steps"


def run(page, seed, schedule):
    losses, _ = page.run(torch.optim.AdamW, getattr(page, schedule), seed=seed)
    means = [np.mean(losses[max(0, step - 4) : step + 1]) for step in range(0, 120, 7)]
    return {LOSS: page.at_the_end(losses), "loss": means}


EXPERIMENT = Experiment(
    lesson="08_training",
    question="Is it the warm-up that helps, or the cosine?",
    run=run,
    uses=["run", "at_the_end", "constant", "no_warmup", "warmup_alone", "with_warmup"],
    arms={
        CONSTANT: {"schedule": "constant"},
        COSINE: {"schedule": "no_warmup"},
        WARM_CONSTANT: {"schedule": "warmup_alone"},
        WARM_COSINE: {"schedule": "with_warmup"},
    },
    seeds=8,
    formats={LOSS: "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "At a top rate of 0.02 it is the warm-up: with it the loss after 120 steps is "
                f"{spread(r[WARM_CONSTANT, LOSS], '{:.2f}')} with a constant rate and "
                f"{spread(r[WARM_COSINE, LOSS], '{:.2f}')} with a cosine, without it "
                f"{spread(r[CONSTANT, LOSS], '{:.2f}')} and {spread(r[COSINE, LOSS], '{:.2f}')}."
            ),
            lambda r: (
                max(r[WARM_CONSTANT, LOSS].max(), r[WARM_COSINE, LOSS].max())
                < min(r[CONSTANT, LOSS].min(), r[COSINE, LOSS].min())
            ),
        ),
        Claim(
            lambda r: (
                "That the cosine helps in 120 steps: under every seed the constant rate is ahead, "
                "with a warm-up by "
                f"{spread(r[WARM_COSINE, LOSS] - r[WARM_CONSTANT, LOSS], '{:.2f}')}."
            ),
            lambda r: (
                (r[WARM_COSINE, LOSS] > r[WARM_CONSTANT, LOSS]).all()
                and (r[COSINE, LOSS] > r[CONSTANT, LOSS]).all()
            ),
            not_found=True,
        ),
    ],
)
