"""What goes wrong in lesson 3: masks, the softmax under them, and looking into the future."""

import math

import torch
from torch import nn

from course_lib.transformer.attention import SelfAttention, attention
from course_lib.transformer.masking import causal_mask, masked_attention, masked_softmax

from . import bugs, whole_bug

bugs("""causal_mask:

hides_the_diagonal
    the diagonal is hidden: no query may see itself
    believed: A token must not see what it predicts, so it must not see itself. But it predicts the
        next one, and the first token has nothing else to see.
    seen: The first row is empty: nan, or zeros, at the first position of every text.
    reported: pbloem/former#10
    - return key_positions <= query_positions[:, None]
    + return key_positions < query_positions[:, None]

lets_the_next_key_in
    each query also sees the next key
    believed: The diagonal must be moved by one for a query to see itself. It sees itself already;
        one further is the key that comes after it.
    seen: The training loss falls to nearly 0, and generated text is nonsense.
    - query_positions = torch.arange(
    -     n_keys - n_queries, n_keys, device=device
    - )
    - key_positions = torch.arange(n_keys, device=device)
    - return key_positions <= query_positions[:, None]
    + allowed = torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)
    + return allowed.tril(diagonal=n_keys - n_queries + 1)

inverts_the_causal_mask
    the mask was inverted
    believed: True is taken for 'hide this'. Some libraries mean that; here True means may attend.
    seen: The heat map is lit above the diagonal only, and the last row is empty.
    reported: pytorch/examples#649, pytorch/pytorch#29546, tensorflow/text#894,
        lucidrains/halonet-pytorch#4
    - return key_positions <= query_positions[:, None]
    + return key_positions > query_positions[:, None]

looks_only_ahead
    the mask is mirrored: each query sees itself and later keys
    believed: Rows are keys, or triu keeps the past. Rows are queries, and the past of each lies to
        the left of the diagonal.
    seen: The heat map is lit on and above the diagonal; only the last query is alone.
    - return key_positions <= query_positions[:, None]
    + return key_positions >= query_positions[:, None]

aligns_the_queries_with_the_first_keys
    queries were taken for the first positions, not the last
    believed: Query 0 stands at position 0. It does while T = S; with fewer queries than keys, the
        queries stand at the last positions.
    seen: Right while T = S. With a cache each new token sees only the oldest keys.
    reported: pytorch/pytorch#108108, meta-llama/llama#899, rasbt/LLMs-from-scratch#697
    - query_positions = torch.arange(
    -     n_keys - n_queries, n_keys, device=device
    - )
    - key_positions = torch.arange(n_keys, device=device)
    - return key_positions <= query_positions[:, None]
    + return torch.ones(
    +     n_queries, n_keys, dtype=torch.bool, device=device
    + ).tril()

hides_the_cached_keys
    the keys before the first query are hidden
    believed: Only the queries' own positions matter, and the rest of the mask may stay False. The
        rest is their past, which each of them may see.
    seen: Right while T = S. A single new token sees only itself and forgets the prompt.
    - return key_positions <= query_positions[:, None]
    + is_new = key_positions >= n_keys - n_queries
    + return is_new & (key_positions <= query_positions[:, None])

hides_nothing_beside_a_cache
    with more keys than queries nothing is hidden
    believed: With more keys than queries, all other keys are past, so no mask is needed. That holds
        for one query; several must not see each other's future.
    seen: Right while T = S or T = 1. A prompt fed in chunks gives other logits.
    + if n_keys > n_queries:
    +     return torch.ones(
    +         n_queries, n_keys, dtype=torch.bool, device=device
    +     )
    = query_positions = torch.arange(

keeps_a_row_for_every_key
    one row for every key, not for every query
    believed: A causal mask is square. It has one row for each query, and there may be fewer queries
        than keys.
    seen: Shape (S, S) instead of (T, S): an error as soon as it meets the scores.
    - query_positions = torch.arange(
    -     n_keys - n_queries, n_keys, device=device
    - )
    + query_positions = torch.arange(n_keys, device=device)

makes_a_mask_of_ones_and_zeros
    numbers 1 and 0 instead of True and False
    believed: 1 and 0 are as good as True and False. They are numbers, and ~ and masked_fill want
        booleans.
    seen: TypeError at ~mask; added to the scores by mistake, it hides nothing.
    - query_positions = torch.arange(
    -     n_keys - n_queries, n_keys, device=device
    + return torch.ones(n_queries, n_keys, device=device).tril(
    +     diagonal=n_keys - n_queries
    = )
    - key_positions = torch.arange(n_keys, device=device)
    - return key_positions <= query_positions[:, None]

makes_an_additive_mask
    an additive mask of 0 and -inf instead of booleans
    believed: A mask is added to the scores. This one holds True and False instead; read as such, 0
        counts as False and -inf as True.
    seen: Where a boolean is expected, all is turned around or nothing is hidden.
    reported: harvard-edge/cs249r_book#1785
    - query_positions = torch.arange(
    -     n_keys - n_queries, n_keys, device=device
    - )
    - key_positions = torch.arange(n_keys, device=device)
    - return key_positions <= query_positions[:, None]
    + hidden = torch.full((n_queries, n_keys), -math.inf, device=device)
    + return hidden.triu(diagonal=n_keys - n_queries + 1)

makes_the_mask_on_the_cpu
    device is ignored, the mask is always on the CPU
    believed: A new tensor goes where the others are. It goes to the CPU unless told otherwise.
    seen: Right on a CPU; on a GPU 'expected all tensors to be on the same device'.
    - query_positions = torch.arange(
    -     n_keys - n_queries, n_keys, device=device
    - )
    - key_positions = torch.arange(n_keys, device=device)
    + query_positions = torch.arange(n_keys - n_queries, n_keys)
    + key_positions = torch.arange(n_keys)

accepts_fewer_keys_than_queries
    fewer keys than queries are accepted
    believed: The formula gives something for any two numbers, so no check is needed. But queries
        before position 0 would see nothing at all.
    seen: The first rows are empty, and swapped arguments go unnoticed.
    - if n_keys < n_queries:
    -     raise ValueError(
    -         "n_keys must be at least n_queries, "
    -         "because the queries are the last of the keys' "
    -         f"positions, got n_keys={n_keys} and n_queries={n_queries}."
    -     )
""")


