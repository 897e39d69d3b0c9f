"""What is lost if everything decays, or the wrong half, or nothing."""

import numpy as np

from ..experiment import Claim, Experiment, spread

RIGHT, ALL, SWAPPED, NONE = "matrices decay", "all decay", "vectors decay", "nothing decays"
LOSS, SCALE, SIZE = "validation loss", "scales of the norms", "size of the matrices"


def run(page, seed, groups):
    makers = {
        RIGHT: page.decay_groups,
        ALL: page.bugs["puts_all_into_one_group"],
        SWAPPED: page.bugs["swaps_the_groups"],
        NONE: lambda model, weight_decay: page.decay_groups(model, 0.0),
    }
    model = page.learn(page.train_tokens, groups=makers[groups], seed=seed)
    named = [(name, p.detach().numpy().ravel()) for name, p in model.named_parameters()]
    scales = [p for name, p in named if "norm" in name and name.endswith("weight")]
    matrices = [p.detach().numpy().ravel() for p in model.parameters() if p.dim() >= 2]
    return {
        LOSS: page.on_new_text(model),
        SCALE: np.concatenate(scales).mean(),
        SIZE: np.sqrt(np.square(np.concatenate(matrices)).mean()),
    }


EXPERIMENT = Experiment(
    lesson="08_training",
    question="What does it cost when norms and biases decay, too?",
    run=run,
    uses=["learn", "train_tokens", "decay_groups", "on_new_text"],
    bugs=["puts_all_into_one_group", "swaps_the_groups"],
    arms={arm: {"groups": arm} for arm in (RIGHT, ALL, SWAPPED, NONE)},
    formats={LOSS: "{:.3f}", SCALE: "{:.2f}", SIZE: "{:.3f}"},
    claims=[
        Claim(
            lambda r: (
                "Where everything decays, the scales of the norms are pulled below 1: to "
                f"{spread(r[ALL, SCALE], '{:.2f}')} on average; where they are let off they are "
                f"at {spread(r[RIGHT, SCALE], '{:.2f}')}."
            ),
            lambda r: r[ALL, SCALE].max() < 0.9 < r[RIGHT, SCALE].min(),
        ),
        Claim(
            lambda r: (
                "That this costs much: the validation loss is "
                f"{spread(r[ALL, LOSS], '{:.3f}')} then, and otherwise "
                f"{spread(r[RIGHT, LOSS], '{:.3f}')}. The median is higher by "
                f"{np.median(r[ALL, LOSS]) - np.median(r[RIGHT, LOSS]):.3f}."
            ),
            lambda r: 0 < np.median(r[ALL, LOSS]) - np.median(r[RIGHT, LOSS]) < 0.02,
            not_found=True,
        ),
        Claim(
            lambda r: (
                "That weight decay helps this small model on new text: without any the "
                f"validation loss is {spread(r[NONE, LOSS], '{:.3f}')}, as with that of the "
                "matrices alone, and in the median less than where all decays."
            ),
            lambda r: (
                abs(np.median(r[NONE, LOSS]) - np.median(r[RIGHT, LOSS])) < 0.01
                and np.median(r[NONE, LOSS]) < np.median(r[ALL, LOSS])
            ),
            not_found=True,
        ),
    ],
)
