"""Twelve blocks with the weights of one curve and the other curve in them."""

from ..experiment import Claim, Experiment, spread

OTHER, SAME = "exact form and tanh form", "exact form twice"
DEPTHS = (1, 4, 12)


def run(page, seed, forms):
    by_block = page.difference_by_block(forms, seed)
    return {f"after block {depth}": by_block[depth - 1] for depth in DEPTHS}


FIRST, LAST = (f"after block {DEPTHS[place]}" for place in (0, -1))

EXPERIMENT = Experiment(
    lesson="06_mlp_and_block",
    question="What is left after twelve blocks of the difference between two forms of the GELU?",
    run=run,
    uses=["difference_by_block"],
    arms={OTHER: {"forms": ["none", "tanh"]}, SAME: {"forms": ["none", "none"]}},
    seeds=20,
    formats={f"after block {depth}": "{:.0e}" for depth in DEPTHS},
    claims=[
        Claim(
            lambda r: (
                "Fresh blocks with the other curve differ by "
                f"{spread(r[OTHER, FIRST], '{:.0e}')} after the first and by "
                f"{spread(r[OTHER, LAST], '{:.0e}')} after the twelfth; with the same curve by "
                f"{spread(r[SAME, LAST], '{:.0e}')}."
            ),
            lambda r: (
                (r[OTHER, LAST] > r[OTHER, FIRST]).all()
                and (r[OTHER, FIRST] > 1e-5).all()
                and (r[OTHER, LAST] < 2e-3).all()
                and (r[SAME, LAST] == 0).all()
            ),
        )
    ],
)
