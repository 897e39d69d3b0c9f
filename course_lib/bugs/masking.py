"""What goes wrong in lesson 3: masks, the softmax under them, and looking into the future."""

import math

import torch
from torch import nn

from course_lib.transformer.attention import SelfAttention, attention
from course_lib.transformer.masking import causal_mask, masked_attention, masked_softmax

from . import bug

# --- causal_mask -----------------------------------------------------------------------------


@bug(
    "causal_mask",
    title="the diagonal is hidden: no query may see itself",
    misconception="A token must not see what it predicts. It predicts the next one, so it may see "
    "itself, and the first has nothing else.",
    symptom="The first row is empty: nan, or zeros, at the first position of every text.",
    threads=("pbloem/former#10",),
)
def hides_the_diagonal(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    queries = torch.arange(n_keys - n_queries, n_keys, device=device)
    return torch.arange(n_keys, device=device) < queries[:, None]


@bug(
    "causal_mask",
    title="each query also sees the next key",
    misconception="The diagonal of tril is counted from 1. diagonal=1 is one above the main one.",
    symptom="The training loss falls to nearly 0, and generated text is nonsense.",
)
def lets_the_next_key_in(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    allowed = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return allowed.tril(diagonal=n_keys - n_queries + 1)


@bug(
    "causal_mask",
    title="the mask was inverted",
    misconception="True is taken for 'hide this'. Some libraries mean that; here True means may "
    "attend.",
    symptom="The heat map is lit above the diagonal only, and the last row is empty.",
    threads=(
        "pytorch/examples#649",
        "pytorch/pytorch#29546",
        "tensorflow/text#894",
        "lucidrains/halonet-pytorch#4",
    ),
)
def inverts_the_causal_mask(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    hidden = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return hidden.triu(diagonal=n_keys - n_queries + 1)


@bug(
    "causal_mask",
    title="the mask is mirrored: each query sees itself and later keys",
    misconception="triu and tril were confused, or rows and columns: rows are queries.",
    symptom="The heat map is lit on and above the diagonal; only the last query is alone.",
)
def looks_only_ahead(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    allowed = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return allowed.triu(diagonal=n_keys - n_queries)


@bug(
    "causal_mask",
    title="queries were taken for the first positions, not the last",
    misconception="tril is the causal mask. It starts at the top left, where query 0 is position "
    "0; beside a cache, query 0 comes after all the keys kept.",
    symptom="Right while T = S. With a cache each new token sees only the oldest keys.",
    threads=("pytorch/pytorch#108108", "meta-llama/llama#899", "rasbt/LLMs-from-scratch#697"),
)
def aligns_the_queries_with_the_first_keys(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device).tril()


@bug(
    "causal_mask",
    title="the keys before the first query are hidden",
    misconception="The new tokens are causal among themselves, and the rest of the mask may stay "
    "False. The rest is the past, which is what a cache is for.",
    symptom="Right while T = S. A single new token sees only itself and forgets the prompt.",
)
def hides_the_cached_keys(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    mask = torch.zeros(n_queries, n_keys, dtype=torch.bool, device=device)
    mask[:, n_keys - n_queries :] = True
    return mask.tril(diagonal=n_keys - n_queries)


@bug(
    "causal_mask",
    title="with more keys than queries nothing is hidden",
    misconception="Beside a cache all keys are past, so no mask is needed. That holds for one new "
    "token; several must not see each other's future.",
    symptom="Right while T = S or T = 1. A prompt fed in chunks gives other logits.",
)
def hides_nothing_beside_a_cache(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    mask = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    return mask.tril() if n_queries == n_keys else mask


@bug(
    "causal_mask",
    title="one row for every key, not for every query",
    misconception="A causal mask is square. Only the rows of the queries that are asked belong "
    "to it.",
    symptom="Shape (S, S) instead of (T, S): an error as soon as it meets the scores.",
)
def keeps_a_row_for_every_key(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    return torch.ones(n_keys, n_keys, dtype=torch.bool, device=device).tril()


@bug(
    "causal_mask",
    title="numbers 1 and 0 instead of True and False",
    misconception="tril(ones) is a mask already. Its numbers are floats, and ~ or masked_fill "
    "want booleans.",
    symptom="TypeError at ~mask; added to the scores by mistake, it hides nothing.",
)
def makes_a_mask_of_ones_and_zeros(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    return torch.ones(n_queries, n_keys, device=device).tril(diagonal=n_keys - n_queries)


@bug(
    "causal_mask",
    title="an additive mask of 0 and -inf instead of booleans",
    misconception="All masks are added to the scores. This one is a boolean; read as one, "
    "0 counts as False and -inf as True.",
    symptom="Where a boolean is expected, all is turned around or nothing is hidden.",
    threads=("harvard-edge/cs249r_book#1785",),
)
def makes_an_additive_mask(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    hidden = torch.full((n_queries, n_keys), -math.inf, device=device)
    return hidden.triu(diagonal=n_keys - n_queries + 1)


@bug(
    "causal_mask",
    title="device is ignored, the mask is always on the CPU",
    misconception="A new tensor goes where the others are. It goes to the CPU unless told.",
    symptom="Right on a CPU; on a GPU 'expected all tensors to be on the same device'.",
)
def makes_the_mask_on_the_cpu(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries={n_queries}, got n_keys={n_keys}.")
    queries = torch.arange(n_keys - n_queries, n_keys)
    return torch.arange(n_keys) <= queries[:, None]


@bug(
    "causal_mask",
    title="fewer keys than queries are accepted",
    misconception="The formula gives something for any two numbers, so no check is needed. "
    "Queries before position 0 see nothing at all.",
    symptom="The first rows are empty, and swapped arguments go unnoticed.",
)
def accepts_fewer_keys_than_queries(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    queries = torch.arange(n_keys - n_queries, n_keys, device=device)
    return torch.arange(n_keys, device=device) <= queries[:, None]


# --- padding_mask ----------------------------------------------------------------------------


@bug(
    "padding_mask",
    title="the mask was inverted: True where a key is padding",
    misconception="A padding mask marks the padding. Here every mask marks what may be seen.",
    symptom="Only the filling is attended to; a full text attends to nothing.",
)
def inverts_the_padding_mask(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) >= lengths[:, None, None]


@bug(
    "padding_mask",
    title="one padding key too many is shown (<= instead of <)",
    misconception="A text of length 3 is real up to position 3. Positions count from 0, so the "
    "last real one is 2.",
    symptom="Each text attends to the first token of its filling.",
)
def shows_the_first_padding_key(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) <= lengths[:, None, None]


@bug(
    "padding_mask",
    title="the last positions are taken for real, not the first",
    misconception="Padding stands on the left. Some tokenizers put it there; here texts are "
    "filled up at the end.",
    symptom="Short texts attend to their filling and miss their own beginning.",
)
def expects_padding_on_the_left(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) >= n_keys - lengths[:, None, None]


@bug(
    "padding_mask",
    title="queries were masked instead of keys",
    misconception="A padding token should not count, so its row goes. What must not count is the "
    "token as a key, which is a column.",
    symptom="Shape (B, S, 1): rows of padding are empty, and real queries see the padding.",
    threads=("hyunwoongko/transformer#40", "keras-team/keras-io#1046"),
)
def masks_the_queries(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return (torch.arange(n_keys, device=lengths.device) < lengths[:, None])[:, :, None]


@bug(
    "padding_mask",
    title="the axis for the queries is missing: (B, S), not (B, 1, S)",
    misconception="One row of keys a text is all there is to say. Broadcasting lines axes up from "
    "the right, so B then meets the queries.",
    symptom="An error with the scores; with B = T, query b of every text gets text b's length.",
)
def forgets_the_axis_of_the_queries(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) < lengths[:, None]


@bug(
    "padding_mask",
    title="every text got the length of the longest",
    misconception="Texts are filled up to the longest, so that one's length says where the "
    "filling starts. It does for that text only.",
    symptom="Right for one text; in a batch the shorter texts attend to their filling.",
)
def uses_the_longest_length_for_all(lengths, n_keys):
    if ((lengths < 0) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    real = torch.arange(n_keys, device=lengths.device) < lengths.max()
    return real.repeat(len(lengths), 1, 1)


@bug(
    "padding_mask",
    title="a text without any padding is refused",
    misconception="A length must be below n_keys like an index. A length may equal it: that text "
    "fills its row.",
    symptom="ValueError for the longest text of every batch.",
)
def refuses_a_text_without_padding(lengths, n_keys):
    if ((lengths < 0) | (lengths >= n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]


@bug(
    "padding_mask",
    title="an empty text is refused",
    misconception="A text has at least one token. Batches of prompts do hold empty ones.",
    symptom="ValueError for lengths that hold a 0.",
)
def refuses_an_empty_text(lengths, n_keys):
    if ((lengths < 1) | (lengths > n_keys)).any():
        raise ValueError(f"lengths must lie in 0..n_keys={n_keys}, got lengths={lengths}.")
    return torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]


@bug(
    "padding_mask",
    title="impossible lengths are accepted",
    misconception="A comparison works with any number, so no check is needed. A length past "
    "n_keys says that a text was cut off unnoticed.",
    symptom="No error; a length of -1 hides a text, a length too large hides nothing.",
)
def accepts_impossible_lengths(lengths, n_keys):
    return torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]


# --- masked_softmax --------------------------------------------------------------------------


@bug(
    "masked_softmax",
    title="hidden scores became 0 instead of -inf",
    misconception="Multiplying by the mask removes a score, and so does filling in 1e-9 where "
    "-1e9 was meant. A score of 0 is an ordinary score: exp(0) is 1.",
    symptom="Hidden keys keep much of the weight; rows still sum to 1.",
)
def hides_with_a_score_of_zero(scores, mask):
    return (scores * mask).softmax(dim=-1)


@bug(
    "masked_softmax",
    title="masked after softmax, without renormalising",
    misconception="Removing the hidden weights is enough. The rest then sums to less than 1, and "
    "the future still decided how much less.",
    symptom="No light above the diagonal, but rows sum to less than 1, the first ones most.",
    threads=("huggingface/pytorch-image-models#2236",),
)
def masks_after_softmax(scores, mask):
    return scores.softmax(dim=-1).masked_fill(~mask, 0.0)


@bug(
    "masked_softmax",
    title="renormalised too late: hidden scores took part in softmax",
    misconception="Masking after softmax is repaired by dividing by the sum. When a hidden score "
    "is the largest by far, all visible weights are 0 already and cannot be repaired.",
    symptom="Right on ordinary scores; rows of zeros as soon as a large score is hidden.",
)
def renormalises_too_late(scores, mask):
    weights = scores.softmax(dim=-1).masked_fill(~mask, 0.0)
    total = weights.sum(dim=-1, keepdim=True)
    return weights / torch.where(total > 0, total, 1.0)


@bug(
    "masked_softmax",
    title="hidden scores are -1e4: too weak for large scores",
    misconception="-10000 is as good as minus infinity. It is above every score below it.",
    symptom="Right on ordinary scores; with very negative ones all weight goes to hidden keys.",
    threads=(
        "huggingface/transformers#17121",
        "huggingface/transformers#14859",
        "karpathy/minGPT#75",
    ),
)
def hides_with_minus_ten_thousand(scores, mask):
    return scores.masked_fill(~mask, -1e4).softmax(dim=-1)


@bug(
    "masked_softmax",
    title="hidden scores are -1e9: too large for half precision",
    misconception="-1e9 fits every float. float16 ends at 65504.",
    symptom="Right in float32; in float16 'value cannot be converted without overflow'.",
    threads=(
        "NVIDIA/apex#1052",
        "NVIDIA/apex#1105",
        "facebookresearch/fairseq#3575",
        "bentrevett/pytorch-seq2seq#191",
    ),
)
def hides_with_minus_a_billion(scores, mask):
    return scores.masked_fill(~mask, -1e9).softmax(dim=-1)


@bug(
    "masked_softmax",
    title="a row with nothing to attend to is uniform, not zero",
    misconception="The lowest number of the dtype hides a key. Where all keys have it, they are "
    "equal again.",
    symptom="Empty rows average the padding: gray stripes in the heat map.",
)
def shares_an_empty_row_evenly(scores, mask):
    return scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-1)


@bug(
    "masked_softmax",
    title="a row with nothing to attend to is nan",
    misconception="-inf hides a key in every case. A row of nothing but -inf is 0/0.",
    symptom="One text that is all padding, and the loss of the whole batch is nan.",
    threads=("pytorch/pytorch#103963",),
)
def gives_nan_on_an_empty_row(scores, mask):
    return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)


@bug(
    "masked_softmax",
    title="zeros in an empty row, but its gradient is nan",
    misconception="nan_to_num repairs an empty row. It repairs the weights; the gradient goes "
    "through the nan behind them.",
    symptom="The first loss is fine, and after one step all the parameters are nan.",
    threads=("pytorch/pytorch#41508",),
)
def hides_the_nan_but_not_its_gradient(scores, mask):
    bias = torch.zeros_like(scores).masked_fill(~mask, -math.inf)
    return (scores + bias).softmax(dim=-1).nan_to_num(0.0)


@bug(
    "masked_softmax",
    title="0 * -inf: every row is nan",
    misconception="(1 - mask) * -inf is 0 where the mask is 1. 0 times infinity is nan.",
    symptom="nan in every row that has a visible key, from the first step on.",
)
def multiplies_zero_by_infinity(scores, mask):
    return (scores + (1 - mask.to(scores.dtype)) * -math.inf).softmax(dim=-1)


@bug(
    "masked_softmax",
    title="the mask was inverted",
    misconception="masked_fill fills where its mask is True, so the mask is passed as it is. True "
    "means may attend here.",
    symptom="Each query sees exactly what it must not see.",
    threads=("pytorch/examples#649", "pytorch/pytorch#29546", "lucidrains/halonet-pytorch#4"),
)
def hides_the_allowed_keys(scores, mask):
    weights = scores.masked_fill(mask, torch.finfo(scores.dtype).min).softmax(dim=-1)
    return weights.masked_fill(mask, 0.0)


@bug(
    "masked_softmax",
    title="the masked scores were thrown away: nothing is hidden",
    misconception="scores.masked_fill(...) changes scores. Only masked_fill_ would; this one "
    "returns a new tensor that nobody kept.",
    symptom="The same weights with and without a mask.",
)
def throws_the_masked_scores_away(scores, mask):
    scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1)


@bug(
    "masked_softmax",
    title="the scores themselves were changed (masked_fill_)",
    misconception="masked_fill_ saves memory. The memory is the caller's.",
    symptom="The weights are right; the scores looked at afterwards are -3e38 in places.",
)
def masks_the_scores_in_place(scores, mask):
    scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1).masked_fill(~mask, 0.0)


@bug(
    "masked_softmax",
    title="the mask was added to the scores as 0 and 1",
    misconception="A mask is added to the scores. A mask of 0 and -inf is; a boolean one adds 1 "
    "to what is allowed.",
    symptom="Hidden keys keep more than a third of the weight they would have had.",
)
def adds_the_mask(scores, mask):
    return (scores + mask).softmax(dim=-1)


@bug(
    "masked_softmax",
    title="softmax over the queries instead of the keys",
    misconception="Softmax may run along either side of the square table. A query chooses among "
    "keys, so it is each row that must sum to 1.",
    symptom="Columns of the heat map sum to 1; the last query keeps the last key for itself.",
    threads=(
        "labmlai/annotated_deep_learning_paper_implementations#146",
        "nerminnuraydogan/vision-transformer#1",
    ),
)
def normalises_over_the_queries(scores, mask):
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min).softmax(dim=-2)
    return weights.masked_fill(~mask, 0.0)


@bug(
    "masked_softmax",
    title="weights come back in float32, whatever the scores were",
    misconception="Softmax is safer in float32, which holds for half precision. The way back to "
    "the scores' dtype was forgotten.",
    symptom="Right in float32; weights @ v complains in every other dtype.",
)
def leaves_the_weights_in_float32(scores, mask):
    lowest = torch.finfo(torch.float32).min
    weights = scores.float().masked_fill(~mask, lowest).softmax(dim=-1)
    return weights.masked_fill(~mask, 0.0)


# --- masked_attention ------------------------------------------------------------------------


@bug(
    "masked_attention",
    title="the mask was inverted",
    misconception="True is taken for 'hide this', as in nn.MultiheadAttention. Here, as in "
    "scaled_dot_product_attention, True means may attend.",
    symptom="Each query sees exactly what it must not see; the training loss falls too fast.",
    threads=("rasbt/LLMs-from-scratch#1061", "lucidrains/x-transformers#160"),
)
def attends_where_it_must_not(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = scores.softmax(dim=-1) if mask is None else masked_softmax(scores, ~mask)
    return weights @ v, weights


@bug(
    "masked_attention",
    title="scores are not divided by sqrt(D)",
    misconception="The mask is new here, so the line with the scale was left out.",
    symptom="The heat map is almost black and white, the more so the wider the head.",
    threads=("delzac/cntkx#10", "huggingface/blog#2893"),
)
def forgets_the_scale_under_a_mask(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1)
    weights = scores.softmax(dim=-1) if mask is None else masked_softmax(scores, mask)
    return weights @ v, weights


@bug(
    "masked_attention",
    title="without a mask it fails: None is not handled",
    misconception="There is always a mask. The default says that there may be none.",
    symptom="TypeError or AttributeError about NoneType as soon as mask is left out.",
)
def cannot_do_without_a_mask(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = masked_softmax(scores, mask)
    return weights @ v, weights


@bug(
    "masked_attention",
    title="without a mask it is causal",
    misconception="This is the lesson about causal masks, so None means the causal one. It means "
    "that everything may be seen.",
    symptom="The heat map is dark above the diagonal although no mask was given.",
)
def is_causal_unless_told_otherwise(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is None:
        mask = torch.ones_like(scores, dtype=torch.bool).tril(scores.shape[-1] - scores.shape[-2])
    weights = masked_softmax(scores, mask)
    return weights @ v, weights


@bug(
    "masked_attention",
    title="masked after softmax, without renormalising",
    misconception="Removing the hidden weights is enough. The rest then sums to less than 1, and "
    "the future still decided how much less.",
    symptom="Early positions give outputs near 0, and a causality test still finds a leak.",
    threads=("huggingface/pytorch-image-models#2236",),
)
def hides_keys_after_softmax(q, k, v, mask=None):
    _, weights = attention(q, k, v)
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)
    return weights @ v, weights


@bug(
    "masked_attention",
    title="the weights shown are those without the mask",
    misconception="The weights come from attention and the output from a masked copy. They are "
    "asked for to show what the output was made of.",
    symptom="The output is right, and the heat map shows a leak that is not there.",
)
def shows_the_weights_without_the_mask(q, k, v, mask=None):
    output, weights = attention(q, k, v)
    if mask is not None:
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        output = masked_softmax(scores, mask) @ v
    return output, weights


@bug(
    "masked_attention",
    title="a query with nothing to attend to gives nan",
    misconception="-inf hides a key in every case. A row of nothing but -inf is 0/0.",
    symptom="One text that is all padding, and the loss of the whole batch is nan.",
    threads=("pytorch/pytorch#103963",),
)
def answers_an_empty_query_with_nan(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "masked_attention",
    title="a query with nothing to attend to averages all values",
    misconception="The lowest number of the dtype hides a key. Where all keys have it, they are "
    "equal again.",
    symptom="A text that is all padding still sends something on.",
)
def answers_an_empty_query_with_the_mean(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    return weights @ v, weights


@bug(
    "masked_attention",
    title="a head axis was put into every mask of three axes",
    misconception="A mask (B, T, S) lacks the heads, so attention adds them. When the queries "
    "have no heads, the mask was complete.",
    symptom="Right with heads; without them the weights have an axis too many.",
)
def adds_a_head_axis_to_the_mask(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    if mask is None:
        return attention(q, k, v)
    weights = masked_softmax(scores, mask.unsqueeze(1) if mask.dim() == 3 else mask)
    return weights @ v, weights


@bug(
    "masked_attention",
    title="the first text's mask was used for the whole batch",
    misconception="A mask says what attention may do, the same for every text. A padding mask "
    "differs from text to text.",
    symptom="Right with a causal mask; with padding every text has the length of the first.",
)
def uses_the_first_mask_for_all_texts(q, k, v, mask=None):
    if mask is None:
        return attention(q, k, v)
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    weights = masked_softmax(scores, mask if mask.dim() < 3 else mask[:1])
    return weights @ v, weights


# --- CausalSelfAttention ---------------------------------------------------------------------


@bug(
    "CausalSelfAttention",
    title="nothing is hidden: every position sees the whole text",
    misconception="A causal module inherits from SelfAttention, and the rest follows. Somebody "
    "must build the mask and pass it on.",
    symptom="The training loss falls to nearly 0, and generated text is nonsense.",
    threads=("facebookresearch/xformers#103",),
)
class SeesTheWholeText(SelfAttention):
    def forward(self, x):
        output, _ = attention(self.query(x), self.key(x), self.value(x))
        return output


@bug(
    "CausalSelfAttention",
    title="the diagonal is hidden too, so the first position is nan",
    misconception="A token must not see what it predicts. It predicts the next one, so it may see "
    "itself, and the first has nothing else.",
    symptom="nan at the first position of every text, and in the loss.",
    threads=("pbloem/former#10",),
)
class HidesEveryPositionFromItself(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        hidden = torch.ones_like(scores, dtype=torch.bool).triu()
        return scores.masked_fill(hidden, -math.inf).softmax(dim=-1) @ v


@bug(
    "CausalSelfAttention",
    title="the mask was inverted: only the future is seen",
    misconception="True is taken for 'hide this', so the mask was turned around on its way in.",
    symptom="The last position, with no future left, is zero; the training loss falls too fast.",
    threads=("rasbt/LLMs-from-scratch#1061", "pytorch/examples#649"),
)
class SeesOnlyTheFuture(SelfAttention):
    def forward(self, x):
        mask = ~causal_mask(x.shape[-2], device=x.device)
        output, _ = masked_attention(self.query(x), self.key(x), self.value(x), mask)
        return output


@bug(
    "CausalSelfAttention",
    title="masked after softmax, without renormalising",
    misconception="Removing the hidden weights is enough. The rest then sums to less than 1, and "
    "the future still decided how much less.",
    symptom="Early positions give outputs near 0, and a causality test still finds a leak.",
    threads=("huggingface/pytorch-image-models#2236",),
)
class HidesTheFutureAfterSoftmax(SelfAttention):
    def forward(self, x):
        v = self.value(x)
        _, weights = attention(self.query(x), self.key(x), v)
        return weights.tril() @ v


@bug(
    "CausalSelfAttention",
    title="the mask of the first text is kept for all later ones",
    misconception="The mask is always the same, so it is built once. Its size is that of the "
    "text, and texts differ.",
    symptom="RuntimeError about sizes as soon as a text has another length than the first.",
    threads=("facebookresearch/xformers#66", "facebookresearch/xformers#655"),
)
class KeepsTheFirstMask(SelfAttention):
    mask = None

    def forward(self, x):
        if self.mask is None:
            self.mask = causal_mask(x.shape[-2], device=x.device)
        output, _ = masked_attention(self.query(x), self.key(x), self.value(x), self.mask)
        return output


@bug(
    "CausalSelfAttention",
    title="the future is hidden in training only",
    misconception="The mask is there to keep training honest, as dropout is. A model that then "
    "sees what it never saw in training computes something else.",
    symptom="The validation loss is far off the training loss, and eval() changes the output.",
)
class HidesTheFutureInTrainingOnly(SelfAttention):
    def forward(self, x):
        mask = causal_mask(x.shape[-2], device=x.device) if self.training else None
        output, _ = masked_attention(self.query(x), self.key(x), self.value(x), mask)
        return output


@bug(
    "CausalSelfAttention",
    title="the mask is always on the CPU",
    misconception="A new tensor goes where the others are. It goes to the CPU unless told.",
    symptom="Right on a CPU; on a GPU 'expected all tensors to be on the same device'.",
)
class LeavesTheMaskOnTheCpu(SelfAttention):
    def forward(self, x):
        mask = causal_mask(x.shape[-2])
        output, _ = masked_attention(self.query(x), self.key(x), self.value(x), mask)
        return output


@bug(
    "CausalSelfAttention",
    title="the mask is sized by axis 1, whatever the number of axes",
    misconception="Axis 1 is the time axis, since there is always a batch in front and nothing "
    "else.",
    symptom="Right for (B, T, C); RuntimeError about sizes for one text or with two axes in front.",
)
class SizesTheMaskByAxisOne(SelfAttention):
    def forward(self, x):
        mask = causal_mask(x.shape[1], device=x.device)
        output, _ = masked_attention(self.query(x), self.key(x), self.value(x), mask)
        return output


@bug(
    "CausalSelfAttention",
    title="scores are scaled by the model's width, not the head's",
    misconception="C stands in the same line of code, so C**-0.5 is the scale. The dot product "
    "runs over the D numbers of a head.",
    symptom="Right when d_head = d_model; a heat map that is too even in every narrower head.",
    threads=("karpathy/ng-video-lecture#6",),
)
class ScalesCausalScoresByTheModelWidth(SelfAttention):
    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        scores = q @ k.transpose(-2, -1) * x.shape[-1] ** -0.5
        hidden = torch.ones_like(scores, dtype=torch.bool).triu(diagonal=1)
        return scores.masked_fill(hidden, -math.inf).softmax(dim=-1) @ v


@bug(
    "CausalSelfAttention",
    title="the mask is saved among the weights",
    misconception="register_buffer is for what is no parameter. Unless persistent=False is said, "
    "a buffer is saved and loaded with the weights.",
    symptom="The state_dict holds 'mask'; checkpoints grow and do not fit other lengths.",
)
class SavesTheMaskWithTheWeights(nn.Module):
    def __init__(self, d_model, d_head):
        super().__init__()
        self.query = nn.Linear(d_model, d_head, bias=False)
        self.key = nn.Linear(d_model, d_head, bias=False)
        self.value = nn.Linear(d_model, d_head, bias=False)
        self.register_buffer("mask", causal_mask(1024))

    def forward(self, x):
        mask = self.mask[: x.shape[-2], : x.shape[-2]]
        output, _ = masked_attention(self.query(x), self.key(x), self.value(x), mask)
        return output


# --- future_influence ------------------------------------------------------------------------


@bug(
    "future_influence",
    title="outputs and inputs are swapped: entry [s, t], not [t, s]",
    misconception="A table is the same from both sides. Rows are outputs here, so the future lies "
    "above the diagonal.",
    symptom="A causal function lights up above the diagonal, as if it saw the future.",
)
def swaps_outputs_and_inputs(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    n_positions = x.shape[0]
    by_entry = jacobian.reshape(n_positions, -1, n_positions, x.shape[1])
    return by_entry.square().sum(dim=(1, 3)).sqrt().T


@bug(
    "future_influence",
    title="the outputs of a position were summed before differentiating",
    misconception="A gradient needs one number, so the outputs are summed first. Influences of "
    "opposite sign then cancel.",
    symptom="Too small throughout; 0 after a layer whose outputs sum to a constant.",
)
def sums_the_outputs_first(fn, x):
    def sums(x):
        return fn(x).reshape(x.shape[0], -1).sum(dim=1)

    return torch.autograd.functional.jacobian(sums, x.detach()).norm(dim=-1)


@bug(
    "future_influence",
    title="only the first channel of each output was differentiated",
    misconception="One channel shows whether there is influence. It may be the one that does not "
    "depend on that input.",
    symptom="Too small throughout; a leak in any other channel is not seen.",
)
def follows_the_first_channel(fn, x):
    def first_channel(x):
        return fn(x).reshape(x.shape[0], -1)[:, 0]

    return torch.autograd.functional.jacobian(first_channel, x.detach()).norm(dim=-1)


@bug(
    "future_influence",
    title="the largest entry was taken instead of the Frobenius norm",
    misconception="Any size of a block will do. The Frobenius norm is the root of the sum of "
    "squares of all its entries.",
    symptom="The pattern is right; every number is too small.",
)
def takes_the_largest_entry(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    n_positions = x.shape[0]
    return jacobian.reshape(n_positions, -1, n_positions, x.shape[1]).abs().amax(dim=(1, 3))


@bug(
    "future_influence",
    title="the square root of the norm is missing",
    misconception="The sum of squares is the norm. It is the norm's square.",
    symptom="The pattern is right; small numbers are too small and large ones too large.",
)
def forgets_the_square_root(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    n_positions = x.shape[0]
    by_entry = jacobian.reshape(n_positions, -1, n_positions, x.shape[1])
    return by_entry.square().sum(dim=(1, 3))


@bug(
    "future_influence",
    title="gradients pile up from one output to the next",
    misconception="backward gives the gradient of its own call. It adds to what is there already "
    "until somebody clears it.",
    symptom="Rows grow downwards, and every row holds the influences of the rows before.",
)
def piles_up_gradients(fn, x):
    x = x.detach().clone().requires_grad_()
    outputs = fn(x).reshape(x.shape[0], -1)
    rows = []
    for output in outputs:
        by_channel = []
        for channel in output:
            channel.backward(inputs=[x], retain_graph=True)
            by_channel.append(x.grad.clone())
        rows.append(torch.stack(by_channel).norm(dim=(0, 2)))
    return torch.stack(rows)


@bug(
    "future_influence",
    title="gradients were left on the parameters inside fn",
    misconception="backward touches only x. It adds to the .grad of everything that took part.",
    symptom="The table is right; the next training step also follows this measurement.",
)
def leaves_gradients_on_the_parameters(fn, x):
    x = x.detach().clone().requires_grad_()
    outputs = fn(x).reshape(x.shape[0], -1)
    rows = []
    for output in outputs:
        by_channel = []
        for channel in output:
            x.grad = None
            channel.backward(retain_graph=True)
            by_channel.append(x.grad)
        rows.append(torch.stack(by_channel).norm(dim=(0, 2)))
    return torch.stack(rows)


@bug(
    "future_influence",
    title="x itself was switched to requires_grad",
    misconception="requires_grad_() prepares a tensor for this one call. It changes the caller's "
    "tensor for good.",
    symptom="The table is right; afterwards every result made from x drags a graph along.",
)
def switches_on_the_gradient_of_x(fn, x):
    x.requires_grad_()
    outputs = fn(x).reshape(x.shape[0], -1)
    rows = []
    for output in outputs:
        gradients = [torch.autograd.grad(one, x, retain_graph=True)[0] for one in output]
        rows.append(torch.stack(gradients).norm(dim=(0, 2)))
    return torch.stack(rows)


@bug(
    "future_influence",
    title="the result still carries its graph: it is not detached",
    misconception="A number that was computed is just a number. With create_graph it remembers "
    "how it was made.",
    symptom="The table is right; plotting it raises 'call detach().numpy()', and memory grows.",
)
def keeps_the_graph(fn, x):
    x = x.detach().clone().requires_grad_()
    jacobian = torch.autograd.functional.jacobian(fn, x, create_graph=True)
    n_positions = x.shape[0]
    by_entry = jacobian.reshape(n_positions, -1, n_positions, x.shape[1])
    return by_entry.square().sum(dim=(1, 3)).sqrt()


@bug(
    "future_influence",
    title="differences with a step were taken instead of derivatives",
    misconception="(f(x + h) - f(x)) / h is the derivative. It is near it: a curved function is "
    "off by about h.",
    symptom="Right to two or three digits; exact only for a linear function.",
)
def takes_differences_instead_of_derivatives(fn, x):
    step = 1e-3
    with torch.no_grad():
        at_x = fn(x).reshape(x.shape[0], -1)
        columns = []
        for s in range(x.shape[0]):
            moved = []
            for c in range(x.shape[1]):
                nearby = x.clone()
                nearby[s, c] += step
                moved.append((fn(nearby).reshape(x.shape[0], -1) - at_x) / step)
            columns.append(torch.stack(moved).norm(dim=(0, 2)))
    return torch.stack(columns, dim=1)


@bug(
    "future_influence",
    title="outputs are assumed to be as wide as the inputs",
    misconception="A layer keeps the shape of x. fn promises to keep only its first axis.",
    symptom="RuntimeError 'shape is invalid for input' when fn changes the width.",
)
def expects_outputs_as_wide_as_inputs(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    n_positions, width = x.shape
    by_entry = jacobian.reshape(n_positions, width, n_positions, width)
    return by_entry.square().sum(dim=(1, 3)).sqrt()


@bug(
    "future_influence",
    title="all above the diagonal is set to 0, leak or not",
    misconception="The future has no influence, so those entries are 0. Whether it has none is "
    "what is being measured.",
    symptom="Every function looks causal, the broken ones too.",
)
def erases_the_future(fn, x):
    jacobian = torch.autograd.functional.jacobian(fn, x.detach())
    n_positions = x.shape[0]
    by_entry = jacobian.reshape(n_positions, -1, n_positions, x.shape[1])
    return by_entry.square().sum(dim=(1, 3)).sqrt().tril()
