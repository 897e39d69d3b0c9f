"""A constant rate of several sizes, with a warm-up of 20 steps and without."""

import numpy as np
import torch

from ..experiment import Claim, Experiment, how_many, spread

RATES = [0.005, 0.01, 0.02, 0.04]
LOSS = "loss after 120 steps"


def run(page, seed, rate, warmup_steps):
    def lr_at(step):
        return rate * min(1, (step + 1) / (warmup_steps + 1))

    losses, _ = page.run(torch.optim.AdamW, lr_at, seed=seed)
    return {LOSS: page.at_the_end(losses)}


def _plain(rate):
    return f"{rate}"


def _warm(rate):
    return f"{rate}, warm-up"


def _saved(runs, rate):
    """How much lower the loss of each seed is with a warm-up."""
    return runs[_plain(rate), LOSS] - runs[_warm(rate), LOSS]


def _helped(runs, *rates):
    return how_many(np.all([_saved(runs, rate) > 0 for rate in rates], axis=0))


def _median(runs, arm):
    return np.median(runs[arm, LOSS])


EXPERIMENT = Experiment(
    lesson="08_training",
    question="Which learning rate is good, and does every rate need a warm-up?",
    run=run,
    uses=["run", "at_the_end"],
    arms={
        name(rate): {"rate": rate, "warmup_steps": warmup_steps}
        for rate in RATES
        for name, warmup_steps in ((_plain, 0), (_warm, 20))
    },
    formats={LOSS: "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "With a rate of 0.005 the run without a warm-up is no worse: "
                f"{spread(r[_plain(0.005), LOSS], '{:.2f}')}, with one "
                f"{spread(r[_warm(0.005), LOSS], '{:.2f}')}."
            ),
            lambda r: _median(r, _plain(0.005)) <= _median(r, _warm(0.005)),
        ),
        Claim(
            lambda r: (
                f"From 0.01 on the warm-up helps, at 0.01 {_helped(r, 0.01)} and from 0.02 on "
                f"{_helped(r, 0.02, 0.04)}, and the more the larger the rate: without it "
                f"{spread(r[_plain(0.04), LOSS], '{:.2f}')} at 0.04, with it "
                f"{spread(r[_warm(0.04), LOSS], '{:.2f}')}."
            ),
            lambda r: (
                (np.diff([_median(r, _plain(n)) - _median(r, _warm(n)) for n in RATES]) > 0).all()
                and all((_saved(r, rate) > 0).all() for rate in (0.02, 0.04))
                and r[_plain(0.04), LOSS].min() > 1.5 * r[_warm(0.04), LOSS].max()
            ),
        ),
        Claim(
            lambda r: (
                "Of these the best is 0.02 with a warm-up, "
                f"{spread(r[_warm(0.02), LOSS], '{:.2f}')}; without one 0.005 and 0.01 are best, "
                f"{spread(r[_plain(0.005), LOSS], '{:.2f}')} and "
                f"{spread(r[_plain(0.01), LOSS], '{:.2f}')}."
            ),
            lambda r: (
                min(r.arms, key=lambda arm: _median(r, arm)) == _warm(0.02)
                and max(_median(r, _plain(0.005)), _median(r, _plain(0.01)))
                < min(_median(r, _plain(0.02)), _median(r, _plain(0.04)))
            ),
        ),
    ],
)
