"""What goes wrong in lesson 9's first half: filters in the wrong order, text from the wrong end."""

from . import bugs

bugs("""keep_top_k:

keeps_the_lowest
    the k lowest logits are kept
    believed: Sorting puts the highest first. torch.sort and kthvalue count from below.
    seen: Text of the least likely tokens: noise.
    - lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[
    -     :, -1:
    - ]
    - return logits.masked_fill(logits < lowest_kept, -math.inf)
    + highest_kept = logits.topk(
    +     min(k, logits.shape[-1]), dim=-1, largest=False
    + ).values[:, -1:]
    + return logits.masked_fill(logits > highest_kept, -math.inf)

drops_the_threshold
    the k-th highest goes too: k - 1 are kept
    believed: Only what is above the threshold stays. But the threshold is the k-th highest itself,
        one of those to keep.
    seen: With k = 1 nothing is left, and the softmax of nothing is nan.
    - return logits.masked_fill(logits < lowest_kept, -math.inf)
    + return logits.masked_fill(logits <= lowest_kept, -math.inf)

drops_to_zero
    what goes becomes 0, not -inf
    believed: A logit of 0 has no chance. It has the chance of any other 0, and a better one than
        -1; only -inf has none.
    seen: Tokens that were dropped are drawn all the same, some more often than before.
    - return logits.masked_fill(logits < lowest_kept, -math.inf)
    + return logits.masked_fill(logits < lowest_kept, 0.0)

takes_the_first_rows_threshold
    one threshold for all rows: that of the first
    believed: One threshold serves all rows. It is that of the first; each row has its own k
        highest.
    seen: Right for a single text; in a batch some rows keep all, others nothing.
    - :, -1:
    + 0, -1

takes_the_k_highest_of_the_batch
    the k highest of the whole batch are kept, not of each row
    believed: The k highest of all logits are the k highest of each row. They are not: every row
        keeps k of its own.
    seen: The surest text of the batch keeps its tokens, the others lose theirs.
    - lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[
    -     :, -1:
    - ]
    + lowest_kept = logits.flatten().topk(min(k, logits.shape[-1])).values[-1]

cannot_take_more_than_there_is
    a k larger than the vocabulary is an error
    believed: Nobody asks for more than there is. A k like 50 meets small vocabularies, and then all
        stay.
    seen: RuntimeError: selected index k out of range.
    - lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[
    -     :, -1:
    - ]
    + lowest_kept = logits.topk(k, dim=-1).values[:, -1:]

returns_the_highest_alone
    the k highest come back alone, without their places
    believed: Only the k highest matter. But the place of a logit is the token's id, so all V places
        stay.
    seen: Text of the first k tokens of the vocabulary, whatever the model says.
    - lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[
    -     :, -1:
    - ]
    - return logits.masked_fill(logits < lowest_kept, -math.inf)
    + return logits.topk(min(k, logits.shape[-1]), dim=-1).values

leaves_them_sorted
    the k highest stand in the first k places, in order
    believed: A sorted row is the same row. But the place of a logit is the token's id.
    seen: The first token of the vocabulary is always the likeliest.
    reported: lucidrains/PaLM-rlhf-pytorch#60
    - lowest_kept = logits.topk(min(k, logits.shape[-1]), dim=-1).values[
    -     :, -1:
    - ]
    - return logits.masked_fill(logits < lowest_kept, -math.inf)
    + ordered = logits.sort(dim=-1, descending=True).values
    + ordered[:, k:] = -math.inf
    + return ordered

filters_in_place
    the filter is written into the caller's logits
    believed: An assignment to logits[…] is local. But it writes into the tensor that was given.
    seen: Logits that are looked at after sampling have -inf in them.
    - return logits.masked_fill(logits < lowest_kept, -math.inf)
    + logits[logits < lowest_kept] = -math.inf
    + return logits

takes_any_k
    k below 1 is accepted, and counts as 1
    believed: Any k can be made to work. But whoever passes one below 1 means something else, and
        should be told.
    seen: top_k=0, meant as “no filter”, gives greedy text.
    - if k < 1:
    -     raise ValueError(f"k must be at least 1, got k={k}.")
    + k = max(k, 1)
""")


