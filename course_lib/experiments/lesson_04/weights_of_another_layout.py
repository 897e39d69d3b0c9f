"""Channels dealt out in another order: trained so, and with the weights of the right layer."""

import math

import numpy as np

from ..experiment import Claim, Experiment, spread

RIGHT = "right"
OTHERS = {
    "channels one by one": "DealsChannelsOneByOne",
    "cut one by one, joined in blocks": "DealsChannelsOneByOneButJoinsBlocks",
    "qkv head by head": "ReadsQkvHeadByHead",
    "keys first": "ReadsKeysFirst",
    "values first": "ReadsValuesFirst",
}


def _of_others(runs, measure):
    return np.concatenate([runs[arm, measure] for arm in OTHERS])


def run(page, seed, layer):
    layer_class = page.bugs.get(layer, page.MultiHeadAttention)
    trained, _ = page.train_with(page.MultiHeadAttention, 2, seed=seed)
    own, _ = page.train_with(layer_class, 2, seed=seed)
    loaded = page.with_weights_of(trained, layer_class, 2)
    return {
        "loss when trained": np.mean(page.loss_and_right(own)[0]),
        "loss with loaded weights": np.mean(page.loss_and_right(loaded)[0]),
    }


EXPERIMENT = Experiment(
    lesson="04_multi_head_attention",
    question="Does another order of the channels hurt training, and does it hurt loaded weights?",
    run=run,
    uses=["train_with", "with_weights_of", "loss_and_right", "MultiHeadAttention"],
    bugs=list(OTHERS.values()),
    arms={RIGHT: {"layer": "MultiHeadAttention"}} | {n: {"layer": b} for n, b in OTHERS.items()},
    formats={"loss when trained": "{:.2g}", "loss with loaded weights": "{:.2g}"},
    claims=[
        Claim(
            lambda r: (
                "In whatever order the channels are dealt out, training gets there: the loss is "
                f"{spread(_of_others(r, 'loss when trained'), '{:.1g}')}, in the right order "
                f"{spread(r[RIGHT, 'loss when trained'], '{:.1g}')}."
            ),
            lambda r: _of_others(r, "loss when trained").max() < 0.001,
        ),
        Claim(
            lambda r: (
                "With the weights of the right layer every other order does worse than a guess, "
                f"which costs {math.log(10):.2f}: the loss is "
                f"{spread(_of_others(r, 'loss with loaded weights'), '{:.1f}')}."
            ),
            lambda r: (
                _of_others(r, "loss with loaded weights").min() > math.log(10)
                and r[RIGHT, "loss with loaded weights"].max() < 0.001
            ),
        ),
    ],
)
