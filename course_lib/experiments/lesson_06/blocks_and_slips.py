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
ONE, FOUR, SMALL = "1 block", "4 blocks", "4 blocks, 1,000 small steps"
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


def _shown(r, arm):
    return spread(r[arm, LOSS], "{:.2f}")


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
    claims=[
        Claim(
            lambda r: (
                "Four blocks learn when each part is added to the stream, and nothing when it is "
                f"not: {_shown(r, f'{ADDED}, {FOUR}')} and {_shown(r, f'{ONE_AFTER}, {FOUR}')}."
            ),
            lambda r: (
                (r[f"{ADDED}, {FOUR}", LOSS] < 0.5).all()
                and (r[f"{ONE_AFTER}, {FOUR}", LOSS] > 3).all()
            ),
        ),
        Claim(
            lambda r: (
                "That norms help four blocks of this kind: they come to half of guessing after "
                f"{spread(r[f'{ADDED}, {FOUR}', HALF], '{:.0f}')} steps without norms and "
                f"{spread(r[f'{NORMS}, {FOUR}', HALF], '{:.0f}')} with them."
            ),
            lambda r: (r[f"{ADDED}, {FOUR}", HALF] < r[f"{NORMS}, {FOUR}", HALF]).all(),
            not_found=True,
        ),
        Claim(
            lambda r: (
                "One block learns with either slip: the norm as stream ends at "
                f"{_shown(r, f'{STREAM}, {ONE}')}, x = x + x at {_shown(r, f'{DOUBLED}, {ONE}')}. "
                "Four blocks still guess after 400 steps "
                f"{how_many(r[f'{STREAM}, {FOUR}', LOSS] > 3)} and "
                f"{how_many(r[f'{DOUBLED}, {FOUR}', LOSS] > 3)}."
            ),
            lambda r: all(
                (r[f"{slip}, {ONE}", LOSS] < 1.5).all()
                and np.mean(r[f"{slip}, {FOUR}", LOSS] > 3) > 0.5
                for slip in (STREAM, DOUBLED)
            ),
        ),
        Claim(
            lambda r: (
                "That the norm as stream cannot be trained: with smaller steps, and 1,000 of them, "
                f"it ends at {_shown(r, f'{STREAM}, {SMALL}')}, the right block at "
                f"{_shown(r, f'{NORMS}, {SMALL}')}."
            ),
            lambda r: (r[f"{STREAM}, {SMALL}", LOSS] < 0.5).all(),
            not_found=True,
        ),
    ],
)
