"""A rhyme, learned with the next letter in sight and without: the loss, and what is written."""

import torch
from torch import nn

from ..experiment import Claim, Experiment, share, spread

NO_MASK, CAUSAL, TOO_FAR = "no mask", "causal mask", "one too far"
LOSS, NEXT = "loss in training", "next letter right"
PIECES = "written pieces that are in the rhyme"
WITH, TAKEN_OFF = "loss with its mask", "loss its mask taken off"
N_PIECE, N_WRITTEN, N_BEGINNING = 8, 300, 12


def run(page, seed, layer):
    model, loss = page.learn_the_rhyme(getattr(page, layer), seed=seed)
    text = page.write(model, "this is ", N_WRITTEN)
    rhyme = page.rhyme.replace("\n", " / ")
    pieces = [text[at : at + N_PIECE] for at in range(N_PIECE, len(text) - N_PIECE + 1)]
    starts = torch.arange(len(page.ids) - page.N_LETTERS)[:, None]
    windows = page.ids[starts + torch.arange(page.N_LETTERS + 1)]
    with torch.no_grad():
        last = model(windows[:, :N_BEGINNING])[:, -1].argmax(dim=-1)
        seen = {
            "loss in training": loss,
            "next letter right": (last == windows[:, N_BEGINNING]).float().mean().item(),
            "written pieces that are in the rhyme": sum(p in rhyme for p in pieces) / len(pieces),
        }
        if layer == "CausalSelfAttention":
            without = page.NextLetter(page.SelfAttention)
            without.load_state_dict(model.state_dict())
            for name, asked in (("with its mask", model), ("its mask taken off", without)):
                logits = asked(windows[:, :-1])[:, :N_BEGINNING]
                targets = windows[:, 1 : N_BEGINNING + 1]
                seen[f"loss {name}"] = nn.functional.cross_entropy(
                    logits.flatten(0, 1), targets.flatten()
                ).item()
    return seen


EXPERIMENT = Experiment(
    lesson="03_causal_masking",
    question="What does a model write that saw the next letter in training?",
    run=run,
    uses=[
        "learn_the_rhyme",
        "write",
        "rhyme",
        "ids",
        "N_LETTERS",
        "NextLetter",
        "SelfAttention",
        "CausalSelfAttention",
        "OneTooFar",
    ],
    arms={
        NO_MASK: {"layer": "SelfAttention"},
        CAUSAL: {"layer": "CausalSelfAttention"},
        TOO_FAR: {"layer": "OneTooFar"},
    },
    seeds=10,
    formats={"next letter right": "{:.0%}", "written pieces that are in the rhyme": "{:.0%}"},
    claims=[
        Claim(
            lambda r: (
                "Without a mask the loss in training is lower, "
                f"{spread(r[NO_MASK, LOSS], '{:.3f}')}, and so it is with a mask one too far, "
                f"{spread(r[TOO_FAR, LOSS], '{:.3f}')}; with the causal mask it is "
                f"{spread(r[CAUSAL, LOSS], '{:.3f}')}."
            ),
            lambda r: (
                max(r[NO_MASK, LOSS].max(), r[TOO_FAR, LOSS].max()) < r[CAUSAL, LOSS].min() / 2
            ),
        ),
        Claim(
            lambda r: (
                f"After a beginning of {N_BEGINNING} letters the causal model guesses the next "
                f"in {share(r[CAUSAL, NEXT])}, that without a mask in {share(r[NO_MASK, NEXT])}, "
                f"that with a mask one too far in {share(r[TOO_FAR, NEXT])}."
            ),
            lambda r: (
                r[CAUSAL, NEXT].min() > 0.9
                and max(r[NO_MASK, NEXT].max(), r[TOO_FAR, NEXT].max()) < 0.5
            ),
        ),
        Claim(
            lambda r: (
                f"Of {N_WRITTEN} letters that the causal model writes {share(r[CAUSAL, PIECES])} "
                f"of the pieces of {N_PIECE} are in the rhyme; without a mask "
                f"{share(r[NO_MASK, PIECES])}, with a mask one too far "
                f"{share(r[TOO_FAR, PIECES])}."
            ),
            lambda r: (
                r[CAUSAL, PIECES].min()
                > 2 * max(r[NO_MASK, PIECES].max(), r[TOO_FAR, PIECES].max())
            ),
        ),
        Claim(
            lambda r: (
                "A mask must not act in training only: taken off afterwards, the loss of the same "
                f"weights on the same text is {spread(r[CAUSAL, TAKEN_OFF], '{:.1f}')}; with it, "
                f"{spread(r[CAUSAL, WITH], '{:.2f}')}."
            ),
            lambda r: r[CAUSAL, TAKEN_OFF].min() > 5 * r[CAUSAL, WITH].max(),
        ),
    ],
)