bugs("""padding_mask:

inverts_the_padding_mask
    the mask was inverted: True where a key is padding
    believed: A padding mask marks the padding. Here every mask marks what may be seen.
    seen: Only the filling is attended to; a full text attends to nothing.
    - torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]
    + torch.arange(n_keys, device=lengths.device)
    + >= lengths[:, None, None]

shows_the_first_padding_key
    one padding key too many is shown (<= instead of <)
    believed: A text of length 3 is real up to position 3. Positions count from 0, so the last real
        one is 2.
    seen: Each text attends to the first token of its filling.
    - torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]
    + torch.arange(n_keys, device=lengths.device)
    + <= lengths[:, None, None]

expects_padding_on_the_left
    the last positions are taken for real, not the first
    believed: Padding stands on the left. Some tokenizers put it there; here texts are filled up at
        the end.
    seen: Short texts attend to their filling and miss their own beginning.
    - torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]
    + torch.arange(n_keys, device=lengths.device)
    + >= n_keys - lengths[:, None, None]

masks_the_queries
    queries were masked instead of keys
    believed: A padding token should not count, so its row goes. But what must not count is the
        token as a key, which is a column.
    seen: Shape (B, S, 1): rows of padding are empty, and real queries see the padding.
    reported: hyunwoongko/transformer#40, keras-team/keras-io#1046
    - return (
    -     torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]
    - )
    + return (torch.arange(n_keys, device=lengths.device) < lengths[:, None])[
    +     :, :, None
    + ]

forgets_the_axis_of_the_queries
    the axis for the queries is missing: (B, S), not (B, 1, S)
    believed: One row of keys for each text is all there is to say. But broadcasting lines axes up
        from the right, and the texts then meet the queries.
    seen: An error with the scores; with B = T, query b of every text gets text b's length.
    - return (
    -     torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]
    - )
    + return torch.arange(n_keys, device=lengths.device) < lengths[:, None]

uses_the_longest_length_for_all
    every text got the length of the longest
    believed: Texts are filled up to the longest, so that one's length says where the filling
        starts. It does for that text only.
    seen: Right for one text; in a batch the shorter texts attend to their filling.
    - return (
    -     torch.arange(n_keys, device=lengths.device) < lengths[:, None, None]
    - )
    + real = torch.arange(n_keys, device=lengths.device) < lengths.max()
    + return real.repeat(len(lengths), 1, 1)

refuses_a_text_without_padding
    a text without any padding is refused
    believed: A length must be below n_keys, like an index. It may equal n_keys: that text fills its
        row.
    seen: ValueError for the longest text of every batch.
    - wrong = (lengths < 0) | (lengths > n_keys)
    + wrong = (lengths < 0) | (lengths >= n_keys)

refuses_an_empty_text
    an empty text is refused
    believed: A text has at least one token. It may have none, and then all its keys are padding.
    seen: ValueError for lengths that hold a 0.
    - wrong = (lengths < 0) | (lengths > n_keys)
    + wrong = (lengths < 1) | (lengths > n_keys)

accepts_impossible_lengths
    impossible lengths are accepted
    believed: A comparison works with any number, so no check is needed. But a length past n_keys
        says that a text was cut off unnoticed.
    seen: No error; a length of -1 hides a text, a length too large hides nothing.
    - wrong = (lengths < 0) | (lengths > n_keys)
    - if wrong.any():
    -     raise ValueError(
    -         "lengths must lie in 0..n_keys, "
    -         f"got lengths={lengths[wrong].tolist()} "
    -         f"with n_keys={n_keys}."
    -     )
""")


