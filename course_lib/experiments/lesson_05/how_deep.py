"""Stacks of 2, 6 and 24 layers, one on the other or with x added."""

from ..experiment import Claim, Experiment, spread

PLAIN, ADDED = "layer on layer", "with x added"
DEPTHS = (2, 6, 24)


def run(page, seed, connect, depth):
    model = page.fresh(getattr(page, connect), depth=depth, seed=seed)
    return {"loss": page.at_the_end(page.train(model, seed=seed))}


def _losses(r, name, depth):
    return r[f"{name}, {depth} layers", "loss"]


EXPERIMENT = Experiment(
    lesson="05_residual_and_layernorm",
    question="How deep may a stack be and still learn, with and without x added?",
    run=run,
    uses=["fresh", "train", "at_the_end", "plain", "residual"],
    arms={
        f"{name}, {depth} layers": {"connect": connect, "depth": depth}
        for name, connect in ((PLAIN, "plain"), (ADDED, "residual"))
        for depth in DEPTHS
    },
    formats={"loss": "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "Layer on layer, less is learned the deeper the stack is: after 200 steps the "
                "loss of 2, 6 and 24 layers is "
                + ", ".join(spread(_losses(r, PLAIN, depth), "{:.2f}") for depth in DEPTHS)
                + "."
            ),
            lambda r: (
                _losses(r, PLAIN, 2).max() < _losses(r, PLAIN, 6).min()
                and _losses(r, PLAIN, 6).max() < _losses(r, PLAIN, 24).min()
            ),
        ),
        Claim(
            lambda r: (
                "With x added 24 layers learn nearly as well as 2: "
                f"{spread(_losses(r, ADDED, 24), '{:.2f}')} and "
                f"{spread(_losses(r, ADDED, 2), '{:.2f}')}."
            ),
            lambda r: (
                (_losses(r, ADDED, 24) < _losses(r, ADDED, 2) + 0.1).all()
                and _losses(r, ADDED, 24).max() < _losses(r, PLAIN, 24).min() / 2
            ),
        ),
    ],
)
