"""Trained on texts in which up to 32 ask the same: does the wrong axis delay, or forbid?"""

import numpy as np

from ..experiment import Claim, Experiment, share, spread

RIGHT, FAULTY = "over the keys", "over the queries"
N_STEPS = 2016


def run(page, seed, layer):
    model, losses = page.train(getattr(page, layer), n_steps=N_STEPS, most_asking=32, seed=seed)
    means = np.reshape(losses, (-1, 32)).mean(axis=1)
    return {
        "loss at 288": means[288 // 32 - 1],
        "loss at 2016": means[-1],
        "right with 1 asking": page.accuracy(model),
        "right with 32 asking": page.accuracy(model, n_questions=32, same_question=True),
        "loss": means,
    }


EXPERIMENT = Experiment(
    lesson="02_self_attention",
    question="Trained on texts in which many ask, does the wrong axis delay, or forbid?",
    run=run,
    uses=["train", "accuracy", "SelfAttention", "WrongAxis"],
    arms={RIGHT: {"layer": "SelfAttention"}, FAULTY: {"layer": "WrongAxis"}},
    formats={"right with 1 asking": "{:.0%}", "right with 32 asking": "{:.0%}"},
    claims=[
        Claim(
            lambda r: (
                "After 288 steps the layer with the wrong axis is behind: its loss is "
                f"{spread(r[FAULTY, 'loss at 288'], '{:.2f}')}, that of the right one "
                f"{spread(r[RIGHT, 'loss at 288'], '{:.3f}')}."
            ),
            lambda r: r[FAULTY, "loss at 288"].min() > 10 * r[RIGHT, "loss at 288"].max(),
        ),
        Claim(
            lambda r: (
                "That it never gets there: after 2,016 steps its loss is "
                f"{spread(r[FAULTY, 'loss at 2016'])}, and with 32 asking it is right in "
                f"{share(r[FAULTY, 'right with 32 asking'])}."
            ),
            lambda r: (r[FAULTY, "loss at 2016"] < 0.1).all(),
            not_found=True,
        ),
    ],
)
