"""What goes wrong in lesson 8: what a loss averages, a batch holds, and a step forgets."""

from . import bugs

bugs("""next_token_loss:

softmax_before_cross_entropy
    a softmax was taken before cross_entropy, which takes one itself
    believed: cross_entropy wants probabilities. It wants logits, and takes their log_softmax.
    seen: The loss starts near ln V and hardly falls: two softmaxes leave little to choose from.
    reported: tflearn/tflearn#562
    = wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    + wide = wide.softmax(dim=-1)

shifts_the_targets_once_more
    the targets were shifted once more
    believed: The loss shifts the targets. They are shifted already, and done twice, the model
        learns the token after the next.
    seen: The first loss is as it should be, and it falls, less far; the text is garbled, since
        each token comes one place early.
    reported: huggingface/transformers#47394, huggingface/transformers#37830
    = wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    + wide, targets = wide[:, :-1], targets[:, 1:]

reshapes_where_it_should_transpose
    the logits were reshaped to (B, V, T) instead of transposed
    believed: A view only renames the axes. But it deals the same numbers out in another order.
    seen: No error; the loss soon stops falling, since each target is compared with strangers'
        scores.
    reported: weirme/FCSN#12
    - return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    - )
    + n_texts, n_tokens, n_ids = logits.shape
    + wide = wide.reshape(n_texts, n_ids, n_tokens)
    + return F.cross_entropy(wide, targets, ignore_index=ignore_index)

adds_the_losses_up
    the losses are added up, not averaged
    believed: The sum is the loss of the whole batch. But it grows with B and T, and the gradient
        with it: the mean is asked for.
    seen: The first loss is B·T·ln V; a learning rate fits one batch size only.
    - wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    + wide.flatten(0, 1),
    + targets.flatten(),
    + ignore_index=ignore_index,
    + reduction="sum",

divides_by_all_positions
    divided by all positions, the ignored ones too
    believed: The mean is over all positions. An ignored target counts neither in the sum nor in the
        number it is divided by.
    seen: The more padding, the better the loss looks, and the smaller the step gets.
    - return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    + total = F.cross_entropy(
    +     wide.flatten(0, 1),
    +     targets.flatten(),
    +     ignore_index=ignore_index,
    +     reduction="sum",
    = )
    + return total / targets.numel()

averages_text_by_text
    averaged within each text first: short texts count as much as long ones
    believed: A mean of means is the mean. It is only if every text has as many targets as the
        others.
    seen: Right until something is ignored; then the tokens of short texts weigh more.
    - return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    + each = F.cross_entropy(
    +     wide.transpose(1, 2),
    +     targets,
    +     ignore_index=ignore_index,
    +     reduction="none",
    = )
    + counts = (targets != ignore_index).sum(dim=1)
    + return (each.sum(dim=1) / counts).mean()

looks_at_the_last_position_alone
    only the last position of each text counts
    believed: The model is asked for the token after the text. But in training every position is
        asked at once.
    seen: The loss is noisy, and there is a T-th of what there was to learn from.
    - wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    + wide[:, -1], targets[:, -1], ignore_index=ignore_index

measures_in_bits
    measured in bits (log2), not in nats (ln)
    believed: Information is counted in bits. It may be, but here, as in torch, the logarithm is the
        natural one.
    seen: The first loss is 1.44 times ln V.
    - return F.cross_entropy(
    + loss = F.cross_entropy(

    = )
    + return loss / math.log(2)

adds_a_little_inside_the_log
    the log is taken of p + 1e-9
    believed: Something small keeps log(0) away and does no harm. But it hides how wrong the model
        is: no loss exceeds 20.8.
    seen: Right as long as the model is unsure; a confident mistake gets no gradient.
    - return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    + logs = torch.log(wide.softmax(dim=-1) + 1e-9)
    + return F.nll_loss(
    +     logs.flatten(0, 1), targets.flatten(), ignore_index=ignore_index

takes_the_log_of_a_softmax
    log(softmax(x)) in two steps: a small probability becomes 0, and its log infinite
    believed: log_softmax is softmax, then log. On paper it is; computed so, a small probability
        becomes 0, and its log infinite.
    seen: Right while logits are small; then inf, and nan in the gradient.
    - return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    + logs = torch.log(wide.softmax(dim=-1))
    + return F.nll_loss(
    +     logs.flatten(0, 1), targets.flatten(), ignore_index=ignore_index

always_ignores_minus_100
    the given ignore_index is not used: it is always -100
    believed: -100 is what torch ignores, so nothing need be passed on. It is only the default.
    seen: Padding with another number is learned like text, or raises an IndexError.
    - return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    - )
    + return F.cross_entropy(wide.flatten(0, 1), targets.flatten())

takes_0_for_no_ignore_index
    ignore_index=0 is taken for none
    believed: `x or default` means: if x was given. It means: if x is not 0.
    seen: Padding with token 0 is learned like text.
    = wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    + ignore_index = ignore_index or -100

scores_ignored_targets_as_token_0
    negative targets became token 0, and count
    believed: An index must not be negative, so it is clamped. But then nobody knows that it was to
        be ignored.
    seen: The model learns to say token 0 wherever there was nothing to learn.
    = wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    + targets = targets.clamp(min=0)

stays_in_half_precision
    half-precision logits give a half-precision loss
    believed: The loss is one number, so its dtype does not matter. But bfloat16 has three digits:
        2.34 and 2.35 are the same.
    seen: The curve of the loss has stairs, and gradients are rounded once more.
    - wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    = return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    +     logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index

widens_the_finished_loss
    computed in half precision, and widened only afterwards
    believed: float32 at the end is float32. But what has been rounded stays rounded.
    seen: The loss is float32 and still has stairs.
    - wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    - return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    + loss = F.cross_entropy(
    +     logits.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    = )
    + return loss.to(torch.promote_types(logits.dtype, torch.float32))

forgets_the_minus
    the sign is missing: this is the mean log p, not its negative
    believed: The mean log p is what training improves. It is to grow, and a loss is to fall: it has
        a minus.
    seen: A negative loss, and training makes the model worse.
    - return F.cross_entropy(
    + return -F.cross_entropy(

returns_a_plain_number
    a Python number comes back, without a way for gradients
    believed: A loss is a number. But backward() needs the tensor and the graph behind it.
    seen: AttributeError: 'float' object has no attribute 'backward'.
    - return F.cross_entropy(
    + loss = F.cross_entropy(

    = )
    + return loss.item()

is_0_when_nothing_counts
    a batch without any target has a loss of 0
    believed: Dividing by 0 must be avoided. But a loss of 0 means perfect; the mean of nothing is
        nan.
    seen: Batches of nothing but padding make the average look better.
    - return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    + total = F.cross_entropy(
    +     wide.flatten(0, 1),
    +     targets.flatten(),
    +     ignore_index=ignore_index,
    +     reduction="sum",
    = )
    + return total / (targets != ignore_index).sum().clamp(min=1)

returns_the_perplexity
    the perplexity comes back, the exponential of the loss
    believed: The perplexity is what papers report. It is made for readers; the loss itself is asked
        for.
    seen: The first loss is V instead of ln V.
    - return F.cross_entropy(
    + loss = F.cross_entropy(

    = )
    + return loss.exp()

views_targets_that_are_slices
    view on logits and targets that may be slices
    believed: view works on any tensor. It never copies, so it refuses many slices, and targets are
        often one: ids[:, 1:].
    seen: Right on fresh tensors. With slices: "view size is not compatible with …".
    + rows = wide.view(-1, wide.shape[-1])
    = return F.cross_entropy(
    -     wide.flatten(0, 1), targets.flatten(), ignore_index=ignore_index
    +     rows, targets.view(-1), ignore_index=ignore_index
""")


