"""Adding around the clock: attention, an MLP, both, and each of them without what it is good for."""

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
    claims=[],
)
