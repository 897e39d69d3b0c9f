"""Hidden scores filled in with a number, which the allowed ones may sink below."""

import math

import numpy as np
import torch

from ..experiment import Claim, Experiment, how_many, spread

FALLS, SLOW, LOWER, MASK = (
    "-10, learning rate 0.03",
    "-10, learning rate 0.01, 1,000 steps",
    "-30, learning rate 0.03, 1,000 steps",
    "true mask, learning rate 0.03",
)
SCORE, FUTURE = "mean allowed score", "weight on the future"
FLOOR = math.log(10)


def _fell(runs, arm):
    return runs[arm, "loss"] < FLOOR - 0.2


def _where_it_fell(runs, measure):
    fell = _fell(runs, FALLS)
    return runs[FALLS, measure][fell] if fell.any() else np.array([np.nan])


def run(page, seed, fill, lr=0.03, n_steps=500):
    layer = type("Wall", (page.LowWall,), {"FILL": fill}) if fill else page.CausalSelfAttention
    model, losses = page.train(layer, n_steps=n_steps, lr=lr, seed=seed)
    x = model.embed(page.random_digits(500, torch.Generator().manual_seed(2))[0])
    with torch.no_grad():
        q, k = model.attention.query(x), model.attention.key(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        allowed = torch.ones_like(scores[0], dtype=torch.bool).tril()
        lowest = torch.finfo(scores.dtype).min if fill is None else fill
        weights = scores.masked_fill(~allowed, lowest).softmax(dim=-1)
    smooth = np.convolve(losses, np.ones(10) / 10, mode="valid")
    return {
        "loss": np.mean(losses[-50:]),
        "mean allowed score": scores[:, allowed].mean().item(),
        "weight on the future": weights.triu(diagonal=1).sum(dim=-1)[:, :-1].mean().item(),
        "curve": [losses[0], *smooth[::10]],
    }


EXPERIMENT = Experiment(
    lesson="03_causal_masking",
    question="Does a wall hold that is made of a number?",
    run=run,
    uses=["train", "random_digits", "LowWall", "CausalSelfAttention"],
    arms={
        FALLS: {"fill": -10.0},
        SLOW: {"fill": -10.0, "lr": 0.01, "n_steps": 1000},
        LOWER: {"fill": -30.0, "n_steps": 1000},
        MASK: {"fill": None},
    },
    seeds=10,
    formats={"loss": "{:.2f}", "mean allowed score": "{:.1f}", "weight on the future": "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "A wall of -10 falls within 500 steps at a bold learning rate, "
                f"{how_many(_fell(r, FALLS))}: there the loss is "
                f"{spread(_where_it_fell(r, 'loss'), '{:.2f}')}, where ln 10 = {FLOOR:.2f} "
                "is the best honest one. With the true mask it does not, "
                f"{how_many(~_fell(r, MASK))}."
            ),
            lambda r: _fell(r, FALLS).sum() > len(_fell(r, FALLS)) / 2 and not _fell(r, MASK).any(),
        ),
        Claim(
            lambda r: (
                "Where it fell the allowed scores have sunk far below the wall, to "
                f"{spread(_where_it_fell(r, SCORE), '{:.0f}')} on average, and "
                f"{spread(_where_it_fell(r, FUTURE), '{:.2f}')} of the weight lies on the "
                "future; where it held, next to none."
            ),
            lambda r: (
                (_where_it_fell(r, SCORE) < -50).all()
                and (_where_it_fell(r, FUTURE) > 0.9).all()
                and (r[FALLS, FUTURE][~_fell(r, FALLS)] < 0.01).all()
                and (r[MASK, FUTURE] == 0).all()
                and _fell(r, FALLS).any()
            ),
        ),
        Claim(
            lambda r: (
                "A smaller learning rate and a lower wall make it rarer: in 1,000 steps the wall "
                f"of -10 falls {how_many(_fell(r, SLOW))} at a third of the rate, and one of -30 "
                f"{how_many(_fell(r, LOWER))} at the bold one."
            ),
            lambda r: (
                _fell(r, SLOW).sum() < _fell(r, FALLS).sum() / 2
                and _fell(r, LOWER).sum() < _fell(r, FALLS).sum() / 2
            ),
        ),
    ],
)