bugs("""get_batch:

never_draws_the_last_start
    the last valid start is never drawn
    believed: One must be taken off for the targets. But N - T has done that, and randint leaves its
        end out anyway.
    seen: The last token of the text is never a target.
    reported: karpathy/minGPT#31
    - starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    + starts = torch.randint(
    +     max(1, n_starts - 1), (batch_size, 1), generator=generator
    + )

does_not_shift_the_targets
    the targets are the inputs themselves, not shifted
    believed: The model is to reproduce the text. But what it can see already it need only copy: the
        target is the next token.
    seen: A loss far too good to be true, near 0; then text that repeats one token.
    reported: Project-MONAI/GenerativeModels#314, huggingface/transformers#404
    - return tokens[places], tokens[places + 1]
    + return tokens[places], tokens[places]

shifts_the_targets_by_two
    the targets are two tokens on, not one
    believed: One more must be added for the shift. The target of each token is the very next one.
    seen: The loss is higher than it should be; the text is garbled, since each token comes one
        place early.
    - n_starts = len(tokens) - context_length
    + n_starts = len(tokens) - context_length - 1

    - return tokens[places], tokens[places + 1]
    + return tokens[places], tokens[places + 2]

swaps_inputs_and_targets
    inputs and targets are swapped
    believed: The targets come back first. The inputs do; both have one shape, so nothing complains.
    seen: The loss falls nearly to 0: the model looks up the token it has just read before.
    - return tokens[places], tokens[places + 1]
    + return tokens[places + 1], tokens[places]

gives_every_row_the_same_start
    all rows of a batch have the same start
    believed: One start is drawn, and broadcasting does the rest. But it makes B copies of one row.
    seen: The loss is as noisy as with a batch of one, for B times the work.
    - starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    + starts = torch.randint(n_starts, (1, 1), generator=generator).expand(
    +     batch_size, 1
    + )

starts_row_after_row
    only the first row's start is drawn, each other row starts one token later
    believed: Any B pieces of the text will do. But neighbours share all their tokens but one: each
        row draws its own start.
    seen: The batch is worth hardly more than one row; the loss jumps about.
    - starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    + first = torch.randint(n_starts, (1, 1), generator=generator)
    + starts = (first + torch.arange(batch_size)[:, None]) % n_starts

ignores_the_generator
    the generator is not used: the global source of chance is
    believed: torch.manual_seed makes everything repeatable. It does until anything else draws a
        number: draw by the generator.
    seen: Two runs with the same generator see different batches.
    - starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    + starts = torch.randint(n_starts, (batch_size, 1))

seeds_the_generator_in_every_call
    the generator is seeded anew in every call
    believed: Seeding makes a run repeatable. It does once, at its start; in every call it makes
        each batch the first one.
    seen: The training loss falls to 0 on a single batch, the validation loss rises.
    + generator.manual_seed(0)
    = starts = torch.randint(n_starts, (batch_size, 1), generator=generator)

starts_at_multiples_of_the_length
    starts are multiples of context_length only
    believed: The text is cut into blocks, and a block is drawn. But then most pieces of the text
        never occur.
    seen: The model sees each token at one position only, and overfits sooner.
    - starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    + n_blocks = (n_starts - 1) // context_length + 1
    + starts = (
    +     torch.randint(n_blocks, (batch_size, 1), generator=generator)
    +     * context_length
    + )

draws_without_replacement
    starts are drawn without replacement
    believed: No row should occur twice. But every row draws by itself, and a short text has fewer
        starts than B.
    seen: Fewer rows than asked for when the text is short.
    - starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    + starts = torch.randperm(n_starts, generator=generator)[
    +     :batch_size, None
    + ]

gives_the_next_token_only
    one target a row: the token after its end
    believed: The model predicts the token after its input. But it does so at every position at
        once.
    seen: A shape error in the loss, or T times too little to learn from.
    - return tokens[places], tokens[places + 1]
    + return tokens[places], tokens[places[:, -1] + 1]

returns_places
    places in the text come back, not the tokens there
    believed: The index is built, so the work is done. But the tokens must still be looked up.
    seen: IndexError in the embedding: the ids are larger than V.
    - return tokens[places], tokens[places + 1]
    + return places, places + 1

lets_torch_complain_about_short_texts
    a text that is too short raises torch's error, not a ValueError
    believed: torch will say something anyway. It says: random_ expects 'from' to be less than 'to',
        and not that the text is too short.
    seen: A RuntimeError that does not say which argument is wrong.
    - if n_starts < 1:
    -     raise ValueError(
    -         "tokens must hold at least context_length "
    -         f"+ 1 = {context_length + 1} tokens, "
    -         f"got {len(tokens)}."
    -     )

refuses_the_shortest_text
    a text of exactly context_length + 1 tokens is refused
    believed: There must be something to choose from. One start is enough.
    seen: ValueError for a text that holds one whole row.
    - if n_starts < 1:
    + if n_starts < 2:

rounds_the_start
    the first and the last start are half as frequent: a fraction was rounded
    believed: round() is fair. But at both ends, only half an interval rounds to the number.
    seen: Nothing to see in training: the text's two ends are seen less often.
    - starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    + drawn = torch.rand(batch_size, 1, generator=generator) * (n_starts - 1)
    + starts = drawn.round().long()

wraps_around_the_end
    rows run over the end of the text into its beginning
    believed: The modulo only keeps every index valid. But it also glues the end of the text to its
        beginning.
    seen: Rare rows with a jump in them: nothing in the text follows like that.
    - starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    + starts = torch.randint(
    +     len(tokens), (batch_size, 1), generator=generator
    + )

    - return tokens[places], tokens[places + 1]
    + return tokens[places % len(tokens)], tokens[(places + 1) % len(tokens)]

rolls_the_targets_within_the_row
    the last target is the row's own first token
    believed: roll(-1) shifts by one. But it also brings the row's first token to its end.
    seen: The last position learns to predict how its text began.
    - return tokens[places], tokens[places + 1]
    + return tokens[places], tokens[places].roll(-1, dims=1)
""")


