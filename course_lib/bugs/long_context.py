"""What goes wrong in lesson 11: wrong counts, wrong pairs, lost sums, and heads in wrong groups."""

from course_lib.transformer.masking import masked_softmax

from . import bugs

bugs("""attention_flops:

counts_half_of_the_operations
    half of it: one operation a multiply-add, or one product instead of two
    believed: A multiply-add is one step for the hardware. But it counts as two operations, and the
        weights times the values cost as much again as the scores.
    seen: The hardware seems to reach half of the speed that its maker promises.
    - return 4 * n_tokens**2 * d_model
    + return 2 * n_tokens**2 * d_model

counts_no_factor
    T²·C: one number for each score and channel, without the factor 4
    believed: T² scores with C channels each are T²·C operations. But they are multiply-adds, and
        there are two such products.
    seen: Estimated times are four times too short.
    - return 4 * n_tokens**2 * d_model
    + return n_tokens**2 * d_model

squares_the_width
    the width is squared instead of the length: 4·T·C²
    believed: The width is squared, as in the linear layers. But the scores are T×T: here it is the
        length.
    seen: The cost seems to grow no faster than the text.
    - return 4 * n_tokens**2 * d_model
    + return 4 * n_tokens * d_model**2

counts_the_linear_layers_too
    the linear layers are counted too: + 8·T·C²
    believed: Attention is the whole layer. Here its scores and weighted sums alone are asked for:
        what grows with the square of the length.
    seen: Far too much for short texts, nearly right for very long ones.
    - return 4 * n_tokens**2 * d_model
    + return 4 * n_tokens**2 * d_model + 8 * n_tokens * d_model**2

writes_a_caret
    ^ instead of **: in Python that is a bitwise exclusive or
    believed: ^ raises to a power, as on paper. In Python it compares bits.
    seen: A number that jumps about and is far too small.
    - return 4 * n_tokens**2 * d_model
    + return 4 * n_tokens ^ 2 * d_model

counts_operations_in_a_float
    a float comes back instead of an int
    believed: A large number may as well be a float. But a float holds about 16 digits, and then it
        rounds.
    seen: Prints as 4.9e+16; the last digits of large counts are wrong.
    - return 4 * n_tokens**2 * d_model
    + return 4.0 * n_tokens**2 * d_model

grows_with_the_length_alone
    linear in the length: 4·T·C
    believed: Each token is attended to once. It is attended to by each of the T tokens.
    seen: Twice the text seems to cost twice as much; it costs four times.
    - return 4 * n_tokens**2 * d_model
    + return 4 * n_tokens * d_model
""")


bugs("""attention_bytes:

forgets_the_heads
    the heads are forgotten: one T×T table instead of one a head
    believed: The heads share the channels, so together they cost what one costs. That holds for the
        operations; each has a table of its own.
    seen: Out of memory at a twelfth of what was planned for.
    - return n_heads * n_tokens**2 * bytes_per_element
    + return n_tokens**2 * bytes_per_element

counts_one_row_of_weights
    linear in the length: T numbers a head
    believed: There is one weight for each token. There is one for each pair of tokens.
    seen: Kilobytes are expected where gigabytes are needed.
    - return n_heads * n_tokens**2 * bytes_per_element
    + return n_tokens * n_heads * bytes_per_element

counts_weights_not_bytes
    numbers, not bytes: bytes_per_element is not used
    believed: Memory is how many numbers there are. But each takes two or four bytes.
    seen: Too little by a factor of 2 or 4.
    - return n_heads * n_tokens**2 * bytes_per_element
    + return n_heads * n_tokens**2

always_counts_four_bytes
    4 bytes a number, whatever bytes_per_element says
    believed: A number has four bytes. In half precision it has two.
    seen: Right for float32; twice too much for bfloat16.
    - return n_heads * n_tokens**2 * bytes_per_element
    + return n_heads * n_tokens**2 * 4

counts_bits
    bits instead of bytes: eight times too much
    believed: Memory is counted in bits, as a bandwidth is. Here it is counted in bytes, as
        bytes_per_element is.
    seen: Eight times too much.
    - return n_heads * n_tokens**2 * bytes_per_element
    + return n_heads * n_tokens**2 * bytes_per_element * 8

counts_scores_and_weights
    scores and weights are both counted: twice the table
    believed: There are two tables, before and after the softmax. What is asked for here is one of
        them, the weights.
    seen: Twice too much.
    - return n_heads * n_tokens**2 * bytes_per_element
    + return 2 * n_heads * n_tokens**2 * bytes_per_element

counts_the_triangle
    only the causal half is counted: T·(T + 1)/2 weights
    believed: What is masked takes no memory. But the table is square; the zeros stand in it.
    seen: Half of what is really taken.
    - return n_heads * n_tokens**2 * bytes_per_element
    + return n_heads * (n_tokens * (n_tokens + 1) // 2) * bytes_per_element

returns_mebibytes
    mebibytes come back, not bytes
    believed: Bytes are too small a unit to be meant. They are meant, as an int.
    seen: A float, a million times too small.
    - return n_heads * n_tokens**2 * bytes_per_element
    + return n_heads * n_tokens**2 * bytes_per_element / 2**20
""")