bugs("""masked_softmax:

hides_with_a_score_of_zero
    hidden scores became 0 instead of -inf
    believed: A score of 0 removes a key. It does not: 0 is an ordinary score, since exp(0) is 1.
        Only a very low score removes it.
    seen: Hidden keys keep much of the weight; rows still sum to 1.
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + return (scores * mask).softmax(dim=-1)

masks_after_softmax
    masked after softmax, without renormalising
    believed: It is enough to set the hidden weights to 0. But the rest then sums to less than 1,
        and the hidden scores decide how much less.
    seen: No light above the diagonal, but rows sum to less than 1, the first ones most.
    reported: huggingface/pytorch-image-models#2236
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + return scores.softmax(dim=-1).masked_fill(~mask, 0.0)

renormalises_too_late
    renormalised too late: hidden scores took part in softmax
    believed: Masking after softmax is repaired by dividing by the sum. But if a hidden score is by
        far the largest, all visible weights are 0 already.
    seen: Right on ordinary scores; rows of zeros as soon as a large score is hidden.
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + weights = scores.softmax(dim=-1).masked_fill(~mask, 0.0)
    + total = weights.sum(dim=-1, keepdim=True)
    + return weights / torch.where(total > 0, total, 1.0)

hides_with_minus_ten_thousand
    hidden scores are -1e4: too weak for large scores
    believed: -10000 is as good as minus infinity. It is not: a visible score may be lower still,
        and then the hidden key wins.
    seen: Right on ordinary scores; with very negative ones all weight goes to hidden keys.
    reported: huggingface/transformers#17121, huggingface/transformers#14859, karpathy/minGPT#75
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + return scores.masked_fill(~mask, -1e4).softmax(dim=-1)

hides_with_minus_a_billion
    hidden scores are -1e9: too large for half precision
    believed: -1e9 fits every dtype. float16 ends at -65504, so the number must depend on the dtype.
    seen: Right in float32; in float16 'value cannot be converted without overflow'.
    reported: NVIDIA/apex#1052, NVIDIA/apex#1105, facebookresearch/fairseq#3575,
        bentrevett/pytorch-seq2seq#191
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + return scores.masked_fill(~mask, -1e9).softmax(dim=-1)

shares_an_empty_row_evenly
    a row with nothing to attend to is uniform, not zero
    believed: A very low score always hides a key. If all keys of a row have it, they are equal
        again and share the weight.
    seen: Empty rows average the padding: gray stripes in the heat map.
    - return weights.masked_fill(~mask, 0.0)
    + return weights

gives_nan_on_an_empty_row
    a row with nothing to attend to is nan
    believed: -inf hides a key in every case. But in a row of nothing but -inf the weights are 0/0,
        which is nan.
    seen: One text that is all padding, and the loss of the whole batch is nan.
    reported: pytorch/pytorch#103963
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + return scores.masked_fill(~mask, -math.inf).softmax(dim=-1)

hides_the_nan_but_not_its_gradient
    zeros in an empty row, but its gradient is nan
    believed: nan_to_num repairs an empty row. But it repairs the weights only; the gradient goes
        through the nan behind them.
    seen: The first loss is fine, and after one step all the parameters are nan.
    reported: pytorch/pytorch#41508
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + bias = torch.zeros_like(scores).masked_fill(~mask, -math.inf)
    + return (scores + bias).softmax(dim=-1).nan_to_num(0.0)

multiplies_zero_by_infinity
    0 * -inf: every row is nan
    believed: (1 - mask) * -inf is 0 where the mask is 1. But 0 times infinity is nan.
    seen: nan in every row that has a visible key, from the first step on.
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + return (scores + (1 - mask.to(scores.dtype)) * -math.inf).softmax(
    +     dim=-1
    + )

hides_the_allowed_keys
    the mask was inverted
    believed: masked_fill fills where its mask is True, so the mask is passed as it is. But True
        means may attend here, and the others are to be filled.
    seen: Each query sees exactly what it must not see.
    reported: pytorch/examples#649, pytorch/pytorch#29546, lucidrains/halonet-pytorch#4
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + weights = scores.masked_fill(mask, lowest).softmax(dim=-1)
    + return weights.masked_fill(mask, 0.0)

throws_the_masked_scores_away
    the masked scores were thrown away: nothing is hidden
    believed: scores.masked_fill(...) changes scores. Only masked_fill_ would; this one returns a
        new tensor that nobody kept.
    seen: The same weights with and without a mask.
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + scores.masked_fill(~mask, lowest)
    + return scores.softmax(dim=-1)

masks_the_scores_in_place
    the scores themselves were changed (masked_fill_)
    believed: masked_fill_ only saves memory. It writes into the caller's scores, which are still
        needed.
    seen: The weights are right; the scores looked at afterwards are -3e38 in places.
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    + weights = scores.masked_fill_(~mask, lowest).softmax(dim=-1)

adds_the_mask
    the mask was added to the scores as 0 and 1
    believed: A mask is added to the scores. That is for masks of 0 and -inf; a boolean one only
        adds 1 to what is allowed.
    seen: Hidden keys keep more than a third of the weight they would have had.
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    - return weights.masked_fill(~mask, 0.0)
    + return (scores + mask).softmax(dim=-1)

normalises_over_the_queries
    softmax over the queries instead of the keys
    believed: Softmax may run along either side of the table. It may not: a query chooses among
        keys, so each row must sum to 1.
    seen: Columns of the heat map sum to 1; the last query keeps the last key for itself.
    reported: labmlai/annotated_deep_learning_paper_implementations#146,
        nerminnuraydogan/vision-transformer#1
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    + weights = scores.masked_fill(~mask, lowest).softmax(dim=-2)

leaves_the_weights_in_float32
    weights come back in float32, whatever the scores were
    believed: Softmax is safer in float32. It may be computed there, but the weights must come back
        in the dtype of the scores.
    seen: Right in float32; weights @ v complains in every other dtype.
    - lowest = torch.finfo(scores.dtype).min
    - weights = scores.masked_fill(~mask, lowest).softmax(dim=-1)
    + lowest = torch.finfo(torch.float32).min
    + weights = scores.float().masked_fill(~mask, lowest).softmax(dim=-1)
""")