bugs("""learning_rate:

begins_at_0
    the first step has a learning rate of 0
    believed: The line begins at a rate of 0. But step 0 is a step like any other, and with a rate
        of 0 it does nothing.
    seen: The first batch is spent for nothing.
    - return max_lr * (step + 1) / (warmup_steps + 1)
    + return max_lr * step / warmup_steps

is_up_one_step_early
    max_lr is reached one step before warmup_steps
    believed: The last step of the warm-up has max_lr. It is still one below: step warmup_steps is
        the first to have it.
    seen: Two steps in a row have max_lr.
    - return max_lr * (step + 1) / (warmup_steps + 1)
    + return max_lr * (step + 1) / warmup_steps

counts_the_cosine_from_step_0
    the cosine counts from step 0, not from the end of the warm-up
    believed: The cosine runs over all steps. It begins after the warm-up; counted from step 0, part
        of it would be over by then.
    seen: A jump down right after the warm-up.
    - done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    + done = min(1.0, step / total_steps)

stretches_the_cosine
    the cosine is stretched over total_steps, and does not reach min_lr in time
    believed: The cosine takes total_steps. It has only those left that come after the warm-up.
    seen: At the end the rate is above min_lr, and goes on falling.
    - done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    + done = min(1.0, (step - warmup_steps) / total_steps)

rises_again
    after total_steps the cosine rises again
    believed: Training ends at total_steps. It is often prolonged, and a cosine rises again: the
        rate must stay at min_lr.
    seen: In a longer run the loss rises again after a good end.
    - done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    + done = (step - warmup_steps) / (total_steps - warmup_steps)

falls_to_0
    it falls to 0, not to min_lr
    believed: A decay ends at 0. This one ends at min_lr.
    seen: The last steps change nothing.
    - return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2
    + return max_lr * (1 + math.cos(math.pi * done)) / 2

cuts_off_at_min_lr
    the cosine goes to 0, and is cut off at min_lr
    believed: At least min_lr means the larger of the two. But then the curve has a corner: the
        cosine itself is to end at min_lr.
    seen: min_lr is reached too early.
    - return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2
    + return max(min_lr, max_lr * (1 + math.cos(math.pi * done)) / 2)

falls_along_a_line
    it falls along a line, not along a cosine
    believed: Only the two ends matter. But a cosine stays longer near both of them than a line
        does.
    seen: Right at both ends and in the middle, wrong between.
    - return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2
    + return max_lr + (min_lr - max_lr) * done

takes_a_whole_cosine
    a whole cosine: down to min_lr half way, and up again to max_lr
    believed: The period of the cosine is 2 pi. From its top to its bottom it takes pi.
    seen: The loss gets worse towards the end.
    - return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2
    + return (
    +     min_lr + (max_lr - min_lr) * (1 + math.cos(2 * math.pi * done)) / 2
    + )

takes_a_quarter_of_a_cosine
    a quarter of a cosine, from 1 to 0
    believed: cos goes from 1 to 0. That is a quarter of it; half of it, from 1 to -1, starts and
        ends flat.
    seen: The rate stays too high, and ends with its steepest fall.
    - return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2
    + return min_lr + (max_lr - min_lr) * math.cos(math.pi / 2 * done)

does_not_halve_1_plus_cos
    1 + cos was not halved: it starts at 2·max_lr - min_lr
    believed: 1 + cos goes from 1 to 0. It goes from 2 to 0.
    seen: After the warm-up the rate jumps to nearly twice max_lr, more than the run may bear.
    - return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done)) / 2
    + return min_lr + (max_lr - min_lr) * (1 + math.cos(math.pi * done))

warms_up_from_min_lr
    the warm-up starts from min_lr, not from 0
    believed: min_lr is the smallest rate there is. It is only where the cosine ends; the warm-up
        comes from 0.
    seen: The first steps are larger than they should be.
    - return max_lr * (step + 1) / (warmup_steps + 1)
    + return min_lr + (max_lr - min_lr) * (step + 1) / (warmup_steps + 1)

does_not_warm_up
    there is no warm-up: max_lr from the first step on
    believed: The largest rate learns fastest. But fresh weights and an optimizer without memory may
        not bear it.
    seen: With a large rate the loss falls late and stays behind; with a small one nothing shows.
    - if step < warmup_steps:
    -     return max_lr * (step + 1) / (warmup_steps + 1)
    - done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    + done = min(
    +     1.0, max(0, step - warmup_steps) / (total_steps - warmup_steps)
    + )

divides_into_whole_numbers
    whole-number division: max_lr until total_steps
    believed: // and / are the same for whole numbers. But // drops what is left over.
    seen: The rate does not fall at all, and then all at once.
    - done = min(1.0, (step - warmup_steps) / (total_steps - warmup_steps))
    + done = min(1.0, (step - warmup_steps) // (total_steps - warmup_steps))

is_0_after_the_end
    after total_steps it is 0
    believed: After the end there is nothing to do. But a run that goes on does so at min_lr.
    seen: A prolonged run stands still.
    =     return max_lr * (step + 1) / (warmup_steps + 1)
    + if step > total_steps:
    +     return 0.0
""")


