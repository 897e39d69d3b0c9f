"""The whole layer with few and many heads, and what is left when one of them is taken away."""

import math

import numpy as np

from ..experiment import Claim, Experiment, how_many, share, spread

ANSWERED = 0.01  # the loss below which a question counts as answered
FLOOR = math.log(10)  # what guessing costs
MANY = ["H = 2", "H = 8", "H = 32"]
RIGHT, STEPS = "right, the worse question", "steps to a loss of 0.1"
SPARE, ONE_NEEDS = "heads that nothing needs alone", "heads that one question needs"
MOST, LEAST = "largest loss without one head", "smallest loss without one head"


def run(page, seed, n_heads):
    model, losses = page.train_with(page.MultiHeadAttention, n_heads, seed=seed)
    smooth = np.convolve(losses, np.ones(10) / 10, mode="valid")
    under = np.nonzero(smooth < 0.1)[0]
    without = np.array(page.losses_without_each_head(model, n_heads))  # (H, 2)
    suffers = without >= ANSWERED
    _, right = page.loss_and_right(model)
    return {
        "right, the worse question": min(right),
        "last loss": np.mean(losses[-50:]),
        "steps to a loss of 0.1": under[0] + 10 if len(under) else len(losses),
        "heads that nothing needs alone": int((~suffers).all(axis=1).sum()),
        "heads that one question needs": int((suffers.sum(axis=1) == 1).sum()),
        "heads that both need": int(suffers.all(axis=1).sum()),
        "largest loss without one head": without.max(),
        "smallest loss without one head": without.max(axis=1).min(),
        "loss": [losses[0], *smooth[::10]],
    }


EXPERIMENT = Experiment(
    lesson="04_multi_head_attention",
    question="How do two questions fare with few and with many heads, and who needs which head?",
    run=run,
    uses=["train_with", "loss_and_right", "losses_without_each_head", "MultiHeadAttention"],
    arms={f"H = {n}": {"n_heads": n} for n in (1, 2, 8, 32)},
    seeds=10,
    formats={RIGHT: "{:.0%}", "last loss": "{:.2g}", MOST: "{:.2g}", LEAST: "{:.2g}"},
    claims=[
        Claim(
            lambda r: (
                "With two, with eight and with 32 heads both questions are answered, "
                f"{share(np.concatenate([r[arm, RIGHT] for arm in MANY]))}; with one head "
                f"the worse of the two is right in {share(r['H = 1', RIGHT])}."
            ),
            lambda r: (
                all((r[arm, RIGHT] > 0.98).all() for arm in MANY) and r["H = 1", RIGHT].max() < 0.98
            ),
        ),
        Claim(
            lambda r: (
                "32 heads of one channel each learn later than eight: after "
                f"{spread(r['H = 32', STEPS], '{:.0f}')} steps, not after "
                f"{spread(r['H = 8', STEPS], '{:.0f}')}."
            ),
            lambda r: r["H = 32", STEPS].min() > r["H = 8", STEPS].max(),
        ),
        Claim(
            lambda r: (
                "Of two heads each owns a question, "
                f"{how_many(r['H = 2', ONE_NEEDS] == 2)}: without it the loss of that question "
                f"is {r['H = 2', LEAST].min():.1f} or more, and the other question does "
                "not notice."
            ),
            lambda r: (r["H = 2", ONE_NEEDS] == 2).all() and (r["H = 2", LEAST] > FLOOR).all(),
        ),
        Claim(
            lambda r: (
                f"Of eight heads {spread(r['H = 8', SPARE], '{:.0f}')} are spare: take one of "
                "them away, and both questions stay answered."
            ),
            lambda r: (r["H = 8", SPARE] >= 2).all() and (r["H = 2", SPARE] == 0).all(),
        ),
    ],
)
