"""The loss before the first step: which mistakes show in it, and which do not."""

import math

import numpy as np
import torch

from ..experiment import Claim, Experiment, spread

FINE, COPIED, STRANGE = "as it should be", "targets not shifted", "targets of another row"
LARGE, HUGE = "weights 10 times as large", "weights 50 times as large"
GUESSING = math.log(24)  # the page's text has 24 different letters


def run(page, seed, targets="right", size=1):
    generator = torch.Generator().manual_seed(1000 + seed)
    inputs, right = page.get_batch(page.train_tokens, 16, page.CONTEXT, generator=generator)
    model = page.small_gpt(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter *= size
        wanted = {"right": right, "inputs": inputs, "strange": right.roll(1, dims=0)}[targets]
        return {"first loss": page.next_token_loss(model(inputs), wanted).item()}


EXPERIMENT = Experiment(
    lesson="08_training",
    question="Which mistakes does the first loss show?",
    run=run,
    uses=["get_batch", "train_tokens", "CONTEXT", "small_gpt", "next_token_loss"],
    arms={
        FINE: {},
        LARGE: {"size": 10},
        HUGE: {"size": 50},
        COPIED: {"targets": "inputs"},
        STRANGE: {"targets": "strange"},
    },
    formats={"first loss": "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                f"A fresh model begins near ln V, which is {GUESSING:.2f}: at "
                f"{spread(r[FINE, 'first loss'], '{:.2f}')}."
            ),
            lambda r: (np.abs(r[FINE, "first loss"] - GUESSING) < 0.1).all(),
        ),
        Claim(
            lambda r: (
                "Weights that are too large begin above it: ten times as large at "
                f"{spread(r[LARGE, 'first loss'], '{:.2f}')}, fifty times as large at "
                f"{spread(r[HUGE, 'first loss'], '{:.2f}')}."
            ),
            lambda r: (
                r[LARGE, "first loss"].min() > GUESSING + 0.1
                and r[HUGE, "first loss"].min() > 2 * GUESSING
            ),
        ),
        Claim(
            lambda r: (
                "Targets that are the inputs begin below it (head and embedding are tied), at "
                f"{spread(r[COPIED, 'first loss'], '{:.2f}')}."
            ),
            lambda r: (r[COPIED, "first loss"] < GUESSING - 0.2).all(),
        ),
        Claim(
            lambda r: (
                "That targets out of place show: with the targets of another row the first loss "
                f"is {spread(r[STRANGE, 'first loss'], '{:.2f}')}, near ln V as well."
            ),
            lambda r: (np.abs(r[STRANGE, "first loss"] - GUESSING) < 0.1).all(),
            not_found=True,
        ),
    ],
)
