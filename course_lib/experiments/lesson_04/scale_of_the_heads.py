"""Scores divided by the root of the head's width, of the model's, or not at all."""

import numpy as np

from ..experiment import Claim, Experiment, how_many, spread

HEAD, MODEL, NONE = "by sqrt(D)", "by sqrt(C)", "not divided"
STEPS, LAST = "steps to a loss of 0.1", "last loss"
LAYERS = {HEAD: "MultiHeadAttention", MODEL: "ScalesByTheModelsWidth", NONE: "DoesNotScale"}


def run(page, seed, layer, n_heads):
    layer_class = page.bugs.get(layer, page.MultiHeadAttention)
    _, losses = page.train_with(layer_class, n_heads, seed=seed)
    smooth = np.convolve(losses, np.ones(10) / 10, mode="valid")
    under = np.nonzero(smooth < 0.1)[0]
    return {
        "steps to a loss of 0.1": under[0] + 10 if len(under) else len(losses),
        "last loss": np.mean(losses[-50:]),
    }


EXPERIMENT = Experiment(
    lesson="04_multi_head_attention",
    question="What does the wrong width under the root cost, and no root at all?",
    run=run,
    uses=["train_with", "MultiHeadAttention"],
    bugs=[layer for layer in LAYERS.values() if layer != "MultiHeadAttention"],
    arms={
        f"{name}, H = {n}": {"layer": layer, "n_heads": n}
        for n in (2, 8)
        for name, layer in LAYERS.items()
    },
    formats={"last loss": "{:.2g}"},
    claims=[
        Claim(
            lambda r: (
                "With 8 heads the wrong width under the root costs a few steps: a loss of 0.1 "
                f"comes after {spread(r[f'{MODEL}, H = 8', STEPS], '{:.0f}')}, with the right one "
                f"after {spread(r[f'{HEAD}, H = 8', STEPS], '{:.0f}')}. In the end both are "
                "there."
            ),
            lambda r: (
                r[f"{MODEL}, H = 8", STEPS].min() > r[f"{HEAD}, H = 8", STEPS].max()
                and r[f"{MODEL}, H = 8", LAST].max() < 0.001
            ),
        ),
        Claim(
            lambda r: (
                "That it costs anything with 2 heads: "
                f"{spread(r[f'{MODEL}, H = 2', STEPS], '{:.0f}')} steps with the wrong width, "
                f"{spread(r[f'{HEAD}, H = 2', STEPS], '{:.0f}')} with the right one."
            ),
            lambda r: r[f"{MODEL}, H = 2", STEPS].max() < r[f"{HEAD}, H = 2", STEPS].max(),
            not_found=True,
        ),
        Claim(
            lambda r: (
                "That heads this narrow learn later with no root at all: with 8 heads after "
                f"{spread(r[f'{NONE}, H = 8', STEPS], '{:.0f}')} steps. With 2 heads a loss "
                f"above 0.1 is left {how_many(r[f'{NONE}, H = 2', LAST] > 0.1)}."
            ),
            lambda r: (
                np.median(r[f"{NONE}, H = 8", STEPS]) <= np.median(r[f"{HEAD}, H = 8", STEPS])
            ),
            not_found=True,
        ),
    ],
)
