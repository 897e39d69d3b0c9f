"""Right ways to write lesson 8 that differ from ours."""

import contextlib
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.training import next_token_loss

from . import variant

# --- next_token_loss -------------------------------------------------------------------------


@variant("next_token_loss", title="log_softmax, and the target's own entry by gather")
def loss_by_gather(logits, targets, ignore_index=-100):
    wide = logits if logits.dtype == torch.float64 else logits.float()
    counted = targets != ignore_index
    safe = targets.masked_fill(~counted, 0)
    chosen = wide.log_softmax(dim=-1).gather(-1, safe.unsqueeze(-1)).squeeze(-1)
    return -chosen.masked_fill(~counted, 0).sum() / counted.sum()


@variant("next_token_loss", title="only the rows that count; logsumexp minus the target's score")
def loss_by_logsumexp(logits, targets, ignore_index=-100):
    rows = logits.float()[targets != ignore_index]
    wanted = targets[targets != ignore_index]
    places = torch.arange(len(wanted), device=logits.device)
    return (torch.logsumexp(rows, dim=-1) - rows[places, wanted]).mean()


@variant("next_token_loss", title="cross_entropy with the axis of ids in the middle, in float64")
def loss_of_transposed_logits(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits.double().transpose(1, 2), targets, ignore_index=ignore_index)


@variant("next_token_loss", title="text by text, sums and counts")
def loss_text_by_text(logits, targets, ignore_index=-100):
    total = logits.new_zeros((), dtype=torch.promote_types(logits.dtype, torch.float32))
    count = 0
    for scores, wanted in zip(logits, targets, strict=True):
        total = total + F.nll_loss(
            F.log_softmax(scores.to(total.dtype), dim=-1),
            wanted,
            ignore_index=ignore_index,
            reduction="sum",
        )
        count += int((wanted != ignore_index).sum())
    return total / count if count else total * math.nan


# --- get_batch -------------------------------------------------------------------------------


@variant("get_batch", title="slices stacked, one start after the other")
def batch_of_slices(tokens, batch_size, context_length, *, generator):
    last = len(tokens) - context_length - 1
    if last < 0:
        raise ValueError(f"tokens: {len(tokens)} are too few for rows of {context_length} and one")
    starts = torch.randint(0, last + 1, (batch_size,), generator=generator).tolist()
    rows = torch.stack([tokens[start : start + context_length + 1] for start in starts])
    return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()


@variant("get_batch", title="all windows by unfold; a fraction of them, rounded down")
def batch_of_unfolded_windows(tokens, batch_size, context_length, *, generator):
    if len(tokens) <= context_length:
        raise ValueError(f"context_length={context_length} does not fit a text this short")
    windows = tokens.unfold(0, context_length + 1, 1)
    drawn = torch.rand(batch_size, generator=generator, dtype=torch.float64) * len(windows)
    rows = windows[drawn.long().to(tokens.device)]
    return rows[:, :context_length].clone(), rows[:, 1:]


@variant("get_batch", title="multinomial, with replacement; index_select")
def batch_by_multinomial(tokens, batch_size, context_length, *, generator):
    n_starts = tokens.numel() - context_length
    if n_starts <= 0:
        raise ValueError(f"too few tokens: got {tokens.numel()}")
    even = torch.ones(n_starts)
    starts = torch.multinomial(even, batch_size, replacement=True, generator=generator)
    offsets = torch.arange(context_length + 1)
    places = (starts.unsqueeze(1) + offsets.unsqueeze(0)).flatten().to(tokens.device)
    rows = tokens.index_select(0, places).view(batch_size, context_length + 1)
    return rows[:, :-1].clone(), rows[:, 1:].clone()


@variant("get_batch", title="NumPy draws, seeded by a number from the generator; a list comes back")
def batch_by_numpy(tokens, batch_size, context_length, *, generator):
    if context_length + 1 > len(tokens):
        raise ValueError(f"context_length must be below {len(tokens)}, got {context_length}.")
    seed = torch.randint(2**62, (), generator=generator).item()
    starts = np.random.default_rng(seed).integers(0, len(tokens) - context_length, batch_size)
    places = torch.from_numpy(starts[:, None] + np.arange(context_length))
    return [tokens[places + shift] for shift in (0, 1)]


# --- learning_rate ---------------------------------------------------------------------------