bugs("""kv_cache_bytes:

counts_keys_alone
    keys or values alone: the factor 2 is missing
    believed: A cache entry is a vector. It is two, a key and a value.
    seen: Out of memory at half of the length that was planned for.
    - return 2 * n_elements * bytes_per_element  # keys and values
    + return n_elements * bytes_per_element

counts_one_text
    batch_size is not used: the cache of one text
    believed: All texts share one cache. But each has keys and values of its own.
    seen: Right for one text; a server runs out of memory when users come.
    - n_elements = batch_size * n_layers * n_kv_heads * n_tokens * d_head
    + n_elements = n_layers * n_kv_heads * n_tokens * d_head

counts_one_layer
    n_layers is not used: the cache of one layer
    believed: The model has a cache. Each of its layers has one.
    seen: Too little by the number of layers.
    - n_elements = batch_size * n_layers * n_kv_heads * n_tokens * d_head
    + n_elements = batch_size * n_kv_heads * n_tokens * d_head

caches_the_weights
    quadratic in the length: T² instead of T
    believed: Attention is quadratic, and so is its cache. But it keeps keys and values, T of each,
        and no weights.
    seen: Terabytes for a book.
    - n_elements = batch_size * n_layers * n_kv_heads * n_tokens * d_head
    + n_elements = batch_size * n_layers * n_kv_heads * n_tokens**2 * d_head

caches_queries_too
    queries are counted as well: three tensors instead of two
    believed: Attention has q, k and v. But a query is used once, when it is made, and never again.
    seen: One and a half times too much.
    - return 2 * n_elements * bytes_per_element  # keys and values
    + return 3 * n_elements * bytes_per_element  # queries, keys and values

counts_cached_numbers
    numbers, not bytes: bytes_per_element is not used
    believed: Memory is how many numbers there are. But each takes two or four bytes.
    seen: Too little by a factor of 2 or 4.
    - return 2 * n_elements * bytes_per_element  # keys and values
    + return 2 * n_elements  # keys and values

counts_a_number_a_head
    d_head is not used: one number a head
    believed: A head keeps one key for each token. But the key is a vector of d_head numbers.
    seen: A hundred times too little.
    - n_elements = batch_size * n_layers * n_kv_heads * n_tokens * d_head
    + n_elements = batch_size * n_layers * n_kv_heads * n_tokens

requires_a_batch_size
    batch_size has no default
    believed: A function must be told everything. Here one text is the rule, and so the default.
    seen: TypeError 'missing 1 required keyword-only argument'.
    - batch_size: int = 1,
    + batch_size: int,
""")


bugs("""sinusoidal_positions:

puts_all_sines_first
    all sines first, then all cosines
    believed: The order of the channels does not matter. But trained weights expect one of them, and
        the formula has sine and cosine side by side.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (P, C/2, 2)
    - return waves.flatten(1).float()
    + return torch.cat([angles.sin(), angles.cos()], dim=-1).float()

begins_with_the_cosine
    cosine in the even channels, sine in the odd ones
    believed: Sine and cosine are the same wave, a quarter apart, so either may come first. The
        formula begins with the sine.
    seen: Trains as well as the right one; position 0 is 1, 0, 1, 0, ….
    - waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (P, C/2, 2)
    + waves = torch.stack([angles.cos(), angles.sin()], dim=-1)  # (P, C/2, 2)

doubles_the_exponent
    the exponent is doubled: 4i/C instead of 2i/C
    believed: The exponent is twice the channel over C. The 2 is in the channel already, for 2i is
        the channel of the sine.
    seen: Wavelengths up to a hundred million: half of the channels hardly ever move.
    - angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    + angles = positions[:, None] * 10000.0 ** (-2 * channels / d_model)

halves_the_exponent
    the exponent is halved: i/C instead of 2i/C
    believed: i counts the pairs, so the exponent is i/C. But there are only C/2 pairs, and it would
        end at one half.
    seen: Wavelengths up to a hundred only; distant positions look alike.
    - channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    - # (P, C/2)
    - angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    + pairs = torch.arange(d_model // 2, dtype=torch.float64)
    + angles = positions[:, None] * 10000.0 ** (-pairs / d_model)  # (P, C/2)

gives_each_channel_its_own_angle
    every channel has a wavelength of its own: c/C, not the pair's 2i/C
    believed: The exponent is the channel over C, for odd channels too. But sine and cosine of a
        pair share one angle: that makes a shift a rotation.
    seen: Looks right; the distance of two positions cannot be read from a pair any more.
    - channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    - # (P, C/2)
    - angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    - waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (P, C/2, 2)
    + channels = torch.arange(d_model, dtype=torch.float64)
    + angles = positions[:, None] * 10000.0 ** (-channels / d_model)  # (P, C)
    + # (P, C/2, 2)
    + waves = torch.stack(
    +     [angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=-1
    + )

multiplies_by_the_power
    the sign of the exponent: angles are multiplied by 10000^(2i/C)
    believed: Each pair is faster than the one before. It is slower: the power stands below the
        fraction line.
    seen: Waves so short that the values look like noise.
    - angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    + angles = positions[:, None] * 10000.0 ** (channels / d_model)

counts_positions_from_one
    positions are counted from 1
    believed: The first token is number 1. But all counting here starts at 0.
    seen: The whole table is shifted by a row.
    - positions = torch.arange(n_positions, dtype=torch.float64)
    + positions = torch.arange(1, n_positions + 1, dtype=torch.float64)

has_a_smaller_base
    the base is 1000 instead of 10000
    believed: The base is 1000. It is ten times that: a zero was lost.
    seen: Looks right; weights of other models, loaded, work badly.
    - angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    + angles = positions[:, None] * 1000.0 ** (-channels / d_model)

ends_at_the_longest_wave
    the exponent runs up to 1: divided by C/2 - 1, as some libraries do
    believed: The last pair has the wavelength 10000·2π exactly. In the paper's formula it stays
        below.
    seen: Nearly right in the first channels; with C = 2 a division by 0.
    - channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    - # (P, C/2)
    - angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    + pairs = torch.arange(d_model // 2, dtype=torch.float64)
    + step = math.log(10000.0) / (d_model // 2 - 1)
    + angles = positions[:, None] * torch.exp(-pairs * step)  # (P, C/2)

keeps_float64
    the table comes back in float64
    believed: More digits do no harm. But a float32 model plus a float64 table is a float64 tensor,
        which the next layer refuses.
    seen: 'expected mat1 and mat2 to have the same dtype' at the first linear layer.
    - return waves.flatten(1).float()
    + return waves.flatten(1)

has_sines_only
    sines only: the odd channels hold no cosine
    believed: One wave a channel is enough. But without the cosine a wave does not tell rising from
        falling.
    seen: Neighbouring channels are equal; position 0 is all zeros.
    - waves = torch.stack([angles.sin(), angles.cos()], dim=-1)  # (P, C/2, 2)
    + waves = torch.stack([angles.sin(), angles.sin()], dim=-1)  # (P, C/2, 2)
""")


