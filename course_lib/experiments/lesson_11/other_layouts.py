"""A rotation in another layout: trained with it, and run with weights that another one trained."""

import torch

from ..experiment import Claim, Experiment, spread

RIGHT, HALVES = "neighbours", "halves"
JOINED, BACKWARDS = "neighbours, joined in halves", "the other way round"
TRAINED, LOADED = "trained and run with it", "trained with neighbours, run with it"
REORDERED = "the same, channels reordered"
MIXED = "queries turned with neighbours, keys with it"
NAMES = {
    HALVES: "pairs_the_halves",
    JOINED: "joins_the_halves",
    BACKWARDS: "turns_the_other_way",
}


def run(page, seed, layout):
    turn = page.bugs[NAMES[layout]] if layout in NAMES else page.rotate

    def loss_of(model):
        with torch.no_grad():
            generator = torch.Generator().manual_seed(2)
            return page.loss_by_position(model, 200, page.SHORT, generator).mean().item()

    trained = page.train("rotary", turn=turn, seed=seed)
    loaded = page.train("rotary", seed=seed)
    turns = iter([page.rotate, turn])
    loaded.turn = lambda x, positions: next(turns)(x, positions)  # the queries come first
    mixed = loss_of(loaded)
    loaded.turn = turn
    seen = {TRAINED: loss_of(trained), LOADED: loss_of(loaded), MIXED: mixed}
    if layout == HALVES:
        with torch.no_grad():
            for layer in (loaded.query, loaded.key):
                layer.weight.copy_(torch.cat([layer.weight[0::2], layer.weight[1::2]]))
        seen[REORDERED] = loss_of(loaded)
    return seen


EXPERIMENT = Experiment(
    lesson="11_long_contexts",
    question="What do weights do when they are run with another layout of the rotation?",
    run=run,
    uses=["train", "rotate", "loss_by_position", "SHORT"],
    bugs=list(NAMES.values()),
    arms={layout: {"layout": layout} for layout in (RIGHT, *NAMES)},
    formats=dict.fromkeys([TRAINED, LOADED, MIXED, REORDERED], "{:.2f}"),
    claims=[
        Claim(
            lambda r: (
                "Every layout can be learned: no loss on texts of the trained length is above "
                f"{max(r[arm, TRAINED].max() for arm in r.arms):.2g}."
            ),
            lambda r: max(r[arm, TRAINED].max() for arm in r.arms) < 0.01,
        ),
        Claim(
            lambda r: (
                "Weights that neighbours trained, run with halves, are far worse than guessing "
                f"(2.08): {spread(r[HALVES, LOADED], '{:.2f}')}; so they are turned the other way "
                f"round, {spread(r[BACKWARDS, LOADED], '{:.2f}')}. With reordered channels the "
                f"halves are right again: {spread(r[HALVES, REORDERED], '{:.2f}')}."
            ),
            lambda r: (
                min(r[HALVES, LOADED].min(), r[BACKWARDS, LOADED].min()) > 2.08
                and r[HALVES, REORDERED].max() < 0.01
            ),
        ),
        Claim(
            lambda r: (
                "That neighbours which come back in halves spoil loaded weights: their loss stays "
                f"at {spread(r[JOINED, LOADED], '{:.2f}')}. Only where such keys meet queries that "
                "were turned rightly it shows: there it is "
                f"{spread(r[JOINED, MIXED], '{:.2f}')}."
            ),
            lambda r: r[JOINED, LOADED].max() < 0.01 and r[JOINED, MIXED].min() > 2.08,
            not_found=True,
        ),
    ],
)
