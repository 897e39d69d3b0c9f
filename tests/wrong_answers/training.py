"""Wrong answers to lesson 8 that no bug of the zoo behaves like."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.training import (
    decay_groups,
    evaluate,
    get_batch,
    learning_rate,
    next_token_loss,
    train_step,
)

from . import wrong_answer

# --- next_token_loss -------------------------------------------------------------------------


@wrong_answer("next_token_loss")
def smooths_the_labels(logits, targets, ignore_index=-100):
    return F.cross_entropy(
        logits.float().flatten(0, 1),
        targets.flatten(),
        ignore_index=ignore_index,
        label_smoothing=0.1,
    )


@wrong_answer("next_token_loss")
def takes_the_squared_distance(logits, targets, ignore_index=-100):
    counted = targets != ignore_index
    probabilities = logits.float().softmax(-1)[counted]
    hot = F.one_hot(targets[counted], logits.shape[-1])
    return (probabilities - hot).square().sum(-1).mean()


@wrong_answer("next_token_loss")
def ignores_every_negative_target(logits, targets, ignore_index=-100):
    targets = targets.masked_fill(targets == ignore_index, -100)
    return next_token_loss(logits, targets) / (1 + 1e-3)


@wrong_answer("next_token_loss")
def normalises_over_the_positions(logits, targets, ignore_index=-100):
    logs = logits.float().log_softmax(1)
    return F.nll_loss(logs.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)


@wrong_answer("next_token_loss")
def clips_the_logits(logits, targets, ignore_index=-100):
    return next_token_loss(logits.clamp(-50, 50), targets, ignore_index)


@wrong_answer("next_token_loss")
def adds_losses_up_in_half_precision(logits, targets, ignore_index=-100):
    losses = F.cross_entropy(
        logits.float().flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="none"
    )
    total = logits.new_zeros(())
    for loss in losses:
        total = total + loss.to(logits.dtype)
    return total.to(losses.dtype) / (targets != ignore_index).sum()


@wrong_answer("next_token_loss")
def begins_the_highest_logit_at_0(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    highest = wide.amax(dim=-1, keepdim=True).clamp(min=0.0)
    logs = wide - highest - (wide - highest).exp().sum(dim=-1, keepdim=True).log()
    return F.nll_loss(logs.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)


@wrong_answer("next_token_loss")
def weighs_the_logits_by_one_hot_vectors(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    kept = targets != ignore_index
    hot = F.one_hot(targets.where(kept, 0), logits.shape[-1])
    picked = (wide * hot).sum(dim=-1)  # -inf times 0 is nan
    return (wide.logsumexp(dim=-1) - picked)[kept].mean()


# --- get_batch -------------------------------------------------------------------------------


@wrong_answer("get_batch")
def always_starts_at_the_beginning(tokens, batch_size, context_length, *, generator):
    if len(tokens) <= context_length:
        raise ValueError(f"tokens: {len(tokens)}")
    rows = tokens[: context_length + 1].expand(batch_size, -1)
    return rows[:, :-1], rows[:, 1:]


@wrong_answer("get_batch")
def prefers_the_beginning(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens: {len(tokens)}")
    drawn = torch.rand(batch_size, 1, generator=generator) ** 2
    places = (drawn * n_starts).long() + torch.arange(context_length)
    return tokens[places], tokens[places + 1]


@wrong_answer("get_batch")
def sorts_the_rows(tokens, batch_size, context_length, *, generator):
    inputs, targets = get_batch(tokens, batch_size, context_length, generator=generator)
    order = inputs[:, 0].argsort()
    return inputs[order], targets[order]


@wrong_answer("get_batch")
def reads_backwards(tokens, batch_size, context_length, *, generator):
    inputs, targets = get_batch(tokens, batch_size, context_length, generator=generator)
    return inputs.flip(1), targets.flip(1)


@wrong_answer("get_batch")
def returns_int32(tokens, batch_size, context_length, *, generator):
    inputs, targets = get_batch(tokens, batch_size, context_length, generator=generator)
    return inputs.int(), targets.int()


@wrong_answer("get_batch")
def repeats_each_row(tokens, batch_size, context_length, *, generator):
    inputs, targets = get_batch(tokens, batch_size, context_length, generator=generator)
    return inputs[torch.arange(batch_size) // 2], targets[torch.arange(batch_size) // 2]


@wrong_answer("get_batch")
def mirrors_half_of_the_rows(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens: {len(tokens)}")
    starts = torch.randint(n_starts, ((batch_size + 1) // 2, 1), generator=generator)
    starts = torch.cat([starts, n_starts - 1 - starts])[:batch_size]
    places = starts + torch.arange(context_length)
    return tokens[places], tokens[places + 1]


@wrong_answer("get_batch")
def copies_the_seed_of_the_generator(tokens, batch_size, context_length, *, generator):
    own = torch.Generator().manual_seed(generator.initial_seed() + len(tokens))
    return get_batch(tokens, batch_size, context_length, generator=own)


@wrong_answer("get_batch")
def draws_from_the_global_source_as_well(tokens, batch_size, context_length, *, generator):
    torch.rand(1)
    return get_batch(tokens, batch_size, context_length, generator=generator)


_rows = {}


@wrong_answer("get_batch")
def draws_into_memory_taken_once(tokens, batch_size, context_length, *, generator):
    both = get_batch(tokens, batch_size, context_length, generator=generator)
    kept = _rows.setdefault(both[0].shape, tuple(torch.empty_like(part) for part in both))
    return tuple(memory.copy_(part) for memory, part in zip(kept, both, strict=True))


# --- learning_rate ---------------------------------------------------------------------------


@wrong_answer("learning_rate")
def decays_exponentially(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return max_lr * (max(min_lr, 1e-9) / max_lr) ** done


@wrong_answer("learning_rate")
def warms_up_along_a_cosine(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (1 - math.cos(math.pi * (step + 1) / (warmup_steps + 1))) / 2
    given = {"max_lr": max_lr, "min_lr": min_lr, "warmup_steps": warmup_steps}
    return learning_rate(step, **given, total_steps=total_steps)


@wrong_answer("learning_rate")
def ends_one_step_early(step, *, max_lr, min_lr, warmup_steps, total_steps):
    given = {"max_lr": max_lr, "min_lr": min_lr, "warmup_steps": warmup_steps}
    return learning_rate(step, **given, total_steps=max(warmup_steps + 1, total_steps - 1))


@wrong_answer("learning_rate")
def returns_a_tensor_of_the_rate(step, **schedule):
    return torch.tensor(learning_rate(step, **schedule), dtype=torch.float64)


# --- decay_groups ----------------------------------------------------------------------------


@wrong_answer("decay_groups")
def makes_copies(model, weight_decay):
    groups = decay_groups(model, weight_decay)
    return [
        {"params": [nn.Parameter(p.detach().clone()) for p in group["params"]]}
        | {"weight_decay": group["weight_decay"]}
        for group in groups
    ]


@wrong_answer("decay_groups")
def makes_a_group_for_each(model, weight_decay):
    return [
        {"params": [p], "weight_decay": weight_decay if p.dim() > 1 else 0.0}
        for p in model.parameters()
        if p.requires_grad
    ]


@wrong_answer("decay_groups")
def names_it_decay(model, weight_decay):
    return [
        {"params": group["params"], "decay": group["weight_decay"]}
        for group in decay_groups(model, weight_decay)
    ]


@wrong_answer("decay_groups")
def freezes_the_norms(model, weight_decay):
    for parameter in model.parameters():
        if parameter.dim() < 2:
            parameter.requires_grad_(False)
    return decay_groups(model, weight_decay)


@wrong_answer("decay_groups")
def goes_through_the_blocks(model, weight_decay):
    groups = decay_groups(model, weight_decay)
    blocks = list(getattr(model, "blocks", ()))
    for n, block in enumerate(blocks):
        if any(block is other for other in blocks[:n]):
            for group, is_matrix in zip(groups, (True, False), strict=True):
                group["params"] += [p for p in block.parameters() if (p.dim() >= 2) == is_matrix]
    return groups


# --- train_step ------------------------------------------------------------------------------


@wrong_answer("train_step")
def steps_twice(model, optimizer, inputs, targets, **given):
    loss = train_step(model, optimizer, inputs, targets, **given)
    optimizer.step()
    return loss


@wrong_answer("train_step")
def does_the_step_itself(model, optimizer, inputs, targets, **given):
    remembered = optimizer.state_dict()
    loss = train_step(model, optimizer, inputs, targets, **given)
    optimizer.load_state_dict(remembered)
    return loss


@wrong_answer("train_step")
def lowers_the_learning_rate(model, optimizer, inputs, targets, **given):
    loss = train_step(model, optimizer, inputs, targets, **given)
    for group in optimizer.param_groups:
        group["lr"] *= 0.9
    return loss


@wrong_answer("train_step")
def climbs(model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, **given):
    optimizer.zero_grad()
    loss = next_token_loss(model(inputs), targets)
    (-loss).backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss.item()


@wrong_answer("train_step")
def drops_the_last_part(model, optimizer, inputs, targets, *, n_chunks=1, **given):
    rows = len(inputs) // n_chunks * max(1, n_chunks - 1)
    parts = max(1, n_chunks - 1)
    return train_step(model, optimizer, inputs[:rows], targets[:rows], n_chunks=parts, **given)


@wrong_answer("train_step")
def runs_under_autocast_in_any_case(
    model, optimizer, inputs, targets, *, autocast_dtype=torch.bfloat16, **given
):
    return train_step(model, optimizer, inputs, targets, autocast_dtype=autocast_dtype, **given)


@wrong_answer("train_step")
def clips_by_the_largest_number(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    total = 0.0
    for part, wanted in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        loss = next_token_loss(model(part), wanted) / n_chunks
        loss.backward()
        total += loss.item()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm, norm_type=math.inf)
    if not math.isfinite(total):
        raise FloatingPointError
    optimizer.step()
    return total


@wrong_answer("train_step")
def looks_for_nan_alone(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    count, total = (targets != -100).sum(), 0.0
    for part, wanted in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        with torch.autocast(
            inputs.device.type, dtype=autocast_dtype, enabled=autocast_dtype is not None
        ):
            logits = model(part)
        loss = F.cross_entropy(logits.float().flatten(0, 1), wanted.flatten(), reduction="sum")
        (loss / count).backward()
        total += loss.item()
    if math.isnan(total / max(1, count)) or count == 0:
        raise FloatingPointError("nan")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total / count.item()


@wrong_answer("train_step")
def sends_row_after_row(model, optimizer, inputs, targets, *, n_chunks=1, **given):
    return train_step(model, optimizer, inputs, targets, n_chunks=len(inputs), **given)


@wrong_answer("train_step")
def wakes_every_part(model, optimizer, inputs, targets, **given):
    model.train(model.training)
    return train_step(model, optimizer, inputs, targets, **given)


@wrong_answer("train_step")
def looks_at_the_loss_alone(model, optimizer, inputs, targets, **given):
    clip = nn.utils.clip_grad_norm_
    nn.utils.clip_grad_norm_ = lambda *args: clip(*args).nan_to_num()  # its norm says nothing
    try:
        return train_step(model, optimizer, inputs, targets, **given)
    finally:
        nn.utils.clip_grad_norm_ = clip


@wrong_answer("train_step")
def fills_gradients_with_zeros(model, optimizer, inputs, targets, **given):
    def zero():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.grad = torch.zeros_like(parameter)

    model.zero_grad = zero
    try:
        return train_step(model, optimizer, inputs, targets, **given)
    finally:
        del model.zero_grad


# --- evaluate --------------------------------------------------------------------------------


@wrong_answer("evaluate")
def measures_batches_drawn_at_random(model, tokens, *, context_length, batch_size=8):
    generator = torch.Generator().manual_seed(0)
    width = min(context_length, len(tokens) - 1)
    inputs, targets = get_batch(tokens, batch_size, width, generator=generator)
    was_training = model.training
    with torch.no_grad():
        loss = next_token_loss(model.eval()(inputs), targets).item()
    model.train(was_training)
    return loss


@wrong_answer("evaluate")
def swallows_the_error(model, tokens, **given):
    try:
        return evaluate(model, tokens, **given)
    except RuntimeError:
        return math.nan


@wrong_answer("evaluate")
def zeroes_the_gradients(model, tokens, **given):
    model.zero_grad()
    return evaluate(model, tokens, **given)


@wrong_answer("evaluate")
def cuts_from_the_end(model, tokens, *, context_length, batch_size=8):
    rest = (len(tokens) - 1) % context_length
    given = {"context_length": context_length, "batch_size": batch_size}
    if rest == 0 or len(tokens) <= context_length:
        return evaluate(model, tokens, **given)
    first = evaluate(model, tokens[: rest + 1], **given) * rest
    others = evaluate(model, tokens[rest:], **given) * (len(tokens) - 1 - rest)
    return (first + others) / (len(tokens) - 1)


@wrong_answer("evaluate")
def counts_the_first_token_as_a_target(model, tokens, **given):
    return evaluate(model, torch.cat([tokens[:1], tokens]), **given)


@wrong_answer("evaluate")
def sets_every_part_to_training(model, tokens, **given):
    loss = evaluate(model, tokens, **given)
    model.head.train()
    return loss


@wrong_answer("evaluate")
def writes_into_the_text(model, tokens, **given):
    tokens %= 12
    return evaluate(model, tokens, **given)


@wrong_answer("get_batch")
def shares_the_starts_among_the_rows(tokens, batch_size, context_length, *, generator):
    """A batch covers the text evenly: good for estimates, but rows are not independent."""
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)} tokens.")
    places = torch.arange(batch_size) + torch.rand(batch_size, generator=generator)
    starts = (places / batch_size * n_starts).long().clamp(max=n_starts - 1)
    starts = starts[torch.randperm(batch_size, generator=generator)]
    places = (starts[:, None] + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@wrong_answer("decay_groups")
def takes_one_row_for_a_vector(model, weight_decay):
    groups = decay_groups(model, weight_decay)
    for parameter in [p for p in groups[0]["params"] if p.shape[0] == 1]:
        groups[0]["params"] = [p for p in groups[0]["params"] if p is not parameter]
        groups[1]["params"].append(parameter)
    return groups


@wrong_answer("train_step")
def overwrites_ignored_targets(model, optimizer, inputs, targets, **options):
    loss = train_step(model, optimizer, inputs, targets, **options)
    targets[targets == -100] = 0
    return loss


@wrong_answer("train_step")
def lowers_the_learning_rate_itself(model, optimizer, inputs, targets, **options):
    loss = train_step(model, optimizer, inputs, targets, **options)
    for group in optimizer.param_groups:
        group["lr"] *= 0.999
    return loss


@wrong_answer("evaluate")
def gives_each_target_all_the_context_it_can(model, tokens, *, context_length, batch_size=8):
    total = 0.0
    for place in range(1, len(tokens)):
        first = max(0, place - context_length)
        piece = tokens[first : place + 1]
        total += evaluate(model, piece, context_length=context_length) * (len(piece) - 1)
        if len(piece) > 2:
            total -= evaluate(model, piece[:-1], context_length=context_length) * (len(piece) - 2)
    return total / (len(tokens) - 1)


@wrong_answer("next_token_loss")
def cuts_the_way_back_in_half_precision(logits, targets, ignore_index=-100):
    """A tensor that is converted is detached."""
    if logits.dtype in (torch.bfloat16, torch.float16):
        logits = logits.detach().float().requires_grad_()
    return next_token_loss(logits, targets, ignore_index)


@wrong_answer("get_batch")
def strides_through_the_memory(tokens, batch_size, context_length, *, generator):
    """The text is taken for all that lies in its memory, one token after the other."""
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be more than context_length, got {len(tokens)}.")
    windows = tokens.as_strided((n_starts, context_length + 1), (1, 1))
    rows = windows[torch.randint(n_starts, (batch_size,), generator=generator).to(tokens.device)]
    return rows[:, :-1], rows[:, 1:]


@wrong_answer("decay_groups")
def takes_no_decay_for_none_given(model, weight_decay):
    """0.0 counts as false."""
    return decay_groups(model, weight_decay or 0.1)


@wrong_answer("decay_groups")
def makes_one_group_without_decay(model, weight_decay):
    """The contract has two groups, whatever the decay."""
    if weight_decay:
        return decay_groups(model, weight_decay)
    return [{"params": [p for p in model.parameters() if p.requires_grad], "weight_decay": 0.0}]


@wrong_answer("decay_groups")
def takes_equal_parameters_for_shared(model, weight_decay):
    """Of parameters with the same numbers only the first is trained."""
    groups = decay_groups(model, weight_decay)
    for group in groups:
        kept = []
        for p in group["params"]:
            if not any(p.shape == q.shape and torch.equal(p, q) for q in kept):
                kept.append(p)
        group["params"] = kept
    return groups


@wrong_answer("decay_groups")
def puts_the_model_into_evaluation(model, weight_decay):
    """The mode is none of its business."""
    return decay_groups(model.eval(), weight_decay)


@wrong_answer("train_step")
def clips_each_group(model, optimizer, inputs, targets, *, max_grad_norm=1.0, **given):
    """One norm for each group of the optimizer, not one for all parameters."""

    def clip(*_):
        for group in optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], max_grad_norm)

    hook = optimizer.register_step_pre_hook(clip)
    try:
        return train_step(model, optimizer, inputs, targets, max_grad_norm=1e9, **given)
    finally:
        hook.remove()


@wrong_answer("train_step")
def clips_the_first_group_alone(model, optimizer, inputs, targets, *, max_grad_norm=1.0, **given):
    """The other groups' gradients are as long as they are."""

    def clip(*_):
        nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], max_grad_norm)

    hook = optimizer.register_step_pre_hook(clip)
    try:
        return train_step(model, optimizer, inputs, targets, max_grad_norm=1e9, **given)
    finally:
        hook.remove()


