"""Targets that are the inputs, and targets that are two tokens on."""

import numpy as np

from ..experiment import Claim, Experiment, how_many, spread

RIGHT, COPIED, TWICE = "shifted", "not shifted", "shifted twice"
FLOOR = 0.21  # what the page's text allows a letter


def run(page, seed, targets):
    def two_on(inputs, right):
        later = right.roll(-1, dims=1)
        later[:, -1] = -100  # what comes after the last one is not in the batch
        return later

    makers = {RIGHT: lambda inputs, right: right, COPIED: lambda inputs, right: inputs}
    model, losses = page.train_on(makers.get(targets, two_on), seed=seed)
    below = np.nonzero(np.array(losses) < FLOOR)[0]
    written = page.write(model, 40)
    return {
        "first loss": losses[0],
        "last loss": np.mean(losses[-10:]),
        "steps until below the floor": below[0] if len(below) else len(losses),
        "blanks of 40 letters": written.count(" "),
        "loss": losses,
    }


EXPERIMENT = Experiment(
    lesson="08_training",
    question="What does a model learn whose targets are its inputs?",
    run=run,
    uses=["train_on", "write"],
    arms={arm: {"targets": arm} for arm in (RIGHT, COPIED, TWICE)},
    formats={
        "first loss": "{:.2f}",
        "last loss": "{:.3f}",
        "steps until below the floor": "{:.0f}",
        "blanks of 40 letters": "{:.0f}",
    },
    claims=[
        Claim(
            lambda r: (
                "It copies: after 80 steps its loss is "
                f"{spread(r[COPIED, 'last loss'], '{:.3f}')}, far below the {FLOOR} a letter that "
                "the text allows, and it is below that after "
                f"{spread(r[COPIED, 'steps until below the floor'], '{:.0f}')} steps. With the "
                f"right targets it is {spread(r[RIGHT, 'last loss'], '{:.2f}')}."
            ),
            lambda r: r[COPIED, "last loss"].max() < 0.05 < FLOOR < r[RIGHT, "last loss"].min(),
        ),
        Claim(
            lambda r: (
                "What it writes is the blank at the end of its prompt, again and again: "
                f"{how_many(r[COPIED, 'blanks of 40 letters'] == 40)} all 40 letters are blanks."
            ),
            lambda r: (
                (r[COPIED, "blanks of 40 letters"] == 40).all()
                and (r[RIGHT, "blanks of 40 letters"] < 20).all()
            ),
        ),
        Claim(
            lambda r: (
                "With targets shifted twice the loss falls, too, but less far: to "
                f"{spread(r[TWICE, 'last loss'], '{:.2f}')}; its first value, "
                f"{spread(r[TWICE, 'first loss'], '{:.2f}')}, shows nothing."
            ),
            lambda r: (
                r[TWICE, "last loss"].min() > r[RIGHT, "last loss"].max()
                and r[TWICE, "last loss"].max() < 2
            ),
        ),
    ],
)
