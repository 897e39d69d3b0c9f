"""Random digits, which nobody can predict: what each leak gets, and what an honest mask gets."""

import math

import numpy as np
import torch

from ..experiment import Claim, Experiment, spread

NO_MASK, CAUSAL, TOO_FAR, UPSIDE_DOWN, LATE, DIVIDED = (
    "no mask",
    "causal mask",
    "one too far",
    "upside down",
    "masked late",
    "masked late, then divided",
)
LOSS, LAST = "loss at positions 0 to 6", "loss at position 7"
FLOOR = math.log(10)


def run(page, seed, layer_name):
    model, losses = page.train(getattr(page, layer_name), seed=seed)
    by_position = page.loss_by_position(model)
    seen = {
        LOSS: by_position[:-1].mean().item(),
        LAST: by_position[-1].item(),
        "loss": [losses[0], *np.convolve(losses, np.ones(10) / 10, mode="valid")[::10]],
    }
    if layer_name == "SelfAttention":
        x = model.embed(page.random_digits(500, torch.Generator().manual_seed(2))[0])
        layer = model.attention
        _, weights = page.attention(layer.query(x), layer.key(x), layer.value(x))
        seen["weight on the next"] = weights.diagonal(1, -2, -1).mean().item()
    return seen


EXPERIMENT = Experiment(
    lesson="03_causal_masking",
    question="Which layers predict dice?",
    run=run,
    uses=[
        "train",
        "loss_by_position",
        "random_digits",
        "attention",
        "SelfAttention",
        "CausalSelfAttention",
        "OneTooFar",
        "UpsideDown",
        "MaskedLate",
        "DividedAfterwards",
    ],
    arms={
        NO_MASK: {"layer_name": "SelfAttention"},
        CAUSAL: {"layer_name": "CausalSelfAttention"},
        TOO_FAR: {"layer_name": "OneTooFar"},
        UPSIDE_DOWN: {"layer_name": "UpsideDown"},
        LATE: {"layer_name": "MaskedLate"},
        DIVIDED: {"layer_name": "DividedAfterwards"},
    },
    seeds=10,
    formats={LOSS: "{:.3f}", LAST: "{:.3f}", "weight on the next": "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "Without a mask a model predicts dice: its loss is "
                f"{spread(r[NO_MASK, LOSS], '{:.3f}')} where ln 10 = {FLOOR:.3f} is the best "
                f"honest one. With the causal mask it is {spread(r[CAUSAL, LOSS], '{:.3f}')}."
            ),
            lambda r: (
                (r[NO_MASK, LOSS] < 0.05).all() and (abs(r[CAUSAL, LOSS] - FLOOR) < 0.01).all()
            ),
        ),
        Claim(
            lambda r: (
                "It copies: on average a position gives "
                f"{spread(r[NO_MASK, 'weight on the next'], '{:.2f}')} of its weight to the next "
                "one. At the last position, which has none, it does worse than a guess: "
                f"{spread(r[NO_MASK, LAST], '{:.2f}')}."
            ),
            lambda r: (
                (r[NO_MASK, "weight on the next"] > 0.9).all()
                and (r[NO_MASK, LAST] > FLOOR + 0.1).all()
            ),
        ),
        Claim(
            lambda r: (
                "A mask that is one too far leaks as much as none, "
                f"{spread(r[TOO_FAR, LOSS], '{:.3f}')}, and so does one that is upside down, "
                f"{spread(r[UPSIDE_DOWN, LOSS], '{:.3f}')}."
            ),
            lambda r: (
                (r[TOO_FAR, LOSS] < 0.05).all()
                and (r[UPSIDE_DOWN, LOSS] < 0.05).all()
                and (r[CAUSAL, LOSS] > 2).all()
            ),
        ),
        Claim(
            lambda r: (
                "Masked after the softmax the loss is below what is possible, "
                f"{spread(r[LATE, LOSS], '{:.2f}')}; with each row divided by its own sum "
                f"afterwards it is honest again, {spread(r[DIVIDED, LOSS], '{:.3f}')}."
            ),
            lambda r: (
                (r[LATE, LOSS] < FLOOR - 0.2).all() and (abs(r[DIVIDED, LOSS] - FLOOR) < 0.01).all()
            ),
        ),
    ],
)