bugs("""masked_attention:

attends_where_it_must_not
    the mask was inverted
    believed: True is taken for 'hide this', as in nn.MultiheadAttention. Here, as in
        scaled_dot_product_attention, True means may attend.
    seen: Each query sees exactly what it must not see; the training loss is too good to be true.
    reported: rasbt/LLMs-from-scratch#1061, lucidrains/x-transformers#160
    = if mask is None:
    =     mask = torch.ones((), dtype=torch.bool, device=scores.device)
    + else:
    +     mask = ~mask

forgets_the_scale_under_a_mask
    scores are not divided by sqrt(D)
    believed: The masked softmax sees to the scale. It only masks and normalises: the scores must be
        divided before, as without a mask.
    seen: The heat map is almost black and white, the more so the wider the head.
    reported: delzac/cntkx#10, huggingface/blog#2893
    - scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + scores = q @ k.transpose(-2, -1)

cannot_do_without_a_mask
    without a mask it fails: None is not handled
    believed: There is always a mask. The default says that there may be none.
    seen: TypeError or AttributeError about NoneType as soon as mask is left out.
    - if mask is None:
    -     mask = torch.ones((), dtype=torch.bool, device=scores.device)

is_causal_unless_told_otherwise
    without a mask it is causal
    believed: None means the causal mask, as this is the lesson about it. It means that everything
        may be seen.
    seen: The heat map is dark above the diagonal although no mask was given.
    - mask = torch.ones((), dtype=torch.bool, device=scores.device)
    + mask = torch.ones_like(scores, dtype=torch.bool).tril(
    +     scores.shape[-1] - scores.shape[-2]
    + )

hides_keys_after_softmax
    masked after softmax, without renormalising
    believed: It is enough to set the hidden weights to 0. But the rest then sums to less than 1,
        and the hidden scores decide how much less.
    seen: Early positions give outputs near 0, and a causality test still finds a leak.
    reported: huggingface/pytorch-image-models#2236
    - weights = masked_softmax(scores, mask)
    + weights = scores.softmax(dim=-1).masked_fill(~mask, 0.0)

shows_the_weights_without_the_mask
    the weights shown are those without the mask
    believed: The weights to return are those before masking. They are to show what the output was
        made of, so the mask belongs to them.
    seen: The output is right, and the heat map shows a leak that is not there.
    - return weights @ v, weights
    + return weights @ v, scores.softmax(dim=-1)

answers_an_empty_query_with_nan
    a query with nothing to attend to gives nan
    believed: -inf hides a key in every case. But in a row of nothing but -inf the weights are 0/0,
        which is nan.
    seen: One text that is all padding, and the loss of the whole batch is nan.
    reported: pytorch/pytorch#103963
    - weights = masked_softmax(scores, mask)
    + weights = scores.masked_fill(~mask, -math.inf).softmax(dim=-1)

answers_an_empty_query_with_the_mean
    a query with nothing to attend to averages all values
    believed: A very low score always hides a key. If all keys of a row have it, they are equal
        again and share the weight.
    seen: A text that is all padding still sends something on.
    - weights = masked_softmax(scores, mask)
    + weights = scores.masked_fill(
    +     ~mask, torch.finfo(scores.dtype).min
    + ).softmax(dim=-1)

adds_a_head_axis_to_the_mask
    a head axis was put into every mask of three axes
    believed: A mask (B, T, S) always lacks an axis for the heads. Queries without heads need none:
        here a mask is taken as it comes.
    seen: Right with heads; without them the weights have an axis too many.
    - weights = masked_softmax(scores, mask)
    + weights = masked_softmax(
    +     scores, mask.unsqueeze(1) if mask.dim() == 3 else mask
    + )

uses_the_first_mask_for_all_texts
    the first text's mask was used for the whole batch
    believed: A mask says what attention may do, the same for every text. A padding mask differs
        from text to text.
    seen: Right with a causal mask; with padding every text has the length of the first.
    - weights = masked_softmax(scores, mask)
    + weights = masked_softmax(scores, mask if mask.dim() < 3 else mask[:1])
""")