bugs("""keep_top_p:

drops_the_crossing_token
    the token that crosses p is dropped, and the first too if it does
    believed: What stays may sum to p at most. It must reach p, so the token that crosses p stays.
    seen: Greedier than asked; where the model is sure nothing is left, and softmax gives nan.
    reported: huggingface/transformers#18976
    - # what the likelier ones sum to
    - before = probabilities.cumsum(dim=-1) - probabilities
    - # never the first, before which there is nothing
    - is_dropped = before >= p
    + is_dropped = probabilities.cumsum(dim=-1) > p

drops_the_crossing_token_but_the_first
    the token that crosses p is dropped, unless it is the first
    believed: What stays may sum to p at most, unless it is one token. It must always reach p, so
        the token that crosses p stays.
    seen: Greedier than asked, and no error tells.
    reported: rasbt/reasoning-from-scratch#164
    - # what the likelier ones sum to
    - before = probabilities.cumsum(dim=-1) - probabilities
    - # never the first, before which there is nothing
    - is_dropped = before >= p
    + is_dropped = probabilities.cumsum(dim=-1) > p
    + is_dropped[:, 0] = False

keeps_one_too_many
    one token too many is kept: that after the crossing one
    believed: The token after the crossing one must stay as well. Up to the crossing one, p is
        reached already.
    seen: p as small as can be still leaves two tokens, so the text is never greedy.
    + is_dropped[:, 1:] = is_dropped[:, :-1].clone()
    = # from sorted places to token ids

compares_each_token_with_p
    every token less likely than p is dropped, but the likeliest
    believed: p is a threshold for each token. It is one for the sum of those that stay.
    seen: Greedy text for every p above one half.
    - # what the likelier ones sum to
    - before = probabilities.cumsum(dim=-1) - probabilities
    - # never the first, before which there is nothing
    - is_dropped = before >= p
    + is_dropped = probabilities < p
    + is_dropped[:, 0] = False

leaves_the_filter_sorted
    the filter stays in sorted order: places instead of token ids
    believed: The filter fits the logits, for both have V columns. But its columns are in sorted
        order, and theirs are token ids.
    seen: Tokens at the front of the vocabulary are kept, likely or not.
    reported: lucidrains/PaLM-rlhf-pytorch#60
    - # from sorted places to token ids
    - is_dropped = is_dropped.scatter(-1, order, is_dropped)

returns_them_sorted
    the logits come back in sorted order
    believed: A sorted row is the same row. But the place of a logit is the token's id.
    seen: The first token of the vocabulary is always the likeliest.
    reported: lucidrains/PaLM-rlhf-pytorch#60
    + logits = logits.sort(dim=-1, descending=True).values
    = if p == 1:  # a sum of rounded probabilities may reach 1 too early

sorts_upwards
    the least likely tokens are kept: sorted upwards
    believed: sort puts the best first. It puts the smallest first.
    seen: Text of unlikely tokens; with a small p, only of the unlikeliest.
    - probabilities, order = wide.softmax(dim=-1).sort(
    -     dim=-1, descending=True
    - )
    + probabilities, order = wide.softmax(dim=-1).sort(dim=-1)

sums_without_sorting
    probabilities are summed in the order of the vocabulary, not sorted
    believed: A sum does not care for the order. A running sum does: the likeliest come first.
    seen: Tokens with a small id are kept; the likeliest may be dropped.
    - probabilities, order = wide.softmax(dim=-1).sort(
    -     dim=-1, descending=True
    - )
    + probabilities = wide.softmax(dim=-1)

    - # from sorted places to token ids
    - is_dropped = is_dropped.scatter(-1, order, is_dropped)

sums_logits
    logits are summed, not probabilities
    believed: Logits are what the model returns, so they are its probabilities. They become
        probabilities by a softmax.
    seen: One or two tokens are left, since a single logit is larger than p already.
    - probabilities, order = wide.softmax(dim=-1).sort(
    -     dim=-1, descending=True
    - )
    + probabilities, order = wide.sort(dim=-1, descending=True)

drops_to_a_logit_of_zero
    what goes becomes 0, not -inf
    believed: A logit of 0 has no chance. It has the chance of any other 0, and a better one than
        -1; only -inf has none.
    seen: Tokens that were dropped are drawn all the same, some more often than before.
    - return logits.masked_fill(is_dropped, -math.inf)
    + return logits.masked_fill(is_dropped, 0.0)

returns_probabilities
    probabilities come back instead of logits
    believed: Sampling needs probabilities. It makes them itself, by a softmax: logits come back.
    seen: Nearly uniform text: the softmax of numbers between 0 and 1 is flat.
    - return logits.clone()
    + return logits.softmax(dim=-1)

    - return logits.masked_fill(is_dropped, -math.inf)
    + return logits.softmax(dim=-1).masked_fill(is_dropped, -math.inf)

filters_the_callers_logits
    the filter is written into the caller's logits
    believed: An assignment to logits[…] is local. But it writes into the tensor that was given.
    seen: Logits that are looked at after sampling have -inf in them.
    - return logits.masked_fill(is_dropped, -math.inf)
    + logits[is_dropped] = -math.inf
    + return logits

takes_any_p
    a p that is no share is accepted
    believed: Any p can be made to work. But whoever passes 90 means 90 %, and should be told.
    seen: top_p=90 filters nothing, and no error says so.
    - if not 0 < p <= 1:
    -     raise ValueError(f"p must be above 0 and at most 1, got p={p}.")
    + p = min(max(p, 1e-9), 1)
""")


