"""What goes wrong in lesson 9's first half: filters in the wrong order, text from the wrong end."""

import math

import torch

from course_lib.transformer.generation import _check_prompt, keep_top_k, keep_top_p, sample
from course_lib.transformer.training import _evaluating

from . import bug

# --- keep_top_k ------------------------------------------------------------------------------


@bug(
    "keep_top_k",
    title="the k lowest logits are kept",
    misconception="Sorting gives the best first. torch.sort and kthvalue count from below.",
    symptom="Text of the least likely tokens: noise.",
)
def keeps_the_lowest(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    highest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1, largest=False).values[:, -1:]
    return logits.masked_fill(logits > highest_kept, -math.inf)


@bug(
    "keep_top_k",
    title="the k-th highest goes too: k - 1 are kept",
    misconception="What is not above the threshold goes. The threshold is itself one of the k.",
    symptom="With k = 1 nothing is left, and the softmax of nothing is nan.",
)
def drops_the_threshold(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]
    return logits.masked_fill(logits <= lowest_kept, -math.inf)


@bug(
    "keep_top_k",
    title="what goes becomes 0, not -inf",
    misconception="0 is nothing. As a logit it is as likely as any other 0, and likelier than -1.",
    symptom="Tokens that were dropped are drawn all the same, some more often than before.",
)
def drops_to_zero(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]
    return logits.masked_fill(logits < lowest_kept, 0.0)