@variant("learning_rate", title="the square of a cosine of half the angle; early returns")
def rate_by_cos_squared(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step >= total_steps:
        return min_lr
    if step >= warmup_steps:
        angle = math.pi / 2 * (step - warmup_steps) / (total_steps - warmup_steps)
        return min_lr + (max_lr - min_lr) * math.cos(angle) ** 2
    return max_lr / (warmup_steps + 1) * (step + 1)


@variant("learning_rate", title="NumPy, between the middle and half the span")
def rate_by_numpy(step, *, max_lr, min_lr, warmup_steps, total_steps):
    rising = max_lr * (step + 1) / (warmup_steps + 1)
    done = np.clip((step - warmup_steps) / (total_steps - warmup_steps), 0, 1)
    falling = (max_lr + min_lr) / 2 + (max_lr - min_lr) / 2 * np.cos(np.pi * done)
    return np.where(step < warmup_steps, rising, falling).item()


@variant("learning_rate", title="an average of the two rates; the warm-up as a factor")
def rate_as_an_average(step, *, max_lr, min_lr, warmup_steps, total_steps):
    step = min(step, total_steps)
    after = max(0, step - warmup_steps)
    share = 0.5 + 0.5 * math.cos(math.pi * after / (total_steps - warmup_steps))
    rate = share * max_lr + (1 - share) * min_lr
    return rate * min(1.0, (step + 1) / (warmup_steps + 1))


# --- decay_groups ----------------------------------------------------------------------------


@variant("decay_groups", title="two lists filled in a loop; those without decay come first")
def groups_in_a_loop(model, weight_decay):
    decayed, others = [], []
    for _, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        (decayed if parameter.ndim > 1 else others).append(parameter)
    return [
        {"weight_decay": 0.0, "params": others},
        {"weight_decay": weight_decay, "params": decayed},
    ]


@variant("decay_groups", title="module by module, each tensor once by its identity")
def groups_module_by_module(model, weight_decay):
    found = {}
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            found[id(parameter)] = parameter
    trained = [p for p in found.values() if p.requires_grad]
    shapes = {True: [], False: []}
    for parameter in reversed(trained):
        shapes[len(parameter.shape) >= 2].append(parameter)
    return [
        {"params": shapes[True], "weight_decay": weight_decay},
        {"params": shapes[False], "weight_decay": 0.0},
    ]


@variant("decay_groups", title="a dict by weight_decay, and an extra key for each group")
def groups_by_a_dict(model, weight_decay):
    groups = {
        name: {"params": [], "weight_decay": decay, "name": name}
        for name, decay in (("decay", weight_decay), ("no decay", 0.0))
    }
    for parameter in filter(lambda p: p.requires_grad, model.parameters()):
        groups["decay" if parameter.dim() > 1 else "no decay"]["params"].append(parameter)
    return list(groups.values())


# --- train_step ------------------------------------------------------------------------------


@variant("train_step", title="cross_entropy as a sum over the targets of the batch; own clipping")
def step_by_sums(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad(set_to_none=True)
    count = (targets != -100).sum()
    rows, losses = len(inputs) // n_chunks, []
    for start in range(0, len(inputs), rows):
        part = slice(start, start + rows)
        with torch.autocast(
            device_type=inputs.device.type, dtype=autocast_dtype, enabled=autocast_dtype is not None
        ):
            scores = model(inputs[part]).flatten(0, 1)
        scores = scores if scores.dtype == torch.float64 else scores.float()
        loss = F.cross_entropy(scores, targets[part].flatten(), reduction="sum") / count
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss of rows {start} and after is {loss.item()}")
        loss.backward()
        losses.append(loss.item())
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    length = math.sqrt(sum(g.double().pow(2).sum().item() for g in gradients))
    if not math.isfinite(length):
        raise FloatingPointError(f"the gradient is {length} long")
    if length > max_grad_norm:
        for gradient in gradients:
            gradient.mul_(max_grad_norm / length)
    optimizer.step()
    return math.fsum(losses)


@variant("train_step", title="one backward() for all parts, the loss within autocast")
def step_with_one_backward(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    model.zero_grad(set_to_none=True)
    mixed = contextlib.nullcontext()
    if autocast_dtype is not None:
        mixed = torch.autocast(inputs.device.type, dtype=autocast_dtype)
    with mixed:
        logits = torch.cat([model(part) for part in inputs.chunk(n_chunks)])
        loss = next_token_loss(logits, targets)
    if not math.isfinite(loss.item()):
        raise FloatingPointError("the loss of this batch is nan or infinite")
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=max_grad_norm)
    if not math.isfinite(norm):
        raise FloatingPointError("the gradient of this batch is nan or infinite")
    optimizer.step()
    return loss.item()


@variant("train_step", title="gradients by autograd.grad, added up in a list, then handed over")
def step_by_autograd_grad(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    trained = [p for p in model.parameters() if p.requires_grad]
    sums = [None] * len(trained)
    n_targets, total = targets.ne(-100).sum().item(), 0.0
    for part, wanted in zip(
        torch.tensor_split(inputs, n_chunks), torch.tensor_split(targets, n_chunks), strict=True
    ):
        n_here = wanted.ne(-100).sum().item()
        if n_here == 0 and n_targets > 0:
            continue
        with torch.autocast(inputs.device.type, autocast_dtype, enabled=autocast_dtype is not None):
            loss = next_token_loss(model(part), wanted)
        for n, found in enumerate(torch.autograd.grad(loss, trained, allow_unused=True)):
            if found is not None:
                share = found * (n_here / n_targets if n_targets else math.nan)
                sums[n] = share if sums[n] is None else sums[n] + share
        total += loss.item() * n_here / n_targets if n_targets else math.nan
    if math.isnan(total) or math.isinf(total):
        raise FloatingPointError(f"loss={total}")
    for parameter, gradient in zip(trained, sums, strict=True):
        parameter.grad = gradient
    if not nn.utils.clip_grad_norm_(trained, max_grad_norm).isfinite():
        raise FloatingPointError("the gradient is nan or infinite")
    optimizer.step()
    return total


# --- evaluate --------------------------------------------------------------------------------


@variant("evaluate", title="one window after the other, one batch of one each time")
def evaluate_window_by_window(model, tokens, *, context_length, batch_size=8):
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    losses = 0.0
    try:
        with torch.no_grad():
            for start in range(0, len(tokens) - 1, context_length):
                piece = tokens[start : start + context_length + 1]
                loss = next_token_loss(model(piece[None, :-1]), piece[None, 1:])
                losses += loss.item() * (len(piece) - 1)
    finally:
        for part, was_training in modes:
            part.training = was_training
    return losses / (len(tokens) - 1)


@variant("evaluate", title="whole windows in batches, and the rest by itself, in inference mode")
def evaluate_the_rest_by_itself(model, tokens, *, context_length, batch_size=8):
    if tokens.numel() < 2:
        raise ValueError(f"tokens: at least 2 are needed, got {tokens.numel()}.")
    inputs, targets = tokens[:-1], tokens[1:]
    n_whole = len(inputs) // context_length * context_length
    batches = [
        (piece.view(-1, context_length), wanted.view(-1, context_length))
        for piece, wanted in zip(
            inputs[:n_whole].split(batch_size * context_length),
            targets[:n_whole].split(batch_size * context_length),
            strict=True,
        )
    ]
    if n_whole < len(inputs):
        batches.append((inputs[n_whole:].unsqueeze(0), targets[n_whole:].unsqueeze(0)))
    modes, total = {part: part.training for part in model.modules()}, 0.0
    try:
        model.eval()
        with torch.inference_mode():
            for piece, wanted in batches:
                if wanted.numel():
                    total += wanted.numel() * float(next_token_loss(model(piece), wanted))
    finally:
        for part, mode in modes.items():
            part.training = mode
    return total / len(targets)


@variant("evaluate", title="padded, every token's loss kept, and their mean taken at the end")
def evaluate_token_by_token(model, tokens, *, context_length, batch_size=8):
    modes = {module: module.training for module in model.modules()}
    n_windows = math.ceil((len(tokens) - 1) / context_length)
    padded = torch.zeros(n_windows * context_length + 1, dtype=tokens.dtype, device=tokens.device)
    padded[: len(tokens)] = tokens
    windows = padded.unfold(0, context_length + 1, context_length)
    losses = []
    with torch.no_grad(), contextlib.ExitStack() as at_the_end:
        for module, mode in modes.items():
            at_the_end.callback(setattr, module, "training", mode)
        model.eval()
        for start in range(0, n_windows, batch_size):
            batch = windows[start : start + batch_size]
            logits = model(batch[:, :-1]).double().transpose(1, 2)
            losses.append(F.cross_entropy(logits, batch[:, 1:], reduction="none").flatten())
    return torch.cat(losses)[: len(tokens) - 1].mean().item()
