"""What goes wrong in lesson 8: what a loss averages, a batch holds, and a step forgets."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.training import _evaluating, next_token_loss

from . import bug

# --- next_token_loss -----------------------------------------------------------------------------


@bug(
    "next_token_loss",
    title="a softmax was taken before cross_entropy, which takes one itself",
    misconception="cross_entropy wants probabilities. It wants logits, and takes their "
    "log_softmax.",
    symptom="The loss starts near ln V and hardly falls: two softmaxes leave little to "
    "choose from.",
    threads=("tflearn/tflearn#562",),
)
def softmax_before_cross_entropy(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    probabilities = wide.softmax(dim=-1).flatten(0, 1)
    return F.cross_entropy(probabilities, targets.flatten(), ignore_index=ignore_index)


@bug(
    "next_token_loss",
    title="the targets were shifted once more",
    misconception="The loss shifts the targets. Here the batch has done so already, and each "
    "side doing it means predicting the token after the next.",
    symptom="The loss falls, more slowly; the text skips every second token.",
    threads=(
        "huggingface/transformers#47394",
        "huggingface/transformers#37830",
    ),
)
def shifts_the_targets_once_more(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    wide, targets = wide[:, :-1], targets[:, 1:]
    return F.cross_entropy(wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)


@bug(
    "next_token_loss",
    title="the logits were reshaped to (B, V, T) instead of transposed",
    misconception="A view only renames the axes. It deals the same numbers out in another order.",
    symptom="No error; the loss stays near ln V, since each target is compared with "
    "strangers' scores.",
    threads=("weirme/FCSN#12",),
)
def reshapes_where_it_should_transpose(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    n_texts, n_tokens, n_ids = logits.shape
    wide = wide.reshape(n_texts, n_ids, n_tokens)
    return F.cross_entropy(wide, targets, ignore_index=ignore_index)


@bug(
    "next_token_loss",
    title="the losses are added up, not averaged",
    misconception="The sum is the loss of the whole batch. It grows with B and T, and the "
    "gradient with it.",
    symptom="The first loss is B·T·ln V; a learning rate fits one batch size only.",
)
def adds_the_losses_up(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    return F.cross_entropy(
        wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="sum"
    )


@bug(
    "next_token_loss",
    title="divided by all positions, the ignored ones too",
    misconception="The mean is over the batch. An ignored target is not in it, neither above "
    "nor below the line.",
    symptom="The more padding, the better the loss looks, and the smaller the step gets.",
)
def divides_by_all_positions(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    total = F.cross_entropy(
        wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="sum"
    )
    return total / targets.numel()


@bug(
    "next_token_loss",
    title="averaged within each text first: short texts count as much as long ones",
    misconception="A mean of means is the mean. Only if every text has as many targets as the "
    "others.",
    symptom="Right until something is ignored; then the tokens of short texts weigh more.",
)
def averages_text_by_text(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    each = F.cross_entropy(
        wide.transpose(1, 2), targets, ignore_index=ignore_index, reduction="none"
    )
    counts = (targets != ignore_index).sum(dim=1)
    return (each.sum(dim=1) / counts).mean()


@bug(
    "next_token_loss",
    title="only the last position of each text counts",
    misconception="The model is asked for the token after the text. In training every position "
    "is asked at once.",
    symptom="The loss is noisy, and learning takes T times as long.",
)
def looks_at_the_last_position_alone(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    return F.cross_entropy(wide[:, -1], targets[:, -1], ignore_index=ignore_index)


@bug(
    "next_token_loss",
    title="measured in bits (log2), not in nats (ln)",
    misconception="Information is counted in bits. It may be, but then guessing is log2 V, and "
    "steps are 1.44 times as long.",
    symptom="The first loss is 1.44 times ln V.",
)
def measures_in_bits(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    rows = wide.flatten(0, 1)
    return F.cross_entropy(rows, targets.flatten(), ignore_index=ignore_index) / math.log(2)


@bug(
    "next_token_loss",
    title="the log is taken of p + 1e-9",
    misconception="Something small keeps log(0) away. It also hides how wrong the model is: no "
    "loss exceeds 20.7.",
    symptom="Right as long as the model is unsure; a confident mistake gets no gradient.",
)
def adds_a_little_inside_the_log(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    flat = targets.flatten()
    counted = flat != ignore_index
    probabilities = wide.flatten(0, 1)[counted].softmax(dim=-1)
    chosen = probabilities.gather(1, flat[counted][:, None])
    return -torch.log(chosen + 1e-9).mean()


@bug(
    "next_token_loss",
    title="log(softmax(x)) in two steps: a small probability becomes 0, and its log infinite",
    misconception="log_softmax is softmax, then log. In one step the exponential and the log "
    "cancel.",
    symptom="Right while logits are small; then inf, and nan in the gradient.",
)
def takes_the_log_of_a_softmax(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    flat = targets.flatten()
    counted = flat != ignore_index
    probabilities = wide.flatten(0, 1)[counted].softmax(dim=-1)
    return -probabilities.gather(1, flat[counted][:, None]).log().mean()


@bug(
    "next_token_loss",
    title="the given ignore_index is not used: it is always -100",
    misconception="-100 is what torch ignores, so nothing need be passed on. It is only the "
    "default.",
    symptom="Padding with another number is learned like text, or raises an IndexError.",
)
def always_ignores_minus_100(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    return F.cross_entropy(wide.flatten(0, 1), targets.flatten())


@bug(
    "next_token_loss",
    title="ignore_index=0 is taken for none",
    misconception="`x or default` means: if x was given. It means: if x is not 0.",
    symptom="Padding with token 0 is learned like text.",
)
def takes_0_for_no_ignore_index(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    return F.cross_entropy(wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index or -100)


@bug(
    "next_token_loss",
    title="negative targets became token 0, and count",
    misconception="An index must not be negative, so it is clamped. Then nobody knows that it "
    "was to be ignored.",
    symptom="The model learns to say token 0 wherever there was nothing to learn.",
)
def scores_ignored_targets_as_token_0(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    flat = targets.flatten().clamp(min=0)
    return F.cross_entropy(wide.flatten(0, 1), flat, ignore_index=ignore_index)


@bug(
    "next_token_loss",
    title="half-precision logits give a half-precision loss",
    misconception="The loss is one number, so its dtype does not matter. bfloat16 has three "
    "digits: 2.34 and 2.35 are the same.",
    symptom="The curve of the loss has stairs, and gradients are rounded once more.",
)
def stays_in_half_precision(logits, targets, ignore_index=-100):
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)


@bug(
    "next_token_loss",
    title="computed in half precision, and widened only afterwards",
    misconception="float32 at the end is float32. What has been rounded stays rounded.",
    symptom="The loss is float32 and still has stairs.",
)
def widens_the_finished_loss(logits, targets, ignore_index=-100):
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)
    return loss.to(torch.promote_types(logits.dtype, torch.float32))


@bug(
    "next_token_loss",
    title="the sign is missing: this is the mean log p, not its negative",
    misconception="Likelihood is what one wants. It is to grow, and a loss to fall.",
    symptom="A negative loss, and training makes the model worse.",
)
def forgets_the_minus(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    return -F.cross_entropy(wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index)


@bug(
    "next_token_loss",
    title="a Python number comes back, without a way for gradients",
    misconception="A loss is a number. backward() needs the tensor and the graph behind it.",
    symptom="AttributeError: 'float' object has no attribute 'backward'.",
)
def returns_a_plain_number(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    rows = wide.flatten(0, 1)
    return F.cross_entropy(rows, targets.flatten(), ignore_index=ignore_index).item()


@bug(
    "next_token_loss",
    title="a batch without any target has a loss of 0",
    misconception="Dividing by 0 must be avoided. But a loss of 0 means: perfect.",
    symptom="Batches of nothing but padding make the average look better.",
)
def is_0_when_nothing_counts(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    total = F.cross_entropy(
        wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index, reduction="sum"
    )
    return total / (targets != ignore_index).sum().clamp(min=1)


@bug(
    "next_token_loss",
    title="the perplexity comes back, the exponential of the loss",
    misconception="Papers report the perplexity. It is for readers, and its gradient explodes "
    "early on.",
    symptom="The first loss is V instead of ln V.",
)
def returns_the_perplexity(logits, targets, ignore_index=-100):
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))

    rows = wide.flatten(0, 1)
    return F.cross_entropy(rows, targets.flatten(), ignore_index=ignore_index).exp()


# --- get_batch -----------------------------------------------------------------------------------


@bug(
    "get_batch",
    title="the last valid start is never drawn",
    misconception="One must be taken off for the targets. N - T has done that, and randint "
    "leaves its end out anyway.",
    symptom="The last token of the text is never a target.",
    threads=("karpathy/minGPT#31",),
)
def never_draws_the_last_start(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(max(1, n_starts - 1), (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="the targets are the inputs themselves, not shifted",
    misconception="The model is to reproduce the text. What it can see already it need only copy.",
    symptom="A loss far too good to be true, near 0; then text that repeats one token.",
    threads=(
        "Project-MONAI/GenerativeModels#314",
        "huggingface/transformers#404",
    ),
)
def does_not_shift_the_targets(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places]


@bug(
    "get_batch",
    title="the targets are two tokens on, not one",
    misconception="Position t reads t tokens and predicts number t + 1. Counting from 0, it has "
    "read t + 1 of them.",
    symptom="The loss is higher than it should be; the text skips every second token.",
)
def shifts_the_targets_by_two(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length - 1
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 2]


@bug(
    "get_batch",
    title="inputs and targets are swapped",
    misconception="Two tensors of the same shape, and the order is easy to lose.",
    symptom="The loss falls to 0: the model looks up the token it has just read before.",
)
def swaps_inputs_and_targets(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places + 1], tokens[places]


@bug(
    "get_batch",
    title="all rows of a batch have the same start",
    misconception="One start is drawn, and broadcasting does the rest. It makes B copies.",
    symptom="The loss is as noisy as with a batch of one, for B times the work.",
)
def gives_every_row_the_same_start(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (1, 1), generator=generator).expand(batch_size, 1)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="only the first row's start is drawn, each other row starts one token later",
    misconception="Any B pieces of the text will do. Neighbours share all their tokens but one.",
    symptom="The batch is worth hardly more than one row; the loss jumps about.",
)
def starts_row_after_row(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    first = torch.randint(n_starts, (1, 1), generator=generator)
    starts = (first + torch.arange(batch_size)[:, None]) % n_starts
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="the generator is not used: the global source of chance is",
    misconception="torch.manual_seed makes everything repeatable. Until anything else draws a "
    "number.",
    symptom="Two runs with the same generator see different batches.",
)
def ignores_the_generator(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1))
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="the generator is seeded anew in every call",
    misconception="Seeding makes a run repeatable. Once, at its start: here every batch is the "
    "first one.",
    symptom="The training loss falls to 0 on a single batch, the validation loss rises.",
)
def seeds_the_generator_in_every_call(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    generator.manual_seed(0)
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="starts are multiples of context_length only",
    misconception="The text is cut into blocks, and a block is drawn. Then most pieces of the "
    "text never occur.",
    symptom="The model sees each token at one position only, and overfits sooner.",
)
def starts_at_multiples_of_the_length(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    n_blocks = (n_starts - 1) // context_length + 1
    starts = torch.randint(n_blocks, (batch_size, 1), generator=generator) * context_length
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="starts are drawn without replacement",
    misconception="No row should occur twice. Rows are to be independent, and a short text has "
    "fewer starts than B.",
    symptom="Fewer rows than asked for when the text is short.",
)
def draws_without_replacement(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randperm(n_starts, generator=generator)[:batch_size, None]
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="one target a row: the token after its end",
    misconception="The model predicts the token after its input. It does so at every position "
    "at once.",
    symptom="A shape error in the loss, or T times too little to learn from.",
)
def gives_the_next_token_only(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places[:, -1] + 1]


@bug(
    "get_batch",
    title="places in the text come back, not the tokens there",
    misconception="The index is built, so the work is done. The tokens must still be looked up.",
    symptom="IndexError in the embedding: the ids are larger than V.",
)
def returns_places(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return places, places + 1


@bug(
    "get_batch",
    title="a text that is too short raises torch's error, not a ValueError",
    misconception="torch will say something anyway. It says: random_ expects 'from' to be less "
    "than 'to'.",
    symptom="A RuntimeError that does not say which argument is wrong.",
)
def lets_torch_complain_about_short_texts(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="a text of exactly context_length + 1 tokens is refused",
    misconception="There must be something to choose from. One start is enough.",
    symptom="ValueError for a text that holds one whole row.",
)
def refuses_the_shortest_text(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 2:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="the first and the last start are half as frequent: a fraction was rounded",
    misconception="round() is fair. At both ends, only half an interval rounds to the number.",
    symptom="Nothing to see in training: the text's two ends are seen less often.",
)
def rounds_the_start(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    drawn = torch.rand(batch_size, 1, generator=generator) * (n_starts - 1)
    starts = drawn.round().long()
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places + 1]


@bug(
    "get_batch",
    title="rows run over the end of the text into its beginning",
    misconception="The modulo keeps every index valid. It also glues the end to the beginning.",
    symptom="Rare rows with a jump in them: nothing in the text follows like that.",
)
def wraps_around_the_end(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(len(tokens), (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device) % len(tokens)
    return tokens[places], tokens[(places + 1) % len(tokens)]


@bug(
    "get_batch",
    title="the last target is the row's own first token",
    misconception="roll(-1) shifts by one. It also brings the first to the end.",
    symptom="The last position learns to predict how its text began.",
)
def rolls_the_targets_within_the_row(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must be longer than context_length, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places].roll(-1, dims=1)


# --- learning_rate -------------------------------------------------------------------------------


@bug(
    "learning_rate",
    title="the first step has a learning rate of 0",
    misconception="A line from 0 to max_lr. Step 0 comes first, and with a rate of 0 it does "
    "nothing.",
    symptom="The first batch is spent for nothing.",
)
def begins_at_0(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * step / warmup_steps
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="max_lr is reached one step before warmup_steps",
    misconception="warmup_steps stairs lead up to max_lr. Here they lead to the one below it.",
    symptom="Two steps in a row have max_lr.",
)
def is_up_one_step_early(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="the cosine counts from step 0, not from the end of the warm-up",
    misconception="The cosine runs over all steps. After the warm-up, part of it has passed.",
    symptom="A jump down right after the warm-up.",
)
def counts_the_cosine_from_step_0(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, step / total_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="the cosine is stretched over total_steps, and does not reach min_lr in time",
    misconception="What is done is divided by what there is. There are only total_steps - "
    "warmup_steps left.",
    symptom="At the end the rate is above min_lr, and goes on falling.",
)
def stretches_the_cosine(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / total_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="after total_steps the cosine rises again",
    misconception="Training ends at total_steps. It is often prolonged, and cos goes up after pi.",
    symptom="In a longer run the loss rises again after a good end.",
)
def rises_again(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = (step - warmup_steps) / (total_steps - warmup_steps)
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="it falls to 0, not to min_lr",
    misconception="A decay ends at 0. min_lr says where this one ends.",
    symptom="The last steps change nothing.",
)
def falls_to_0(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return max_lr * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="the cosine goes to 0, and is cut off at min_lr",
    misconception="At least min_lr: so take the maximum. Then the curve has a corner, and is "
    "lower before it.",
    symptom="min_lr is reached too early.",
)
def cuts_off_at_min_lr(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return max(min_lr, max_lr * (1 + math.cos(math.pi * done)) / 2)


@bug(
    "learning_rate",
    title="it falls along a line, not along a cosine",
    misconception="Only the ends matter. The cosine stays longer near both of them.",
    symptom="Right at both ends and in the middle, wrong between.",
)
def falls_along_a_line(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return max_lr + (min_lr - max_lr) * done


@bug(
    "learning_rate",
    title="a whole cosine: down to min_lr half way, and up again to max_lr",
    misconception="The period of the cosine is 2 pi. From its top to its bottom it takes pi.",
    symptom="The loss gets worse towards the end.",
)
def takes_a_whole_cosine(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(2 * math.pi * done)) / 2


@bug(
    "learning_rate",
    title="a quarter of a cosine, from 1 to 0",
    misconception="cos goes from 1 to 0. That is a quarter; half of it, from 1 to -1, starts "
    "and ends flat.",
    symptom="The rate stays too high, and ends with its steepest fall.",
)
def takes_a_quarter_of_a_cosine(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * math.cos(math.pi / 2 * done)


@bug(
    "learning_rate",
    title="1 + cos was not halved: it starts at 2·max_lr - min_lr",
    misconception="1 + cos goes from 1 to 0. It goes from 2 to 0.",
    symptom="After the warm-up the rate jumps to nearly twice max_lr, and training diverges.",
)
def does_not_halve_1_plus_cos(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done))


@bug(
    "learning_rate",
    title="the warm-up starts from min_lr, not from 0",
    misconception="min_lr is the smallest rate there is. It is where the cosine ends.",
    symptom="The first steps are larger than they should be.",
)
def warms_up_from_min_lr(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return min_lr + (max_lr - min_lr) * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="there is no warm-up: max_lr from the first step on",
    misconception="The largest rate learns fastest. Fresh weights and an optimizer without "
    "memory cannot bear it.",
    symptom="The loss jumps up in the first steps.",
)
def does_not_warm_up(step, *, max_lr, min_lr, warmup_steps, total_steps):
    done = min(1.0, max(0, step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="whole-number division: max_lr until total_steps",
    misconception="// and / are the same for whole numbers. // drops what is left over.",
    symptom="The rate does not fall at all, and then all at once.",
)
def divides_into_whole_numbers(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    done = min(1.0, (step - warmup_steps) // (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


@bug(
    "learning_rate",
    title="after total_steps it is 0",
    misconception="After the end there is nothing to do. A run that goes on shall go on with "
    "min_lr.",
    symptom="A prolonged run stands still.",
)
def is_0_after_the_end(step, *, max_lr, min_lr, warmup_steps, total_steps):
    if step < warmup_steps:
        return max_lr * (step + 1) / (warmup_steps + 1)
    if step > total_steps:
        return 0.0
    done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2


# --- decay_groups --------------------------------------------------------------------------------


@bug(
    "decay_groups",
    title="one group for all: biases and norms decay, too",
    misconception="weight_decay is for weights, and all parameters are weights. A norm's scale "
    "pulled to 0 silences its layer.",
    symptom="Trains a little worse, and nobody knows why.",
)
def puts_all_into_one_group(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [{"params": trained, "weight_decay": weight_decay}]


@bug(
    "decay_groups",
    title="the two groups are swapped: matrices do not decay, and vectors do",
    misconception="The comparison is easy to turn round.",
    symptom="Norms are pulled to 0; the matrices grow without bound.",
)
def swaps_the_groups(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="only biases are let off: the scales of norms decay",
    misconception="weight_decay goes to what is called weight. A norm's scale is called weight, "
    "too.",
    symptom="The norms are pulled to 0 and the other layers must make up for it.",
    threads=("karpathy/minGPT#23",),
)
def lets_only_biases_off(model, weight_decay):
    decayed, others = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            (decayed if not name.endswith("bias") else others).append(p)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="goes by the names of parameters: what is called bias or norm is let off",
    misconception="Names say what a parameter is. The next model calls its norm ln_1.",
    symptom="Right for one model; in another, norms decay without a word.",
    threads=("karpathy/minGPT#16",),
)
def goes_by_names(model, weight_decay):
    no_decay = ["bias", "norm"]
    decayed, others = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            (decayed if not any(word in name for word in no_decay) else others).append(p)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="embeddings do not decay",
    misconception="An embedding is a table, not a matrix. It has two axes, and here that is "
    "what counts.",
    symptom="Embeddings grow, and with tied weights the logits too.",
)
def lets_embeddings_off(model, weight_decay):
    decayed, others = [], []
    for name, p in model.named_parameters():
        if p.requires_grad:
            (
                decayed if p.dim() >= 2 and not ("token" in name or "position" in name) else others
            ).append(p)
    return [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="tied tensors are listed once for each name",
    misconception="Every name is a parameter. Two names may stand for one tensor.",
    symptom="A warning about duplicate parameters; the tied tensor takes two steps in one.",
)
def counts_tied_tensors_twice(model, weight_decay):
    trained = [p for _, p in model.named_parameters(remove_duplicate=False) if p.requires_grad]
    return [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="frozen parameters are in the groups",
    misconception="parameters() gives what is trained. It gives all; requires_grad says which "
    "are trained.",
    symptom="The optimizer holds tensors it never moves. With a gradient left from "
    "before, it does move them.",
)
def keeps_frozen_parameters(model, weight_decay):
    trained = list(model.parameters())
    return [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="only tensors of exactly two axes decay",
    misconception="A matrix has two axes. The kernel of a convolution has three, and is a "
    "weight as well.",
    symptom="Right for a GPT; wrong for the next model.",
)
def lets_three_axes_off(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.dim() == 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() != 2], "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="the group without decay does not state its weight_decay",
    misconception="What is not said is not done. What is not said is the optimizer's default: "
    "0.01 for AdamW.",
    symptom="Biases and norms decay after all, with the default.",
)
def leaves_the_decay_of_vectors_open(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2]},
    ]


@bug(
    "decay_groups",
    title="the given weight_decay is not used: it is always 0.1",
    misconception="0.1 is what GPT-3 had. The argument says what this run has.",
    symptom="Changing weight_decay changes nothing.",
)
def always_decays_by_a_tenth(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": 0.1},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="one axis is enough to decay: biases and norms do",
    misconception="dim() counts from 0. A vector has dim() 1, a matrix 2.",
    symptom="One group holds everything, the other nothing.",
    threads=(
        "dhlee347/pytorchic-bert#22",
        "namisan/mt-dnn#37",
    ),
)
def lets_vectors_decay(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.dim() >= 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 1], "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="both groups have the given weight_decay",
    misconception="Two groups are what matters. They matter because they differ.",
    symptom="The same as one group for all.",
)
def decays_both_groups(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": weight_decay},
    ]


@bug(
    "decay_groups",
    title="parameters with one axis are in no group",
    misconception="What does not decay need not be listed. What is not listed is not trained at "
    "all.",
    symptom="Biases and norms keep their first values for ever.",
)
def forgets_what_has_one_axis(model, weight_decay):
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 1], "weight_decay": 0.0},
    ]


@bug(
    "decay_groups",
    title="only the weights of nn.Linear decay",
    misconception="Weights belong to linear layers. Parameters of other layers have two axes, too.",
    symptom="Embeddings and hand-made matrices grow without bound.",
)
def knows_linear_layers_alone(model, weight_decay):
    linear = {id(m.weight) for m in model.modules() if isinstance(m, nn.Linear)}
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if id(p) in linear], "weight_decay": weight_decay},
        {"params": [p for p in trained if id(p) not in linear], "weight_decay": 0.0},
    ]


# --- train_step ----------------------------------------------------------------------------------


@bug(
    "train_step",
    title="gradients are never zeroed",
    misconception="backward() sets the gradients. It adds to them.",
    symptom="The steps get longer and longer, and remember every batch there was.",
)
def never_zeroes(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="gradients are zeroed after the step, so those of an earlier backward() count once",
    misconception="Before the next step or after this one, it is the same. Not if somebody else "
    "has called backward().",
    symptom="The first step, and each one after a gradient was looked at, is wrong.",
)
def zeroes_after_the_step(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    optimizer.zero_grad()
    return total


@bug(
    "train_step",
    title="gradients are zeroed before every part: only the last one counts",
    misconception="zero_grad() belongs before backward(). Adding up over the parts is the whole "
    "idea.",
    symptom="The same loss curve as with a batch of one part, and a step as small as its share.",
)
def zeroes_before_every_part(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        optimizer.zero_grad()
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the parts' gradients are added up without dividing",
    misconception="Each part has its own mean loss. Their sum is n_chunks times the mean of the "
    "batch.",
    symptom="The gradient is n_chunks times too long. Adam and clipping hide it, mostly.",
    threads=(
        "karpathy/nanoGPT#168",
        "karpathy/nanoGPT#206",
    ),
)
def adds_the_parts_without_dividing(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets)
            loss.backward()
            total += loss.item() * (n_here / n_targets)
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="every part counts 1 / n_chunks, however many targets it holds",
    misconception="The parts are equal. In rows, yes; in targets that count, not where there is "
    "padding.",
    symptom="Right without ignored targets; with them, tokens in nearly empty parts count more.",
    threads=(
        "karpathy/nanochat#59",
        "karpathy/nanochat#400",
    ),
)
def gives_every_part_the_same_share(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    total = 0.0
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
            logits = model(part)
        loss = next_token_loss(logits, its_targets) / n_chunks
        loss.backward()
        total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the optimizer steps after every part, not after all of them",
    misconception="A part is a small batch. Then it is n_chunks small steps, and not one large "
    "one.",
    symptom="Noisy, as with a small batch; the learning rate fits no more.",
)
def steps_after_every_part(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        optimizer.zero_grad()
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets)
            if not math.isfinite(loss.item()):
                raise FloatingPointError(f"the loss must be finite, got {loss.item()}.")
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
            optimizer.step()
            total += loss.item() * (n_here / n_targets)
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    return total


@bug(
    "train_step",
    title="n_chunks is not used: the whole batch goes through at once",
    misconception="The step is the same with any number of parts, so one is enough. The memory "
    "is not the same.",
    symptom="Out of memory, however many parts are asked for.",
)
def sends_the_whole_batch_at_once(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in ((inputs, targets),):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the loss of the last part comes back, not that of the batch",
    misconception="`loss` still has a value after the loop. It is that of one part.",
    symptom="A curve as noisy as that of a small batch.",
)
def returns_the_last_parts_loss(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return next_token_loss(logits, its_targets).item()


@bug(
    "train_step",
    title="the sum of the parts' losses comes back",
    misconception="Each part's loss is added up. Each must count for its share.",
    symptom="A curve n_chunks times too high.",
)
def returns_the_sum_of_the_parts(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item() * n_targets / n_here
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the loss after the step comes back, not the one before",
    misconception="The step's result is the loss it leads to. That costs one more pass, on the "
    "batch just learned.",
    symptom="The curve looks better than the run is.",
)
def returns_the_loss_after_the_step(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    with torch.no_grad():
        with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
            logits = torch.cat([model(part) for part in inputs.chunk(n_chunks)])
        return next_token_loss(logits, targets).item()


@bug(
    "train_step",
    title="a tensor comes back, not a Python float",
    misconception="A tensor with one number is a number. It keeps its device, and sometimes the "
    "whole graph, alive.",
    symptom="The list of losses fills the memory of the GPU.",
)
def returns_a_tensor(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = torch.zeros(()) if n_targets else torch.tensor(math.nan)
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total = total + loss.detach()
    if not torch.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="gradients are not clipped before the step",
    misconception="Clipping is for models that explode. One bad batch is enough, and after the "
    "step it is too late.",
    symptom="Now and then the loss jumps up and needs long to come down.",
)
def does_not_clip(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    optimizer.step()
    return total


@bug(
    "train_step",
    title="each parameter's gradient is clipped by itself",
    misconception="A norm for each tensor. Then the gradient as a whole points elsewhere.",
    symptom="Layers with small gradients get too much of the step.",
)
def clips_each_parameter(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    for parameter in model.parameters():
        nn.utils.clip_grad_norm_(parameter, max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="each number of the gradient is cut off at max_grad_norm",
    misconception="Clipping means cutting off what is too large. Here the whole gradient is to "
    "be shortened.",
    symptom="The direction of the step changes.",
)
def clips_each_number(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_value_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="short gradients are stretched to max_grad_norm",
    misconception="Scaling by max_grad_norm / norm gives the right length. Only for those that "
    "are longer.",
    symptom="Training never settles: near the optimum the steps are as long as at the start.",
)
def stretches_short_gradients(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    for gradient in gradients:
        gradient.mul_(max_grad_norm / (norm + 1e-6))
    optimizer.step()
    return total


@bug(
    "train_step",
    title="max_grad_norm is not used: it is always 1.0",
    misconception="1.0 is what everybody takes. The argument says what this run takes.",
    symptom="Changing max_grad_norm changes nothing.",
)
def always_clips_at_1(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="gradients are clipped after every part, before they are complete",
    misconception="Clip after backward(). After the last one: before it, only a part of the "
    "gradient is there.",
    symptom="With more parts the step points elsewhere.",
)
def clips_after_every_part(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
            nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the parameters' norms are added up, instead of their squares under one root",
    misconception="The length of the whole is the sum of the lengths. It is the root of the sum "
    "of the squares.",
    symptom="Steps are shortened more than they should be, the more parameters there are.",
)
def adds_the_norms_up(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = sum(gradient.norm() for gradient in gradients)
    for gradient in gradients:
        gradient.mul_((max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the model is put into training mode",
    misconception="A step of training needs training mode. Whoever calls may have left parts in "
    "evaluation, on purpose.",
    symptom="Frozen parts drop out again.",
)
def switches_to_training(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    model.train()
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the model is put into evaluation mode",
    misconception="eval() makes the step repeatable. It also switches dropout off, for good.",
    symptom="The model overfits as if there were no dropout.",
)
def switches_to_evaluation(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    model.eval()
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="a loss that is not finite is let through",
    misconception="A bad batch passes. Its gradient is nan, and so is every weight after the step.",
    symptom="From one step to the next the loss is nan, for ever.",
)
def lets_bad_losses_through(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the loss is looked at only after the step",
    misconception="The error is raised, so all is well. The weights are gone already.",
    symptom="The error comes once, and after it every loss is nan.",
)
def looks_at_the_loss_after_the_step(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    return total


@bug(
    "train_step",
    title="a bad batch is skipped without an error",
    misconception="One batch more or less does not matter. Unless all of them are bad, and "
    "nobody hears of it.",
    symptom="The loss is nan, and the model stands still.",
)
def skips_a_bad_batch_silently(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if math.isfinite(total):
        nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
        optimizer.step()
    return total


@bug(
    "train_step",
    title="an assert fails instead of a FloatingPointError",
    misconception="assert checks things. It vanishes under python -O, and nobody can catch it "
    "by name.",
    symptom="An AssertionError with a number for its text.",
)
def asserts_a_finite_loss(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    assert math.isfinite(total), total
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="only the last part's loss is looked at",
    misconception="`loss` is what there is after the loop. The parts before it may have been bad.",
    symptom="With n_chunks > 1, a bad batch gets through more often than not.",
)
def looks_at_the_last_part_alone(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not (n_targets and math.isfinite(next_token_loss(logits, its_targets).item())):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="autocast_dtype is not used",
    misconception="It only makes things faster. On a GPU it halves the memory, too.",
    symptom="The same speed with and without.",
)
def ignores_autocast(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="the weights themselves are cast to autocast_dtype",
    misconception="Mixed precision means: in half precision. The weights must stay in float32, "
    "or small steps are lost.",
    symptom="Training stalls: a step of a thousandth of a weight is rounded away.",
)
def casts_the_model(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            logits = model.to(autocast_dtype)(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="a part without targets spoils the batch: its mean is nan",
    misconception="0 times a mean is 0. 0 times nan is nan.",
    symptom="FloatingPointError for batches with a lot of padding, once there are many parts.",
)
def takes_an_empty_part_for_a_bad_one(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if True:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / max(1, n_targets))
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return total


@bug(
    "train_step",
    title="every parameter is expected to have a gradient",
    misconception="backward() fills all of them. Frozen and unused parameters have None.",
    symptom="AttributeError: 'NoneType' object has no attribute 'square'.",
)
def expects_a_gradient_everywhere(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    n_targets = int((targets != -100).sum())
    total = 0.0 if n_targets else math.nan
    for part, its_targets in zip(inputs.chunk(n_chunks), targets.chunk(n_chunks), strict=True):
        n_here = int((its_targets != -100).sum())
        if n_here:
            with torch.autocast(inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)):
                logits = model(part)
            loss = next_token_loss(logits, its_targets) * (n_here / n_targets)
            loss.backward()
            total += loss.item()
    if not math.isfinite(total):
        raise FloatingPointError(f"the loss must be finite, got {total}.")
    norm = sum(p.grad.square().sum() for p in model.parameters()) ** 0.5
    for parameter in model.parameters():
        parameter.grad.mul_((max_grad_norm / (norm + 1e-6)).clamp(max=1.0))
    optimizer.step()
    return total


# --- evaluate ------------------------------------------------------------------------------------


@bug(
    "evaluate",
    title="eval() is missing: the model is measured in the mode it is in",
    misconception="no_grad() is for evaluation. It says nothing to dropout.",
    symptom="The measured loss is too high, and another each time.",
    threads=("ipolharvard/ethos-ares#20",),
)
def measures_in_training_mode(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    with torch.no_grad():
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets


@bug(
    "evaluate",
    title="the model stays in evaluation mode afterwards",
    misconception="eval() holds for this function. It holds until train().",
    symptom="After the first evaluation dropout is off, and the model overfits.",
    threads=("shubhamagarwal92/mmd#14",),
)
def leaves_the_model_in_evaluation(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    model.eval()
    with torch.no_grad():
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets


@bug(
    "evaluate",
    title="train() at the end, whatever the mode was before",
    misconception="Whoever evaluates is training. A finished model is evaluated, too.",
    symptom="A loaded model that was measured once generates with dropout.",
)
def leaves_the_model_in_training(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    model.eval()
    with torch.no_grad():
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    model.train()
    return total / n_targets


@bug(
    "evaluate",
    title="the mode does not come back when the model raises an error",
    misconception="The last line gives the mode back. An error skips it; only finally is always "
    "run.",
    symptom="After an interrupted evaluation, training goes on without dropout.",
)
def forgets_the_mode_when_the_model_fails(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    model.train(was_training)
    return total / n_targets


@bug(
    "evaluate",
    title="gradients are recorded all the while",
    misconception="eval() switches gradients off. It switches dropout off; no_grad() is for "
    "gradients.",
    symptom="Evaluation takes twice the memory.",
)
def records_gradients(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    was_training = model.training
    model.eval()
    try:
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    finally:
        model.train(was_training)
    return total / n_targets


@bug(
    "evaluate",
    title="gradients are switched off, and never on again",
    misconception="set_grad_enabled(False) holds for this function. It holds until somebody "
    "sets it back.",
    symptom="RuntimeError in the next backward(): nothing requires a gradient.",
)
def switches_gradients_off_for_good(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    torch.set_grad_enabled(False)
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets


@bug(
    "evaluate",
    title="the last, shorter window is left out",
    misconception="Only whole windows fit a batch. The rest of the text is text as well.",
    symptom="The end of the text is never measured; a text shorter than a window not at all.",
)
def drops_the_rest(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    n_targets -= n_targets % context_length
    if n_targets == 0:
        return math.nan
    inputs = tokens[:-1][:n_targets].view(-1, context_length)
    targets = tokens[1:][:n_targets].view(-1, context_length)
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets


@bug(
    "evaluate",
    title="every window counts the same, also the shorter last one",
    misconception="The mean of the windows' means is the mean. Only if all are equally long.",
    symptom="One token at the end may count as much as a thousand.",
)
def averages_over_windows(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    losses = []
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            logits = model(rows)
            for n in range(len(rows)):
                losses.append(next_token_loss(logits[n : n + 1], wanted[n : n + 1]).item())
    return sum(losses) / len(losses)


@bug(
    "evaluate",
    title="every batch counts the same, also the smaller last one",
    misconception="The mean of the batches' means is the mean. Only if all are equally large.",
    symptom="Another batch_size gives another loss.",
)
def averages_over_batches(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    losses = []
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            losses.append(next_token_loss(model(rows), wanted).item())
    return sum(losses) / len(losses)


@bug(
    "evaluate",
    title="the first token of every window is no target",
    misconception="Cut into windows, then shift within each. Then the token at each cut is lost.",
    symptom="One target in T is not measured, and the loss is a little off.",
)
def loses_a_target_in_every_window(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -len(tokens) % context_length
    inputs = F.pad(tokens, (0, missing)).view(-1, context_length)
    targets = F.pad(tokens, (0, missing), value=-100).view(-1, context_length)
    inputs, targets = inputs[:, :-1], targets[:, 1:]
    n_targets = int((targets != -100).sum())
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            if n_here:
                total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets if n_targets else math.nan


@bug(
    "evaluate",
    title="windows overlap: each starts one token after the last",
    misconception="More windows measure better. A token inside the text is then a target T "
    "times, one at its ends once.",
    symptom="T times the work, and another loss.",
)
def slides_the_window(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    size = min(context_length, n_targets)
    inputs = tokens[:-1].unfold(0, size, 1)
    targets = tokens[1:].unfold(0, size, 1)
    n_targets = targets.numel()
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets


@bug(
    "evaluate",
    title="the targets are not shifted",
    misconception="The model is compared with its text. It has read that token already.",
    symptom="A loss that has nothing to do with the training loss.",
)
def compares_with_the_inputs(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[:-1], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets


@bug(
    "evaluate",
    title="only the first batch is measured",
    misconception="A sample is enough. Then say so: here the whole text was asked for.",
    symptom="The loss depends on how the text begins, and on batch_size.",
)
def measures_the_first_batch_alone(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
            break
    return total / n_here


@bug(
    "evaluate",
    title="batch_size is not used: all windows go through at once",
    misconception="The mean is the same. The memory is not.",
    symptom="Out of memory on a long text.",
)
def sends_the_whole_text_at_once(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    with _evaluating(model):
        for rows, wanted in ((inputs, targets),):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets


@bug(
    "evaluate",
    title="the sum of the losses comes back, not their mean",
    misconception="Divided or not, lower is better. A longer text then has a larger loss.",
    symptom="A loss in the thousands.",
)
def returns_the_sum(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total


@bug(
    "evaluate",
    title="the perplexity comes back, not the loss",
    misconception="Perplexity is what one reports. Then it cannot be compared with the training "
    "loss.",
    symptom="A first value near V instead of ln V.",
)
def evaluates_to_the_perplexity(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return math.exp(total / n_targets)


@bug(
    "evaluate",
    title="the last window is moved back until it is full: some targets count twice",
    misconception="All windows should be equally long. Then the last one repeats a part of the "
    "one before.",
    symptom="Right if the windows fit; otherwise the end of the text counts too much.",
)
def moves_the_last_window_back(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    size = min(context_length, n_targets)
    starts = [*range(0, n_targets - size, size), n_targets - size]
    inputs = torch.stack([tokens[start : start + size] for start in starts])
    targets = torch.stack([tokens[start + 1 : start + size + 1] for start in starts])
    n_targets = targets.numel()
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_targets


@bug(
    "evaluate",
    title="divided by the number of tokens, not of targets",
    misconception="N tokens, N losses. The first token is no target.",
    symptom="The loss is too small by the share 1/N.",
)
def divides_by_all_tokens(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / len(tokens)


@bug(
    "evaluate",
    title="a text without any target has a loss of 0",
    misconception="Dividing by 0 must be avoided. But a loss of 0 means: perfect.",
    symptom="An empty validation set looks like a perfect model.",
)
def is_0_for_one_token(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total = 0.0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            n_here = int((wanted != -100).sum())
            if n_here:
                total += next_token_loss(model(rows), wanted).item() * n_here
    return total / max(1, n_targets)


@bug(
    "evaluate",
    title="the last batch is left out when it is not full",
    misconception="drop_last is what loaders do. In training, where another batch comes.",
    symptom="The end of the text is not measured, unless batch_size fits.",
)
def drops_an_incomplete_batch(model, tokens, *, context_length, batch_size=8):
    n_targets = len(tokens) - 1
    if n_targets < 1:
        raise ValueError(f"tokens must hold at least 2 tokens, got {len(tokens)}.")
    missing = -n_targets % context_length
    inputs = F.pad(tokens[:-1], (0, missing)).view(-1, context_length)
    targets = F.pad(tokens[1:], (0, missing), value=-100).view(-1, context_length)
    total, n_counted = 0.0, 0
    with _evaluating(model):
        for rows, wanted in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
            if len(rows) < min(batch_size, len(inputs)):
                break
            n_here = int((wanted != -100).sum())
            n_counted += n_here
            total += next_token_loss(model(rows), wanted).item() * n_here
    return total / n_counted
