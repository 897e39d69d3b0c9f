"""Four questions for four query heads, with four, two and one head of keys."""

import numpy as np

from ..experiment import Claim, Experiment, how_many, spread

FOUR, TWO, ONE = "4 key heads", "2 key heads", "1 key head"


def run(page, seed, n_kv_heads):
    _, losses = page.ask_four(n_kv_heads, n_steps=600, seed=seed)
    means = np.reshape(losses, (-1, 20)).mean(axis=1)
    return {
        "after 60 steps": means[2],
        "after 120": means[5],
        "after 600": means[-1],
        "loss": means,
    }


EXPERIMENT = Experiment(
    lesson="11_long_contexts",
    question="What does it cost when query heads share their keys?",
    run=run,
    uses=["ask_four"],
    arms={FOUR: {"n_kv_heads": 4}, TWO: {"n_kv_heads": 2}, ONE: {"n_kv_heads": 1}},
    seeds=10,
    formats=dict.fromkeys(["after 60 steps", "after 120", "after 600"], "{:.2f}"),
    claims=[
        Claim(
            lambda r: (
                "After 600 steps all have learned the task, with a single key head, too: no loss "
                f"is above {max(r[arm, 'after 600'].max() for arm in r.arms):.2g}."
            ),
            lambda r: max(r[arm, "after 600"].max() for arm in r.arms) < 0.01,
        ),
        Claim(
            lambda r: (
                "That a single key head learns later: after 60 steps its loss is "
                f"{spread(r[ONE, 'after 60 steps'], '{:.2f}')}, with four "
                f"{spread(r[FOUR, 'after 60 steps'], '{:.2f}')}; it is behind "
                f"{how_many(r[ONE, 'after 60 steps'] > r[FOUR, 'after 60 steps'])}. After 120 "
                f"steps it is below 0.1, as those are: {spread(r[ONE, 'after 120'], '{:.2f}')} "
                f"and {spread(r[FOUR, 'after 120'], '{:.2f}')}."
            ),
            lambda r: (
                max(r[ONE, "after 120"].max(), r[FOUR, "after 120"].max()) < 0.1
                and 0 < (r[ONE, "after 60 steps"] > r[FOUR, "after 60 steps"]).sum() < 9
            ),
            not_found=True,
        ),
    ],
)