bugs("""sample:

multiplies_by_the_temperature
    temperature multiplies the logits
    believed: More heat means larger logits. But larger logits make the likely likelier, and that is
        colder.
    seen: Turned up, the temperature makes the text duller.
    - # the highest stays at 0
    - wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    + wide = (wide - wide.amax(dim=-1, keepdim=True)) * temperature

divides_the_probabilities
    temperature has no effect: the probabilities are divided, not the logits
    believed: Probabilities can be divided as well as logits. But all divided by one number, they
        are in the same proportion as before.
    seen: The same text at every temperature.
    reported: google/gemma.cpp#981
    - # the highest stays at 0
    - wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature

    - return torch.multinomial(
    -     wide.softmax(dim=-1), 1, generator=generator
    - ).squeeze(-1)
    + probabilities = wide.softmax(dim=-1) / temperature
    + return torch.multinomial(probabilities, 1, generator=generator).squeeze(
    +     -1
    + )

applies_the_temperature_twice
    temperature is applied twice
    believed: The logits are still as they came. They have been divided already: the temperature
        counts once.
    seen: A temperature of 0.7 reads like one of 0.49.
    reported: RL-Align/RL-Kernel#81
    + wide = wide / temperature
    = return torch.multinomial(

filters_before_the_temperature
    the filters come before the temperature
    believed: The order does not matter. It does: top-p looks at probabilities, which the
        temperature changes.
    seen: At low temperatures top-p keeps more tokens than it should, at high ones fewer.
    - # the highest stays at 0
    - wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature

    + # the highest stays at 0
    + wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    = return torch.multinomial(

filters_in_the_other_order
    top-p looks at the shares of all tokens, not of what top-k has left
    believed: Both filters only drop tokens, so their order is free. But after top-k the rest shares
        all of the probability, and fewer tokens reach p.
    seen: With both filters on, the text is a little wilder than elsewhere.
    + if top_p is not None:
    +     wide = keep_top_p(wide, top_p)
    = if top_k is not None:
    =     wide = keep_top_k(wide, top_k)
    - if top_p is not None:
    -     wide = keep_top_p(wide, top_p)

returns_places_among_the_top_k
    the place among the top k is returned as the token's id
    believed: multinomial returns token ids. It returns places in what it was given.
    seen: With top_k only the first k tokens of the vocabulary appear.
    - wide = keep_top_k(wide, top_k)
    + wide = wide.topk(min(top_k, wide.shape[-1]), dim=-1).values

never_draws
    nothing is drawn: it is always the likeliest token
    believed: The best next token makes the best text. Here a token is drawn; only a temperature of
        0 asks for the likeliest.
    seen: The same text every time, and soon in circles.
    - return torch.multinomial(
    -     wide.softmax(dim=-1), 1, generator=generator
    - ).squeeze(-1)
    + return wide.argmax(dim=-1)

draws_once_for_all_rows
    one draw serves the whole batch
    believed: Rows that are alike may get one token. Each is drawn by itself, so that texts that
        begin alike may differ.
    seen: All texts of a batch begin with the same token.
    - return torch.multinomial(
    -     wide.softmax(dim=-1), 1, generator=generator
    - ).squeeze(-1)
    + first = torch.multinomial(
    +     wide[0].softmax(dim=-1), 1, generator=generator
    + )
    + return first.expand(len(logits))

draws_from_logits
    logits are drawn from as if they were probabilities
    believed: Larger means likelier, and multinomial normalises. It wants probabilities, and none of
        them may be below 0.
    seen: RuntimeError: probability tensor contains either inf, nan or element < 0.
    - return torch.multinomial(
    -     wide.softmax(dim=-1), 1, generator=generator
    - ).squeeze(-1)
    + return torch.multinomial(wide, 1, generator=generator).squeeze(-1)

takes_softmax_twice
    softmax is taken twice
    believed: A second softmax changes nothing. But that of probabilities is nearly flat, and gives
        dropped tokens a share again.
    seen: Wild text; what top-k dropped comes back.
    + wide = wide.softmax(dim=-1)
    = return torch.multinomial(

draws_with_the_global_generator
    the generator is ignored: torch's own one draws
    believed: A seed set somewhere is enough. But any other draw in between shifts all that come:
        draw by the generator that was given.
    seen: The same seed gives another text in every run of the notebook.
    - return torch.multinomial(
    -     wide.softmax(dim=-1), 1, generator=generator
    - ).squeeze(-1)
    + return torch.multinomial(wide.softmax(dim=-1), 1).squeeze(-1)

begins_anew_each_time
    every call begins with the same state of a generator
    believed: A seed makes a draw repeatable. But set anew each time, it makes every draw the same.
    seen: The same choice at every step: wherever two tokens are as likely, always the same.
    + generator = torch.Generator(logits.device).manual_seed(42)
    = return torch.multinomial(

has_no_case_for_zero
    a temperature of 0 is divided by
    believed: Dividing by less and less ends in greedy text. Dividing by 0 ends in nan.
    seen: RuntimeError: probability tensor contains either inf, nan or element < 0.
    - if temperature == 0:
    -     return logits.argmax(dim=-1)

takes_a_negative_temperature
    a negative temperature is accepted
    believed: Nobody asks for a negative temperature. It would put the unlikeliest first, so it must
        be refused.
    seen: Noise, and no error.
    - if temperature < 0:
    -     raise ValueError(
    -         "temperature must be at least 0, "
    -         f"got temperature={temperature}."
    -     )

returns_a_column
    a column (B, 1) comes back, not (B,)
    believed: multinomial returns one id for each row. It returns a column of them, (B, 1).
    seen: Shapes that do not fit, or a batch that is broadcast against itself.
    - return logits.argmax(dim=-1)
    + return logits.argmax(dim=-1, keepdim=True)

    - return torch.multinomial(
    -     wide.softmax(dim=-1), 1, generator=generator
    - ).squeeze(-1)
    + return torch.multinomial(wide.softmax(dim=-1), 1, generator=generator)

divides_in_half_precision
    the logits are divided in half precision, and overflow
    believed: Dividing needs little precision. But 7 / 0.0001 is more than float16 can hold, and
        infinity minus infinity is nan.
    seen: RuntimeError: probability tensor contains either inf, nan or element < 0, on a GPU.
    - wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    - # the highest stays at 0
    - wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    + wide = logits / temperature

divides_in_place
    the logits are divided in place
    believed: /= is short for dividing. But it writes into the tensor that was given.
    seen: Sampling twice from the same logits gives the temperature twice.
    - # the highest stays at 0
    - wide = (wide - wide.amax(dim=-1, keepdim=True)) / temperature
    + wide -= wide.amax(dim=-1, keepdim=True)  # the highest stays at 0
    + wide /= temperature

ignores_top_k
    top_k is ignored
    believed: An option works as soon as it is in the signature. When top_k is given, the logits
        must be filtered by it.
    seen: top_k=1 is not greedy.
    - if top_k is not None:
    -     wide = keep_top_k(wide, top_k)

filters_by_one_of_the_two
    top_p is left out when top_k is given
    believed: There is one filter at most. Both may be given, and then both act.
    seen: With top_k given, top_p changes nothing.
    - if top_p is not None:
    + elif top_p is not None:
""")


