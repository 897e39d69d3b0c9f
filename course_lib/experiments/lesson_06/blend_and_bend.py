"""Adding around the clock: attention, an MLP, both, and both without a bend or without a choice."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ..experiment import Claim, Experiment, share, spread

N_STEPS = 1600
ATTENTION, MLP, BOTH = "attention alone", "MLP alone", "attention, then MLP"
STRAIGHT = "attention, then MLP without bend"
BLEND, BLEND_MLP = "fixed blend alone", "fixed blend, then MLP"
EARLY, LATE, RIGHT, HALF = "loss at 400", "loss at 1600", "right answers", "steps to half"


class FixedBlend(nn.Module):
    """Adds to each position a linear view of the one before, whatever the text says."""

    def __init__(self, width):
        super().__init__()
        self.view = nn.Linear(width, width)

    def forward(self, x):
        return self.view(F.pad(x, (0, 0, 1, 0))[:, :-1])


def straight(page):
    """As many numbers as the page's MLP has, and no bend."""
    wide = 4 * page.WIDTH
    return nn.Sequential(nn.Linear(page.WIDTH, wide), nn.Linear(wide, page.WIDTH))


def share_right(page, model):
    """Of texts that no model is trained on."""
    hours, targets = page.clock_texts(500, torch.Generator().manual_seed(1_000_000))
    with torch.no_grad():
        return (model(hours)[:, 1:].argmax(dim=-1) == targets).float().mean().item()


def run(page, seed, parts):
    make = {
        "attention": page.attention,
        "mlp": page.thinking,
        "straight": lambda: straight(page),
        "blend": lambda: FixedBlend(page.WIDTH),
    }
    torch.manual_seed(seed)
    model = page.Model(*[make[part]() for part in parts])
    losses = page.train(model, N_STEPS, seed=seed)
    smooth = np.convolve(losses, np.ones(20) / 20, mode="valid")
    under = np.nonzero(smooth < math.log(page.N_HOURS) / 2)[0]
    return {
        EARLY: smooth[400 - 20],
        LATE: smooth[-1],
        RIGHT: share_right(page, model),
        HALF: under[0] + 20 if len(under) else N_STEPS,
        "losses": [np.mean(losses[max(0, n - 9) : n + 1]) for n in range(0, 400, 7)],
    }


EXPERIMENT = Experiment(
    lesson="06_mlp_and_block",
    question="What does attention alone make of a sum around the clock, and what an MLP behind it?",
    run=run,
    uses=["Model", "train", "clock_texts", "attention", "thinking", "WIDTH", "N_HOURS"],
    arms={
        ATTENTION: {"parts": ["attention"]},
        MLP: {"parts": ["mlp"]},
        BOTH: {"parts": ["attention", "mlp"]},
        STRAIGHT: {"parts": ["attention", "straight"]},
        BLEND: {"parts": ["blend"]},
        BLEND_MLP: {"parts": ["blend", "mlp"]},
    },
    formats={EARLY: "{:.3f}", LATE: "{:.3f}", RIGHT: "{:.0%}", HALF: "{:.0f}"},
    claims=[
        Claim(
            lambda r: (
                "Attention, then an MLP solves it in 400 steps: the loss is "
                f"{spread(r[BOTH, EARLY])}. Attention alone has "
                f"{spread(r[ATTENTION, EARLY], '{:.2f}')} by then, an MLP alone guesses, at "
                f"{spread(r[MLP, EARLY], '{:.2f}')}."
            ),
            lambda r: (
                (r[BOTH, EARLY] < 0.1).all()
                and r[ATTENTION, EARLY].min() > 10 * r[BOTH, EARLY].max()
                and (r[MLP, LATE] > 3).all()
            ),
        ),
        Claim(
            lambda r: (
                "It is the bend, not the number of parameters: with an MLP of the same size and "
                f"no bend the loss after 400 steps is {spread(r[STRAIGHT, EARLY], '{:.2f}')}."
            ),
            lambda r: r[STRAIGHT, EARLY].min() > 10 * r[BOTH, EARLY].max(),
        ),
        Claim(
            lambda r: (
                "That attention alone cannot do it: with four times as many steps it gives "
                f"{share(r[ATTENTION, RIGHT])} right answers."
            ),
            lambda r: (r[ATTENTION, RIGHT] > 0.7).all() and (r[ATTENTION, RIGHT] > 0.98).any(),
            not_found=True,
        ),
        Claim(
            lambda r: (
                "A blend that does not depend on the text guesses to the end "
                f"({share(r[BLEND, RIGHT])} right); with an MLP behind it it solves the task "
                f"({share(r[BLEND_MLP, RIGHT])})."
            ),
            lambda r: (r[BLEND, RIGHT] < 0.1).all() and (r[BLEND_MLP, RIGHT] > 0.99).all(),
        ),
        Claim(
            lambda r: (
                "A part of the wait before the loss falls is spent on finding whom to read: to "
                f"half of guessing it takes {spread(r[BOTH, HALF], '{:.0f}')} steps, and "
                f"{spread(r[BLEND_MLP, HALF], '{:.0f}')} where the hour before is given."
            ),
            lambda r: r[BLEND_MLP, HALF].max() < r[BOTH, HALF].min(),
        ),
    ],
)
