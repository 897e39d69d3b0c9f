"""Trained on 24 tokens, tried on 96: three kinds of positions, and none."""

import numpy as np

from ..experiment import Claim, Experiment, how_many, spread

TABLE, WAVES, ROTARY, NONE = "learned table", "waves", "rotary", "no positions"
SEEN, AFTER, WINDOW = "up to position 24", "after it", "after it, in a window of 24"


def run(page, seed, kind):
    model = page.train(kind, seed=seed)
    losses = page.tried_long(model).numpy()
    mask = page.sliding_window_mask(page.LONG, window=page.SHORT)
    in_a_window = page.tried_long(model, mask).numpy()
    n_seen = page.SHORT - page.BACK
    return {
        SEEN: losses[:n_seen].mean(),
        AFTER: losses[n_seen:].mean(),
        WINDOW: in_a_window[n_seen:].mean(),
        "loss": np.reshape(losses, (-1, 3)).mean(axis=1),
    }


EXPERIMENT = Experiment(
    lesson="11_long_contexts",
    question="Do positions work past the length that they were trained on?",
    run=run,
    uses=["train", "tried_long", "sliding_window_mask", "LONG", "SHORT", "BACK"],
    arms={kind: {"kind": kind} for kind in (TABLE, WAVES, ROTARY, NONE)},
    seeds=10,
    formats={SEEN: "{:.3f}", AFTER: "{:.2f}", WINDOW: "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "With a learned table, with waves and with a rotation the task is learned: the "
                "loss on texts of the trained length is at most "
                f"{max(r[kind, SEEN].max() for kind in (TABLE, WAVES, ROTARY)):.3f}. Without "
                f"positions it is {spread(r[NONE, SEEN], '{:.2f}')}."
            ),
            lambda r: (
                max(r[kind, SEEN].max() for kind in (TABLE, WAVES, ROTARY)) < 0.01
                and r[NONE, SEEN].min() > 1
            ),
        ),
        Claim(
            lambda r: (
                "Past that length the table and the waves are worse than guessing (2.08): "
                f"{spread(r[TABLE, AFTER], '{:.2f}')} and {spread(r[WAVES, AFTER], '{:.2f}')}."
            ),
            lambda r: r[TABLE, AFTER].min() > 2.08 and r[WAVES, AFTER].min() > 2.08,
        ),
        Claim(
            lambda r: (
                "That the rotation carries the task over to any length: its loss there is "
                f"{spread(r[ROTARY, AFTER], '{:.2f}')}, and it is below 0.1 "
                f"{how_many(r[ROTARY, AFTER] < 0.1)}."
            ),
            lambda r: (r[ROTARY, AFTER] < 0.1).any() and (r[ROTARY, AFTER] > 1).any(),
            not_found=True,
        ),
        Claim(
            lambda r: (
                "It fits that distances never seen are the reason: in a window that hides them the "
                f"rotary models' loss is at most {r[ROTARY, WINDOW].max():.3f}. The table and the "
                f"waves do not gain as much: {spread(r[TABLE, WINDOW], '{:.2f}')} and "
                f"{spread(r[WAVES, WINDOW], '{:.2f}')}."
            ),
            lambda r: (
                r[ROTARY, WINDOW].max() < 0.01
                and min(r[TABLE, WINDOW].min(), r[WAVES, WINDOW].min()) > 1
            ),
        ),
    ],
)