bugs("""CausalSelfAttention:

SeesTheWholeText
    nothing is hidden: every position sees the whole text
    believed: SelfAttention, from which this inherits, hides the future. It hides nothing: forward
        has to make a causal mask and use it.
    seen: The training loss falls to nearly 0, and generated text is nonsense.
    reported: facebookresearch/xformers#103
    - mask = causal_mask(x.shape[-2], device=x.device)
    - output, _ = masked_attention(
    -     self.query(x), self.key(x), self.value(x), mask
    - )
    + output, _ = attention(self.query(x), self.key(x), self.value(x))

HidesEveryPositionFromItself
    the diagonal is hidden too, so the first position is nan
    believed: A token must not see what it predicts, so it must not see itself. But it predicts the
        next one, and the first token has nothing else to see.
    seen: nan at the first position of every text, and in the loss.
    reported: pbloem/former#10
    - mask = causal_mask(x.shape[-2], device=x.device)
    - output, _ = masked_attention(
    -     self.query(x), self.key(x), self.value(x), mask
    - )
    - return output
    + q, k, v = self.query(x), self.key(x), self.value(x)
    + scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
    + hidden = torch.ones_like(scores, dtype=torch.bool).triu()
    + return scores.masked_fill(hidden, -math.inf).softmax(dim=-1) @ v

SeesOnlyTheFuture
    the mask was inverted: only the future is seen
    believed: True is taken for 'hide this', so the mask had to be turned around. Here True means
        may attend, and the mask fits as it is.
    seen: The last position, with no future left, is zero; the training loss is too good to be true.
    reported: rasbt/LLMs-from-scratch#1061, pytorch/examples#649
    - mask = causal_mask(x.shape[-2], device=x.device)
    + mask = ~causal_mask(x.shape[-2], device=x.device)

HidesTheFutureAfterSoftmax
    masked after softmax, without renormalising
    believed: It is enough to set the hidden weights to 0. But the rest then sums to less than 1,
        and the future decides how much less.
    seen: Early positions give outputs near 0, and a causality test still finds a leak.
    reported: huggingface/pytorch-image-models#2236
    - mask = causal_mask(x.shape[-2], device=x.device)
    - output, _ = masked_attention(
    -     self.query(x), self.key(x), self.value(x), mask
    - )
    - return output
    + v = self.value(x)
    + _, weights = attention(self.query(x), self.key(x), v)
    + return weights.tril() @ v

KeepsTheFirstMask
    the mask of the first text is kept for all later ones
    believed: The mask is always the same, so it is built once. But its size is that of the text,
        and texts differ in length.
    seen: RuntimeError about sizes as soon as a text has another length than the first.
    reported: facebookresearch/xformers#66, facebookresearch/xformers#655
    + mask = None
    = def forward(

    - mask = causal_mask(x.shape[-2], device=x.device)
    + if self.mask is None:
    +     self.mask = causal_mask(x.shape[-2], device=x.device)
    = output, _ = masked_attention(
    -     self.query(x), self.key(x), self.value(x), mask
    +     self.query(x), self.key(x), self.value(x), self.mask

HidesTheFutureInTrainingOnly
    the future is hidden in training only
    believed: The mask is for training only, as dropout is. In evaluation too, the model must see no
        more than it saw in training.
    seen: The validation loss is far off the training loss, and eval() changes the output.
    - mask = causal_mask(x.shape[-2], device=x.device)
    + mask = (
    +     causal_mask(x.shape[-2], device=x.device)
    +     if self.training
    +     else None
    + )

LeavesTheMaskOnTheCpu
    the mask is always on the CPU
    believed: A new tensor goes where the others are. It goes to the CPU unless told otherwise.
    seen: Right on a CPU; on a GPU 'expected all tensors to be on the same device'.
    - mask = causal_mask(x.shape[-2], device=x.device)
    + mask = causal_mask(x.shape[-2])

SizesTheMaskByAxisOne
    the mask is sized by axis 1, whatever the number of axes
    believed: Axis 1 is always time. It is in (B, T, C) only; counted from the end, time is always
        the last axis but one.
    seen: Right for (B, T, C); RuntimeError about sizes for one text or with two axes in front.
    - mask = causal_mask(x.shape[-2], device=x.device)
    + mask = causal_mask(x.shape[1], device=x.device)

ScalesCausalScoresByTheModelWidth
    scores are scaled by the model's width, not the head's
    believed: x has C channels, so the scale is 1/sqrt(C). But the dot products run over the D
        numbers of a head.
    seen: Right when d_head = d_model; a heat map that is too even in every narrower head.
    reported: karpathy/ng-video-lecture#6
    - output, _ = masked_attention(
    -     self.query(x), self.key(x), self.value(x), mask
    - )
    + q, k, v = self.query(x), self.key(x), self.value(x)
    + scores = q @ k.transpose(-2, -1) / math.sqrt(x.shape[-1])
    + output = masked_softmax(scores, mask) @ v

SavesTheMaskWithTheWeights
    the mask is saved among the weights
    believed: A buffer is no parameter, so it is not saved. It is saved and loaded with the weights
        unless persistent=False.
    seen: The state_dict holds 'mask'; checkpoints grow and do not fit other lengths.
    = class CausalSelfAttention(SelfAttention):
    +     def __init__(self, d_model: int, d_head: int):
    +         super().__init__(d_model, d_head)
    +         self.register_buffer("mask", causal_mask(1024))

    - mask = causal_mask(x.shape[-2], device=x.device)
    + mask = self.mask[: x.shape[-2], : x.shape[-2]]
""")