bugs("""decay_groups:

puts_all_into_one_group
    one group for all: biases and norms decay, too
    believed: weight_decay is for weights, and all parameters are weights. But a norm's scale
        belongs near 1, and decay pulls it to 0.
    seen: Scales of norms sink below 1. In a short run the loss hardly shows it.
    - {
    -     "params": [p for p in trained if p.dim() >= 2],
    -     "weight_decay": weight_decay,
    - },
    - {
    -     "params": [p for p in trained if p.dim() < 2],
    -     "weight_decay": 0.0,
    - },
    + {"params": trained, "weight_decay": weight_decay},

swaps_the_groups
    the two groups are swapped: matrices do not decay, and vectors do
    believed: Vectors decay, and matrices do not. It is the other way round: a norm's scale belongs
        near 1, and decay pulls it to 0.
    seen: Scales of norms sink below 1, and nothing holds the matrices back. In a short run the loss
        hardly shows it.
    - "params": [p for p in trained if p.dim() >= 2],
    + "params": [p for p in trained if p.dim() < 2],

    - "params": [p for p in trained if p.dim() < 2],
    + "params": [p for p in trained if p.dim() >= 2],

lets_only_biases_off
    only biases are let off: the scales of norms decay
    believed: weight_decay goes to what is called weight. A norm's scale is called weight too, and
        has one axis only: it does not decay.
    seen: Scales of norms sink below 1, and the other layers must make up for it.
    reported: karpathy/minGPT#23
    + biases = {
    +     p for name, p in model.named_parameters() if name.endswith("bias")
    + }
    = return [

    - "params": [p for p in trained if p.dim() >= 2],
    + "params": [p for p in trained if p not in biases],

    - "params": [p for p in trained if p.dim() < 2],
    + "params": [p for p in trained if p in biases],

goes_by_names
    goes by the names of parameters: what is called bias or norm is let off
    believed: Names say what a parameter is. They do in this model, but the next one calls its norm
        ln_1: count the axes.
    seen: Right for one model; in another, norms decay without a word.
    reported: karpathy/minGPT#16
    + let_off = {
    +     p
    +     for name, p in model.named_parameters()
    +     if "bias" in name or "norm" in name
    + }
    = return [

    - "params": [p for p in trained if p.dim() >= 2],
    + "params": [p for p in trained if p not in let_off],

    - "params": [p for p in trained if p.dim() < 2],
    + "params": [p for p in trained if p in let_off],

lets_embeddings_off
    embeddings do not decay
    believed: An embedding is a table, not a matrix. It has two axes, and here that is what counts.
    seen: Embeddings grow, and with tied weights the logits too.
    + tables = {
    +     p
    +     for name, p in model.named_parameters()
    +     if "token" in name or "position" in name
    + }
    + shrink = {p for p in trained if p.dim() >= 2} - tables
    = return [

    - "params": [p for p in trained if p.dim() >= 2],
    + "params": [p for p in trained if p in shrink],

    - "params": [p for p in trained if p.dim() < 2],
    + "params": [p for p in trained if p not in shrink],

counts_tied_tensors_twice
    tied tensors are listed once for each name
    believed: Every name is a parameter. But two names may stand for one tensor.
    seen: A warning about duplicate parameters; the tied tensor takes two steps in one.
    - parameter
    - for parameter in model.parameters()
    - if parameter.requires_grad
    + p
    + for _, p in model.named_parameters(remove_duplicate=False)
    + if p.requires_grad

keeps_frozen_parameters
    frozen parameters are in the groups
    believed: parameters() gives what is trained. It gives all of them; requires_grad says which are
        trained.
    seen: The optimizer holds tensors it never moves. With a gradient left from before, it does move
        them.
    - trained = [
    -     parameter
    -     for parameter in model.parameters()
    -     if parameter.requires_grad
    - ]
    + trained = list(model.parameters())

lets_three_axes_off
    only tensors of exactly two axes decay
    believed: A matrix has two axes. But the kernel of a convolution has three, and is a weight as
        well.
    seen: Right for a GPT; wrong for the next model.
    - "params": [p for p in trained if p.dim() >= 2],
    + "params": [p for p in trained if p.dim() == 2],

    - "params": [p for p in trained if p.dim() < 2],
    + "params": [p for p in trained if p.dim() != 2],

leaves_the_decay_of_vectors_open
    the group without decay does not state its weight_decay
    believed: What is not said is not done. But then the optimizer's default holds: 0.01 for AdamW.
    seen: Biases and norms decay after all, with the default.
    - {
    -     "params": [p for p in trained if p.dim() < 2],
    -     "weight_decay": 0.0,
    - },
    + {"params": [p for p in trained if p.dim() < 2]},

always_decays_by_a_tenth
    the given weight_decay is not used: it is always 0.1
    believed: The decay is 0.1, as in GPT-3. The argument says what this run has.
    seen: Changing weight_decay changes nothing.
    - "weight_decay": weight_decay,
    + "weight_decay": 0.1,

lets_vectors_decay
    one axis is enough to decay: biases and norms do
    believed: dim() counts from 0. A vector has dim() 1, a matrix 2.
    seen: One group holds everything, the other nothing.
    reported: dhlee347/pytorchic-bert#22, namisan/mt-dnn#37
    - "params": [p for p in trained if p.dim() >= 2],
    + "params": [p for p in trained if p.dim() >= 1],

    - "params": [p for p in trained if p.dim() < 2],
    + "params": [p for p in trained if p.dim() < 1],

decays_both_groups
    both groups have the given weight_decay
    believed: It is enough to make two groups. They must differ: the second does not decay.
    seen: The same as one group for all.
    - "weight_decay": 0.0,
    + "weight_decay": weight_decay,

forgets_what_has_one_axis
    parameters with one axis are in no group
    believed: What does not decay need not be listed. But what is not listed is not trained at all.
    seen: Biases and norms keep their first values for ever.
    - "params": [p for p in trained if p.dim() < 2],
    + "params": [p for p in trained if p.dim() < 1],

knows_linear_layers_alone
    only the weights of nn.Linear decay
    believed: Weights belong to linear layers. But parameters of other layers have two axes too, and
        shrink.
    seen: Nothing holds embeddings and hand-made matrices back.
    + linear = {
    +     module.weight
    +     for module in model.modules()
    +     if isinstance(module, nn.Linear)
    + }
    = return [

    - "params": [p for p in trained if p.dim() >= 2],
    + "params": [p for p in trained if p in linear],

    - "params": [p for p in trained if p.dim() < 2],
    + "params": [p for p in trained if p not in linear],
""")


