"""After the warm-up a constant rate or a cosine, in a short run and in a longer one."""

import numpy as np

from ..experiment import Claim, Experiment, spread

LOSS = "validation loss"


def run(page, seed, n_steps, min_share):
    model = page.learn(page.train_tokens, n_steps=n_steps, min_share=min_share, seed=seed)
    return {LOSS: page.on_new_text(model)}


def _arm(kind, n_steps):
    return f"{kind}, {n_steps} steps"


EXPERIMENT = Experiment(
    lesson="08_training",
    question="When does it pay to let the learning rate fall?",
    run=run,
    uses=["learn", "train_tokens", "on_new_text"],
    arms={
        _arm(kind, n_steps): {"n_steps": n_steps, "min_share": min_share}
        for n_steps in (120, 500)
        for kind, min_share in (("constant", 1.0), ("cosine", 0.05))
    },
    formats={LOSS: "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "After 500 steps the runs along a cosine are better on new text: "
                f"{spread(r[_arm('cosine', 500), LOSS], '{:.2f}')}, those that hold the same rate "
                f"{spread(r[_arm('constant', 500), LOSS], '{:.2f}')}."
            ),
            lambda r: r[_arm("cosine", 500), LOSS].max() < r[_arm("constant", 500), LOSS].min(),
        ),
        Claim(
            lambda r: (
                "That it is so in a run of 120 steps as well: there the medians are "
                f"{np.median(r[_arm('cosine', 120), LOSS]):.2f} and "
                f"{np.median(r[_arm('constant', 120), LOSS]):.2f}, and the seeds overlap."
            ),
            lambda r: (
                abs(
                    np.median(r[_arm("cosine", 120), LOSS])
                    - np.median(r[_arm("constant", 120), LOSS])
                )
                < 0.03
                and r[_arm("cosine", 120), LOSS].max() > r[_arm("constant", 120), LOSS].min()
            ),
            not_found=True,
        ),
    ],
)
