"""Right ways to write lesson 9's first half that differ from ours."""

import math

import torch

from course_lib.transformer.generation import keep_top_k, keep_top_p, sample

from . import variant

# --- keep_top_k ------------------------------------------------------------------------------


@variant("keep_top_k", title="a new row of -inf, and the k highest put where they belong")
def top_k_by_scatter(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    values, places = torch.topk(logits, min(k, logits.size(-1)))
    return torch.full_like(logits, float("-inf")).scatter(-1, places, values)


@variant("keep_top_k", title="sorted, and where() by the rank of each token")
def top_k_by_rank(logits, k):
    if k <= 0:
        raise ValueError(f"{k=} is less than 1.")
    ranks = logits.argsort(dim=-1, descending=True).argsort(dim=-1)
    return torch.where(ranks < k, logits, torch.full_like(logits, -math.inf))


@variant("keep_top_k", title="a clone, and -inf written into it; nothing to do for a large k")
def top_k_into_a_clone(logits, k):
    if k < 1:
        raise ValueError(f"k must be at least 1, got k={k}.")
    out = logits.clone()
    if k < out.shape[-1]:
        out[out < out.sort(descending=True).values[:, k - 1 : k]] = -math.inf
    return out


@variant("keep_top_k", title="a mask of 0 and -inf is added, the threshold by kthvalue")
def top_k_by_adding(logits, k):
    if not k >= 1:
        raise ValueError(f"k is {k}, and must be 1 or more")
    n_tokens = logits.shape[1]
    threshold = logits.detach().kthvalue(max(n_tokens - k, 0) + 1, dim=1, keepdim=True).values
    mask = torch.zeros_like(logits).masked_fill_(logits < threshold, -math.inf)
    return logits + mask


# --- keep_top_p ------------------------------------------------------------------------------


@variant("keep_top_p", title="sorted upwards, the tail up to 1 - p is dropped")
def top_p_from_below(logits, p):
    if p <= 0 or p > 1:
        raise ValueError(f"p must be in (0, 1], got p={p}.")
    ordered, order = torch.sort(logits.float() if logits.element_size() < 4 else logits)
    tail = ordered.softmax(dim=-1).cumsum(dim=-1) <= 1 - p
    tail[..., -1] = False
    if p == 1:
        tail[:] = False
    return logits.masked_fill(torch.zeros_like(tail).scatter(1, order, tail), -math.inf)


@variant("keep_top_p", title="the running sum shifted by one place, mapped back by argsort")
def top_p_shifted(logits, p):
    if not 0 < p <= 1:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    order = logits.argsort(dim=-1, descending=True)
    sums = logits.double().softmax(dim=-1).gather(-1, order).cumsum(dim=-1)
    keep = torch.ones_like(sums, dtype=torch.bool)
    if p < 1:
        keep[:, 1:] = sums[:, :-1] < p
    keep = keep.gather(-1, order.argsort(dim=-1))
    return torch.where(keep, logits, -math.inf)


@variant("keep_top_p", title="row by row and token by token, in Python")
def top_p_token_by_token(logits, p):
    if p > 1 or p <= 0:
        raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    drop = torch.zeros_like(logits, dtype=torch.bool)
    for row, probabilities in enumerate(logits.detach().double().softmax(dim=-1).tolist()):
        total = 0.0
        for token in sorted(range(len(probabilities)), key=lambda t: -probabilities[t]):
            drop[row, token] = total >= p and p < 1
            total += probabilities[token]
    return logits.masked_fill(drop, -math.inf)


@variant("keep_top_p", title="the likeliest that cross p give a threshold of probability")
def top_p_by_threshold(logits, p):
    if not 0.0 < p <= 1.0:
        raise ValueError(f"p={p} is no share of the probability")
    if p == 1.0:
        return logits + 0
    probabilities = torch.softmax(logits.detach().double(), -1)
    ordered = probabilities.sort(-1, descending=True).values
    n_short = (ordered.cumsum(-1) < p).sum(-1, keepdim=True).clamp(max=logits.shape[-1] - 1)
    return logits.masked_fill(probabilities < ordered.gather(-1, n_short), -math.inf)


# --- sample ----------------------------------------------------------------------------------


@variant("sample", title="the Gumbel trick: noise is added, and the highest wins")
def sample_by_gumbel(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, got temperature={temperature}.")
    if temperature == 0:
        return logits.argmax(-1)
    scaled = logits.double() / temperature
    if top_k is not None:
        scaled = keep_top_k(scaled, top_k)
    if top_p is not None:
        scaled = keep_top_p(scaled, top_p)
    noise = torch.rand(scaled.shape, generator=generator, dtype=scaled.dtype, device=scaled.device)
    return (scaled - torch.log(-torch.log(noise.clamp(min=1e-300)))).argmax(dim=-1)


@variant("sample", title="a race: waits drawn in the memory order of the logits, the shortest wins")
def sample_by_a_race(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"{temperature=} is below 0")
    if temperature == 0:
        return logits.argmax(-1)
    kept = logits.double() / temperature
    if top_k is not None:
        kept = keep_top_k(kept, top_k)
    if top_p is not None:
        kept = keep_top_p(kept, top_p)
    # Where logits are transposed, so is the noise: other draws by the same generator.
    waits = torch.empty_like(logits, dtype=torch.float64).exponential_(generator=generator)
    return (waits / kept.softmax(-1)).argmin(-1)


@variant("sample", title="inverse CDF: one number a row, and the token where it falls")
def sample_by_inverse_cdf(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        return torch.max(logits, dim=1).indices
    scaled = logits.double() / temperature
    scaled = scaled if top_k is None else keep_top_k(scaled, top_k)
    scaled = scaled if top_p is None else keep_top_p(scaled, top_p)
    sums = scaled.softmax(dim=-1).cumsum(dim=-1)
    u = torch.rand(len(logits), 1, generator=generator, dtype=sums.dtype, device=logits.device)
    return (sums <= u * sums[:, -1:]).sum(dim=-1)


@variant("sample", title="row by row, greedy as a special case of top-k")
def sample_row_by_row(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    if temperature == 0:
        temperature, top_k, top_p = 1.0, 1, None
    drawn = []
    for row in logits.float().split(1):
        row = (row - row.max()) / temperature
        if top_k is not None:
            row = keep_top_k(row, top_k)
        if top_p is not None:
            row = keep_top_p(row, top_p)
        drawn.append(torch.multinomial(row.softmax(-1)[0], 1, generator=generator))
    return torch.cat(drawn)


@variant("sample", title="sorted first, filtered by place, and drawn places turned into ids")
def sample_sorted(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature < 0:
        raise ValueError(f"temperature must be at least 0, got temperature={temperature}.")
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    ordered, order = wide.sort(dim=-1, descending=True)
    if temperature == 0:
        return order[:, 0]
    ordered = (ordered - ordered[:, :1]) / temperature
    if (top_k is not None and top_k < 1) or (top_p is not None and not 0 < top_p <= 1):
        raise ValueError(f"nothing would be left of top_k={top_k}, top_p={top_p}.")
    if top_k is not None:
        ordered, order = ordered[:, :top_k], order[:, :top_k]
    probabilities = ordered.softmax(dim=-1)
    if top_p is not None and top_p < 1:
        before = probabilities.cumsum(dim=-1) - probabilities
        probabilities = probabilities * (before < top_p)
    places = torch.multinomial(probabilities, 1, generator=generator)
    return order.gather(-1, places)[:, 0]


# --- generate --------------------------------------------------------------------------------


@variant("generate", title="by hand: no_grad as a decorator, try and finally")
@torch.no_grad()
def generate_by_hand(model, ids, n_new, **sampling):
    if ids.size(1) < 1:
        raise ValueError(f"ids must not be empty, got {ids.size(1)} tokens a row.")
    if n_new < 0:
        raise ValueError(f"n_new must not be negative, got n_new={n_new}.")
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        for _ in range(n_new):
            seen = ids if ids.size(1) <= model.config.context_length else None
            seen = ids[:, -model.config.context_length :] if seen is None else seen
            next_ids = sample(model(seen)[:, -1, :], **sampling)
            ids = torch.cat((ids, next_ids.unsqueeze(1)), dim=1)
    finally:
        for part, was_training in modes:
            part.training = was_training
    return ids if n_new else ids.clone()


@variant("generate", title="written into a text of the final length")
def generate_into_a_buffer(model, ids, n_new, *, temperature=1.0, top_k=None, top_p=None,
                           generator=None):  # fmt: skip
    n_rows, n_prompt = ids.shape
    if n_prompt == 0 or n_new < 0:
        raise ValueError(f"ids must hold a token and n_new be 0 or more, got {n_prompt}, {n_new}.")
    text = torch.empty((n_rows, n_prompt + n_new), dtype=ids.dtype, device=ids.device)
    text[:, :n_prompt] = ids
    modes = {module: module.training for module in model.modules()}
    try:
        model.train(False)
        with torch.inference_mode():
            for end in range(n_prompt, n_prompt + n_new):
                start = max(0, end - model.config.context_length)
                logits = model(text[:, start:end])[:, -1]
                text[:, end] = sample(
                    logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator
                )
    finally:
        for module, mode in modes.items():
            module.training = mode
    return text


@variant("generate", title="a list of columns, stacked anew for each step")
def generate_columns(model, ids, n_new, **sampling):
    columns = list(ids.unbind(1))
    if not columns:
        raise ValueError("ids is empty: there is nothing to go on from.")
    if n_new < 0:
        raise ValueError(f"n_new={n_new} is negative.")
    modes = [(part, part.training) for part in model.modules()]
    try:
        model.eval()
        while len(columns) < ids.shape[1] + n_new:
            with torch.no_grad():
                window = torch.stack(columns[-model.config.context_length :], dim=1)
                columns.append(sample(model(window)[:, -1], **sampling))
    finally:
        for part, was_training in modes:
            part.training = was_training
    return torch.stack(columns, dim=1)


@variant("generate", title="one step, called by itself for the rest")
def generate_by_recursion(model, ids, n_new, **sampling):
    if ids.shape[-1] == 0:
        raise ValueError("ids must hold at least one token a row, got none.")
    if n_new < 0:
        raise ValueError(f"n_new must be at least 0, got {n_new}.")

    def grow(text, left):
        if left == 0:
            return text
        logits = model(text[:, -model.config.context_length :])
        return grow(torch.hstack([text, sample(logits[:, -1], **sampling)[:, None]]), left - 1)

    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            return grow(ids.clone(), n_new)
    finally:
        for part, was_training in modes:
            part.training = was_training