bugs("""rotate:

pairs_the_halves
    channel i is paired with i + D/2, not with its neighbour
    believed: The two halves are paired, as in many libraries with weights to match. Here the
        channels 2i and 2i + 1 are a pair.
    seen: Trains as well as the right one. Weights of the other kind, loaded, give nonsense.
    - a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    - # (..., T, D/2, 2)
    - turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    - return turned.flatten(-2).to(x.dtype)
    + a, b = x.to(wide).chunk(2, dim=-1)
    + # (..., T, D)
    + turned = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
    + return turned.to(x.dtype)

joins_the_halves
    neighbours are turned, but come back in halves: all a, then all b
    believed: cat puts the partners together again. It puts all first ones in front; each must stand
        beside its own again.
    seen: Trains, and loaded weights do well: queries and keys are mixed up alike. Nonsense where
        its keys meet queries that another program has turned.
    - # (..., T, D/2, 2)
    - turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    - return turned.flatten(-2).to(x.dtype)
    + # (..., T, D)
    + turned = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
    + return turned.to(x.dtype)

turns_the_other_way
    turned the other way: the sign of the sine is wrong
    believed: The minus may stand in either line. It decides the direction.
    seen: Distances come out right, so it trains; loaded weights read the text backwards.
    - turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    + turned = torch.stack([a * cos + b * sin, b * cos - a * sin], dim=-1)

turns_without_the_minus
    no minus at all: (a cos + b sin, a sin + b cos)
    believed: The two lines are alike. But with two plus signs it is no rotation.
    seen: Lengths change with the position; pairs collapse where sine and cosine are equal.
    - turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    + turned = torch.stack([a * cos + b * sin, a * sin + b * cos], dim=-1)

overwrites_the_first_partner
    the second line uses the a that was turned already
    believed: a may be overwritten before b is made. But the second line needs the old a.
    seen: Right at position 0; lengths change elsewhere.
    - # (..., T, D/2, 2)
    - turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1)
    + a = a * cos - b * sin
    + b = a * sin + b * cos
    + turned = torch.stack([a, b], dim=-1)  # (..., T, D/2, 2)

turns_by_the_row
    positions are not used: row t turns by t
    believed: The rows are the positions. But with a cache, a single row may stand anywhere.
    seen: Right without a cache; with one, every new token believes it is the first.
    - angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    + rows = torch.arange(x.shape[-2], device=x.device)
    + angles = rows[:, None].double() * base**-exponents  # (T, D/2)

ignores_the_base
    base is not used: it is always 10000
    believed: 10000 is part of the formula. But models for long texts take a larger base.
    seen: Loaded weights of such a model get worse the longer the text.
    - angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    + angles = positions[:, None].double() * 10000.0**-exponents  # (T, D/2)

halves_the_exponent_of_the_base
    the exponent is halved: i/D instead of 2i/D
    believed: i counts the pairs, so the exponent is i/D. But there are only D/2 pairs, and it would
        end at one half.
    seen: Slow pairs turn too fast: distant positions look alike.
    - torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device)
    + torch.arange(d_head // 2, dtype=torch.float64, device=x.device)

doubles_the_exponent_of_the_base
    the exponent is doubled: 4i/D instead of 2i/D
    believed: The exponent is twice the channel over D. The 2 is in the channel already, for 2i is
        the first channel of the pair.
    seen: Half of the pairs hardly turn at all.
    - angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    + # (T, D/2)
    + angles = positions[:, None].double() * base ** (-2 * exponents)

turns_faster_and_faster
    the sign of the exponent: angles are multiplied by base^(2i/D)
    believed: Each pair turns faster than the one before. It turns more slowly: the exponent has a
        minus.
    seen: Angles in the thousands from one position to the next: noise.
    - angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    + angles = positions[:, None].double() * base**exponents  # (T, D/2)

turns_all_pairs_alike
    all pairs turn by the same angle
    believed: The position is the angle. But then positions 0 and 44 look alike, as 44 is nearly
        seven whole turns: each pair has its own speed.
    seen: Distances repeat every 6.28 positions.
    - exponents = (
    -     torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device)
    -     / d_head
    - )
    - angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    + angles = positions[:, None].double()  # (T, 1)

turns_one_too_far
    positions are counted from 1
    believed: The first token is number 1. Distances stay right, but keys that a cache or another
        program has turned no longer fit.
    seen: Nothing, until keys of another program meet these queries.
    - angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    + # (T, D/2)
    + angles = (positions[:, None].double() + 1) * base**-exponents

makes_angles_in_half_precision
    angles in the dtype of x: half precision does not hold them
    believed: Everything should have one dtype. But in bfloat16 position 3001 is 3008: angles need a
        wide one.
    seen: Right in float32; in half precision long texts get worse with every thousand.
    -     torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device)
    -     / d_head
    +     torch.arange(0, d_head, 2, dtype=x.dtype, device=x.device) / d_head
    = )
    - angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    + angles = positions[:, None].to(x.dtype) * base**-exponents  # (T, D/2)

returns_the_wide_dtype
    half precision comes back as float32
    believed: The angles are float32, and so is the product. But the caller works in the dtype of x.
    seen: 'expected … to have the same dtype' where the queries meet a bfloat16 cache.
    - return turned.flatten(-2).to(x.dtype)
    + return turned.flatten(-2)

turns_by_head
    the angles belong to the axis before the positions
    believed: The positions are axis 1, as in (B, T, H, D). Here heads come before positions: (...,
        T, D).
    seen: An error, or, with as many heads as positions, heads that turn instead.
    - angles = positions[:, None].double() * base**-exponents  # (T, D/2)
    + # (T, 1, D/2)
    + angles = positions[:, None, None].double() * base**-exponents

expects_even_channels
    an odd number of channels is not refused
    believed: Slices fit anyway. But with D = 5 there are three first partners and two second ones:
        refuse it.
    seen: RuntimeError about sizes 3 and 2, far from the cause.
    - if d_head % 2 != 0:
    -     raise ValueError(
    -         f"x must have an even number of channels, got D={d_head}."
    -     )

leaves_the_last_channel
    the last channel of an odd number is left as it is
    believed: What has no partner does not turn. But an odd width is a mistake of the caller, who
        should hear of it.
    seen: No error, and one channel that knows nothing of positions.
    - d_head = x.shape[-1]
    - if d_head % 2 != 0:
    -     raise ValueError(
    -         f"x must have an even number of channels, got D={d_head}."
    -     )
    + d_head = x.shape[-1] // 2 * 2

    - a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    + a, b = x[..., 0:d_head:2].to(wide), x[..., 1:d_head:2].to(wide)

    - return turned.flatten(-2).to(x.dtype)
    + return torch.cat(
    +     [turned.flatten(-2).to(x.dtype), x[..., d_head:]], dim=-1
    + )

turns_x_itself
    the result is written into x
    believed: x is not needed any more. It is the caller's, who may still need it.
    seen: The second call turns what was turned already; gradients raise an error.
    - return turned.flatten(-2).to(x.dtype)
    + return x.copy_(turned.flatten(-2))
""")


