"""Pre-norm, post-norm and what was meant to be pre-norm, with two learning rates and warm-up."""

import numpy as np

from ..experiment import Claim, Experiment, how_many, spread

CONNECTS = {
    "pre-norm": "pre_norm",
    "post-norm": "post_norm",
    "swallowed": "swallowed",
    "doubled": "doubled",
}
BOLD, MILD = "lr 0.01", "lr 0.001"
SHALLOW = "post-norm, 6 layers, lr 0.01"
FIRST = "gradient, first layers"


def run(page, seed, connect, lr, warmup, depth=24):
    model = page.fresh(getattr(page, connect), page.LayerNorm, depth=depth, seed=seed)
    losses = page.train(model, lr=lr, warmup=warmup, seed=seed)
    gradients = page.gradients_by_layer(model, seed=seed)
    smooth = np.convolve(losses, np.ones(10) / 10, mode="valid")
    return {
        "loss": page.at_the_end(losses),
        FIRST: np.mean(gradients[:5]),
        "gradient, last layer": gradients[-1],
        "losses": [np.mean(losses[: n + 1]) for n in range(0, 9, 3)] + list(smooth[::3]),
    }


PRE, POST, POST_WARM = f"pre-norm, {BOLD}", f"post-norm, {BOLD}", f"post-norm, warm-up, {BOLD}"


def _loss(r, name):
    return r[name, "loss"]


def _shown(r, name):
    return spread(_loss(r, name), "{:.2f}")


EXPERIMENT = Experiment(
    lesson="05_residual_and_layernorm",
    question="Norm before or after: which of them learn at a bold learning rate?",
    run=run,
    uses=[
        "LayerNorm",
        "fresh",
        "train",
        "at_the_end",
        "gradients_by_layer",
        "pre_norm",
        "post_norm",
        "swallowed",
        "doubled",
    ],
    arms={
        f"{name}{when}, {rate}": {"connect": connect, "lr": lr, "warmup": warmup}
        for name, connect in CONNECTS.items()
        for rate, lr, when, warmup in (
            (MILD, 0.001, "", 0),
            (BOLD, 0.01, "", 0),
            (BOLD, 0.01, ", warm-up", 100),
        )
    }
    | {SHALLOW: {"connect": "post_norm", "lr": 0.01, "warmup": 0, "depth": 6}},
    formats={"loss": "{:.2f}", FIRST: "{:.0e}", "gradient, last layer": "{:.0e}"},
    claims=[
        Claim(
            lambda r: (
                "At a learning rate of 0.01 24 layers with pre-norm learn in every seed, to "
                f"{_shown(r, PRE)}; with post-norm they end above 1.4 "
                f"{how_many(_loss(r, POST) > 1.4)}, the rest at "
                f"{spread(_loss(r, POST)[_loss(r, POST) <= 1.4], '{:.2f}')}."
            ),
            lambda r: (
                (_loss(r, PRE) < 0.85).all()
                and np.sum(_loss(r, POST) > 1.4) >= 2
                and np.sum(_loss(r, POST) <= 1.4) >= 1
            ),
        ),
        Claim(
            lambda r: (
                f"Post-norm learns in every seed with a warm-up, to {_shown(r, POST_WARM)}, with "
                f"a learning rate of 0.001, to {_shown(r, f'post-norm, {MILD}')}, and with 6 "
                f"layers, to {_shown(r, SHALLOW)}."
            ),
            lambda r: all(
                (_loss(r, name) < 1).all() and (_loss(r, name) < _loss(r, POST)).all()
                for name in (POST_WARM, f"post-norm, {MILD}", SHALLOW)
            ),
        ),
        Claim(
            lambda r: (
                "In the seeds in which post-norm does not learn the gradient of the first five "
                f"layers is {spread(r[POST, FIRST][_loss(r, POST) > 1.4], '{:.0e}')} after 200 "
                "steps, in the rest "
                f"{spread(r[POST, FIRST][_loss(r, POST) <= 1.4], '{:.2f}')}."
            ),
            lambda r: ((r[POST, FIRST] < 0.01) == (_loss(r, POST) > 1.4)).all(),
        ),
        Claim(
            lambda r: (
                "The swallowed stream is post-norm, and does as it does: it learns with a warm-up, "
                f"to {_shown(r, f'swallowed, warm-up, {BOLD}')}, and with a learning rate of "
                f"0.001, to {_shown(r, f'swallowed, {MILD}')}; without either it ends above 1.4 "
                f"{how_many(_loss(r, f'swallowed, {BOLD}') > 1.4)}."
            ),
            lambda r: (
                (_loss(r, f"swallowed, warm-up, {BOLD}") < 1).all()
                and (_loss(r, f"swallowed, {MILD}") < 1).all()
                and np.sum(_loss(r, f"swallowed, {BOLD}") > 1.4) >= 2
            ),
        ),
        Claim(
            lambda r: (
                "That x = x + x learns with smaller steps or a warm-up: it ends at "
                f"{_shown(r, f'doubled, {MILD}')} and {_shown(r, f'doubled, warm-up, {BOLD}')}; "
                "guessing has 1.61."
            ),
            lambda r: all(
                (_loss(r, f"doubled{how}") > 1.5).all()
                for how in (f", {MILD}", f", {BOLD}", f", warm-up, {BOLD}")
            ),
            not_found=True,
        ),
    ],
)