bugs("""train_step:

never_zeroes
    gradients are never zeroed
    believed: backward() sets the gradients. It adds to them.
    seen: The steps get longer and longer, and remember every batch there was.
    - model.zero_grad()

zeroes_after_the_step
    gradients are zeroed after the step, so those of an earlier backward() count once
    believed: Before the next step or after this one, it is the same. It is not if somebody else has
        called backward() in between.
    seen: The first step, and each one after a gradient was looked at, is wrong.
    - model.zero_grad()

    = optimizer.step()
    + model.zero_grad()

zeroes_before_every_part
    gradients are zeroed before every part: only the last one counts
    believed: zero_grad() belongs before every backward(). But the parts' gradients are to add up:
        zero them once, before the first part.
    seen: The same loss curve as with a batch of one part, and a step as small as its share.
    - model.zero_grad()

    + model.zero_grad()
    = n_here = int((some_targets != -100).sum())

adds_the_parts_without_dividing
    the parts' gradients are added up without dividing
    believed: Each part's mean loss counts fully. But their sum is n_chunks times the mean of the
        batch: each counts for its share.
    seen: The gradient is n_chunks times too long. Adam and clipping hide it, mostly.
    reported: karpathy/nanoGPT#168, karpathy/nanoGPT#206
    - loss = next_token_loss(logits, some_targets) * (n_here / n_targets)
    + loss = next_token_loss(logits, some_targets)
    = loss.backward()
    - total += loss.item()
    + total += loss.item() * (n_here / n_targets)

gives_every_part_the_same_share
    every part counts 1 / n_chunks, however many targets it holds
    believed: All parts are equal. In rows they are, but not in targets that count where there is
        padding.
    seen: Right without ignored targets; with them, tokens in nearly empty parts count more.
    reported: karpathy/nanochat#59, karpathy/nanochat#400
    - n_here = int((some_targets != -100).sum())
    - if n_here == 0:
    -     continue  # the mean of nothing is nan

    - loss = next_token_loss(logits, some_targets) * (n_here / n_targets)
    + loss = next_token_loss(logits, some_targets) / n_chunks

steps_after_every_part
    the optimizer steps after every part, not after all of them
    believed: A part is a small batch. But then it is n_chunks small steps, and not one large one.
    seen: Noisy, as with a small batch; the learning rate fits no more.
    - loss = next_token_loss(logits, some_targets) * (n_here / n_targets)
    + loss = next_token_loss(logits, some_targets)
    = loss.backward()
    - total += loss.item()
    + total += loss.item() * (n_here / n_targets)
    + nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + optimizer.step()
    + model.zero_grad()

    @ f"and a gradient of norm {norm.item()}."
    - optimizer.step()

sends_the_whole_batch_at_once
    n_chunks is not used: the whole batch goes through at once
    believed: The step is the same with any number of parts, so one is enough. But the memory is not
        the same.
    seen: Out of memory, however many parts are asked for.
    + n_chunks = 1
    = model.zero_grad()

returns_the_last_parts_loss
    the loss of the last part comes back, not that of the batch
    believed: `loss` is that of the batch when the loop is over. It is that of the last part.
    seen: A curve as noisy as that of a small batch.
    - return total
    + return next_token_loss(logits, some_targets).item()

returns_the_sum_of_the_parts
    the sum of the parts' losses comes back
    believed: The parts' losses add up to that of the batch. Each must count for its share of the
        targets.
    seen: A curve n_chunks times too high.
    - loss = next_token_loss(logits, some_targets) * (n_here / n_targets)
    - loss.backward()
    + loss = next_token_loss(logits, some_targets)
    + (loss * (n_here / n_targets)).backward()
    = total += loss.item()

returns_the_loss_after_the_step
    the loss after the step comes back, not the one before
    believed: The step's result is the loss it leads to. The loss it started from is asked for: the
        other costs one more pass.
    seen: The curve looks better than the run is.
    - return total
    + with torch.no_grad():
    +     with torch.autocast(
    +         inputs.device.type, autocast_dtype, enabled=bool(autocast_dtype)
    +     ):
    +         logits = torch.cat(
    +             [model(part) for part in inputs.chunk(n_chunks)]
    +         )
    +     return next_token_loss(logits, targets).item()

returns_a_tensor
    a tensor comes back, not a Python float
    believed: A tensor with one number is a number. But it stays on its device, and may keep the
        whole graph alive.
    seen: The list of losses fills the memory of the GPU.
    - total += loss.item()
    + total += loss.detach()

does_not_clip
    gradients are not clipped before the step
    believed: Clipping is for models that explode. But one bad batch is enough, and after the step
        it is too late.
    seen: When a gradient is far too long, the loss jumps up, or never comes down again.
    - norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + norm = nn.utils.get_total_norm(
    +     [p.grad for p in model.parameters() if p.grad is not None]
    + )

clips_each_parameter
    each parameter's gradient is clipped by itself
    believed: Each tensor is clipped by its own norm. But then the gradient as a whole points
        elsewhere: it has one norm.
    seen: Layers with small gradients get too much of the step.
    - norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + norms = [
    +     nn.utils.clip_grad_norm_(p, max_grad_norm)
    +     for p in model.parameters()
    + ]
    + norm = nn.utils.get_total_norm(norms)

clips_each_number
    each number of the gradient is cut off at max_grad_norm
    believed: Clipping means cutting off what is too large. Here the whole gradient is to be
        shortened.
    seen: The direction of the step changes.
    - norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + norm = nn.utils.get_total_norm(
    +     [p.grad for p in model.parameters() if p.grad is not None]
    + )

    + nn.utils.clip_grad_value_(model.parameters(), max_grad_norm)
    = optimizer.step()

stretches_short_gradients
    short gradients are stretched to max_grad_norm
    believed: A gradient is given the length max_grad_norm. Only a longer one is shortened; a
        shorter one stays as it is.
    seen: Training never settles: near the optimum the steps are as long as at the start.
    - norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + gradients = [p.grad for p in model.parameters() if p.grad is not None]
    + norm = nn.utils.get_total_norm(gradients)
    + for gradient in gradients:
    +     gradient.mul_(max_grad_norm / (norm + 1e-6))

always_clips_at_1
    max_grad_norm is not used: it is always 1.0
    believed: A gradient is shortened to 1.0, as everybody does. The argument says to what.
    seen: Changing max_grad_norm changes nothing.
    - norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)

clips_after_every_part
    gradients are clipped after every part, before they are complete
    believed: Clip after every backward(). Before the last one only a part of the gradient is there:
        clip when it is complete.
    seen: With more parts the step points elsewhere.
    - norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    +     nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + norm = nn.utils.get_total_norm(
    +     [p.grad for p in model.parameters() if p.grad is not None]
    + )

adds_the_norms_up
    the parameters' norms are added up, instead of their squares under one root
    believed: The length of the whole is the sum of the lengths. It is less: squares add up, under
        one root.
    seen: Steps are shortened more than they should be, the more parameters there are.
    - norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + norms = [
    +     p.grad.norm() for p in model.parameters() if p.grad is not None
    + ]
    + norm = sum(norms, torch.tensor(0.0))
    + nn.utils.clip_grads_with_norm_(model.parameters(), max_grad_norm, norm)

switches_to_training
    the model is put into training mode
    believed: A step of training needs training mode. But whoever calls may have left parts in
        evaluation, on purpose.
    seen: Frozen parts drop out again.
    + model.train()
    = model.zero_grad()

switches_to_evaluation
    the model is put into evaluation mode
    believed: eval() makes the step repeatable. But it also switches dropout off, for good.
    seen: The model overfits as if there were no dropout.
    + model.eval()
    = model.zero_grad()

lets_bad_losses_through
    a loss that is not finite is let through
    believed: One bad batch does no harm. But its gradient is nan, and so is every weight after the
        step.
    seen: From one step to the next the loss is nan, for ever.
    - if not (math.isfinite(total) and norm.isfinite()):
    -     raise FloatingPointError(
    -         "the loss and its gradient must be finite, "
    -         f"got a loss of {total} "
    -         f"and a gradient of norm {norm.item()}."
    -     )

looks_at_the_loss_after_the_step
    the loss is looked at only after the step
    believed: The error is raised, so all is well. But after the step the weights are lost already:
        look before it.
    seen: The error comes once, and after it every loss is nan.
    = norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + optimizer.step()

    - optimizer.step()
    = return total

skips_a_bad_batch_silently
    a bad batch is skipped without an error
    believed: One batch more or less does not matter. But if all of them are bad, nobody hears of
        it.
    seen: The loss is nan, and the model stands still.
    - raise FloatingPointError(
    -     "the loss and its gradient must be finite, "
    -     f"got a loss of {total} "
    -     f"and a gradient of norm {norm.item()}."
    - )
    + return total

asserts_a_finite_loss
    an assert fails instead of a FloatingPointError
    believed: assert is made for such checks. But python -O skips it, and callers wait for the
        FloatingPointError of the docstring.
    seen: An AssertionError with a number for its text.
    - if not (math.isfinite(total) and norm.isfinite()):
    -     raise FloatingPointError(
    -         "the loss and its gradient must be finite, "
    -         f"got a loss of {total} "
    -         f"and a gradient of norm {norm.item()}."
    -     )
    + assert math.isfinite(total) and norm.isfinite(), total

looks_at_the_last_part_alone
    only the last part's loss is looked at
    believed: `loss` is all there is to look at after the loop. But an earlier part may have been
        the bad one.
    seen: With n_chunks > 1, a bad batch gets through more often than not.
    - if not (math.isfinite(total) and norm.isfinite()):
    + if not (n_targets and loss.isfinite()):

ignores_autocast
    autocast_dtype is not used
    believed: autocast_dtype is there for later. It must be obeyed: the forward pass runs in it,
        which also takes less memory.
    seen: The same speed with and without.
    - with torch.autocast(
    -     inputs.device.type,
    -     autocast_dtype,
    -     enabled=autocast_dtype is not None,
    - ):
    -     logits = model(some_inputs)
    + logits = model(some_inputs)

casts_the_model
    the weights themselves are cast to autocast_dtype
    believed: Mixed precision means that the weights are in half precision. They stay in float32, or
        small steps are lost.
    seen: Training stalls: a step of a thousandth of a weight is rounded away.
    - with torch.autocast(
    -     inputs.device.type,
    -     autocast_dtype,
    -     enabled=autocast_dtype is not None,
    - ):
    -     logits = model(some_inputs)
    + logits = model.to(autocast_dtype)(some_inputs)

takes_an_empty_part_for_a_bad_one
    a part without targets spoils the batch: its mean is nan
    believed: An empty part counts 0 times its mean, which is 0. But its mean is nan, and 0 times
        nan is nan.
    seen: FloatingPointError for batches with a lot of padding, once there are many parts.
    - if n_here == 0:
    -     continue  # the mean of nothing is nan

    - loss = next_token_loss(logits, some_targets) * (n_here / n_targets)
    + loss = next_token_loss(logits, some_targets) * (
    +     n_here / max(1, n_targets)
    + )

expects_a_gradient_everywhere
    every parameter is expected to have a gradient
    believed: backward() gives every parameter a gradient. Frozen and unused ones have None.
    seen: AttributeError: 'NoneType' object has no attribute 'square'.
    - norm = nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    + norm = sum(p.grad.square().sum() for p in model.parameters()).sqrt()
    + nn.utils.clip_grads_with_norm_(model.parameters(), max_grad_norm, norm)
""")