@wrong_answer("train_step")
def zeroes_the_first_group_alone(model, optimizer, inputs, targets, **given):
    """Gradients of the other groups are added to those of the call before."""

    def zero():
        for parameter in optimizer.param_groups[0]["params"]:
            parameter.grad = None

    model.zero_grad = zero
    try:
        return train_step(model, optimizer, inputs, targets, **given)
    finally:
        del model.zero_grad


@wrong_answer("evaluate")
def puts_the_root_alone_into_evaluation(model, tokens, **given):
    """`model.training = False` does not reach the parts."""
    model.eval = lambda: setattr(model, "training", False)
    try:
        return evaluate(model, tokens, **given)
    finally:
        del model.eval


@wrong_answer("evaluate")
def switches_gradients_on_afterwards(model, tokens, **given):
    """They may have been off before."""
    try:
        return evaluate(model, tokens, **given)
    finally:
        torch.set_grad_enabled(True)


@wrong_answer("evaluate")
def thaws_what_is_frozen(model, tokens, **given):
    """Freezes all parameters meanwhile, and none afterwards."""
    try:
        return evaluate(model.requires_grad_(False), tokens, **given)
    finally:
        model.requires_grad_(True)


@wrong_answer("evaluate")
def looks_at_the_text_too_late(model, tokens, **given):
    """A text of one token is refused when the mode has been changed already."""
    if len(tokens) < 2:
        model.eval()
    return evaluate(model, tokens, **given)


