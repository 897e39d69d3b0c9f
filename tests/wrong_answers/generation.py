"""Wrong answers to lesson 9's first half that no bug of the zoo behaves like."""

import math

import torch

from course_lib.transformer.generation import generate, keep_top_k, keep_top_p, sample

from . import wrong_answer

# --- keep_top_k ------------------------------------------------------------------------------


@wrong_answer("keep_top_k")
def keeps_the_k_largest_sizes(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    sizes = logits.abs()
    lowest_kept = sizes.topk(min(k, logits.shape[-1]), dim=-1).values[:, -1:]
    return logits.masked_fill(sizes < lowest_kept, -math.inf)


@wrong_answer("keep_top_k")
def keeps_one_more(logits, k):
    return keep_top_k(logits, k + 1 if k > 0 else k)


@wrong_answer("keep_top_k")
def takes_each_column_for_a_row(logits, k):
    return keep_top_k(logits.T, k).T


@wrong_answer("keep_top_k")
def shifts_what_it_keeps(logits, k):
    kept = keep_top_k(logits, k)
    return kept - kept.amax(dim=-1, keepdim=True)


@wrong_answer("keep_top_k")
def drops_to_the_lowest_finite_number(logits, k):
    return keep_top_k(logits, k).clamp(min=torch.finfo(logits.dtype).min)


# --- keep_top_p ------------------------------------------------------------------------------


@wrong_answer("keep_top_p")
def keeps_what_is_near_the_likeliest(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    probabilities = logits.softmax(dim=-1)
    least = probabilities.amax(dim=-1, keepdim=True) * (1 - p)
    return logits.masked_fill(probabilities < least, -math.inf)


@wrong_answer("keep_top_p")
def keeps_a_share_of_the_vocabulary(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    return keep_top_k(logits, math.ceil(p * logits.shape[-1]))


@wrong_answer("keep_top_p")
def decides_for_the_batch_by_its_mean(logits, p):
    mean = keep_top_p(logits.softmax(dim=-1).mean(dim=0, keepdim=True).log(), p)
    return logits.masked_fill(mean.isneginf(), -math.inf)


@wrong_answer("keep_top_p")
def keeps_two_at_least(logits, p):
    kept = keep_top_p(logits, p)
    return torch.where(keep_top_k(logits, 2).isneginf(), kept, logits)


@wrong_answer("keep_top_p")
def adds_probabilities_up_in_half_precision(logits, p):
    if not 0 < p < 1 or logits.dtype in (torch.float32, torch.float64):
        return keep_top_p(logits, p)
    probabilities, order = logits.float().softmax(dim=-1).sort(dim=-1, descending=True)
    sums = probabilities.to(logits.dtype).cumsum(dim=-1)
    is_dropped = (sums - probabilities >= p).scatter(-1, order, sums - probabilities >= p)
    return logits.masked_fill(is_dropped, -math.inf)


@wrong_answer("keep_top_p")
def drops_from_below_until_1_minus_p(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    probabilities, order = wide.softmax(dim=-1).sort(dim=-1)
    is_dropped = probabilities.cumsum(dim=-1) <= 1 - p
    if p == 1:
        is_dropped = torch.zeros_like(is_dropped)
    return logits.masked_fill(is_dropped.scatter(-1, order, is_dropped), -math.inf)


# --- sample ----------------------------------------------------------------------------------


@wrong_answer("sample")
def draws_each_token_as_often(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    ids = sample(logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
    if temperature == 0:
        return ids
    allowed = logits.double() / temperature
    allowed = allowed if top_k is None else keep_top_k(allowed, top_k)
    allowed = allowed if top_p is None else keep_top_p(allowed, top_p)
    return torch.multinomial((~allowed.isneginf()).double(), 1, generator=generator)[:, 0]


@wrong_answer("sample")
def takes_the_root_of_the_temperature(
    logits, *, temperature=1.0, top_k=None, top_p=None, generator=None
):
    heat = temperature if temperature < 0 else temperature**0.5
    return sample(logits, temperature=heat, top_k=top_k, top_p=top_p, generator=generator)


@wrong_answer("sample")
def draws_every_second_row(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    ids = sample(logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
    return ids if temperature == 0 or len(ids) < 20 else ids.sort().values


@wrong_answer("sample")
def takes_half_of_zero_for_zero(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    heat = 0.0 if 0 <= temperature < 0.6 else temperature
    return sample(logits, temperature=heat, top_k=top_k, top_p=top_p, generator=generator)


@wrong_answer("sample")
def returns_floats(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    ids = sample(logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator)
    return ids.float()


@wrong_answer("sample")
def adds_up_from_the_likeliest_in_half_precision(logits, *, generator=None, **options):
    if options or logits.dtype in (torch.float32, torch.float64):
        return sample(logits, generator=generator, **options)
    sums = logits.softmax(dim=-1)[:, 0]
    columns = [sums]
    for column in logits.softmax(dim=-1).unbind(dim=-1)[1:]:
        sums = sums + column
        columns.append(sums)
    drawn = torch.rand(len(logits), 1, generator=generator, device=logits.device)
    below = torch.stack(columns, dim=-1).float() <= drawn
    return below.sum(dim=-1).clamp(max=logits.shape[-1] - 1)


@wrong_answer("sample")
def takes_a_top_k_of_0_for_all(logits, *, top_k=None, **options):
    return sample(logits, top_k=top_k or None, **options)


@wrong_answer("sample")
def takes_a_top_p_above_1_for_1(logits, *, top_p=None, **options):
    return sample(logits, top_p=top_p if top_p is None else min(top_p, 1.0), **options)


# --- generate --------------------------------------------------------------------------------


@wrong_answer("generate")
def stops_after_a_zero(model, ids, n_new, **sampling):
    text = generate(model, ids, n_new, **sampling)
    for end in range(ids.shape[1], text.shape[1]):
        if (text[:, end] == 0).any():
            return text[:, : end + 1]
    return text


@wrong_answer("generate")
def draws_all_new_tokens_at_once(model, ids, n_new, **sampling):
    grown = generate(model, ids, min(n_new, 1), **sampling)
    return torch.cat([grown, *[grown[:, -1:]] * (n_new - 1)], dim=1)


@wrong_answer("generate")
def writes_over_the_prompt(model, ids, n_new, **sampling):
    text = generate(model, ids, n_new, **sampling)
    ids.copy_(text[:, -ids.shape[1] :])
    return text


@wrong_answer("generate")
def averages_all_positions(model, ids, n_new, **sampling):
    if ids.shape[1] == 0 or n_new < 0:
        raise ValueError(f"ids and n_new must not be empty, got n_new={n_new}.")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            for _ in range(n_new):
                logits = model(ids[:, -model.config.context_length :]).mean(dim=1)
                ids = torch.cat([ids, sample(logits, **sampling)[:, None]], dim=1)
    finally:
        model.train(was_training)
    return ids


@wrong_answer("generate")
def switches_gradients_off_for_good(model, ids, n_new, **sampling):
    text = generate(model, ids, n_new, **sampling)
    torch.set_grad_enabled(False)
    return text


@wrong_answer("sample")
def takes_a_small_temperature_for_0(logits, *, temperature=1.0, **options):
    return sample(logits, temperature=0 if 0 < temperature < 0.1 else temperature, **options)


@wrong_answer("generate")
def stops_at_token_0(model, ids, n_new, **sampling):
    """Rows that have written token 0 go on with 0: this vocabulary has no end of text."""
    generated = generate(model, ids, n_new, **sampling)
    new = generated[:, ids.shape[1] :]
    new[(new == 0).cumsum(dim=1) > 0] = 0
    return generated


@wrong_answer("keep_top_k")
def compares_probabilities(logits, k):
    """Of what is far below the highest all have the probability 0."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    chances = logits.softmax(-1)
    lowest = chances.topk(min(k, logits.shape[-1])).values[:, -1:]
    return logits.masked_fill(chances < lowest, -math.inf)


@wrong_answer("keep_top_k")
def compares_in_float32(logits, k):
    """Logits that are equal in float32 stay all."""
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    lowest = logits.float().topk(min(k, logits.shape[-1])).values[:, -1:]
    return logits.masked_fill(logits.float() < lowest, -math.inf)


@wrong_answer("keep_top_p")
def looks_at_fifty_tokens(logits, p):
    """The set that reaches p may be larger."""
    fifty = logits.topk(min(50, logits.shape[-1])).values[:, -1:]
    return keep_top_p(logits.masked_fill(logits < fifty, -math.inf), p)


@wrong_answer("sample")
def squeezes_every_axis(logits, **options):
    """One row gives an id without an axis."""
    return sample(logits, **options).squeeze()


@wrong_answer("sample")
def takes_a_tiny_temperature_for_0(logits, *, temperature=1.0, **options):
    """A hundred-thousandth in place of 0 leaves near logits to chance."""
    return sample(logits, temperature=max(temperature, 1e-5) if temperature >= 0 else -1, **options)


@wrong_answer("sample")
def seeds_torch_by_the_generator(logits, *, generator=None, **options):
    """The ids are right, and torch's own generator is in another state."""
    if generator is not None:
        torch.manual_seed(int(torch.randint(2**60, (), generator=generator)))
    return sample(logits, **options)


@wrong_answer("sample")
def has_a_seed_of_its_own_without_a_generator(logits, *, generator=None, **options):
    """Every call without a generator gives the same."""
    generator = generator or torch.Generator().manual_seed(0)
    return sample(logits, generator=generator, **options)


@wrong_answer("generate")
def remembers_greedy_texts(model, ids, n_new, **sampling):
    """The same model with other weights gets the text of before."""
    if sampling != {"temperature": 0.0}:
        return generate(model, ids, n_new, **sampling)
    texts = model.__dict__.setdefault("_texts", {})
    key = str(ids.tolist()), n_new
    if key not in texts:
        texts[key] = generate(model, ids, n_new, **sampling)
    return texts[key]


# --- what a result that is changed, or a model in two modes, shows -----------------------------


@wrong_answer("keep_top_p")
def all_of_them_are_its_input(logits, p):
    return logits if p == 1 else keep_top_p(logits, p)


@wrong_answer("generate")
def for_inference_alone(model, ids, n_new, **sampling):
    with torch.inference_mode():
        return generate(model, ids, n_new, **sampling).clone()


@wrong_answer("sample")
def a_zero_is_no_temperature(logits, *, temperature=None, top_k=None, top_p=None, generator=None):
    options = {"top_k": top_k, "top_p": top_p, "generator": generator}
    return sample(logits, temperature=temperature or 1.0, **options)
