"""Riddles about pairs of nouns that no training sentence had: what a second layer is for."""

import numpy as np

from ..experiment import Claim, Experiment, how_many, share, spread

ONE, TWO = "1 layer", "2 layers"


def run(page, seed, n_layers):
    reader = page.train_reader(n_layers, seed)
    shift = []
    for thing, case in page.HELD_BACK:
        proportions = []
        for size in ("big", "small"):
            words = page.riddle(page.THINGS[thing], page.CASES[case], size)
            last = reader.weights_of_it(words)[-1]
            proportions.append((last[1] / (last[1] + last[6])).item())
        shift.append(abs(proportions[0] - proportions[1]))
    return {
        "trained on": page.share_right(reader, page.PAIRS),
        "held back": page.share_right(reader, page.HELD_BACK),
        "shift": max(shift),
    }


EXPERIMENT = Experiment(
    lesson="02_self_attention",
    question="Does one layer learn to answer riddles about two nouns that it never saw together?",
    run=run,
    uses=["train_reader", "share_right", "riddle", "PAIRS", "HELD_BACK", "THINGS", "CASES"],
    arms={ONE: {"n_layers": 1}, TWO: {"n_layers": 2}},
    seeds=10,
    formats={"trained on": "{:.0%}", "held back": "{:.0%}", "shift": "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "Two layers answer every sentence that they were trained on, one layer "
                f"{share(r[ONE, 'trained on'])} of them."
            ),
            lambda r: (r[TWO, "trained on"] == 1).all() and (r[ONE, "trained on"] < 1).sum() > 5,
        ),
        Claim(
            lambda r: (
                "Of the pairs held back, two layers answer more: "
                f"{share(r[TWO, 'held back'])}, one layer {share(r[ONE, 'held back'])}."
            ),
            lambda r: (
                np.median(r[TWO, "held back"]) > np.median(r[ONE, "held back"])
                and r[TWO, "held back"].mean() - r[ONE, "held back"].mean() > 0.1
            ),
        ),
        Claim(
            lambda r: (
                "With one layer the proportion of the weights of the two nouns does not "
                f"depend on the last word: it shifts by {spread(r[ONE, 'shift'], '{:.1g}')}."
            ),
            lambda r: (r[ONE, "shift"] < 1e-5).all(),
        ),
        Claim(
            lambda r: (
                "With two it does: the proportion shifts by more than half "
                f"{how_many(r[TWO, 'shift'] > 0.5)}."
            ),
            lambda r: (r[TWO, "shift"] > 0.5).sum() > 5,
        ),
    ],
)
