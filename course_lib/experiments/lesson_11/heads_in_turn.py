"""Key heads repeated in groups, and in turn: trained so, and run with weights of the other."""

import torch

from ..experiment import Claim, Experiment, spread

RIGHT, IN_TURN = "in groups", "in turn"
TRAINED, LOADED = "trained and run with it", "trained in groups, run with it"


def run(page, seed, order):
    layer = page.GroupedQueryAttention if order == RIGHT else page.bugs["RepeatsHeadsInTurn"]

    def loss_of(model):
        with torch.no_grad():
            return page.loss_of_four(model, torch.Generator().manual_seed(2)).item()

    trained, _ = page.ask_four(2, n_steps=200, layer=layer, seed=seed)
    right, _ = page.ask_four(2, n_steps=200, seed=seed)
    loaded = page.FourQuestions(2, layer)
    loaded.load_state_dict(right.state_dict())
    return {TRAINED: loss_of(trained), LOADED: loss_of(loaded)}


EXPERIMENT = Experiment(
    lesson="11_long_contexts",
    question="What do weights do when key heads are repeated in another order?",
    run=run,
    uses=["ask_four", "loss_of_four", "FourQuestions", "GroupedQueryAttention"],
    bugs=["RepeatsHeadsInTurn"],
    arms={RIGHT: {"order": RIGHT}, IN_TURN: {"order": IN_TURN}},
    formats=dict.fromkeys([TRAINED, LOADED], "{:.2f}"),
    claims=[
        Claim(
            lambda r: (
                "A model with its key heads in turn learns as well: its loss is "
                f"{spread(r[IN_TURN, TRAINED], '{:.3f}')}, in groups "
                f"{spread(r[RIGHT, TRAINED], '{:.3f}')}."
            ),
            lambda r: max(r[IN_TURN, TRAINED].max(), r[RIGHT, TRAINED].max()) < 0.05,
        ),
        Claim(
            lambda r: (
                "With weights that were trained in groups its loss is "
                f"{spread(r[IN_TURN, LOADED], '{:.2f}')}, worse than guessing (2.08)."
            ),
            lambda r: r[IN_TURN, LOADED].min() > 2.08 > 0.05 > r[RIGHT, LOADED].max(),
        ),
    ],
)
