"""24 layers whose gradients vanish, or do not; and plain layers that start as copies."""

import torch
from torch import nn

from ..experiment import Claim, Experiment, spread

QUIET, LOUD, NORMED = "layer on layer", "layer on layer, loud", "layer on layer, with norms"
COPIES, ADDED = "layer on layer, starting as copies", "with x added"
RATES = (0.0001, 0.001, 0.01)
FIRST, LAST, ALIKE, BEST = "gradient, first layer", "gradient, last layer", "how alike", "best loss"
BOLD = f"loss, lr {RATES[-1]:g}"


def normed(x, norm, sublayer):
    return sublayer(norm(x))


def copying(layer, width, shift=5.0, share=0.2):
    """A layer that starts by passing x on, plus a little: far from the bend of its ReLU."""

    class Copy(layer):
        def __init__(self):
            super().__init__()
            with torch.no_grad():
                for linear in (self.up, self.down):
                    linear.weight.mul_(share).add_(torch.eye(width))
                nn.init.constant_(self.up.bias, shift)
                self.down.bias.copy_(-self.down.weight @ self.up.bias)

    return Copy


def run(page, seed, connect, start="Layer", norm="Identity"):
    layer = copying(page.Layer, page.WIDTH) if start == "Copy" else getattr(page, start)
    norm = nn.Identity if norm == "Identity" else page.LayerNorm
    connect = normed if connect == "normed" else getattr(page, connect)

    def fresh():
        return page.fresh(connect, norm, layer=layer, seed=seed)

    model = fresh()
    gradients = page.gradients_by_layer(model, seed=seed)
    inputs, _ = page.riddles(64, torch.Generator().manual_seed(seed + 1000))
    with torch.no_grad():
        last = model.after_each_layer(inputs)[-1]
    losses = [page.at_the_end(page.train(fresh(), lr=lr, seed=seed)) for lr in RATES]
    return {
        FIRST: gradients[0],
        LAST: gradients[-1],
        ALIKE: page.how_alike(last),
        BEST: min(losses),
        **{f"loss, lr {lr:g}": loss for lr, loss in zip(RATES, losses, strict=True)},
    }


EXPERIMENT = Experiment(
    lesson="05_residual_and_layernorm",
    question="Why do 24 layers, one on the other, not learn?",
    run=run,
    uses=[
        "Layer",
        "Loud",
        "LayerNorm",
        "WIDTH",
        "fresh",
        "train",
        "at_the_end",
        "gradients_by_layer",
        "how_alike",
        "riddles",
        "plain",
        "residual",
    ],
    arms={
        QUIET: {"connect": "plain"},
        LOUD: {"connect": "plain", "start": "Loud"},
        NORMED: {"connect": "normed", "norm": "LayerNorm"},
        COPIES: {"connect": "plain", "start": "Copy"},
        ADDED: {"connect": "residual"},
    },
    formats={
        FIRST: "{:.0e}",
        LAST: "{:.0e}",
        ALIKE: "{:.2f}",
        BEST: "{:.2f}",
        **{f"loss, lr {lr:g}": "{:.2f}" for lr in RATES},
    },
    claims=[
        Claim(
            lambda r: (
                "As PyTorch starts them, layers one on the other take the gradient (of their first "
                f"matrices) away: in the first it is {spread(r[QUIET, FIRST], '{:.0e}')}, in the "
                f"last {spread(r[QUIET, LAST], '{:.0e}')}."
            ),
            lambda r: (r[QUIET, FIRST] < 1e-9 * r[QUIET, LAST]).all(),
        ),
        Claim(
            lambda r: (
                "Vanishing gradients are not all of the reason: in loud layers the gradient of "
                f"the first is {spread(r[LOUD, FIRST] / r[LOUD, LAST], '{:.2f}')} times that of "
                "the last, and of three learning rates the best still ends at "
                f"{spread(r[LOUD, BEST], '{:.2f}')}, where x added gives "
                f"{spread(r[ADDED, BEST], '{:.2f}')}."
            ),
            lambda r: (
                (r[LOUD, FIRST] > 0.1 * r[LOUD, LAST]).all()
                and r[LOUD, BEST].min() > 1.5 * r[ADDED, BEST].max()
            ),
        ),
        Claim(
            lambda r: (
                "What x + gives is a start. Plain layers that start as copies of what comes in, "
                f"plus a little, learn as well: {spread(r[COPIES, BEST], '{:.2f}')}."
            ),
            lambda r: (
                r[COPIES, BEST].max() < r[ADDED, BEST].max() + 0.1
                and r[COPIES, BEST].max() < r[LOUD, BEST].min() / 1.5
            ),
        ),
        Claim(
            lambda r: (
                "Bold steps spoil the stack of copies, and not x +: with a learning rate of "
                f"{RATES[-1]} they end at {spread(r[COPIES, BOLD], '{:.2f}')}, with x added it is "
                f"{spread(r[ADDED, BOLD], '{:.2f}')}."
            ),
            lambda r: r[COPIES, BOLD].min() > 1.5 * r[ADDED, BOLD].max(),
        ),
        Claim(
            lambda r: (
                "That norms between plain layers are enough: gradients arrive "
                f"({spread(r[NORMED, FIRST], '{:.2f}')} in the first layer), and the best loss is "
                f"{spread(r[NORMED, BEST], '{:.2f}')}."
            ),
            lambda r: (r[NORMED, FIRST] > 0.01).all() and (r[NORMED, BEST] > 1.4).all(),
            not_found=True,
        ),
    ],
)
