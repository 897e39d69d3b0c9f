"""Does the form of a noun follow from the count two words before it?"""

import numpy as np

from ..experiment import Claim, Experiment, share

SHORT, LONG = "150 steps", "300 steps"
BLIND = "the count cut off"


def run(page, seed, n_steps):
    model = page.learn(page.train_tokens, n_steps=n_steps, seed=seed)
    counts = ("one", "two", "ten")
    right = {f"after {count}": page.right_endings(model, count) for count in counts}
    blind = [page.right_endings(model, count, reach=8) for count in counts]
    return {
        "validation loss": page.on_new_text(model),
        **right,
        BLIND: np.mean([blind[0], blind[1]]),
    }


def _all(r, arm):
    return np.concatenate([r[arm, f"after {count}"] for count in ("one", "two", "ten")])


EXPERIMENT = Experiment(
    lesson="08_training",
    question="Does a letter look back across two words?",
    run=run,
    uses=["learn", "train_tokens", "right_endings", "on_new_text"],
    arms={SHORT: {"n_steps": 150}, LONG: {"n_steps": 300}},
    seeds=8,
    formats={
        "validation loss": "{:.2f}",
        **dict.fromkeys(["after one", "after two", "after ten", BLIND], "{:.0%}"),
    },
    claims=[
        Claim(
            lambda r: (
                "After 300 steps the noun gets the form that its count asks for in "
                f"{share(r[LONG, 'after one'])} after one, {share(r[LONG, 'after two'])} after two "
                f"and {share(r[LONG, 'after ten'])} after ten."
            ),
            lambda r: np.median(_all(r, LONG)) >= 0.9 and _all(r, LONG).min() > 0.65,
        ),
        Claim(
            lambda r: (
                "The same model, shown the last eight letters alone, where the count cannot be "
                f"seen, is right in {share(r[LONG, BLIND])} of the cases after one and two: what "
                "is right after one is wrong after two."
            ),
            lambda r: (np.abs(r[LONG, BLIND] - 0.5) < 0.01).all(),
        ),
        Claim(
            lambda r: (
                "That runs of 150 steps have learned it: they are right in "
                f"{share(r[SHORT, 'after one'])} after one and {share(r[SHORT, 'after ten'])} "
                "after ten."
            ),
            lambda r: np.median(_all(r, SHORT)) < 0.8,
            not_found=True,
        ),
    ],
)
