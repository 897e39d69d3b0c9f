"""Models for `test_causality`. All but the right ones let the future in somewhere."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.transformer.cache import KVCache, cached_logits
from course_lib.transformer.masking import causal_mask, masked_softmax
from course_lib.transformer.model import GPT, GPTConfig
from course_lib.transformer.multihead import merge_heads, split_heads

from . import faulty, right

TEST = "test_causality"


def fresh_model(config: Mapping, seed: int) -> GPT:
    """A GPT in float64 whose weights are large enough that every change can be seen."""
    return _fresh_model(tuple(config.items()), seed)


@lru_cache(maxsize=4)  # every patient of a run gets the same, and changes nothing in it
def _fresh_model(config: tuple, seed: int) -> GPT:
    model = GPT(GPTConfig(**dict(config))).double().eval()
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            if "embeddings" in name:
                parameter.copy_(drawn)
            elif parameter.dim() > 1:
                parameter.copy_(1.5 * drawn / math.sqrt(parameter.shape[1]))
            else:
                parameter.copy_(0.3 * drawn + (1.0 if "norm" in name and "weight" in name else 0))
    return model


def causal(scores: Tensor, layer: int) -> Tensor:
    """The right weights."""
    return masked_softmax(scores, causal_mask(*scores.shape[-2:]))


def logits(
    model: GPT,
    ids: Tensor,
    *,
    weights: Callable[[Tensor, int], Tensor] = causal,
    embed: Callable[[GPT, Tensor], Tensor] | None = None,
    last_norm: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """The model's logits, step by step, so that a fault can be put into one of them."""
    if ids.shape[1] > model.config.context_length:
        raise ValueError(
            f"ids must fit context_length={model.config.context_length}, got {ids.shape[1]}."
        )
    x = embed(model, ids) if embed else model.embeddings(ids)
    for layer, block in enumerate(model.blocks):
        parts = block.attention.qkv(block.norm1(x)).chunk(3, dim=-1)
        q, k, v = (split_heads(part, model.config.n_heads) for part in parts)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        x = x + block.attention.out(merge_heads(weights(scores, layer) @ v))
        x = x + block.mlp(block.norm2(x))
    return model.head(last_norm(x) if last_norm else model.norm(x))


# --- right -----------------------------------------------------------------------------------


@right(TEST)
def ours(model, ids):
    return model(ids)


@right(TEST)
def adds_minus_infinity(model, ids):
    def weights(scores, layer):
        hidden = torch.full(scores.shape[-2:], -math.inf, dtype=scores.dtype).triu(1)
        return (scores + hidden).softmax(dim=-1)

    return logits(model, ids, weights=weights)


@right(TEST)
def renormalises_in_time(model, ids):
    """Exponentials of the visible scores only, by cumulative sums and without any mask value."""

    def weights(scores, layer):
        past = scores.tril() - scores.tril().cummax(dim=-1).values[..., -1:]
        exponentials = past.exp().tril()
        return exponentials / exponentials.sum(dim=-1, keepdim=True)

    return logits(model, ids, weights=weights)


@right(TEST)
def rounds_its_softmax_to_float32(model, ids):
    def weights(scores, layer):
        shifted = scores.masked_fill(~causal_mask(*scores.shape[-2:]), -1e9)
        shifted = shifted - shifted.amax(dim=-1, keepdim=True)
        return shifted.float().softmax(dim=-1).to(scores.dtype)

    return logits(model, ids, weights=weights)


@right(TEST)
def reads_with_a_cache(model, ids):
    """Four tokens at a time, each four after what is kept of those before."""
    n_texts, n_tokens = ids.shape
    config = model.config
    if n_tokens > config.context_length:
        raise ValueError(f"ids must fit context_length={config.context_length}, got {n_tokens}.")
    sizes = (n_texts, config.n_heads, n_tokens, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=torch.float64) for _ in model.blocks]
    return torch.cat([cached_logits(model, part, caches) for part in ids.split(4, dim=1)], dim=1)


@right(TEST)
def fills_up_the_context(model, ids):
    """Zeros behind the text, and their logits thrown away."""
    n_missing = model.config.context_length - ids.shape[1]
    if n_missing < 0:
        raise ValueError(
            f"ids must fit context_length={model.config.context_length}, got {ids.shape[1]}."
        )
    return model(F.pad(ids, (0, n_missing)))[:, : ids.shape[1]]


# --- faulty: the mask --------------------------------------------------------------------------


@faulty(TEST, symptom="The training loss falls to nearly 0, and generated text is nonsense.")
def sees_everything(model, ids):
    return logits(model, ids, weights=lambda scores, layer: scores.softmax(dim=-1))


@faulty(TEST, symptom="Each position knows the next token, which is the one it should guess.")
def sees_the_next_token(model, ids):
    def weights(scores, layer):
        return masked_softmax(scores, torch.ones_like(scores, dtype=torch.bool).tril(1))

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="No position sees itself or the past, all see what comes.")
def sees_only_what_comes(model, ids):
    def weights(scores, layer):
        return masked_softmax(scores, ~causal_mask(*scores.shape[-2:]))

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="No light above the diagonal of the heat map, but rows sum to less than 1.")
def masks_after_softmax(model, ids):
    return logits(model, ids, weights=lambda scores, layer: scores.softmax(dim=-1).tril())


