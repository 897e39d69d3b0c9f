"""One head and two questions: with more steps, with a network behind it, and two half heads."""

import numpy as np
from torch import nn

from ..experiment import Claim, Experiment, how_many, share, spread

ONE, LONGER, NETWORK, LINEAR, TWO = (
    "one head",
    "one head, four times the steps",
    "one head and a small network",
    "one head and two linear layers",
    "two half heads",
)
LOSS, BETTER, OTHER = "loss", "right, the better question", "right, the other"


def _solved(runs, arm):
    return runs[arm, OTHER] > 0.99


def run(page, seed, n_heads=1, n_steps=400, between="Identity"):
    def attention():
        if n_heads == 1:
            return page.CausalSelfAttention(page.WIDTH, page.WIDTH)
        return page.Heads(page.WIDTH, n_heads)

    wide = 4 * page.WIDTH
    make_between = {
        "Identity": nn.Identity,
        "network": page.small_network,
        "linear": lambda: nn.Sequential(nn.Linear(page.WIDTH, wide), nn.Linear(wide, page.WIDTH)),
    }[between]
    model, _ = page.train(attention, n_steps, seed, make_between)
    losses, right = page.loss_and_right(model)
    return {
        "loss": np.mean(losses),
        "right, the better question": max(right),
        "right, the other": min(right),
    }


EXPERIMENT = Experiment(
    lesson="04_multi_head_attention",
    question="Can one head answer two questions, and what stands in its way?",
    run=run,
    uses=["train", "loss_and_right", "CausalSelfAttention", "Heads", "WIDTH", "small_network"],
    arms={
        ONE: {},
        LONGER: {"n_steps": 1600},
        NETWORK: {"between": "network"},
        LINEAR: {"between": "linear"},
        TWO: {"n_heads": 2},
    },
    seeds=10,
    formats={LOSS: "{:.2g}", BETTER: "{:.0%}", OTHER: "{:.0%}"},
    claims=[
        Claim(
            lambda r: (
                "One head answers one of the questions better than the other: "
                f"{share(r[ONE, BETTER])} are right of the one, {share(r[ONE, OTHER])} of the "
                f"other. Two half heads answer both, {share(r[TWO, OTHER])}."
            ),
            lambda r: (
                r[ONE, OTHER].max() < 0.98
                and np.median(r[ONE, OTHER]) < np.median(r[ONE, BETTER]) - 0.05
                and r[TWO, OTHER].min() > 0.99
            ),
        ),
        Claim(
            lambda r: (
                "Four times the steps do not close the gap: a loss of "
                f"{spread(r[LONGER, LOSS], '{:.2f}')} is left."
            ),
            lambda r: r[LONGER, LOSS].min() > 100 * r[TWO, LOSS].max(),
        ),
        Claim(
            lambda r: (
                "That the second answer is not in the average: with a small network behind it one "
                f"head answers both, {share(r[NETWORK, OTHER])}, {how_many(_solved(r, NETWORK))}."
            ),
            lambda r: _solved(r, NETWORK).all(),
            not_found=True,
        ),
        Claim(
            lambda r: (
                "It is the bend in the network that does it, not its parameters: with two linear "
                f"layers instead the loss is {spread(r[LINEAR, LOSS], '{:.2f}')}."
            ),
            lambda r: r[LINEAR, LOSS].min() > 100 * r[NETWORK, LOSS].max(),
        ),
    ],
)
