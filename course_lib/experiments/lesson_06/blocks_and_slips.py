"""Blocks put together in five ways, of parts that are alike; one block or four."""

import math

import numpy as np
import torch
from torch import nn

from ..experiment import Claim, Experiment, how_many, spread

ONE_AFTER, ADDED, NORMS = "one after the other", "added", "with norms"
STREAM, DOUBLED = "norm as stream", "x = x + x"
WAYS = {
    ONE_AFTER: ("one_after_the_other", False),
    ADDED: ("added", False),
    NORMS: ("with_norms", True),
    STREAM: ("norm_as_stream", True),
    DOUBLED: ("x_plus_x", True),
}
LOSS, HALF = "loss at the end", "steps to half"


def run(page, seed, way, n_blocks=4, lr=0.01, n_steps=400):
    put_together, norms = WAYS[way]
    torch.manual_seed(seed)
    last_norm = page.LayerNorm if norms else nn.Identity
    tower = page.Tower(getattr(page, put_together), last_norm, n_blocks)
    losses = page.train(tower, n_steps, lr, seed)
    smooth = np.convolve(losses, np.ones(20) / 20, mode="valid")
    under = np.nonzero(smooth < math.log(page.N_HOURS) / 2)[0]
    return {
        LOSS: smooth[-1],
        HALF: under[0] + 20 if len(under) else n_steps,
        "losses": [np.mean(losses[max(0, n - 9) : n + 1]) for n in range(0, 400, 7)],
    }


EXPERIMENT = Experiment(
    lesson="06_mlp_and_block",
    question="Which ways to put a block together learn, one block and four?",
    run=run,
    uses=[
        "Tower",
        "train",
        "LayerNorm",
        "N_HOURS",
        "one_after_the_other",
        "added",
        "with_norms",
        "norm_as_stream",
        "x_plus_x",
    ],
    arms={
        **{f"{way}, 4 blocks": {"way": way} for way in WAYS},
        **{f"{way}, 1 block": {"way": way, "n_blocks": 1} for way in (NORMS, STREAM, DOUBLED)},
        **{
            f"{way}, 4 blocks, 1,000 small steps": {"way": way, "lr": 0.003, "n_steps": 1000}
            for way in (NORMS, STREAM)
        },
    },
    formats={LOSS: "{:.2f}", HALF: "{:.0f}"},
    claims=[],
)