@bug(
    "keep_top_k",
    title="one threshold for all rows: that of the first",
    misconception="A batch of one row. With values[0, -1] the first row decides for all.",
    symptom="Right for a single text; in a batch some rows keep all, others nothing.",
)
def takes_the_first_rows_threshold(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[0, -1]
    return logits.masked_fill(logits < lowest_kept, -math.inf)


@bug(
    "keep_top_k",
    title="the k highest of the whole batch are kept, not of each row",
    misconception="topk looks through everything it is given; flattened, it is given all rows.",
    symptom="The surest text of the batch keeps its tokens, the others lose theirs.",
)
def takes_the_k_highest_of_the_batch(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    lowest_kept = logits.flatten().topk(min(k, logits.shape[-1])).values[-1]
    return logits.masked_fill(logits < lowest_kept, -math.inf)


@bug(
    "keep_top_k",
    title="a k larger than the vocabulary is an error",
    misconception="Nobody asks for more than there is. top_k=50 meets small vocabularies.",
    symptom="RuntimeError: selected index k out of range.",
)
def cannot_take_more_than_there_is(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    lowest_kept = logits.topk(k, dim=-1).values[:, -1:]
    return logits.masked_fill(logits < lowest_kept, -math.inf)


@bug(
    "keep_top_k",
    title="the k highest come back alone, without their places",
    misconception="Only the k matter. But the place of a logit is the token's id.",
    symptom="Text of the first k tokens of the vocabulary, whatever the model says.",
)
def returns_the_highest_alone(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    return logits.topk(min(k, logits.shape[-1]), dim=-1).values


@bug(
    "keep_top_k",
    title="the k highest stand in the first k places, in order",
    misconception="A sorted row is the same row. The place of a logit is the token's id.",
    symptom="The first token of the vocabulary is always the likeliest.",
    threads=("lucidrains/PaLM-rlhf-pytorch#60",),
)
def leaves_them_sorted(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    ordered = logits.sort(dim=-1, descending=True).values
    places = torch.arange(logits.shape[-1], device=logits.device)
    return ordered.masked_fill(places >= k, -math.inf)


@bug(
    "keep_top_k",
    title="the filter is written into the caller's logits",
    misconception="An assignment to logits[…] is local. It writes into the tensor that was given.",
    symptom="Logits that are looked at after sampling have -inf in them.",
)
def filters_in_place(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]
    logits[logits < lowest_kept] = -math.inf
    return logits


@bug(
    "keep_top_k",
    title="k below 1 is accepted, and counts as 1",
    misconception="A lenient function is a friendly one. The caller meant something else.",
    symptom="top_k=0, meant as “no filter”, gives greedy text.",
)
def takes_any_k(logits, k):
    k = max(1, min(k, logits.shape[-1]))
    lowest_kept = logits.topk(k, dim=-1).values[:, -1:]
    return logits.masked_fill(logits < lowest_kept, -math.inf)


# --- keep_top_p ------------------------------------------------------------------------------


@bug(
    "keep_top_p",
    title="the token that crosses p is dropped, and the first too if it does",
    misconception="“Up to p” ends before p. The set must reach p.",
    symptom="Greedier than asked; where the model is sure nothing is left, and softmax gives nan.",
    threads=("huggingface/transformers#18976",),
)
def drops_the_crossing_token(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(dim=-1, descending=True)
    is_dropped = probabilities.cumsum(dim=-1) > p
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


@bug(
    "keep_top_p",
    title="the token that crosses p is dropped, unless it is the first",
    misconception="“Up to p” ends before p, and the first token is saved by hand.",
    symptom="Greedier than asked, and no error tells.",
    threads=("rasbt/reasoning-from-scratch#164",),
)
def drops_the_crossing_token_but_the_first(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(dim=-1, descending=True)
    is_dropped = probabilities.cumsum(dim=-1) > p
    is_dropped[:, 0] = False
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


@bug(
    "keep_top_p",
    title="one token too many is kept: that after the crossing one",
    misconception="Shifted once too often: the crossing token is saved twice.",
    symptom="p as small as can be still leaves two tokens, so the text is never greedy.",
)
def keeps_one_too_many(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    is_dropped = (before >= p).roll(1, dims=-1)
    is_dropped[:, :2] = False
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


@bug(
    "keep_top_p",
    title="every token less likely than p is dropped, but the likeliest",
    misconception="p is a threshold for each token. It is one for their sum.",
    symptom="Greedy text for every p above one half.",
)
def compares_each_token_with_p(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities = wide.softmax(dim=-1)
    is_highest = probabilities == probabilities.amax(dim=-1, keepdim=True)
    return logits.masked_fill((probabilities < p) & ~is_highest, -math.inf)


@bug(
    "keep_top_p",
    title="the filter stays in sorted order: places instead of token ids",
    misconception="The mask fits the logits, for both have V columns. One is in another order.",
    symptom="Tokens at the front of the vocabulary are kept, likely or not.",
    threads=("lucidrains/PaLM-rlhf-pytorch#60",),
)
def leaves_the_filter_sorted(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, _ = wide.softmax(dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    return logits.masked_fill(before >= p, -math.inf)


@bug(
    "keep_top_p",
    title="the logits come back in sorted order",
    misconception="A sorted row is the same row. The place of a logit is the token's id.",
    symptom="The first token of the vocabulary is always the likeliest.",
    threads=("lucidrains/PaLM-rlhf-pytorch#60",),
)
def returns_them_sorted(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    ordered, _ = logits.sort(dim=-1, descending=True)
    probabilities = ordered.to(torch.promote_types(logits.dtype, torch.float32)).softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    return ordered if p == 1 else ordered.masked_fill(before >= p, -math.inf)


@bug(
    "keep_top_p",
    title="the least likely tokens are kept: sorted upwards",
    misconception="sort puts the best first. It puts the smallest first.",
    symptom="Text of unlikely tokens; with a small p, only of the unlikeliest.",
)
def sorts_upwards(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(dim=-1)
    is_dropped = probabilities.cumsum(dim=-1) - probabilities >= p
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


@bug(
    "keep_top_p",
    title="probabilities are summed in the order of the vocabulary, not sorted",
    misconception="A sum does not care for the order. A running sum does.",
    symptom="Tokens with a small id are kept; the likeliest may be dropped.",
)
def sums_without_sorting(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities = wide.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    return logits.masked_fill(before >= p, -math.inf)


@bug(
    "keep_top_p",
    title="logits are summed, not probabilities",
    misconception="Logits are what the model returns, so they are its probabilities.",
    symptom="One or two tokens are left, since a single logit is larger than p already.",
)
def sums_logits(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    ordered, order = wide.sort(dim=-1, descending=True)
    is_dropped = ordered.cumsum(dim=-1) - ordered >= p
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


@bug(
    "keep_top_p",
    title="what goes becomes 0, not -inf",
    misconception="0 is nothing. As a logit it is as likely as any other 0, and likelier than -1.",
    symptom="Tokens that were dropped are drawn all the same, some more often than before.",
)
def drops_to_a_logit_of_zero(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(dim=-1, descending=True)
    is_dropped = probabilities.cumsum(dim=-1) - probabilities >= p
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, 0.0)


@bug(
    "keep_top_p",
    title="probabilities come back instead of logits",
    misconception="They are at hand, and sampling needs them. The caller takes the softmax again.",
    symptom="Nearly uniform text: the softmax of numbers between 0 and 1 is flat.",
)
def returns_probabilities(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(dim=-1)
    if p == 1:
        return wide.to(logits.dtype)
    probabilities, order = wide.sort(dim=-1, descending=True)
    is_dropped = probabilities.cumsum(dim=-1) - probabilities >= p
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return wide.masked_fill(is_dropped, -math.inf).to(logits.dtype)


@bug(
    "keep_top_p",
    title="the filter is written into the caller's logits",
    misconception="An assignment to logits[…] is local. It writes into the tensor that was given.",
    symptom="Logits that are looked at after sampling have -inf in them.",
)
def filters_the_callers_logits(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    if p == 1:
        return logits
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(dim=-1, descending=True)
    is_dropped = probabilities.cumsum(dim=-1) - probabilities >= p
    logits[is_dropped.scatter(-1, order, is_dropped)] = -math.inf
    return logits


@bug(
    "keep_top_p",
    title="a p that is no share is accepted",
    misconception="More than all is all, and less than nothing is nearly nothing. top_p=90 was "
    "meant as 90 %.",
    symptom="top_p=90 filters nothing, and no error says so.",
)
def takes_any_p(logits, p):
    if p >= 1:
        return logits.clone()
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(dim=-1, descending=True)
    is_dropped = probabilities.cumsum(dim=-1) - probabilities >= p
    is_dropped[:, 0] = False
    is_dropped = is_dropped.scatter(-1, order, is_dropped)
    return logits.masked_fill(is_dropped, -math.inf)


# --- sample ----------------------------------------------------------------------------------


@bug(
    "sample",
    title="temperature multiplies the logits",
    misconception="More heat, larger logits. Larger logits make the likely likelier: colder.",
    symptom="Turned up, the temperature makes the text duller.",
)
def multiplies_by_the_temperature(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32)) * temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="temperature has no effect: the probabilities are divided, not the logits",
    misconception="Dividing is dividing. All probabilities divided by one number are in the same "
    "proportion as before.",
    symptom="The same text at every temperature.",
    threads=("google/gemma.cpp#981",),
)
def divides_the_probabilities(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    probabilities = wide.softmax(dim=-1) / max(temperature, 1e-6)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="temperature is applied twice",
    misconception="Each of two functions takes care of it, and each thinks it is the only one.",
    symptom="A temperature of 0.7 reads like one of 0.49.",
    threads=("RL-Align/RL-Kernel#81",),
)
def applies_the_temperature_twice(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    probabilities = (wide / temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="the filters come before the temperature",
    misconception="Order does not matter. Top-p looks at probabilities, which temperature changes.",
    symptom="At low temperatures top-p keeps more tokens than it should, at high ones fewer.",
)
def filters_before_the_temperature(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = wide - wide.amax(dim=-1, keepdim=True)
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    probabilities = (wide / temperature).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="top-p comes before top-k",
    misconception="Both only drop tokens, so their order is free. After top-k the rest shares the "
    "whole probability, and fewer tokens reach p.",
    symptom="With both filters on, the text is a little wilder than elsewhere.",
)
def filters_in_the_other_order(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="the place among the top k is returned as the token's id",
    misconception="multinomial returns tokens. It returns places in what it was given.",
    symptom="With top_k only the first k tokens of the vocabulary appear.",
)
def returns_places_among_the_top_k(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = wide.topk(min(top_k, wide.shape[-1]), dim=-1).values
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="nothing is drawn: it is always the likeliest token",
    misconception="The best next token makes the best text.",
    symptom="The same text every time, and soon in circles.",
)
def never_draws(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    return logits.argmax(dim=-1)


@bug(
    "sample",
    title="one draw serves the whole batch",
    misconception="One prompt, one token. Rows that begin alike must be allowed to differ.",
    symptom="All texts of a batch begin with the same token.",
)
def draws_once_for_all_rows(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    first = torch.multinomial(wide[0].softmax(dim=-1), 1, generator=generator)
    return first.expand(len(logits))


@bug(
    "sample",
    title="logits are drawn from as if they were probabilities",
    misconception="Larger means likelier, and multinomial normalises. It cannot take less than 0.",
    symptom="RuntimeError: probability tensor contains either inf, nan or element < 0.",
)
def draws_from_logits(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide, 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="softmax is taken twice",
    misconception="Once by the filter, once for the draw. The softmax of probabilities is nearly "
    "flat, and gives dropped tokens a share again.",
    symptom="Wild text; what top-k dropped comes back.",
)
def takes_softmax_twice(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    probabilities = wide.softmax(dim=-1).softmax(dim=-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="the generator is ignored: torch's own one draws",
    misconception="A seed set somewhere is enough. Any other draw in between shifts all that come.",
    symptom="The same seed gives another text in every run of the notebook.",
)
def draws_with_the_global_generator(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1).squeeze(-1)


@bug(
    "sample",
    title="every call begins with the same state of a generator",
    misconception="A seed makes a draw repeatable. Set anew each time, it makes it a repetition.",
    symptom="The same choice at every step: wherever two tokens are as likely, always the same.",
)
def begins_anew_each_time(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    seeded = torch.Generator(logits.device).manual_seed(42)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=seeded).squeeze(-1)


@bug(
    "sample",
    title="a temperature of 0 is divided by",
    misconception="Dividing by less and less ends in greedy text. Dividing by 0 ends in nan.",
    symptom="RuntimeError: probability tensor contains either inf, nan or element < 0.",
)
def has_no_case_for_zero(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="a negative temperature is accepted",
    misconception="Nobody does that. It turns the model upside down: the unlikeliest comes first.",
    symptom="Noise, and no error.",
)
def takes_a_negative_temperature(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = wide / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="a column (B, 1) comes back, not (B,)",
    misconception="multinomial returns what was asked for. It returns a column for each draw.",
    symptom="Shapes that do not fit, or a batch that is broadcast against itself.",
)
def returns_a_column(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1, keepdim=True)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator)


@bug(
    "sample",
    title="the logits are divided in half precision, and overflow",
    misconception="Dividing does not need much precision. But 7 / 0.0001 is more than float16 "
    "can hold, and infinity minus infinity is nan.",
    symptom="RuntimeError: probability tensor contains either inf, nan or element < 0, on a GPU.",
)
def divides_in_half_precision(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    scaled = logits / temperature
    if top_k is not None:
        scaled = keep_top_k(scaled, top_k)
    if top_p is not None:
        scaled = keep_top_p(scaled, top_p)
    return torch.multinomial(scaled.softmax(dim=-1), 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="the logits are divided in place",
    misconception="/= is short for dividing. It writes into the tensor that was given.",
    symptom="Sampling twice from the same logits gives the temperature twice.",
)
def divides_in_place(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    logits -= logits.amax(dim=-1, keepdim=True)
    logits /= max(temperature, 1e-3)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="top_k is ignored",
    misconception="An option that is in the signature works.",
    symptom="top_k=1 is not greedy.",
)
def ignores_top_k(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator).squeeze(-1)


@bug(
    "sample",
    title="top_p is left out when top_k is given",
    misconception="One filter or the other: an elif.",
    symptom="With top_k given, top_p changes nothing.",
)
def filters_by_one_of_the_two(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    if top_k is not None:
        wide = keep_top_k(wide, top_k)
    elif top_p is not None:
        wide = keep_top_p(wide, top_p)
    return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator).squeeze(-1)


# --- generate --------------------------------------------------------------------------------


@bug(
    "generate",
    title="the next token is read off the first position",
    misconception="logits[:, 0] is “the” prediction. It is the one after the first token.",
    symptom="The same token again and again: the first position never changes.",
)
def reads_the_first_position(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, 0], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="the next token is read off the position before the last",
    misconception="In training targets are one behind, so the last position has none. Here the "
    "last position is the one that looks into the future.",
    symptom="The last token of the prompt is said again, or something that would fit there.",
)
def reads_the_position_before_the_last(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            last = max(logits.shape[1] - 2, 0)
            ids = torch.cat([ids, sample(logits[:, last], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="the text is not cropped to context_length",
    misconception="The model takes what it gets. It has no position embeddings beyond its context.",
    symptom="An error as soon as the text is longer than the context.",
    threads=("huggingface/transformers#4542", "Lightning-AI/litgpt#43"),
)
def does_not_crop(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids)
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="the model sees the beginning of a long text, not its end",
    misconception="A slice up to context_length has the right length. It is the wrong end.",
    symptom="Past the context the text repeats one token for ever.",
)
def crops_the_end_off(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, : model.config.context_length])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="the model sees one token less than it could",
    misconception="There must be room for the new token. The new token is not an input yet.",
    symptom="A slightly worse text past the context; nothing at all before.",
)
def crops_one_too_many(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -max(model.config.context_length - 1, 1) :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="what is cropped off is missing in the result",
    misconception="ids = ids[…] crops for the model only. It overwrites the text.",
    symptom="Long texts come back without their beginning.",
)
def returns_the_cropped_text(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            ids = ids[:, -model.config.context_length :]
            logits = model(ids)
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="only the new tokens come back",
    misconception="The caller knows the prompt. The contract is the whole text.",
    symptom="The text begins in the middle of a sentence.",
)
def returns_without_the_prompt(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    n_prompt = ids.shape[1]
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids[:, n_prompt:]


@bug(
    "generate",
    title="the model stays in training mode",
    misconception="A trained model needs no switch. With dropout it thinks with holes.",
    symptom="Worse text than the loss promises, and greedy text that differs from run to run.",
    threads=("karpathy/nanoGPT#240",),
)
def does_not_evaluate(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with torch.no_grad():
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="the model is left in evaluation mode",
    misconception="eval() is a setting of this function. It is one of the caller's model.",
    symptom="After the first sample in a training run, dropout is off for good.",
)
def stays_in_evaluation(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    model.eval()
    with torch.no_grad():
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="the model is put into training mode at the end, whatever it was",
    misconception="Whoever samples is training. The caller may have switched to evaluation.",
    symptom="The second call of an evaluated model, or its next loss, has dropout in it.",
)
def always_goes_back_to_training(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    model.eval()
    try:
        with torch.no_grad():
            for _ in range(n_new):
                logits = model(ids[:, -model.config.context_length :])
                ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    finally:
        model.train()
    return ids


@bug(
    "generate",
    title="after an error the model's mode is not restored",
    misconception="The last line of a function is always reached. An error leaves before it.",
    symptom="After an interrupted sample training goes on without dropout.",
)
def restores_only_without_errors(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    model.train(was_training)
    return ids


@bug(
    "generate",
    title="gradients are recorded all along",
    misconception="eval() switches gradients off. It switches dropout off, and nothing else.",
    symptom="Memory grows with every call of the model.",
)
def keeps_recording_gradients(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    was_training = model.training
    model.eval()
    try:
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    finally:
        model.train(was_training)
    return ids


@bug(
    "generate",
    title="the options of sampling are dropped",
    misconception="**sampling in the signature is enough. It must be passed on.",
    symptom="temperature=0 gives another text each time.",
)
def drops_the_options(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1])[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="the generator is not passed on",
    misconception="Temperature, top_k, top_p: those are the options. The generator is one too.",
    symptom="The same seed gives another text each time.",
)
def drops_the_generator(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    sampling.pop("generator", None)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="every row gets the first row's token",
    misconception="One prompt, one token. A batch holds several texts.",
    symptom="All texts of a batch go on in the same words.",
)
def gives_all_rows_one_token(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            new = sample(logits[:1, -1], **sampling).expand(len(ids))
            ids = torch.cat([ids, new[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="the model is given the newest token alone",
    misconception="The model remembers what came before. It remembers nothing: that takes a cache.",
    symptom="Each token follows from the one before it, and from nothing else.",
)
def feeds_the_newest_token_alone(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        new = ids[:, -model.config.context_length :]
        for _ in range(n_new):
            new = sample(model(new)[:, -1], **sampling)[:, None]
            ids = torch.cat([ids, new], dim=1)
    return ids


@bug(
    "generate",
    title="the model is given the prompt alone, at every step",
    misconception="The prompt says what to write. What has been written since belongs to it.",
    symptom="Greedy text repeats one token; drawn text is a bag of first words.",
)
def feeds_the_prompt_alone(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    prompt = ids
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(prompt[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="new tokens are put in front",
    misconception="cat takes the new one and the old ones. It takes them in that order.",
    symptom="Text that grows backwards.",
)
def puts_new_tokens_in_front(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([sample(logits[:, -1], **sampling)[:, None], ids], dim=1)
    return ids


@bug(
    "generate",
    title="n_new counts the whole text, prompt included",
    misconception="max_length and max_new_tokens are one option. Libraries have both.",
    symptom="Short texts; with a long prompt nothing at all.",
)
def counts_the_prompt(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        while ids.shape[1] < n_new:
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="one token too many is written",
    misconception="A loop from 0 to n_new, both included.",
    symptom="Texts one token longer than asked for.",
)
def writes_one_too_many(model, ids, n_new, **sampling):
    _check_prompt(ids, n_new)
    with _evaluating(model):
        for _ in range(n_new + 1):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="an empty prompt is let through to the model",
    misconception="Somebody further down will complain. They do, about something else.",
    symptom="IndexError: index -1 is out of bounds for dimension 1 with size 0.",
)
def takes_an_empty_prompt(model, ids, n_new, **sampling):
    if n_new < 0:
        raise ValueError(f"n_new must be at least 0, got n_new={n_new}.")
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids


@bug(
    "generate",
    title="a negative n_new gives the prompt back",
    misconception="range(-1) is an error. It is empty.",
    symptom="A mistake in the caller's arithmetic goes unnoticed.",
)
def takes_a_negative_n_new(model, ids, n_new, **sampling):
    if ids.shape[1] == 0:
        raise ValueError(f"ids must hold at least one token a row, got shape {tuple(ids.shape)}.")
    with _evaluating(model):
        for _ in range(n_new):
            logits = model(ids[:, -model.config.context_length :])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    return ids
