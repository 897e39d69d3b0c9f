"""Trained alike with dropout; in evaluation one layer drops weights all the same."""

import math

import numpy as np
import torch

from ..experiment import Claim, Experiment, share, spread

SLEEPS, WAKES, KEEPS = "sleeps in evaluation", "never sleeps", "keeps what it should drop"
TRAINED, EVALUATED, RIGHT = "loss in training", "loss in evaluation", "right in evaluation"


def run(page, seed, layer):
    layer_class = page.bugs.get(layer, page.MultiHeadAttention)
    model, losses = page.train_with(layer_class, 2, seed=seed, dropout=0.1)
    torch.manual_seed(5000 + seed)
    model.eval()
    own, right = page.loss_and_right(model)
    return {
        "loss in training": np.mean(losses[-50:]),
        "loss in evaluation": np.mean(own),
        "right in evaluation": np.mean(right),
    }


EXPERIMENT = Experiment(
    lesson="04_multi_head_attention",
    question="What does dropout cost in evaluation, and what if it keeps what it should drop?",
    run=run,
    uses=["train_with", "loss_and_right", "MultiHeadAttention"],
    bugs=["DropsWeightsInEvaluationToo", "KeepsWhatItShouldDrop"],
    arms={
        SLEEPS: {"layer": "MultiHeadAttention"},
        WAKES: {"layer": "DropsWeightsInEvaluationToo"},
        KEEPS: {"layer": "KeepsWhatItShouldDrop"},
    },
    formats={"right in evaluation": "{:.0%}"},
    claims=[
        Claim(
            lambda r: (
                "Dropout that acts in evaluation too costs: the loss there is "
                f"{spread(r[WAKES, EVALUATED], '{:.2f}')} and {share(r[WAKES, RIGHT])} are right, "
                f"without it {spread(r[SLEEPS, EVALUATED], '{:.3f}')} and "
                f"{share(r[SLEEPS, RIGHT])}, after the same training."
            ),
            lambda r: (
                r[WAKES, EVALUATED].min() > 10 * r[SLEEPS, EVALUATED].max()
                and (r[WAKES, TRAINED] == r[SLEEPS, TRAINED]).all()
            ),
        ),
        Claim(
            lambda r: (
                "Told to drop a tenth, a layer that keeps a tenth hardly gets anywhere in "
                f"training: the loss is {spread(r[KEEPS, TRAINED], '{:.2f}')}, where guessing "
                f"costs {math.log(10):.2f}; that of the right layer is "
                f"{spread(r[SLEEPS, TRAINED], '{:.2f}')}. In evaluation "
                f"{share(r[KEEPS, RIGHT])} are right."
            ),
            lambda r: (
                r[KEEPS, TRAINED].min() > 2
                and r[SLEEPS, TRAINED].max() < 0.5
                and r[KEEPS, RIGHT].max() < 0.7
            ),
        ),
    ],
)