bugs("""future_influence:

swaps_outputs_and_inputs
    outputs and inputs are swapped: entry [s, t], not [t, s]
    believed: It does not matter which comes first, output or input. Row t is output t, so that the
        future lies above the diagonal.
    seen: A causal function lights up above the diagonal, as if it saw the future.
    - return by_entry.square().sum(dim=(1, 3)).sqrt()
    + return by_entry.square().sum(dim=(1, 3)).sqrt().T

sums_the_outputs_first
    the outputs of a position were summed before differentiating
    believed: A gradient needs one number, so the outputs are summed first. But influences of
        opposite sign then cancel.
    seen: Too small throughout; 0 after a layer whose outputs sum to a constant.
    - jacobian = torch.autograd.functional.jacobian(fn, x)  # (T, ..., T, C)
    + sums = lambda x: fn(x).flatten(start_dim=1).sum(dim=1)
    + jacobian = torch.autograd.functional.jacobian(sums, x)

follows_the_first_channel
    only the first channel of each output was differentiated
    believed: One channel shows whether there is influence. But it may be one that does not depend
        on that input.
    seen: Too small throughout; a leak in any other channel is not seen.
    - jacobian = torch.autograd.functional.jacobian(fn, x)  # (T, ..., T, C)
    + first = lambda x: fn(x).reshape(len(x), -1)[:, 0]
    + jacobian = torch.autograd.functional.jacobian(first, x)

takes_the_largest_entry
    the largest entry was taken instead of the Frobenius norm
    believed: Any size of a block will do. The Frobenius norm is the root of the sum of squares of
        all its entries.
    seen: The pattern is right; every number is too small.
    - return by_entry.square().sum(dim=(1, 3)).sqrt()
    + return by_entry.abs().amax(dim=(1, 3))

forgets_the_square_root
    the square root of the norm is missing
    believed: The sum of squares is the norm. It is the norm's square.
    seen: The pattern is right; small numbers are too small and large ones too large.
    - return by_entry.square().sum(dim=(1, 3)).sqrt()
    + return by_entry.square().sum(dim=(1, 3))
""")


