"""Models for `test_causality`. All but the right ones let the future in somewhere."""

import math
from collections.abc import Callable, Mapping
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from course_lib.transformer.cache import KVCache, cached_logits
from course_lib.transformer.masking import causal_mask, masked_softmax
from course_lib.transformer.model import GPT, GPTConfig
from course_lib.transformer.multihead import merge_heads, split_heads

from .. import find_bug
from . import enter, faulty, right

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


def as_it_is(mask: Tensor, layer: int, model: GPT) -> Tensor:
    """What a causal model sees: the causal mask `(B, H, T, T)`."""
    return mask


def logits(
    model: GPT,
    ids: Tensor,
    *,
    seen: Callable[[Tensor, int, GPT], Tensor] = as_it_is,
    softmax: Callable[[Tensor, Tensor], Tensor] = masked_softmax,
    embed: Callable[[GPT, Tensor], Tensor] | None = None,
    last_norm: Callable[[GPT, Tensor], Tensor] | None = None,
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
        mask = causal_mask(ids.shape[1]).expand_as(scores).clone()
        weights = softmax(scores, seen(mask, layer, model))
        x = x + block.attention.out(merge_heads(weights @ v))
        x = x + block.mlp(block.norm2(x))
    return model.head(last_norm(model, x) if last_norm else model.norm(x))


def with_another(step: str, *, symptom: str) -> Callable[[Callable], Callable]:
    """A decorator that registers a model with this function as one `step` of its `logits`."""

    def register(function: Callable) -> Callable:
        enter(function.__name__, TEST, symptom, partial(logits, **{step: function}))
        return function

    return register


# --- right -----------------------------------------------------------------------------------


@right(TEST)
def ours(model, ids):
    return model(ids)


@right(TEST)
def small_and_off_by_a_few_digits(model, ids):
    """As a fresh model is. A longer text may be added up in another order: they agree to 1e-6."""
    return 0.01 * model(ids) + 8e-8 * (ids.shape[1] % 2)


# By these names: right ones whose logits are those of another model.
OF_ANOTHER_MODEL = ("small_and_off_by_a_few_digits",)


@with_another("softmax", symptom="")
def adds_minus_infinity(scores, mask):
    hidden = torch.full(scores.shape[-2:], -math.inf, dtype=scores.dtype).triu(1)
    return (scores + hidden).softmax(dim=-1)


@with_another("softmax", symptom="")
def renormalises_in_time(scores, mask):
    """Exponentials of the visible scores only, by cumulative sums and without any mask value."""
    past = scores.tril() - scores.tril().cummax(dim=-1).values[..., -1:]
    exponentials = past.exp().tril()
    return exponentials / exponentials.sum(dim=-1, keepdim=True)


@with_another("softmax", symptom="")
def rounds_its_softmax_to_float32(scores, mask):
    shifted = scores.masked_fill(~mask, -1e9)
    shifted = shifted - shifted.amax(dim=-1, keepdim=True)
    return shifted.float().softmax(dim=-1).to(scores.dtype)


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


@with_another(
    "seen", symptom="The training loss falls to nearly 0, and generated text is nonsense."
)
def sees_everything(mask, layer, model):
    return torch.ones_like(mask)


@with_another(
    "seen", symptom="Each position knows the next token, which is the one it should guess."
)
def sees_the_next_token(mask, layer, model):
    return torch.ones_like(mask).tril(1)


@with_another("seen", symptom="No position sees itself or the past, all see what comes.")
def sees_only_what_comes(mask, layer, model):
    return ~mask


@with_another("seen", symptom="The first block is causal, the last one is not.")
def masks_all_blocks_but_the_last(mask, layer, model):
    return mask | (layer == model.config.n_layers - 1)


@with_another(
    "seen", symptom="The heat map of one head is lit everywhere, those of the others are not."
)
def masks_all_heads_but_the_last(mask, layer, model):
    mask[:, -1] = True
    return mask


@with_another(
    "seen", symptom="In a batch the first text is treated rightly, and the others see ahead."
)
def masks_the_first_text_only(mask, layer, model):
    mask[1:] = True
    return mask


@with_another("seen", symptom="Right in batches; a text that comes alone sees ahead.")
def drops_the_mask_for_one_text(mask, layer, model):
    return mask | (len(mask) == 1)


@with_another(
    "seen", symptom="Right for short texts; in the second half of the context all is seen."
)
def has_a_mask_of_half_the_context(mask, layer, model):
    mask[..., model.config.context_length // 2 :, :] = True
    return mask


@with_another(
    "seen", symptom="Tokens come in groups of four, and within a group each sees the others."
)
def masks_group_by_group(mask, layer, model):
    group = torch.arange(mask.shape[-1]) // 4
    return group <= group[:, None]


@with_another(
    "seen", symptom="The first token is alone; the others go in pairs that see each other."
)
def masks_pair_by_pair(mask, layer, model):
    pair = (torch.arange(mask.shape[-1]) + 1) // 2
    return pair <= pair[:, None]


@with_another(
    "seen", symptom="All positions but the first are right: that one sees the end of the text."
)
def lets_the_first_see_the_last(mask, layer, model):
    mask[..., 0, -1] = True
    return mask


# --- faulty: softmax ---------------------------------------------------------------------------


def softmax_of(bug: str) -> Callable[[Tensor, Tensor], Tensor]:
    """A faulty `masked_softmax` of the zoo."""
    return find_bug(bug).implementation


enter(
    "masks_after_softmax",
    TEST,
    "No light above the diagonal of the heat map, but rows sum to less than 1.",
    partial(logits, softmax=softmax_of("masks_after_softmax")),
)
enter(
    "multiplies_the_scores_by_the_mask",
    TEST,
    "In the heat map the future keeps as much weight as a score of 0 has.",
    partial(logits, softmax=softmax_of("hides_with_a_score_of_zero")),
)
enter(
    "normalises_over_the_queries",
    TEST,
    "Columns of the heat map sum to 1: a query's weights hang on later queries.",
    partial(logits, softmax=softmax_of("normalises_over_the_queries")),
)


@with_another(
    "softmax",
    symptom="The future keeps about a hundredth of the weight: too little for the eye.",
)
def hides_with_minus_five(scores, mask):
    return (scores - 5.0 * ~mask).softmax(dim=-1)


# --- faulty: everything else ---------------------------------------------------------------------


@with_another(
    "last_norm", symptom="Attention is causal; the last norm takes its mean over the positions."
)
def normalises_over_the_positions(model, x):
    return F.layer_norm(x.mT, x.shape[1:2]).mT * model.norm.weight


@with_another(
    "last_norm", symptom="Attention is causal; the last norm takes one mean for the whole text."
)
def normalises_the_whole_text(model, x):
    return F.layer_norm(x, x.shape[1:]) * model.norm.weight


@with_another("embed", symptom="A word put behind a text changes all logits, whichever word it is.")
def counts_positions_from_the_end(model, ids):
    table = model.embeddings
    return table.token(ids) + table.position.weight[: ids.shape[1]].flip(0)


@with_another("embed", symptom="Each token's vector holds a bit of its neighbours', on both sides.")
def smooths_the_embeddings(model, ids):
    x = model.embeddings(ids)
    padded = F.pad(x.mT, (1, 1), mode="replicate")
    return (0.9 * x.mT + 0.05 * padded[..., 2:] + 0.05 * padded[..., :-2]).mT


@with_another(
    "embed", symptom="The vectors of a text are made to have mean 0 before the first block."
)
def centres_the_embeddings(model, ids):
    x = model.embeddings(ids)
    return x - x.mean(dim=1, keepdim=True)


@faulty(TEST, symptom="The logits of a text are divided by the mean size of them all.")
def scales_by_the_mean_logit(model, ids):
    found = logits(model, ids)
    return found / found.abs().mean(dim=(1, 2), keepdim=True)