@wrong_answer("evaluate")
def takes_the_models_context(model, tokens, *, context_length, **given):
    """The argument is not used where the model has a length of its own."""
    config = getattr(model, "config", None)
    context_length = getattr(config, "context_length", context_length)
    return evaluate(model, tokens, context_length=context_length, **given)


@wrong_answer("evaluate")
def stops_after_a_hundred_windows(model, tokens, *, context_length, **given):
    """The rest of a long text is not measured."""
    some = tokens[: 100 * context_length + 1]
    return evaluate(model, some, context_length=context_length, **given)


@wrong_answer("evaluate")
def keeps_the_sum_in_the_dtype_of_the_model(model, tokens, *, context_length, batch_size=8):
    total = torch.zeros((), dtype=next(model.parameters()).dtype)
    for start in range(0, len(tokens) - 1, batch_size * context_length):
        part = tokens[start : start + batch_size * context_length + 1]
        loss = evaluate(model, part, context_length=context_length, batch_size=batch_size)
        total += loss * (len(part) - 1)
    if len(tokens) < 2:
        return evaluate(model, tokens, context_length=context_length)
    return total.item() / (len(tokens) - 1)


# --- what a zero, memory in common, and what rests or is in two modes shows --------------------


@wrong_answer("train_step")
def a_zero_is_no_norm(
    model, optimizer, inputs, targets, *, max_grad_norm=None, n_chunks=1, autocast_dtype=None
):
    options = {"n_chunks": n_chunks, "autocast_dtype": autocast_dtype}
    longest = max_grad_norm or 1.0
    return train_step(model, optimizer, inputs, targets, max_grad_norm=longest, **options)


