"""Heads that are cut or joined by a view: what a training run shows of it, and what it hides."""

import math

import numpy as np

from ..experiment import Claim, Experiment, share, spread

CUT, JOINED, BOTH = "cut by a view", "joined by a reshape", "both"
LAYERS = {
    "right": "MultiHeadAttention",
    "cut by a view": "CutsHeadsByAView",
    "joined by a reshape": "JoinsHeadsByAReshape",
    "both": "CutsAndJoinsByViews",
}


def run(page, seed, layer, n_heads):
    layer_class = page.bugs.get(layer, page.MultiHeadAttention)
    model, _ = page.train_with(layer_class, n_heads, seed=seed)
    losses, right = page.loss_and_right(model)
    return {"loss": np.mean(losses), "right": np.mean(right)}


BUGS = [layer for layer in LAYERS.values() if layer != "MultiHeadAttention"]

EXPERIMENT = Experiment(
    lesson="04_multi_head_attention",
    question="Does training show that heads were cut or joined by a view?",
    run=run,
    uses=["train_with", "loss_and_right", "MultiHeadAttention"],
    bugs=BUGS,
    arms={
        f"{name}, H = {n}": {"layer": layer, "n_heads": n}
        for name, layer in LAYERS.items()
        for n in (2, 8)
    },
    formats={"loss": "{:.2g}", "right": "{:.0%}"},
    claims=[
        Claim(
            lambda r: (
                "With two heads a faulty layer stays behind the right one: the loss is "
                f"{spread(r[f'{CUT}, H = 2', 'loss'], '{:.2f}')} cut by a view, "
                f"{spread(r[f'{JOINED}, H = 2', 'loss'], '{:.2f}')} joined by a reshape, "
                f"{spread(r[f'{BOTH}, H = 2', 'loss'], '{:.2f}')} with both, and "
                f"{spread(r['right, H = 2', 'loss'], '{:.5f}')} in the right one."
            ),
            lambda r: (
                all((r[f"{arm}, H = 2", "loss"] > 0.3).all() for arm in (CUT, JOINED, BOTH))
                and (r["right, H = 2", "loss"] < 0.01).all()
            ),
        ),
        Claim(
            lambda r: (
                "With eight heads training does not show the fault: joined by a reshape, "
                f"{share(r[f'{JOINED}, H = 8', 'right'])} of the answers are right, cut by a view "
                f"{share(r[f'{CUT}, H = 8', 'right'])}."
            ),
            lambda r: (
                (r[f"{JOINED}, H = 8", "right"] > 0.99).all()
                and (r[f"{CUT}, H = 8", "right"] > 0.95).all()
                and (r[f"{BOTH}, H = 8", "right"] < 0.95).all()
            ),
        ),
        Claim(
            lambda r: (
                "With both faults, eight heads on eight positions know nothing: the loss is "
                f"{spread(r[f'{BOTH}, H = 8', 'loss'], '{:.2f}')}."
            ),
            lambda r: (abs(r[f"{BOTH}, H = 8", "loss"] - math.log(10)) < 0.01).all(),
        ),
    ],
)
