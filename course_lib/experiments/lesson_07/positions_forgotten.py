"""A causal model without position embeddings: what it still learns of order."""

import torch

from ..experiment import Claim, Experiment, spread

WITH, WITHOUT = "with positions", "positions forgotten"


def run(page, seed, forgets):
    torch.manual_seed(seed)
    model = (page.bugs["GPTThatForgetsPositions"] if forgets else page.GPT)(page.config)
    losses = page.train(model, seed=seed)
    there, swapped = (page.tokenizer.encode(text) for text in ("the cat", "eht cat"))
    with torch.no_grad():
        one, other = (model(torch.tensor([ids]))[0, -1] for ids in (there, swapped))
    return {
        "last loss": sum(losses[-10:]) / 10,
        "what exchanging two letters moves": (one - other).abs().max().item(),
    }


EXPERIMENT = Experiment(
    lesson="07_the_model",
    question="What does a causal model learn whose positions were forgotten?",
    run=run,
    uses=["GPT", "config", "train", "tokenizer"],
    bugs=["GPTThatForgetsPositions"],
    arms={WITH: {"forgets": False}, WITHOUT: {"forgets": True}},
    formats={"last loss": "{:.2f}", "what exchanging two letters moves": "{:.2f}"},
    claims=[
        Claim(
            lambda r: (
                "Without positions the rhyme is learned less well: the last loss is "
                f"{spread(r[WITHOUT, 'last loss'], '{:.2f}')}, with them "
                f"{spread(r[WITH, 'last loss'], '{:.2f}')}."
            ),
            lambda r: r[WITHOUT, "last loss"].min() > r[WITH, "last loss"].max(),
        ),
        Claim(
            lambda r: (
                "That a causal model without positions sees a bag of letters: two letters "
                "exchanged at the beginning move its next scores by "
                f"{spread(r[WITHOUT, 'what exchanging two letters moves'], '{:.2f}')}. The mask "
                "tells it how much stands before each letter."
            ),
            lambda r: (r[WITHOUT, "what exchanging two letters moves"] > 0.1).all(),
            not_found=True,
        ),
    ],
)