@whole_bug("future_influence")
def piles_up_gradients(fn, x):
    """gradients pile up from one output to the next
    believed: backward sets .grad to the gradient of this call. It adds to what is there already,
        until somebody clears it.
    seen: Rows grow downwards, and every row holds the influences of the rows before.
    """
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


@whole_bug("future_influence")
def leaves_gradients_on_the_parameters(fn, x):
    """gradients were left on the parameters inside fn
    believed: backward touches only x. But it adds to the .grad of everything that took part.
    seen: The table is right; the next training step also follows this measurement.
    """
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


bugs("""future_influence:

switches_on_the_gradient_of_x
    x itself was switched to requires_grad
    believed: requires_grad_() prepares a tensor for this one call. But it changes the caller's
        tensor for good.
    seen: The table is right; afterwards every result made from x drags a graph along.
    - x = x.detach()
    + x.requires_grad_()

keeps_the_graph
    the result still carries its graph: it is not detached
    believed: A result is just numbers. This one still remembers how it was made; it has to be
        detached before it is returned.
    seen: The table is right; plotting it raises 'call detach().numpy()', and memory grows.
    - jacobian = torch.autograd.functional.jacobian(fn, x)  # (T, ..., T, C)
    + jacobian = torch.autograd.functional.jacobian(fn, x, create_graph=True)
""")