bugs("""generate:

reads_the_first_position
    the next token is read off the first position
    believed: logits[:, 0] is “the” prediction. It is the one after the first token.
    seen: The same token again and again: the first position never changes.
    - [ids, sample(logits[:, -1], **sampling)[:, None]], dim=1
    + [ids, sample(logits[:, 0], **sampling)[:, None]], dim=1

reads_the_position_before_the_last
    the next token is read off the position before the last
    believed: In training targets are one behind, so the last position has none. Here the last
        position is the one that looks into the future.
    seen: The last token of the prompt is said again, or something that would fit there.
    + last = max(logits.shape[1] - 2, 0)
    = ids = torch.cat(
    -     [ids, sample(logits[:, -1], **sampling)[:, None]], dim=1
    +     [ids, sample(logits[:, last], **sampling)[:, None]], dim=1

does_not_crop
    the text is not cropped to context_length
    believed: The model takes texts of any length. It has no position embeddings beyond its context.
    seen: An error as soon as the text is longer than the context.
    reported: huggingface/transformers#4542, Lightning-AI/litgpt#43
    - logits = model(ids[:, -model.config.context_length :])
    + logits = model(ids)

crops_the_end_off
    the model sees the beginning of a long text, not its end
    believed: A slice up to context_length has the right length. But it is the wrong end: the newest
        tokens must be seen.
    seen: Past the context the text repeats one token for ever.
    - logits = model(ids[:, -model.config.context_length :])
    + logits = model(ids[:, : model.config.context_length])

crops_one_too_many
    the model sees one token less than it could
    believed: There must be room for the new token. It is not an input yet, so the whole context can
        be used.
    seen: A slightly worse text past the context; nothing at all before.
    - logits = model(ids[:, -model.config.context_length :])
    + logits = model(
    +     ids[:, -max(model.config.context_length - 1, 1) :]
    + )

returns_the_cropped_text
    what is cropped off is missing in the result
    believed: ids = ids[…] crops for the model only. But it overwrites the text, which is to come
        back whole.
    seen: Long texts come back without their beginning.
    - logits = model(ids[:, -model.config.context_length :])
    + ids = ids[:, -model.config.context_length :]
    + logits = model(ids)

returns_without_the_prompt
    only the new tokens come back
    believed: The caller knows the prompt. The whole text is asked for, with the prompt in front.
    seen: The text begins in the middle of a sentence.
    = _check_prompt(ids, n_new)
    + n_prompt = ids.shape[1]

    - return ids
    + return ids[:, n_prompt:]

does_not_evaluate
    the model stays in training mode
    believed: A trained model needs no switch. It may be in training mode, and then dropout acts on
        the text.
    seen: Worse text than the loss promises, and greedy text that differs from run to run.
    reported: karpathy/nanoGPT#240
    - with _evaluating(model):
    + with torch.no_grad():

stays_in_evaluation
    the model is left in evaluation mode
    believed: eval() holds for this function. It holds until somebody calls train(): give back the
        mode that was.
    seen: After the first sample in a training run, dropout is off for good.
    - with _evaluating(model):
    + model.eval()
    + with torch.no_grad():

always_goes_back_to_training
    the model is put into training mode at the end, whatever it was
    believed: Whoever samples is training. The model may have been in evaluation: give back the mode
        that was.
    seen: The second call of an evaluated model, or its next loss, has dropout in it.
    - with _evaluating(model):
    + model.eval()
    + with torch.no_grad():

    + model.train()
    = return ids

restores_only_without_errors
    after an error the model's mode is not restored
    believed: The last line of a function is always reached. But an error leaves before it.
    seen: After an interrupted sample training goes on without dropout.
    - with _evaluating(model):
    + was_training = model.training
    + model.eval()
    + with torch.no_grad():

    + model.train(was_training)
    = return ids

keeps_recording_gradients
    gradients are recorded all along
    believed: eval() switches gradients off. It switches dropout off, and nothing else.
    seen: Memory grows with every call of the model.
    - with _evaluating(model):
    + was_training = model.training
    + model.eval()
    + try:

    + finally:
    +     model.train(was_training)
    = return ids

drops_the_options
    the options of sampling are dropped
    believed: Options work as soon as **sampling is in the signature. They must be passed on.
    seen: temperature=0 gives another text each time.
    - ids = torch.cat(
    -     [ids, sample(logits[:, -1], **sampling)[:, None]], dim=1
    - )
    + ids = torch.cat([ids, sample(logits[:, -1])[:, None]], dim=1)

drops_the_generator
    the generator is not passed on
    believed: Temperature, top_k, top_p: those are the options. The generator is one too.
    seen: The same seed gives another text each time.
    = _check_prompt(ids, n_new)
    + sampling.pop("generator", None)

gives_all_rows_one_token
    every row gets the first row's token
    believed: One new token serves the whole batch. Each text of it goes on by itself.
    seen: All texts of a batch go on in the same words.
    - ids = torch.cat(
    -     [ids, sample(logits[:, -1], **sampling)[:, None]], dim=1
    - )
    + new = sample(logits[:1, -1], **sampling).expand(len(ids))
    + ids = torch.cat([ids, new[:, None]], dim=1)

feeds_the_newest_token_alone
    the model is given the newest token alone
    believed: The model remembers what came before. It remembers nothing: that takes a cache.
    seen: Each token follows from the one before it, and from nothing else.
    + new = ids
    = with _evaluating(model):

    - logits = model(ids[:, -model.config.context_length :])
    + logits = model(new[:, -model.config.context_length :])

    +         new = ids[:, -1:]
    = return ids

feeds_the_prompt_alone
    the model is given the prompt alone, at every step
    believed: The prompt says what to write. But what has been written since belongs to the text as
        well.
    seen: Greedy text repeats one token; drawn text is a bag of first words.
    = _check_prompt(ids, n_new)
    + prompt = ids

    - logits = model(ids[:, -model.config.context_length :])
    + logits = model(prompt[:, -model.config.context_length :])

puts_new_tokens_in_front
    new tokens are put in front
    believed: cat knows what is new. It joins in the order given: the new token comes last.
    seen: Text that grows backwards.
    - [ids, sample(logits[:, -1], **sampling)[:, None]], dim=1
    + [sample(logits[:, -1], **sampling)[:, None], ids], dim=1

counts_the_prompt
    n_new counts the whole text, prompt included
    believed: n_new is the length of the whole text. It is the number of new tokens, whatever the
        prompt.
    seen: Short texts; with a long prompt nothing at all.
    - for _ in range(n_new):
    + while ids.shape[1] < n_new:

writes_one_too_many
    one token too many is written
    believed: A loop from 0 to n_new makes n_new steps. With both ends in it, it makes one more.
    seen: Texts one token longer than asked for.
    - for _ in range(n_new):
    + for _ in range(n_new + 1):

takes_an_empty_prompt
    an empty prompt is let through to the model
    believed: The model will complain of an empty prompt. It does, about something else: say here
        what is wrong.
    seen: IndexError: index -1 is out of bounds for dimension 1 with size 0.
    - _check_prompt(ids, n_new)
    + if n_new < 0:
    +     raise ValueError(f"n_new must be at least 0, got n_new={n_new}.")

takes_a_negative_n_new
    a negative n_new gives the prompt back
    believed: A loop over a negative range is an error. It is empty, so nobody hears of the mistake.
    seen: A mistake in the caller's arithmetic goes unnoticed.
    - _check_prompt(ids, n_new)
    + if ids.shape[1] == 0:
    +     raise ValueError(
    +         "ids must hold at least one token a row, "
    +         f"got shape {tuple(ids.shape)}."
    +     )
""")
