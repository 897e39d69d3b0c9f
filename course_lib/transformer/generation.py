"""Lesson 9: generation, one token after the other, chosen by chance or not."""

import math

import torch
from torch import Tensor, nn

from .shapes import Float, Int
from .training import _evaluating


def keep_top_k(
    logits: Float[Tensor, "B V"], k: int
) -> Float[Tensor, "B V"]:
    """The `k` highest logits of each row; the others are -inf.

    A `k` above V keeps all. Where several logits are equal to the lowest
    that stays, all of them may stay.

    Raises:
        ValueError: `k` is less than 1.

    Source: Fan et al., "Hierarchical Neural Story Generation" (2018),
        section 5.4.
    """
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[
        :, -1:
    ]
    return logits.masked_fill(logits < lowest_kept, -math.inf)


def keep_top_p(
    logits: Float[Tensor, "B V"], p: float
) -> Float[Tensor, "B V"]:
    """The fewest tokens of each row whose probabilities together reach `p`;
    the others are -inf.

    At least one stays. Where several are as likely as the last that stays,
    all of them may stay.

    Raises:
        ValueError: `p` is 0 or less, or more than 1.

    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration"
        (2020), section 3.1.
    """
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:  # a sum of rounded probabilities may reach 1 too early
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(
        dim=-1, descending=True
    )
    # what the likelier ones sum to
    before = probabilities.cumsum(dim=-1) - probabilities
    # never the first, before which there is nothing
    is_dropped = before >= p
    # from sorted places to token ids
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


def sample(
    logits: Float[Tensor, "B V"],
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: torch.Generator | None = None,
) -> Int[Tensor, " B"]:
    """One token for each row, drawn by its probability after temperature,
    top-k and top-p.

    In this order: top-p looks at the probabilities of what top-k has left.
    Each row is drawn by itself, and `logits` stay as they are.

    Args:
        temperature: below 1 the likely become likelier; 0 always takes the
            likeliest.
        top_k: as in `keep_top_k`; None keeps all.
        top_p: as in `keep_top_p`; None keeps all.
        generator: on the device of the logits; None takes torch's own.

    Raises:
        ValueError: a negative temperature, a `top_k` below 1, a `top_p`
            of 0 or less or above 1.
    """
    if temperature < 0:
        raise ValueError(
            "temperature must be at least 0, "
            f"got temperature={temperature}."
        )
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    # the highest stays at 0
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(
        wide.softmax(dim=-1), 1, generator=generator
    ).squeeze(-1)


def generate(
    model: nn.Module, ids: Int[Tensor, "B T"], n_new: int, **sampling
) -> Int[Tensor, "B T_plus_n_new"]:
    """`ids` with `n_new` more tokens behind them, each from all that stands
    before it.

    Of a text longer than `context_length` the model sees the end: the last
    `context_length` tokens. Every step computes all of them again.

    The model is in evaluation mode and without gradients meanwhile, and
    afterwards each part is in the mode it was in, also after an error.

    Args:
        sampling: what `sample` takes.

    Raises:
        ValueError: an empty prompt, or a negative `n_new`.
    """
    _check_prompt(ids, n_new)
    ids = ids.clone()  # the prompt stays the caller's own
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat(
                [ids, sample(logits[:, -1], **sampling)[:, None]], dim=1
            )
    return ids


def _check_prompt(ids: Tensor, n_new: int) -> None:
    if ids.shape[1] == 0:
        raise ValueError(
            "ids must hold at least one token a row, "
            f"got shape {tuple(ids.shape)}."
        )
    if n_new < 0:
        raise ValueError(f"n_new must be at least 0, got n_new={n_new}.")
