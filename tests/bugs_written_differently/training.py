"""Second forms of the bugs of lesson 8."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import same_bug_as

# --- next_token_loss -------------------------------------------------------------------------


def _wide(logits):
    return logits if logits.dtype == torch.float64 else logits.float()


def _nll(log_probabilities, targets, ignore_index, **kwargs):
    rows = log_probabilities.reshape(-1, log_probabilities.shape[-1])
    return F.nll_loss(rows, targets.reshape(-1), ignore_index=ignore_index, **kwargs)


@same_bug_as("softmax_before_cross_entropy")
def two_softmaxes(logits, targets, ignore_index=-100):
    once = torch.softmax(_wide(logits), -1)
    return _nll(torch.log_softmax(once, -1), targets, ignore_index)


@same_bug_as("shifts_the_targets_once_more")
def as_if_nobody_had_shifted(logits, targets, ignore_index=-100):
    scores = _wide(logits)[..., :-1, :].contiguous()
    labels = targets[..., 1:].contiguous()
    return nn.CrossEntropyLoss(ignore_index=ignore_index)(
        scores.view(-1, scores.size(-1)), labels.view(-1)
    )


@same_bug_as("reshapes_where_it_should_transpose")
def views_ids_first(logits, targets, ignore_index=-100):
    n_texts, n_tokens, n_ids = logits.size()
    return F.cross_entropy(
        _wide(logits).view(n_texts, n_ids, n_tokens), targets, ignore_index=ignore_index
    )


@same_bug_as("adds_the_losses_up")
def sum_by_gather(logits, targets, ignore_index=-100):
    return _nll(_wide(logits).log_softmax(-1), targets, ignore_index, reduction="none").sum()


@same_bug_as("divides_by_all_positions")
def mean_with_zeros_in_it(logits, targets, ignore_index=-100):
    scores = _wide(logits).transpose(1, 2)
    return F.cross_entropy(scores, targets, ignore_index=ignore_index, reduction="none").mean()


@same_bug_as("averages_text_by_text")
def mean_of_means(logits, targets, ignore_index=-100):
    means = [
        F.cross_entropy(_wide(scores), labels, ignore_index=ignore_index)
        for scores, labels in zip(logits, targets, strict=True)
    ]
    return torch.stack(means).mean()


@same_bug_as("looks_at_the_last_position_alone")
def where_the_text_ends(logits, targets, ignore_index=-100):
    n_tokens = logits.shape[1]
    return _nll(
        _wide(logits[:, n_tokens - 1]).log_softmax(-1), targets[:, n_tokens - 1], ignore_index
    )


@same_bug_as("measures_in_bits")
def log2_of_the_softmax(logits, targets, ignore_index=-100):
    bits = torch.log_softmax(_wide(logits), -1) * math.log2(math.e)
    return _nll(bits, targets, ignore_index)


@same_bug_as("takes_the_log_of_a_softmax")
def negative_log_of_softmax(logits, targets, ignore_index=-100):
    return _nll(torch.log(F.softmax(_wide(logits), dim=2)), targets, ignore_index)


@same_bug_as("always_ignores_minus_100")
def leaves_the_default(logits, targets, ignore_index=-100):
    return nn.functional.cross_entropy(_wide(logits).permute(0, 2, 1), targets)


@same_bug_as("takes_0_for_no_ignore_index")
def asks_whether_it_is_given(logits, targets, ignore_index=-100):
    ignored = ignore_index if ignore_index else -100
    return F.cross_entropy(_wide(logits).permute(0, 2, 1), targets, ignore_index=ignored)


@same_bug_as("stays_in_half_precision")
def whatever_comes_in(logits, targets, ignore_index=-100):
    return _nll(logits.log_softmax(-1), targets, ignore_index)


@same_bug_as("forgets_the_minus")
def mean_log_probability(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    chosen = _wide(logits).log_softmax(-1)[counted]
    return chosen.gather(1, targets[counted][:, None]).mean()


@same_bug_as("returns_a_plain_number")
def a_float(logits, targets, ignore_index=-100):
    return float(_nll(_wide(logits).log_softmax(-1), targets, ignore_index).detach())


@same_bug_as("is_0_when_nothing_counts")
def at_least_one(logits, targets, ignore_index=-100):
    total = _nll(_wide(logits).log_softmax(-1), targets, ignore_index, reduction="sum")
    return total / max(1, int((targets != ignore_index).sum()))


# --- get_batch -------------------------------------------------------------------------------


def _long_enough(tokens, context_length):
    if len(tokens) <= context_length:
        raise ValueError(f"context_length={context_length} is too long for the tokens")


@same_bug_as("never_draws_the_last_start")
def one_off_for_the_targets(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length)
    high = max(len(tokens) - context_length - 1, 1)
    starts = torch.randint(0, high, (batch_size,), generator=generator)
    rows = torch.stack([tokens[s : s + context_length + 1] for s in starts])
    return rows[:, :-1], rows[:, 1:]


@same_bug_as("does_not_shift_the_targets")
def copies(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length)
    starts = torch.randint(len(tokens) - context_length, (batch_size,), generator=generator)
    rows = torch.stack([tokens[s : s + context_length] for s in starts.tolist()])
    return rows, rows.clone()


@same_bug_as("shifts_the_targets_by_two")
def skips_one(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length + 1)
    starts = torch.randint(len(tokens) - context_length - 1, (batch_size,), generator=generator)
    rows = torch.stack([tokens[s : s + context_length + 2] for s in starts.tolist()])
    return rows[:, :-2], rows[:, 2:]


@same_bug_as("swaps_inputs_and_targets")
def targets_first(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length)
    starts = torch.randint(len(tokens) - context_length, (batch_size,), generator=generator)
    rows = torch.stack([tokens[s : s + context_length + 1] for s in starts.tolist()])
    return rows[:, 1:], rows[:, :-1]


@same_bug_as("gives_every_row_the_same_start")
def repeats_one_row(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length)
    start = torch.randint(len(tokens) - context_length, (), generator=generator).item()
    row = tokens[start : start + context_length + 1].repeat(batch_size, 1)
    return row[:, :-1], row[:, 1:]


@same_bug_as("ignores_the_generator")
def asks_torch_at_large(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length)
    starts = (torch.rand(batch_size) * (len(tokens) - context_length)).long()
    rows = torch.stack([tokens[s : s + context_length + 1] for s in starts.tolist()])
    return rows[:, :-1], rows[:, 1:]


@same_bug_as("gives_the_next_token_only")
def one_label_a_row(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length)
    starts = torch.randint(len(tokens) - context_length, (batch_size,), generator=generator)
    rows = torch.stack([tokens[s : s + context_length] for s in starts.tolist()])
    return rows, tokens[starts + context_length]


@same_bug_as("refuses_the_shortest_text")
def wants_some_choice(tokens, batch_size, context_length, *, generator):
    if len(tokens) <= context_length + 1:
        raise ValueError(f"tokens={len(tokens)} are too few")
    starts = torch.randint(len(tokens) - context_length, (batch_size,), generator=generator)
    rows = torch.stack([tokens[s : s + context_length + 1] for s in starts.tolist()])
    return rows[:, :-1], rows[:, 1:]


@same_bug_as("rounds_the_start")
def nearest_start(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length)
    last = len(tokens) - context_length - 1
    starts = [int(torch.rand((), generator=generator) * last + 0.5) for _ in range(batch_size)]
    rows = torch.stack([tokens[s : s + context_length + 1] for s in starts])
    return rows[:, :-1], rows[:, 1:]


@same_bug_as("rolls_the_targets_within_the_row")
def first_comes_last(tokens, batch_size, context_length, *, generator):
    _long_enough(tokens, context_length)
    starts = torch.randint(len(tokens) - context_length, (batch_size,), generator=generator)
    rows = torch.stack([tokens[s : s + context_length] for s in starts.tolist()])
    return rows, torch.cat([rows[:, 1:], rows[:, :1]], dim=1)


# --- learning_rate ---------------------------------------------------------------------------


def _cosine(done, max_lr, min_lr):
    return min_lr + 0.5 * (max_lr - min_lr) * (1.0 + math.cos(math.pi * done))


@same_bug_as("begins_at_0")
def from_nothing(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return step / warmup_steps * max_lr
    return _cosine(min(1, (step - warmup_steps) / (total_steps - warmup_steps)), max_lr, min_lr)


@same_bug_as("is_up_one_step_early")
def as_many_stairs_as_steps(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr / warmup_steps * (1 + step)
    return _cosine(min(1, (step - warmup_steps) / (total_steps - warmup_steps)), max_lr, min_lr)


@same_bug_as("counts_the_cosine_from_step_0")
def share_of_all_steps(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    return min_lr if step >= total_steps else _cosine(step / total_steps, max_lr, min_lr)


@same_bug_as("rises_again")
def no_end(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    angle = np.pi * (step - warmup_steps) / (total_steps - warmup_steps)
    return float((max_lr + min_lr) / 2 + (max_lr - min_lr) / 2 * np.cos(angle))


@same_bug_as("falls_to_0")
def forgets_min_lr(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    return _cosine(min(1, (step - warmup_steps) / (total_steps - warmup_steps)), max_lr, 0.0)


@same_bug_as("cuts_off_at_min_lr")
def not_below_min_lr(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    rate = _cosine(min(1, (step - warmup_steps) / (total_steps - warmup_steps)), max_lr, 0.0)
    return rate if rate > min_lr else min_lr


@same_bug_as("falls_along_a_line")
def straight_down(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    left = max(0, total_steps - step) / (total_steps - warmup_steps)
    return min_lr + left * (max_lr - min_lr)


@same_bug_as("does_not_warm_up")
def at_full_speed(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step <= warmup_steps:
        return max_lr
    return _cosine(min(1, (step - warmup_steps) / (total_steps - warmup_steps)), max_lr, min_lr)


@same_bug_as("is_0_after_the_end")
def nothing_more(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / (total_steps - warmup_steps)
    return _cosine(done, max_lr, min_lr) if done <= 1 else 0.0


# --- decay_groups ----------------------------------------------------------------------------


def _two_groups(decayed, others, weight_decay):
    return [
        {"params": others, "weight_decay": 0.0},
        {"params": decayed, "weight_decay": weight_decay},
    ]


@same_bug_as("puts_all_into_one_group")
def a_single_dict(model, weight_decay):
    trained = list(filter(lambda p: p.requires_grad, model.parameters()))
    return [dict(weight_decay=weight_decay, params=trained)]


@same_bug_as("swaps_the_groups")
def vectors_decay(model, weight_decay):
    decayed, others = [], []
    for p in model.parameters():
        if p.requires_grad:
            (others if p.ndim > 1 else decayed).append(p)
    return _two_groups(decayed, others, weight_decay)


@same_bug_as("lets_only_biases_off")
def by_the_last_part_of_the_name(model, weight_decay):
    decayed, others = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            is_bias = name.split(".")[-1] == "bias"
            (others if is_bias else decayed).append(p)
    return _two_groups(decayed, others, weight_decay)


@same_bug_as("counts_tied_tensors_twice")
def module_after_module(model, weight_decay):
    every = [p for m in model.modules() for p in m._parameters.values() if p is not None]
    trained = [p for p in every if p.requires_grad]
    return _two_groups(
        [p for p in trained if p.dim() > 1], [p for p in trained if p.dim() <= 1], weight_decay
    )


@same_bug_as("keeps_frozen_parameters")
def all_of_them(model, weight_decay):
    decayed = [p for p in model.parameters() if len(p.shape) > 1]
    others = [p for p in model.parameters() if len(p.shape) <= 1]
    return _two_groups(decayed, others, weight_decay)


@same_bug_as("leaves_the_decay_of_vectors_open")
def says_nothing_of_the_others(model, weight_decay):
    trained = [p for _, p in model.named_parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim < 2]},
        {"params": [p for p in trained if p.ndim >= 2], "weight_decay": weight_decay},
    ]


@same_bug_as("decays_both_groups")
def twice_the_same_number(model, weight_decay):
    groups = {True: [], False: []}
    for p in model.parameters():
        if p.requires_grad:
            groups[p.dim() > 1].append(p)
    return [{"params": params, "weight_decay": weight_decay} for params in groups.values()]


# --- train_step ------------------------------------------------------------------------------


def _cross_entropy(logits, targets, **kwargs):
    scores = logits if logits.dtype == torch.float64 else logits.float()
    return F.cross_entropy(scores.flatten(0, 1), targets.flatten(), **kwargs)


def _autocast(inputs, dtype):
    return torch.autocast(inputs.device.type, dtype=dtype, enabled=dtype is not None)


def _forward(model, inputs, dtype):
    with _autocast(inputs, dtype):
        return model(inputs)


def _parts(inputs, targets, n_chunks):
    rows = len(inputs) // n_chunks
    return [
        (inputs[n * rows : (n + 1) * rows], targets[n * rows : (n + 1) * rows])
        for n in range(n_chunks)
    ]


def _add_gradients(model, inputs, targets, n_chunks, dtype):
    """The loss of the batch, its gradients added to what is there; an error if it is not finite."""
    count, total = (targets != -100).sum().item(), 0.0
    for part, labels in _parts(inputs, targets, n_chunks):
        logits = _forward(model, part, dtype)
        loss = _cross_entropy(logits, labels, reduction="sum") / (count or math.nan)
        loss.backward()
        total += loss.item()
    return total


def _refuse(loss):
    if not math.isfinite(loss):
        raise FloatingPointError("bad loss")


@same_bug_as("never_zeroes")
def adds_for_ever(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    _refuse(loss)
    optimizer.step()
    return loss


@same_bug_as("zeroes_after_the_step")
def tidies_up_at_the_end(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    _refuse(loss)
    optimizer.step()
    for parameter in model.parameters():
        parameter.grad = None
    return loss


@same_bug_as("adds_the_parts_without_dividing")
def sum_of_means(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    losses, counts = [], []
    for part, labels in _parts(inputs, targets, n_chunks):
        if (labels != -100).any():
            loss = _cross_entropy(_forward(model, part, autocast_dtype), labels)
            loss.backward()
            losses.append(loss.item())
            counts.append((labels != -100).sum().item())
    mean = np.average(losses, weights=counts).item() if counts else math.nan
    _refuse(mean)
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return mean


@same_bug_as("gives_every_part_the_same_share")
def mean_of_the_parts(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    losses = []
    for part, labels in _parts(inputs, targets, n_chunks):
        losses.append(_cross_entropy(_forward(model, part, autocast_dtype), labels) / n_chunks)
        losses[-1].backward()
    loss = sum(loss.item() for loss in losses)
    _refuse(loss)
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss


@same_bug_as("sends_the_whole_batch_at_once")
def one_part_in_any_case(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, 1, autocast_dtype)
    _refuse(loss)
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss


@same_bug_as("returns_a_tensor")
def detached_but_a_tensor(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    _refuse(loss)
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return torch.tensor(loss, dtype=torch.promote_types(model.head.weight.dtype, torch.float32))


@same_bug_as("does_not_clip")
def clips_when_it_is_too_late(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    _refuse(loss)
    optimizer.step()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    return loss


@same_bug_as("clips_each_parameter")
def tensor_by_tensor(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    _refuse(loss)
    for parameter in model.parameters():
        if parameter.grad is not None:
            length = parameter.grad.norm() + 1e-6
            parameter.grad *= min(1.0, max_grad_norm / length)
    optimizer.step()
    return loss


@same_bug_as("clips_each_number")
def clamps(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    _refuse(loss)
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad.clamp_(-max_grad_norm, max_grad_norm)
    optimizer.step()
    return loss


@same_bug_as("always_clips_at_1")
def one_for_everybody(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    _refuse(loss)
    torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.grad is not None], 1)
    optimizer.step()
    return loss


@same_bug_as("switches_to_training")
def sets_the_mode_first(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    model.train(True)
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    _refuse(loss)
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss


@same_bug_as("lets_bad_losses_through")
def asks_nothing(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    count = (targets != -100).sum().item()
    total = 0.0 if count else math.nan
    for part, labels in _parts(inputs, targets, n_chunks):
        here = (labels != -100).sum().item()
        if not here:
            continue
        loss = _cross_entropy(_forward(model, part, autocast_dtype), labels) * (here / count)
        loss.backward()
        total += loss.item()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@same_bug_as("skips_a_bad_batch_silently")
def goes_on(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    if loss != loss or abs(loss) == math.inf:
        return loss
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss


@same_bug_as("ignores_autocast")
def in_full_precision(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, None)
    _refuse(loss)
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss


@same_bug_as("expects_a_gradient_everywhere")
def length_of_all_gradients(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = _add_gradients(model, inputs, targets, n_chunks, autocast_dtype)
    _refuse(loss)
    norm = torch.stack([parameter.grad.norm() for parameter in model.parameters()]).norm()
    if norm > max_grad_norm:
        for parameter in model.parameters():
            parameter.grad *= max_grad_norm / (norm + 1e-6)
    optimizer.step()
    return loss


# --- evaluate --------------------------------------------------------------------------------


def _batches(tokens, context_length, batch_size):
    """Whole windows in batches, then the rest."""
    inputs, targets = tokens[:-1], tokens[1:]
    size = batch_size * context_length
    n_whole = len(inputs) // context_length * context_length
    for start in range(0, n_whole, size):
        end = min(start + size, n_whole)
        yield (
            inputs[start:end].reshape(-1, context_length),
            targets[start:end].reshape(-1, context_length),
        )
    if n_whole < len(inputs):
        yield inputs[None, n_whole:], targets[None, n_whole:]


def _loss_over(model, tokens, context_length, batch_size):
    total = 0.0
    for inputs, targets in _batches(tokens, context_length, batch_size):
        total += _cross_entropy(model(inputs), targets, reduction="sum").item()
    return total / (len(tokens) - 1)


@same_bug_as("measures_in_training_mode")
def as_the_model_stands(model, tokens, *, context_length, batch_size=8):
    with torch.inference_mode():
        return _loss_over(model, tokens, context_length, batch_size)


@same_bug_as("leaves_the_model_in_evaluation")
def eval_and_go(model, tokens, *, context_length, batch_size=8):
    with torch.no_grad():
        return _loss_over(model.eval(), tokens, context_length, batch_size)


@same_bug_as("leaves_the_model_in_training")
def back_to_work(model, tokens, *, context_length, batch_size=8):
    model.eval()
    with torch.no_grad():
        loss = _loss_over(model, tokens, context_length, batch_size)
    model.train()
    return loss


@same_bug_as("forgets_the_mode_when_the_model_fails")
def hopes_for_the_best(model, tokens, *, context_length, batch_size=8):
    mode = model.training
    model.train(False)
    with torch.inference_mode():
        loss = _loss_over(model, tokens, context_length, batch_size)
    model.train(mode)
    return loss


@same_bug_as("records_gradients")
def eval_is_enough(model, tokens, *, context_length, batch_size=8):
    mode = model.training
    try:
        return _loss_over(model.eval(), tokens, context_length, batch_size)
    finally:
        model.train(mode)


@same_bug_as("drops_the_rest")
def whole_windows(model, tokens, *, context_length, batch_size=8):
    whole = (len(tokens) - 1) // context_length * context_length
    mode = model.training
    try:
        with torch.no_grad():
            return (
                _loss_over(model.eval(), tokens[: whole + 1], context_length, batch_size)
                if whole
                else math.nan
            )
    finally:
        model.train(mode)


@same_bug_as("averages_over_windows")
def mean_of_windows(model, tokens, *, context_length, batch_size=8):
    mode, losses = model.training, []
    try:
        with torch.no_grad():
            for inputs, targets in _batches(tokens, context_length, 1):
                losses.append(_cross_entropy(model.eval()(inputs), targets).item())
    finally:
        model.train(mode)
    return float(np.mean(losses)) if losses else math.nan


@same_bug_as("loses_a_target_in_every_window")
def shifts_inside_the_windows(model, tokens, *, context_length, batch_size=8):
    mode, total, count = model.training, 0.0, 0
    try:
        with torch.no_grad():
            for window in tokens.split(context_length):
                if len(window) > 1:
                    logits = model.eval()(window[None, :-1])
                    total += _cross_entropy(logits, window[None, 1:], reduction="sum").item()
                    count += len(window) - 1
    finally:
        model.train(mode)
    if len(tokens) < 2:
        raise ValueError("tokens")
    return total / count if count else math.nan


@same_bug_as("compares_with_the_inputs")
def reads_what_it_sees(model, tokens, *, context_length, batch_size=8):
    mode, total = model.training, 0.0
    try:
        with torch.no_grad():
            for inputs, _ in _batches(tokens, context_length, batch_size):
                total += _cross_entropy(model.eval()(inputs), inputs, reduction="sum").item()
    finally:
        model.train(mode)
    return total / (len(tokens) - 1)


@same_bug_as("returns_the_sum")
def adds_up(model, tokens, *, context_length, batch_size=8):
    mode = model.training
    try:
        with torch.no_grad():
            loss = _loss_over(model.eval(), tokens, context_length, batch_size)
    finally:
        model.train(mode)
    return loss * (len(tokens) - 1)


@same_bug_as("divides_by_all_tokens")
def one_too_many_below(model, tokens, *, context_length, batch_size=8):
    mode = model.training
    try:
        with torch.no_grad():
            loss = _loss_over(model.eval(), tokens, context_length, batch_size)
    finally:
        model.train(mode)
    return loss * (len(tokens) - 1) / len(tokens)


@same_bug_as("evaluates_to_the_perplexity")
def e_to_the_loss(model, tokens, *, context_length, batch_size=8):
    mode = model.training
    try:
        with torch.no_grad():
            loss = _loss_over(model.eval(), tokens, context_length, batch_size)
    finally:
        model.train(mode)
    return float(np.exp(loss))


@same_bug_as("is_0_for_one_token")
def nothing_is_0(model, tokens, *, context_length, batch_size=8):
    if len(tokens) == 1:
        return 0.0
    mode = model.training
    try:
        with torch.no_grad():
            return _loss_over(model.eval(), tokens, context_length, batch_size)
    finally:
        model.train(mode)


@same_bug_as("switches_gradients_off_for_good")
def no_more_gradients(model, tokens, *, context_length, batch_size=8):
    if len(tokens) < 2:
        raise ValueError("tokens")
    mode = model.training
    torch.set_grad_enabled(mode=False)
    try:
        return _loss_over(model.eval(), tokens, context_length, batch_size)
    finally:
        model.train(mode)
