"""The same training on ten sentences and on 360: what is learned by heart."""

import numpy as np

from ..experiment import Claim, Experiment, how_many, share, spread

FEW, MANY = "ten sentences", "360 sentences"
SEEN, UNSEEN, BEST = "training text", "other sentences", "at their best"
COPIED = "whole sentences written that are in the training text"


def run(page, seed, sentences):
    text = page.ten_sentences if sentences == FEW else page.train_tokens
    model, seen, unseen = page.parrot_of(text, seed=seed)
    written = page.write(model, 200).split(". ")[:-1]  # the last one is cut off
    known = page.tokenizer.decode(text.tolist()).split(". ")
    return {
        SEEN: seen[-1],
        UNSEEN: unseen[-1],
        BEST: min(unseen),
        "best after": 20 * int(np.argmin(unseen)),
        COPIED: np.mean([sentence in known for sentence in written]),
        "loss on the training text": seen,
        "loss on other sentences": unseen,
    }


EXPERIMENT = Experiment(
    lesson="08_training",
    question="What does a model learn from ten sentences, and what from many?",
    run=run,
    uses=["parrot_of", "ten_sentences", "train_tokens", "write", "tokenizer"],
    arms={FEW: {"sentences": FEW}, MANY: {"sentences": MANY}},
    formats={
        SEEN: "{:.2f}",
        UNSEEN: "{:.2f}",
        BEST: "{:.2f}",
        "best after": "{:.0f}",
        COPIED: "{:.0%}",
    },
    claims=[
        Claim(
            lambda r: (
                "Trained on ten sentences it knows these, "
                f"{spread(r[FEW, SEEN], '{:.2f}')}, and no others, "
                f"{spread(r[FEW, UNSEEN], '{:.2f}')}; trained on 360 it knows both alike, "
                f"{spread(r[MANY, SEEN], '{:.2f}')} and {spread(r[MANY, UNSEEN], '{:.2f}')}."
            ),
            lambda r: (
                (r[FEW, UNSEEN] > 5 * r[FEW, SEEN]).all()
                and (r[MANY, UNSEEN] < 1.2 * r[MANY, SEEN]).all()
            ),
        ),
        Claim(
            lambda r: (
                "With ten sentences the loss on others is lowest after "
                f"{spread(r[FEW, 'best after'], '{:.0f}')} of 300 steps, and at the end it is "
                f"higher by {spread(r[FEW, UNSEEN] - r[FEW, BEST], '{:.2f}')} "
                f"({how_many(r[FEW, UNSEEN] - r[FEW, BEST] > 0.02)} by more than 0.02)."
            ),
            lambda r: (
                (r[FEW, UNSEEN] - r[FEW, BEST] > 0.02).all()
                and (r[FEW, "best after"] < 300).all()
                and (r[MANY, UNSEEN] - r[MANY, BEST] < 0.02).all()
            ),
        ),
        Claim(
            lambda r: (
                f"Of the whole sentences that it writes {share(r[FEW, COPIED])} are among the ten; "
                f"of those that the other one writes {share(r[MANY, COPIED])} are among its 360."
            ),
            lambda r: r[FEW, COPIED].min() > 0.5 > r[MANY, COPIED].max(),
        ),
    ],
)