bugs("""sliding_window_mask:

sees_one_too_many
    one key too many: window + 1 keys, the query's own not counted
    believed: The window counts what lies before. But the query's own key is one of the window.
    seen: A cache of `window` entries lacks the oldest one.
    - return causal & causal.new_ones(causal.shape).triu(
    -     n_before - window + 1
    - )
    + return causal & causal.new_ones(causal.shape).triu(n_before - window)

sees_one_too_few
    one key too few: the oldest of the window is missing
    believed: A key must be less than window - 1 back. Distances from 0 to window - 1 make `window`
        keys.
    seen: With window=1 nothing may be read, and the rows are empty.
    - n_before - window + 1
    + n_before - window + 2

looks_both_ways
    the window reaches into the future as well
    believed: A window lies around its query. But it must be causal too: no later key is in it.
    seen: The loss falls too far, and the model writes nonsense: it has seen the answer.
    - return causal & causal.new_ones(causal.shape).triu(
    -     n_before - window + 1
    - )
    + not_too_old = causal.new_ones(causal.shape).triu(n_before - window + 1)
    + return not_too_old.tril(n_before + window - 1)

forgets_the_window
    the window is ignored: a causal mask
    believed: A causal mask will do, and the rest is saved by itself. The mask must also hide what
        lies too far back.
    seen: The cost is that of full attention.
    - n_before = causal.shape[1] - n_queries
    - return causal & causal.new_ones(causal.shape).triu(
    -     n_before - window + 1
    - )
    + return causal

aligns_the_window_top_left
    with more keys than queries, the queries are taken for the first positions
    believed: Row t is position t. But with a cache, the queries are the last positions.
    seen: Right without a cache. With one, each new token sees the first tokens alone.
    reported: pytorch/pytorch#108108, rasbt/LLMs-from-scratch#697
    - n_before = causal.shape[1] - n_queries
    - return causal & causal.new_ones(causal.shape).triu(
    -     n_before - window + 1
    - )
    + ones = causal.new_ones(causal.shape)
    + return ones.tril() & ones.triu(1 - window)

shifts_one_edge_alone
    the causal edge is shifted for a cache, the far edge of the window is not
    believed: causal_mask knows that the queries are the last positions, and that is enough. The far
        edge of the window must be moved as well.
    seen: Right without a cache. With one, the window is longer than it should be.
    - n_before = causal.shape[1] - n_queries
    - return causal & causal.new_ones(causal.shape).triu(
    -     n_before - window + 1
    - )
    + return causal & causal.new_ones(causal.shape).triu(1 - window)

marks_what_is_outside
    the mask was inverted: True where a query may not look
    believed: True is taken for 'hide this'. Here True means may attend.
    seen: Every query sees the future and the far past, and nothing near.
    reported: rasbt/LLMs-from-scratch#1061
    - return causal & causal.new_ones(causal.shape).triu(
    -     n_before - window + 1
    + return ~(
    +     causal & causal.new_ones(causal.shape).triu(n_before - window + 1)

cuts_the_text_into_pieces
    fixed pieces instead of a window: a query sees its own piece of the text
    believed: The text is cut into windows. But a sliding one moves with the query.
    seen: The first token of each piece sees nothing but itself.
    - return causal & causal.new_ones(causal.shape).triu(
    -     n_before - window + 1
    - )
    + piece = torch.arange(causal.shape[1], device=device) // window
    + return causal & (piece == piece[n_before:, None])

keeps_the_last_keys_for_all
    all queries share the last `window` keys of the text
    believed: The window is the newest keys of the text. It is the newest keys for each query: those
        up to its own.
    seen: Early queries may look at nothing at all.
    - n_before = causal.shape[1] - n_queries
    - return causal & causal.new_ones(causal.shape).triu(
    -     n_before - window + 1
    - )
    + places = torch.arange(causal.shape[1], device=device)
    + return causal & (places >= causal.shape[1] - window)

accepts_an_empty_window
    a window below 1 is not refused
    believed: Nobody asks for an empty window. An off-by-one in the caller does, and every row is
        empty: refuse it.
    seen: No error; all outputs of the layer are its bias.
    - if window < 1:
    -     raise ValueError(f"window must be at least 1, got window={window}.")

accepts_fewer_keys
    fewer keys than queries are not refused
    believed: The formula gives something for any sizes. But the first queries would have no
        position to stand at, and empty rows.
    seen: No error; some outputs are zeros.
    - causal = causal_mask(n_queries, n_keys, device=device)
    - n_before = causal.shape[1] - n_queries
    + n_keys = n_queries if n_keys is None else n_keys
    + n_before = n_keys - n_queries
    + causal = torch.ones(
    +     n_queries, n_keys, dtype=torch.bool, device=device
    + ).tril(n_before)

ignores_the_device_of_the_window
    the mask is made on the default device
    believed: A new tensor goes where it is needed. It goes to the CPU unless told otherwise.
    seen: 'expected all tensors to be on the same device' on a GPU.
    reported: facebookresearch/xformers#66
    - causal = causal_mask(n_queries, n_keys, device=device)
    + causal = causal_mask(n_queries, n_keys)
""")