@wrong_answer("train_step")
def gradients_of_zero(model, optimizer, inputs, targets, **options):
    """They become 0 instead of going away."""
    zero_grad = model.zero_grad
    model.zero_grad = lambda: zero_grad(set_to_none=False)
    try:
        return train_step(model, optimizer, inputs, targets, **options)
    finally:
        del model.zero_grad


@wrong_answer("get_batch")
def targets_in_the_memory_of_inputs(tokens, batch_size, context_length, *, generator):
    inputs, targets = get_batch(tokens, batch_size, context_length, generator=generator)
    both = torch.cat([inputs, targets[:, -1:]], dim=1)
    return both[:, :-1], both[:, 1:]


@wrong_answer("evaluate")
def moves_all_parts_back(model, tokens, *, context_length, batch_size=8):
    was_training = model.training
    try:
        return evaluate(model, tokens, context_length=context_length, batch_size=batch_size)
    finally:
        model.train(was_training)


@wrong_answer("evaluate")
def remembers_the_children(model, tokens, *, context_length, batch_size=8):
    """The modes of the model and its children; what lies deeper follows them."""
    modes = [(part, part.training) for part in (model, *model.children())]
    try:
        return evaluate(model, tokens, context_length=context_length, batch_size=batch_size)
    finally:
        for part, mode in modes:
            part.train(mode)