bugs("""evaluate:

measures_in_training_mode
    eval() is missing: the model is measured in the mode it is in
    believed: no_grad() is what evaluation needs. It says nothing to dropout: that takes eval().
    seen: The measured loss is too high, and another each time.
    reported: ipolharvard/ethos-ares#20
    - with _evaluating(model):
    + with torch.no_grad():

leaves_the_model_in_evaluation
    the model stays in evaluation mode afterwards
    believed: eval() holds for this function. It holds until somebody calls train(): give back the
        mode that was.
    seen: After the first evaluation dropout is off, and the model overfits.
    reported: shubhamagarwal92/mmd#14
    - with _evaluating(model):
    + model.eval()
    + with torch.no_grad():

leaves_the_model_in_training
    train() at the end, whatever the mode was before
    believed: Whoever evaluates is training. A finished model is evaluated too: give back the mode
        that was.
    seen: A loaded model that was measured once generates with dropout.
    - with _evaluating(model):
    + model.eval()
    + with torch.no_grad():

    + model.train()
    = return total / n_targets

forgets_the_mode_when_the_model_fails
    the mode does not come back when the model raises an error
    believed: The last line gives the mode back. But an error skips it; only finally is always run.
    seen: After an interrupted evaluation, training goes on without dropout.
    - with _evaluating(model):
    + was_training = model.training
    + model.eval()
    + with torch.no_grad():

    + model.train(was_training)
    = return total / n_targets

records_gradients
    gradients are recorded all the while
    believed: eval() switches gradients off. It switches dropout off; no_grad() is for gradients.
    seen: Evaluation takes twice the memory.
    - with _evaluating(model):
    + was_training = model.training
    + model.eval()
    + try:

    + finally:
    +     model.train(was_training)
    = return total / n_targets

switches_gradients_off_for_good
    gradients are switched off, and never on again
    believed: set_grad_enabled(False) holds for this function. It holds until somebody sets it back.
    seen: RuntimeError in the next backward(): nothing requires a gradient.
    = total = 0.0
    + torch.set_grad_enabled(False)

drops_the_rest
    the last, shorter window is left out
    believed: Only whole windows are measured. But the rest of the text is text as well.
    seen: The end of the text is never measured; a text shorter than a window not at all.
    + n_targets -= n_targets % context_length
    + if n_targets == 0:
    +     return math.nan
    + tokens = tokens[: n_targets + 1]
    = # fills the last window; as targets, ignored

averages_over_windows
    every window counts the same, also the shorter last one
    believed: The mean of the windows' means is the mean. It is only if all are equally long.
    seen: One token at the end may count as much as a thousand.
    -         loss = next_token_loss(model(some_inputs), some_targets)
    -         total += loss.item() * int((some_targets != -100).sum())
    - return total / n_targets
    +         logits = model(some_inputs)
    +         for row, its_targets in zip(
    +             logits.split(1), some_targets.split(1), strict=True
    +         ):
    +             total += next_token_loss(row, its_targets).item()
    + return total / len(inputs)

averages_over_batches
    every batch counts the same, also the smaller last one
    believed: The mean of the batches' means is the mean. It is only if all are equally large.
    seen: Another batch_size gives another loss.
    - total += loss.item() * int((some_targets != -100).sum())
    + total += loss.item()

    - return total / n_targets
    + return total / len(inputs.split(batch_size))

loses_a_target_in_every_window
    the first token of every window is no target
    believed: Cut into windows, then shift within each. But then the token at each cut is nobody's
        target.
    seen: One target in T is not measured, and the loss is a little off.
    + inputs, targets = inputs[:, :-1], targets[:, :-1]
    + n_targets = int((targets != -100).sum())
    + if n_targets == 0:
    +     return math.nan
    = total = 0.0

slides_the_window
    windows overlap: each starts one token after the last
    believed: More windows measure better. But a token inside the text is then a target many times;
        each counts once.
    seen: T times the work, and another loss.
    - # fills the last window; as targets, ignored
    - padding = (0, -n_targets % context_length)
    - inputs = F.pad(tokens[:-1], padding).view(-1, context_length)
    - targets = F.pad(tokens[1:], padding, value=-100).view(
    -     -1, context_length
    - )
    + size = min(context_length, n_targets)
    + inputs = tokens[:-1].unfold(0, size, 1)
    + targets = tokens[1:].unfold(0, size, 1)
    + n_targets = targets.numel()

compares_with_the_inputs
    the targets are not shifted
    believed: The model is compared with the text it reads. But it has read that token already: the
        target is the next one.
    seen: A loss that has nothing to do with the training loss.
    - targets = F.pad(tokens[1:], padding, value=-100).view(
    + targets = F.pad(tokens[:-1], padding, value=-100).view(

measures_the_first_batch_alone
    only the first batch is measured
    believed: A sample is enough. Here the whole text is asked for.
    seen: The loss depends on how the text begins, and on batch_size.
    + tokens = tokens[: batch_size * context_length + 1]
    = n_targets = len(tokens) - 1

sends_the_whole_text_at_once
    batch_size is not used: all windows go through at once
    believed: The mean is the same, so all windows may go through at once. But the memory is not the
        same.
    seen: Out of memory on a long text.
    = total = 0.0
    + batch_size = len(inputs)

returns_the_sum
    the sum of the losses comes back, not their mean
    believed: Divided or not, lower is better. But a longer text then has a larger loss.
    seen: A loss in the thousands.
    - return total / n_targets
    + return total

evaluates_to_the_perplexity
    the perplexity comes back, not the loss
    believed: The perplexity is what one reports. But it cannot be compared with the training loss:
        return the loss.
    seen: A first value near V instead of ln V.
    - return total / n_targets
    + return math.exp(total / n_targets)

moves_the_last_window_back
    the last window is moved back until it is full: some targets count twice
    believed: All windows should be equally long. But then the last one repeats a part of the one
        before.
    seen: Right if the windows fit; otherwise the end of the text counts too much.
    - # fills the last window; as targets, ignored
    - padding = (0, -n_targets % context_length)
    - inputs = F.pad(tokens[:-1], padding).view(-1, context_length)
    - targets = F.pad(tokens[1:], padding, value=-100).view(
    -     -1, context_length
    + size = min(context_length, n_targets)
    + starts = [*range(0, n_targets - size, size), n_targets - size]
    + inputs = torch.stack([tokens[start : start + size] for start in starts])
    + targets = torch.stack(
    +     [tokens[start + 1 : start + size + 1] for start in starts]
    = )
    + n_targets = targets.numel()

divides_by_all_tokens
    divided by the number of tokens, not of targets
    believed: N tokens have N losses. They have one less: the first token is no target.
    seen: The loss is too small by the share 1/N.
    - return total / n_targets
    + return total / len(tokens)

is_0_for_one_token
    a text without any target has a loss of 0
    believed: Dividing by 0 must be avoided. But a loss of 0 means perfect: refuse a text without
        targets.
    seen: An empty validation set looks like a perfect model.
    - raise ValueError(
    -     f"tokens must hold at least 2 tokens, got {len(tokens)}."
    - )
    + return 0.0

drops_an_incomplete_batch
    the last batch is left out when it is not full
    believed: A batch that is not full is left out, as loaders do in training. Here its windows are
        text like all others.
    seen: The end of the text is not measured, unless batch_size fits.
    + n_full = len(inputs) - len(inputs) % min(batch_size, len(inputs))
    + inputs, targets = inputs[:n_full], targets[:n_full]
    + n_targets = int((targets != -100).sum())
    = total = 0.0
""")