bugs("""blockwise_attention:

never_rescales
    nothing shrinks when a higher score turns up
    believed: Each block's exponentials can simply be added up. But they were taken relative to
        another maximum, and must be made to fit the new one.
    seen: Right with one block; otherwise early keys weigh too much.
    - shrink = torch.exp(highest - new_highest)
    - sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
    - output = output * shrink + weights @ v[..., block, :].to(wide)
    + sums = sums + weights.sum(dim=-1, keepdim=True)
    + output = output + weights @ v[..., block, :].to(wide)

rescales_the_sum_alone
    the sum shrinks when a higher score turns up, the weighted sum of values does not
    believed: Only the sum of the exponentials has to follow the maximum. The sum of the values they
        weigh has to as well.
    seen: Outputs are too large, and the more so the later the maximum comes.
    - output = output * shrink + weights @ v[..., block, :].to(wide)
    + output = output + weights @ v[..., block, :].to(wide)

rescales_the_output_alone
    the weighted sum of values shrinks when a higher score turns up, the sum does not
    believed: Only the weighted sum of values has to follow the maximum. The sum of the exponentials
        has to as well.
    seen: Outputs are too small, and the more so the later the maximum comes.
    - sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
    + sums = sums + weights.sum(dim=-1, keepdim=True)

rescales_upside_down
    shrinks by exp(new - old), which makes it grow
    believed: The two maxima may be subtracted in either order. But what was summed must shrink when
        the maximum grows.
    seen: Early keys win; large scores give inf and nan.
    - shrink = torch.exp(highest - new_highest)
    + shrink = torch.exp(new_highest - highest) if start > 0 else 1.0

averages_the_blocks
    each block is normalised by itself, and the blocks' outputs are averaged
    believed: The average of averages is the average. But blocks with little weight have to count
        less.
    seen: Right with one block. Every block has the same say, however unimportant.
    - new_highest = torch.maximum(
    -     highest, scores.amax(dim=-1, keepdim=True)
    - )
    - weights = torch.exp(scores - new_highest)
    - shrink = torch.exp(highest - new_highest)
    - sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
    - output = output * shrink + weights @ v[..., block, :].to(wide)
    - highest = new_highest
    + weights = masked_softmax(scores, scores > -math.inf)
    + # how many blocks: each sums to 1
    + sums = sums + weights.sum(dim=-1, keepdim=True)
    + output = output + weights @ v[..., block, :].to(wide)

subtracts_no_maximum
    no maximum is subtracted: large scores overflow
    believed: The maximum cancels in the quotient, so it may be left out. But before the quotient
        there is an exponential, and exp(1000) is infinite.
    seen: Right for small scores; nan or zeros divided by zeros for large ones.
    - new_highest = torch.maximum(
    -     highest, scores.amax(dim=-1, keepdim=True)
    - )
    - weights = torch.exp(scores - new_highest)
    - shrink = torch.exp(highest - new_highest)
    - sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
    - output = output * shrink + weights @ v[..., block, :].to(wide)
    - highest = new_highest
    + weights = torch.exp(scores)
    + sums = sums + weights.sum(dim=-1, keepdim=True)
    + output = output + weights @ v[..., block, :].to(wide)

keeps_the_first_maximum
    the maximum of the first block is kept for all blocks
    believed: Any number close to the maximum will do. But a later score may be far higher than all
        of the first block.
    seen: Right for small scores; nan as soon as a later block has a much larger one.
    - new_highest = torch.maximum(
    -     highest, scores.amax(dim=-1, keepdim=True)
    + new_highest = (
    +     highest if start > 0 else scores.amax(dim=-1, keepdim=True)

starts_the_maximum_at_zero
    the running maximum starts at 0 instead of minus infinity
    believed: A running maximum may start at 0. But if all scores are far below, it stays at 0, and
        every exponential is 0.
    seen: nan where all scores of a query are below -100 or so; right elsewhere.
    - highest = q.new_full((*q.shape[:-1], 1), -math.inf)  # (..., T, 1)
    + highest = q.new_zeros((*q.shape[:-1], 1))

keeps_each_blocks_own_maximum
    a block's exponentials are taken relative to its own maximum, not the running one
    believed: Each block's own maximum will do. But what is added up must be relative to one
        maximum: the highest so far.
    seen: Blocks of low scores weigh as much as blocks of high ones.
    - weights = torch.exp(scores - new_highest)
    + of_block = scores.amax(dim=-1, keepdim=True).clamp(
    +     min=torch.finfo(wide).min
    + )
    + weights = torch.exp(scores - of_block)

shares_one_maximum
    one maximum for all queries instead of one for each
    believed: Any common number cancels, so one maximum serves all queries. But queries whose scores
        are far below it are left with 0/0.
    seen: Right for small scores; nan for queries with low ones.
    - new_highest = torch.maximum(
    -     highest, scores.amax(dim=-1, keepdim=True)
    - )
    + new_highest = torch.maximum(highest, scores.max())

never_divides_by_the_sum
    never divided by the sum of the exponentials
    believed: Exponentials are the weights. They are weights only once they sum to 1.
    seen: Outputs grow with the number of keys.
    - return (output / sums).to(v.dtype)
    + return output.to(v.dtype)

drops_the_last_block
    the last, shorter block is left out
    believed: S // block_size is the number of blocks. With a remainder there is one more.
    seen: Right where the block size divides S; elsewhere the last keys are never read.
    - for start in range(0, n_keys, block_size):
    + for start in range(0, n_keys - block_size + 1, block_size):

aligns_blocks_top_left
    causal with more keys than queries: the queries are taken for the first positions
    believed: Row t is position t. But with a cache, the queries are the last positions.
    seen: Right without a cache. With one, the newest keys are never read.
    reported: pytorch/pytorch#108108, rasbt/LLMs-from-scratch#697
    - own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[
    -     :, None
    - ]
    + own_place = torch.arange(n_queries, device=q.device)[:, None]

ignores_causal_in_blocks
    causal is ignored: every query sees every key
    believed: A block needs no mask, as it is only a part of the keys. With causal it does: keys
        after a query are hidden from it.
    seen: The loss falls too far, and the model writes nonsense: it has seen the answer.
    - if causal:
    -     places = torch.arange(
    -         start, start + scores.shape[-1], device=q.device
    -     )
    -     scores = scores.masked_fill(places > own_place, -math.inf)

counts_places_within_the_block
    each block's mask counts its keys from 0 again
    believed: The keys of a block are numbered from 0. Within the block they are; their places in
        the text begin where the block does.
    seen: Right with one block; with more, each query sees the future of later blocks.
    - places = torch.arange(
    -     start, start + scores.shape[-1], device=q.device
    - )
    + places = torch.arange(scores.shape[-1], device=q.device)

hides_the_own_key
    a query's own key is hidden from it
    believed: A query may look at what came before it. It may look at itself as well.
    seen: The first query has nothing to look at: nan.
    - scores = scores.masked_fill(places > own_place, -math.inf)
    + scores = scores.masked_fill(places >= own_place, -math.inf)

masks_with_ten_thousand
    masked scores become -1e4, which a real score can be below
    believed: -1e4 is as good as minus infinity. A visible score may be lower still, and then the
        hidden key wins.
    seen: Right for usual scores; with very low ones the future comes through.
    - scores = scores.masked_fill(places > own_place, -math.inf)
    + scores = scores.masked_fill(places > own_place, -1e4)

makes_all_scores
    all T×S scores are made at once
    believed: Only the result counts. But the point is the memory: never more than block_size keys
        at a time.
    seen: Right, and out of memory for a long text.
    + block_size = n_keys  # one block
    = for start in range(0, n_keys, block_size):

makes_the_whole_mask
    the whole T×S mask is made at once, though the scores are not
    believed: A mask costs next to nothing. But it has a byte for each pair of query and key: make a
        piece for each block.
    seen: Right, and out of memory for a text twice as long as with all scores.
    - own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[
    -     :, None
    - ]
    + mask = (
    +     causal_mask(n_queries, n_keys, device=q.device) if causal else None
    + )

    - places = torch.arange(
    -     start, start + scores.shape[-1], device=q.device
    - )
    - scores = scores.masked_fill(places > own_place, -math.inf)
    + scores = scores.masked_fill(~mask[:, block], -math.inf)

accumulates_in_half_precision
    sums over blocks are kept in half precision
    believed: Everything should have the dtype of q. But in bfloat16, 256 + 1 is 256: sums are kept
        wide.
    seen: Right in float32; in half precision worse the more blocks there are.
    - wide = torch.promote_types(q.dtype, torch.float32)
    + wide = q.dtype

computes_in_float32_always
    always computed in float32: float64 loses half of its digits
    believed: .float() makes wide numbers. But of float64 it makes narrow ones.
    seen: Agrees to seven digits in float64, and not to fifteen; gradcheck fails.
    - wide = torch.promote_types(q.dtype, torch.float32)
    + wide = torch.float32

returns_the_accumulators_dtype
    half precision comes back as float32
    believed: The sums are float32, and so is the result. But the caller works in half precision: go
        back at the end.
    seen: 'expected … to have the same dtype' at the next layer.
    - return (output / sums).to(v.dtype)
    + return output / sums

forgets_the_scale_of_blocks
    the scores are not divided by sqrt(D)
    believed: The scale comes from somewhere else. Here is all of attention, so the scores must be
        divided here.
    seen: The weights are too sharp, the more so the wider the heads.
    reported: delzac/cntkx#10
    - q = q.to(wide) / math.sqrt(q.shape[-1])
    + q = q.to(wide)

leaves_the_block_size_to_range
    a block_size below 1 is not refused by name
    believed: range() refuses a bad block_size. It refuses 0; with a negative one it just makes no
        step.
    seen: 'range() arg 3 must not be zero', or nan everywhere.
    - if block_size < 1:
    -     raise ValueError(
    -         f"block_size must be at least 1, got block_size={block_size}."
    -     )

accepts_more_queries_than_keys
    causal with more queries than keys is not refused
    believed: The formula gives something for any sizes. But the first queries would have no
        position to stand at, and get nan.
    seen: nan in the first rows.
    -     )
    - if causal and n_queries > n_keys:
    -     raise ValueError(
    -         f"causal needs T <= S, got T={n_queries} and S={n_keys}."

loops_without_gradients
    no gradients: the loop ran under no_grad
    believed: The running sums need no graph. But the result is made of them, and needs one.
    seen: 'does not require grad', or a layer that never learns.
    + @torch.no_grad()
    = def blockwise_attention(

scales_the_callers_queries
    q was scaled in place
    believed: q /= … only saves memory. It writes into the caller's queries.
    seen: A second call gives another result; gradients raise an error.
    - q = q.to(wide) / math.sqrt(q.shape[-1])
    + q /= math.sqrt(q.shape[-1])
    + q = q.to(wide)
""")


