"""Without the scale, at two widths, and without it but with first scores as small as with it."""

import numpy as np

from ..experiment import Claim, Experiment, how_many, spread

WITH, WITHOUT, SMALL = "divided by sqrt(D)", "not divided", "not divided, first scores as small"


def run(page, seed, layer, d_model):
    _, losses = page.train(getattr(page, layer), d_model=d_model, seed=seed)
    smooth = np.convolve(losses, np.ones(10) / 10, mode="valid")
    under = np.nonzero(smooth < 0.1)[0]
    return {
        "loss after 100 steps": smooth[91],
        "steps to a loss of 0.1": under[0] + 10 if len(under) else len(losses),
        "loss": smooth[::10],
    }


def _at(width):
    layers = {WITH: "SelfAttention", WITHOUT: "NoScale", SMALL: "SmallStart"}
    return {f"{w}, D = {width}": {"layer": c, "d_model": width} for w, c in layers.items()}


STEPS = "steps to a loss of 0.1"

EXPERIMENT = Experiment(
    lesson="02_self_attention",
    question="What does forgetting the scale cost, and are the first slopes the reason?",
    run=run,
    uses=["train", "SelfAttention", "NoScale", "SmallStart"],
    arms={**_at(32), **_at(128)},
    claims=[
        Claim(
            lambda r: (
                "At a width of 128 the layer without the scale does not get to a loss of 0.1 in "
                f"300 steps, {how_many(r[f'{WITHOUT}, D = 128', STEPS] == 300)}; with it it takes "
                f"{spread(r[f'{WITH}, D = 128', STEPS], '{:.0f}')}."
            ),
            lambda r: (
                (r[f"{WITHOUT}, D = 128", STEPS] == 300).all()
                and (r[f"{WITHOUT}, D = 128", "loss"] > 0.1).all()
                and r[f"{WITH}, D = 128", STEPS].max() < 300
            ),
        ),
        Claim(
            lambda r: (
                "At a width of 32 large first scores are why it arrives late: made as small as "
                "those that are divided, they let the layer without the scale arrive in "
                f"{spread(r[f'{SMALL}, D = 32', STEPS], '{:.0f}')} steps, as with it "
                f"({spread(r[f'{WITH}, D = 32', STEPS], '{:.0f}')})."
            ),
            lambda r: (
                np.median(r[f"{SMALL}, D = 32", STEPS])
                < 1.2 * np.median(r[f"{WITH}, D = 32", STEPS])
                < np.median(r[f"{WITHOUT}, D = 32", STEPS])
            ),
        ),
        Claim(
            lambda r: (
                "That first scores are all of the reason at 128: made as small, they leave the "
                "layer without the scale at "
                f"{spread(r[f'{SMALL}, D = 128', STEPS], '{:.0f}')} steps."
            ),
            lambda r: r[f"{SMALL}, D = 128", STEPS].min() > r[f"{WITH}, D = 128", STEPS].max(),
            not_found=True,
        ),
    ],
)