@whole_bug("future_influence")
def takes_differences_instead_of_derivatives(fn, x):
    """differences with a step were taken instead of derivatives
    believed: (f(x + h) - f(x)) / h is the derivative. It is only near it: a curved function is off
        by about h.
    seen: Right to two or three digits; exact only for a linear function.
    """
    step = 1e-3
    with torch.no_grad():
        at_x = fn(x).reshape(x.shape[0], -1)
        columns = []
        for s in range(x.shape[0]):
            moved = []
            for c in range(x.shape[1]):
                nearby = x.clone()
                nearby[s, c] += step
                there = fn(nearby).reshape(x.shape[0], -1)
                moved.append((there - at_x) / step)
            columns.append(torch.stack(moved).norm(dim=(0, 2)))
    return torch.stack(columns, dim=1)


bugs("""future_influence:

expects_outputs_as_wide_as_inputs
    outputs are assumed to be as wide as the inputs
    believed: A layer keeps the shape of x. But fn promises to keep only its first axis.
    seen: RuntimeError 'shape is invalid for input' when fn changes the width.
    - by_entry = jacobian.reshape(n_positions, -1, n_positions, x.shape[1])
    + by_entry = jacobian.reshape(
    +     n_positions, x.shape[1], n_positions, x.shape[1]
    + )

erases_the_future
    all above the diagonal is set to 0, leak or not
    believed: The future has no influence, so those entries are 0. But whether it has none is what
        is being measured.
    seen: Every function looks causal, the broken ones too.
    - return by_entry.square().sum(dim=(1, 3)).sqrt()
    + return by_entry.square().sum(dim=(1, 3)).sqrt().tril()
""")