bugs("""GroupedQueryAttention:

RepeatsHeadsInTurn
    head h reads key head h % n_kv_heads: repeated in the wrong order
    believed: repeat makes as many heads as are needed. But it puts 0, 1, 0, 1 where 0, 0, 1, 1 is
        wanted.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(
    -     group, dim=-3
    - )
    - v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(
    -     group, dim=-3
    + k = split_heads(self.key(x), self.n_kv_heads).repeat(1, group, 1, 1)
    + v = split_heads(self.value(x), self.n_kv_heads).repeat(
    +     1, group, 1, 1

RepeatsValuesInTurn
    keys in groups, values in turn: a head reads values of another head
    believed: Keys and values may be repeated either way. But they must be repeated alike:
        neighbours share a head.
    seen: Each head looks in the right place and takes what stands elsewhere.
    - v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(
    -     group, dim=-3
    + v = split_heads(self.value(x), self.n_kv_heads).repeat(
    +     1, group, 1, 1

ReadsTheFirstKeyHead
    all heads read the first key head: multi-query attention
    believed: Shared means shared by all. n_kv_heads says how many heads there are to share.
    seen: The other key heads never get a gradient.
    - group = self.n_heads // self.n_kv_heads
    = q = split_heads(self.query(x), self.n_heads)
    - k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(
    -     group, dim=-3
    - )
    - v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(
    -     group, dim=-3
    - )
    + k = split_heads(self.key(x), self.n_kv_heads)[:, :1]
    + v = split_heads(self.value(x), self.n_kv_heads)[:, :1]

MakesAllKeyHeads
    key and value are as wide as query: C -> C, nothing is shared
    believed: Sharing is a matter of forward. It begins with the layers: key and value make
        n_kv_heads heads and no more.
    seen: Parameters and cache of multi-head attention; checkpoints do not fit.
    - d_kv = n_kv_heads * (d_model // n_heads)
    + d_kv = d_model

WidensTheKeyHeads
    key and value are C / n_kv_heads wide instead of n_kv_heads·D
    believed: Fewer key heads, fewer channels: C is divided by their number. But each of them is as
        wide as a query's head, so their widths add up.
    seen: Right where n_kv_heads² is n_heads; elsewhere an error about shapes in forward.
    - d_kv = n_kv_heads * (d_model // n_heads)
    + d_kv = d_model // n_kv_heads

TakesTextsForGroups
    the mask got no axis for the heads: texts are taken for heads
    believed: A mask (B, T, S) broadcasts by itself. But axes meet from the right, so its texts meet
        the heads: it needs an axis for them.
    seen: An error, unless B = H: then head h wears the mask of text h.
    - if mask is not None:
    -     mask = mask.unsqueeze(-3)

ForgetsTheMaskOfTheGroups
    the mask is not used
    believed: Sharing keys has nothing to do with the mask, so it may be left out. It must be passed
        on to attention.
    seen: The loss falls too far, and the model writes nonsense: it has seen the answer.
    - output, _ = masked_attention(q, k, v, mask)
    + output, _ = masked_attention(q, k, v)

HidesWhatMayBeRead
    the mask is read the wrong way round: True hides
    believed: True is taken for 'hide this'. Here True means may attend.
    seen: Each query sees the future alone, and the last one nothing.
    reported: rasbt/LLMs-from-scratch#1061
    - mask = mask.unsqueeze(-3)
    + mask = ~mask.unsqueeze(-3)

GroupsAreAlwaysCausal
    always causal, with or without a mask
    believed: A language model is causal, so this layer is. It is only what the caller's mask makes
        of it.
    seen: Right in a language model; wrong where every token may see every other.
    + causal = causal_mask(x.shape[-2], device=x.device)
    + mask = causal if mask is None else causal & mask
    = output, _ = masked_attention(q, k, v, mask)

ExchangesKeyAndValue
    key and value are exchanged
    believed: Key and value may change places, as both have one shape. Saved weights tell them
        apart: each has its layer.
    seen: Trains as well as the right one. Weights of other models, loaded, give nonsense.
    - output, _ = masked_attention(q, k, v, mask)
    + output, _ = masked_attention(q, v, k, mask)

GroupsLeaveOutOut
    the heads' results do not go through out
    believed: Merging the heads is the end. But then their results lie side by side, and nothing has
        mixed them.
    seen: out never gets a gradient.
    reported: Kyubyong/transformer#17
    - return self.out(merge_heads(output))
    + return merge_heads(output)

ScalesByAllKeyHeads
    scaled by the width of all key heads together, not by that of one head
    believed: The keys are n_kv_heads·D wide, and the scale follows. But each dot product runs over
        the D channels of a head.
    seen: Weights are too even; right with a single key head.
    - q = split_heads(self.query(x), self.n_heads)
    + q = split_heads(self.query(x), self.n_heads) / math.sqrt(
    +     self.n_kv_heads
    + )

ScalesGroupsByTheModel
    scaled by 1/sqrt(C) instead of 1/sqrt(D)
    believed: The model is C wide, and the scale follows. But each dot product runs over the D
        channels of a head.
    seen: Weights are too even; the model learns, only more slowly.
    reported: karpathy/ng-video-lecture#6
    - q = split_heads(self.query(x), self.n_heads)
    + q = split_heads(self.query(x), self.n_heads) / math.sqrt(
    +     self.n_heads
    + )

JoinsGroupsByAReshape
    the heads are joined by a reshape alone, across positions
    believed: The shape (B, T, C) is right, so the content is. But head 0 of all positions stands
        first in memory: transpose first.
    seen: No error, and the loss still falls; with causal masks the future leaks.
    reported: jsbaan/transformer-from-scratch#6
    - return self.out(merge_heads(output))
    + return self.out(output.reshape(x.shape))

KeepsBiasesOfTheKeys
    bias=False is ignored by key and value
    believed: bias=False is about query and out. It is about all four layers.
    seen: Missing keys when a checkpoint without biases is loaded.
    - self.key = nn.Linear(d_model, d_kv, bias=bias)
    - self.value = nn.Linear(d_model, d_kv, bias=bias)
    + self.key = nn.Linear(d_model, d_kv)
    + self.value = nn.Linear(d_model, d_kv)

AcceptsUnevenGroups
    n_kv_heads that does not divide n_heads is not refused
    believed: H // n_kv_heads is the size of a group in any case. With a remainder some heads have
        no group, so it must be refused.
    seen: RuntimeError about sizes in forward, far from the cause.
    -     )
    - if n_heads % n_kv_heads != 0:
    -     raise ValueError(
    -         "n_kv_heads must divide n_heads, "
    -         f"got n_kv_heads={n_kv_heads} "
    -         f"and n_heads={n_heads}."

AcceptsUnevenHeads
    n_heads that does not divide d_model is not refused
    believed: C // H is the width of a head in any case. With a remainder some channels are left
        over, so it must be refused.
    seen: An error in forward, when a model is long built.
    - if d_model % n_heads != 0:
    -     raise ValueError(
    -         "n_heads must divide d_model, "
    -         f"got n_heads={n_heads} and d_model={d_model}."
    -     )
""")
