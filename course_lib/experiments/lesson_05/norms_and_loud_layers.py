"""With x added, with a norm in front and without, in layers that start quiet and loud."""

import numpy as np
import torch

from ..experiment import Claim, Experiment, spread

QUIET, LOUD = "with x added", "with x added, loud"
QUIET_NORM, LOUD_NORM = "pre-norm", "pre-norm, loud"
RATES = (0.001, 0.01)


def run(page, seed, connect, norm, layer):
    norm = page.LayerNorm if norm else torch.nn.Identity
    seen = {}
    for lr in RATES:
        model = page.fresh(getattr(page, connect), norm, layer=getattr(page, layer), seed=seed)
        losses = page.train(model, lr=lr, seed=seed)
        seen["first loss"] = losses[0]
        seen[f"loss, lr {lr:g}"] = page.at_the_end(losses)
    return seen


def _best(r, arm):
    return np.min([r[arm, f"loss, lr {lr:g}"] for lr in RATES], axis=0)


EXPERIMENT = Experiment(
    lesson="05_residual_and_layernorm",
    question="With x added, what is a norm in front of each layer good for?",
    run=run,
    uses=["Layer", "Loud", "LayerNorm", "fresh", "train", "at_the_end", "residual", "pre_norm"],
    arms={
        QUIET: {"connect": "residual", "norm": False, "layer": "Layer"},
        QUIET_NORM: {"connect": "pre_norm", "norm": True, "layer": "Layer"},
        LOUD: {"connect": "residual", "norm": False, "layer": "Loud"},
        LOUD_NORM: {"connect": "pre_norm", "norm": True, "layer": "Loud"},
    },
    formats={"first loss": "{:,.1f}", **{f"loss, lr {lr:g}": "{:.2f}" for lr in RATES}},
    claims=[
        Claim(
            lambda r: (
                "In loud layers the norm decides: without it the loss begins at "
                f"{spread(r[LOUD, 'first loss'], '{:,.0f}')} and ends, at the better of two "
                f"learning rates, at {spread(_best(r, LOUD), '{:.2f}')}; with it at "
                f"{spread(_best(r, LOUD_NORM), '{:.2f}')}."
            ),
            lambda r: _best(r, LOUD).min() > 1.5 * _best(r, LOUD_NORM).max(),
        ),
        Claim(
            lambda r: (
                "That a norm helps layers that start quiet: the better of two learning rates gives "
                f"{spread(_best(r, QUIET), '{:.2f}')} without it and "
                f"{spread(_best(r, QUIET_NORM), '{:.2f}')} with it."
            ),
            lambda r: abs(np.median(_best(r, QUIET)) - np.median(_best(r, QUIET_NORM))) < 0.1,
            not_found=True,
        ),
    ],
)
