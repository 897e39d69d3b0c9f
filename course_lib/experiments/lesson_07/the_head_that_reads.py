"""A model that learned the rhyme, without one of its heads: which one, and what that costs."""

import numpy as np
import torch

from ..experiment import Claim, Experiment, how_many

ALL, READER, NEEDED = "all 12 heads", "without the reader", "without the one it needs most"


def run(page, seed, without):
    torch.manual_seed(seed)
    model = page.GPT(page.config)
    page.train(model, seed=seed)
    tables = page.attention_of(model, page.ids)
    start = page.sentence.index("killed")
    on_the_verb = tables[:, :, -1, start : start + len("killed")].sum(dim=-1)
    reader = divmod(int(on_the_verb.argmax()), page.config.n_heads)
    alone = {
        (block, head): _probability(page, page.without_head(model, block, head))
        for block in range(page.config.n_layers)
        for head in range(page.config.n_heads)
    }
    least = min(alone.values())
    seen = {"p": _probability(page, model), "p without reader": alone[reader], "p, least": least}
    return {
        "probability of r": seen[without],
        "weight on the verb": float(on_the_verb.max()),
        "heads that cost more": sum(p < alone[reader] for p in alone.values()),
    }


def _probability(page, model) -> float:
    """How sure the model is of the r of `rat`."""
    with torch.no_grad():
        after = model(page.ids)[0, -1].softmax(dim=-1)
    return float(after[page.tokenizer.encode("r")[0]])


P, MORE = "probability of r", "heads that cost more"


def _lost(r) -> np.ndarray:
    """Whether one head decides: for each seed with more than one half for the right letter."""
    return r[NEEDED, P][r[ALL, P] > 0.5] < 0.5


EXPERIMENT = Experiment(
    lesson="07_the_model",
    seeds=10,
    question="Does the prediction rest on the head that reads the verb?",
    run=run,
    uses=[
        *("GPT", "config", "train", "attention_of", "without_head"),
        *("ids", "sentence", "tokenizer"),
    ],
    arms={
        ALL: {"without": "p"},
        READER: {"without": "p without reader"},
        NEEDED: {"without": "p, least"},
    },
    formats={P: "{:.2f}", "weight on the verb": "{:.2f}", "heads that cost more": "{:.0f}"},
    claims=[
        Claim(
            lambda r: (
                "After 250 steps the model is more sure of the right letter than of all others "
                f"together {how_many(r[ALL, P] > 0.5)}."
            ),
            lambda r: (r[ALL, P] > 0.5).sum() >= 6,
        ),
        Claim(
            lambda r: (
                "That the prediction rests on the head that reads the verb: it is the one that the "
                f"prediction needs most {how_many(r[READER, MORE] == 0)}. Without it the right "
                f"letter gets {np.median(r[READER, P]):.2f} in the median, with all heads "
                f"{np.median(r[ALL, P]):.2f}, without the head it needs most "
                f"{np.median(r[NEEDED, P]):.2f}."
            ),
            lambda r: (
                (r[READER, MORE] == 0).mean() <= 0.5
                and np.median(r[READER, P]) > 5 * np.median(r[NEEDED, P])
            ),
            not_found=True,
        ),
        Claim(
            lambda r: (
                f"Of the seeds that are so sure, {_lost(r).sum()} of {len(_lost(r))} have a head "
                "without which they are not."
            ),
            lambda r: _lost(r).mean() > 0.8,
        ),
    ],
)