@faulty(TEST, symptom="In the heat map the future keeps as much weight as a score of 0 has.")
def multiplies_the_scores_by_the_mask(model, ids):
    return logits(model, ids, weights=lambda scores, layer: scores.tril().softmax(dim=-1))


@faulty(TEST, symptom="The future keeps about a hundredth of the weight: too little for the eye.")
def hides_with_minus_five(model, ids):
    def weights(scores, layer):
        hidden = ~causal_mask(*scores.shape[-2:])
        return (scores - 5.0 * hidden).softmax(dim=-1)

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="Columns of the heat map sum to 1: a query's weights hang on later queries.")
def normalises_over_the_queries(model, ids):
    def weights(scores, layer):
        hidden = ~causal_mask(*scores.shape[-2:])
        return scores.masked_fill(hidden, -math.inf).softmax(dim=-2)

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="The first block is causal, the last one is not.")
def masks_all_blocks_but_the_last(model, ids):
    def weights(scores, layer):
        is_last = layer == model.config.n_layers - 1
        return scores.softmax(dim=-1) if is_last else causal(scores, layer)

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="The heat map of one head is lit everywhere, those of the others are not.")
def masks_all_heads_but_the_last(model, ids):
    def weights(scores, layer):
        seen = causal_mask(*scores.shape[-2:]).expand_as(scores).clone()
        seen[:, -1] = True
        return masked_softmax(scores, seen)

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="In a batch the first text is treated rightly, and the others see ahead.")
def masks_the_first_text_only(model, ids):
    def weights(scores, layer):
        seen = causal_mask(*scores.shape[-2:]).expand_as(scores).clone()
        seen[1:] = True
        return masked_softmax(scores, seen)

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="Right in batches; a text that comes alone sees ahead.")
def drops_the_mask_for_one_text(model, ids):
    def weights(scores, layer):
        return scores.softmax(dim=-1) if len(scores) == 1 else causal(scores, layer)

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="Right for short texts; in the second half of the context all is seen.")
def has_a_mask_of_half_the_context(model, ids):
    half = model.config.context_length // 2

    def weights(scores, layer):
        seen = torch.ones_like(scores, dtype=torch.bool)
        seen[..., :half, :] = causal_mask(*scores.shape[-2:])[:half]
        return masked_softmax(scores, seen)

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="Tokens come in groups of four, and within a group each sees the others.")
def masks_group_by_group(model, ids):
    def weights(scores, layer):
        group = torch.arange(scores.shape[-1]) // 4
        return masked_softmax(scores, group <= group[:, None])

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="The first token is alone; the others go in pairs that see each other.")
def masks_pair_by_pair(model, ids):
    def weights(scores, layer):
        pair = (torch.arange(scores.shape[-1]) + 1) // 2
        return masked_softmax(scores, pair <= pair[:, None])

    return logits(model, ids, weights=weights)


@faulty(TEST, symptom="All positions but the first are right: that one sees the end of the text.")
def lets_the_first_see_the_last(model, ids):
    def weights(scores, layer):
        seen = causal_mask(*scores.shape[-2:]).clone()
        seen[0, -1] = True
        return masked_softmax(scores, seen)

    return logits(model, ids, weights=weights)


# --- faulty: everything else ---------------------------------------------------------------------


@faulty(TEST, symptom="Attention is causal; the last norm takes its mean over the positions.")
def normalises_over_the_positions(model, ids):
    def over_the_positions(x):
        return F.layer_norm(x.mT, x.shape[1:2]).mT * model.norm.weight

    return logits(model, ids, last_norm=over_the_positions)


@faulty(TEST, symptom="Attention is causal; the last norm takes one mean for the whole text.")
def normalises_the_whole_text(model, ids):
    def over_the_text(x):
        return F.layer_norm(x, x.shape[1:]) * model.norm.weight

    return logits(model, ids, last_norm=over_the_text)


@faulty(TEST, symptom="A word put behind a text changes all logits, whichever word it is.")
def counts_positions_from_the_end(model, ids):
    def embed(model, ids):
        table = model.embeddings
        return table.token(ids) + table.position.weight[: ids.shape[1]].flip(0)

    return logits(model, ids, embed=embed)


@faulty(TEST, symptom="Each token's vector holds a bit of its neighbours', on both sides.")
def smooths_the_embeddings(model, ids):
    def embed(model, ids):
        x = model.embeddings(ids)
        padded = F.pad(x.mT, (1, 1), mode="replicate")
        return (0.9 * x.mT + 0.05 * padded[..., 2:] + 0.05 * padded[..., :-2]).mT

    return logits(model, ids, embed=embed)


@faulty(TEST, symptom="The vectors of a text are made to have mean 0 before the first block.")
def centres_the_embeddings(model, ids):
    def embed(model, ids):
        x = model.embeddings(ids)
        return x - x.mean(dim=1, keepdim=True)

    return logits(model, ids, embed=embed)


@faulty(TEST, symptom="The logits of a text are divided by the mean size of them all.")
def scales_by_the_mean_logit(model, ids):
    found = logits(model, ids)
    return found / found.abs().mean(dim=(1, 2), keepdim=True)
