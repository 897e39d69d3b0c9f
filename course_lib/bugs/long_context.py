"""What goes wrong in lesson 11: wrong counts, wrong pairs, lost sums, and heads in wrong groups."""

import math

import torch
from torch import nn

from course_lib.transformer.long_context import blockwise_attention, rotate, sliding_window_mask
from course_lib.transformer.masking import causal_mask, masked_attention
from course_lib.transformer.multihead import merge_heads, split_heads

from . import bug

# --- attention_flops -------------------------------------------------------------------------


@bug(
    "attention_flops",
    title="half of it: one operation a multiply-add, or one product instead of two",
    misconception="A multiply-add is one step for the hardware. It counts as two operations, and "
    "the weights times the values cost as much again as the scores.",
    symptom="The hardware seems to reach half of the speed that its maker promises.",
)
def counts_half_of_the_operations(n_tokens, d_model):
    return 2 * n_tokens**2 * d_model


@bug(
    "attention_flops",
    title="T²·C: one number for each score and channel, without the factor 4",
    misconception="T² scores with C channels each are T²·C operations. They are multiply-adds, "
    "in two products.",
    symptom="Estimated times are four times too short.",
)
def counts_no_factor(n_tokens, d_model):
    return n_tokens**2 * d_model


@bug(
    "attention_flops",
    title="the width is squared instead of the length: 4·T·C²",
    misconception="The square belongs to the matrices. Those of the linear layers are C×C; the "
    "scores are T×T.",
    symptom="The cost seems to grow no faster than the text.",
)
def squares_the_width(n_tokens, d_model):
    return 4 * n_tokens * d_model**2


@bug(
    "attention_flops",
    title="the linear layers are counted too: + 8·T·C²",
    misconception="Attention is the whole layer. Here its scores and weighted sums alone are "
    "asked for: what grows with the square of the length.",
    symptom="Far too much for short texts, nearly right for very long ones.",
)
def counts_the_linear_layers_too(n_tokens, d_model):
    return 4 * n_tokens**2 * d_model + 8 * n_tokens * d_model**2


@bug(
    "attention_flops",
    title="^ instead of **: in Python that is a bitwise exclusive or",
    misconception="^ raises to a power, as on paper. In Python it compares bits.",
    symptom="A number that jumps about and is far too small.",
)
def writes_a_caret(n_tokens, d_model):
    return 4 * n_tokens ^ 2 * d_model


@bug(
    "attention_flops",
    title="a float comes back instead of an int",
    misconception="Large numbers are floats: 4e0, or a division. A float holds 16 digits, and "
    "then it rounds.",
    symptom="Prints as 4.9e+16; the last digits of large counts are wrong.",
)
def counts_operations_in_a_float(n_tokens, d_model):
    return 4.0 * n_tokens**2 * d_model


@bug(
    "attention_flops",
    title="linear in the length: 4·T·C",
    misconception="Each token is attended to once. It is, by each of the other tokens.",
    symptom="Twice the text seems to cost twice as much; it costs four times.",
)
def grows_with_the_length_alone(n_tokens, d_model):
    return 4 * n_tokens * d_model


# --- attention_bytes -------------------------------------------------------------------------


@bug(
    "attention_bytes",
    title="the heads are forgotten: one T×T table instead of one a head",
    misconception="The heads share the channels, so together they cost what one costs. They "
    "share the operations; each has a table of its own.",
    symptom="Out of memory at a twelfth of what was planned for.",
)
def forgets_the_heads(n_tokens, n_heads, bytes_per_element):
    return n_tokens**2 * bytes_per_element


@bug(
    "attention_bytes",
    title="linear in the length: T numbers a head",
    misconception="A weight for each token. For each pair of tokens.",
    symptom="Kilobytes are expected where gigabytes are needed.",
)
def counts_one_row_of_weights(n_tokens, n_heads, bytes_per_element):
    return n_tokens * n_heads * bytes_per_element


@bug(
    "attention_bytes",
    title="numbers, not bytes: bytes_per_element is not used",
    misconception="Memory is how many numbers there are. Each takes two or four bytes.",
    symptom="Too little by a factor of 2 or 4.",
)
def counts_weights_not_bytes(n_tokens, n_heads, bytes_per_element):
    return n_heads * n_tokens**2


@bug(
    "attention_bytes",
    title="4 bytes a number, whatever bytes_per_element says",
    misconception="A number has four bytes. In half precision it has two.",
    symptom="Right for float32; twice too much for bfloat16.",
)
def always_counts_four_bytes(n_tokens, n_heads, bytes_per_element):
    return n_heads * n_tokens**2 * 4


@bug(
    "attention_bytes",
    title="bits instead of bytes: eight times too much",
    misconception="bytes_per_element is turned into bits, as for a bandwidth.",
    symptom="Eight times too much.",
)
def counts_bits(n_tokens, n_heads, bytes_per_element):
    return n_heads * n_tokens**2 * bytes_per_element * 8


@bug(
    "attention_bytes",
    title="scores and weights are both counted: twice the table",
    misconception="There are two tables, before and after the softmax. What is asked for here is "
    "one of them, the weights.",
    symptom="Twice too much.",
)
def counts_scores_and_weights(n_tokens, n_heads, bytes_per_element):
    return 2 * n_heads * n_tokens**2 * bytes_per_element


@bug(
    "attention_bytes",
    title="only the causal half is counted: T·(T + 1)/2 weights",
    misconception="What is masked takes no memory. The table is square; the zeros stand in it.",
    symptom="Half of what is really taken.",
)
def counts_the_triangle(n_tokens, n_heads, bytes_per_element):
    return n_heads * (n_tokens * (n_tokens + 1) // 2) * bytes_per_element


@bug(
    "attention_bytes",
    title="mebibytes come back, not bytes",
    misconception="Bytes are too small a unit to be meant.",
    symptom="A float, a million times too small.",
)
def returns_mebibytes(n_tokens, n_heads, bytes_per_element):
    return n_heads * n_tokens**2 * bytes_per_element / 2**20


# --- kv_cache_bytes --------------------------------------------------------------------------


@bug(
    "kv_cache_bytes",
    title="keys or values alone: the factor 2 is missing",
    misconception="A cache entry is a vector. It is two, a key and a value.",
    symptom="Out of memory at half of the length that was planned for.",
)
def counts_keys_alone(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    return batch_size * n_layers * n_kv_heads * n_tokens * d_head * bytes_per_element


@bug(
    "kv_cache_bytes",
    title="batch_size is not used: the cache of one text",
    misconception="All texts share one cache. Each has keys and values of its own.",
    symptom="Right for one text; a server runs out of memory when users come.",
)
def counts_one_text(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    return 2 * n_layers * n_kv_heads * n_tokens * d_head * bytes_per_element


@bug(
    "kv_cache_bytes",
    title="n_layers is not used: the cache of one layer",
    misconception="The model has a cache. Each of its layers has one.",
    symptom="Too little by the number of layers.",
)
def counts_one_layer(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    return 2 * batch_size * n_kv_heads * n_tokens * d_head * bytes_per_element


@bug(
    "kv_cache_bytes",
    title="quadratic in the length: T² instead of T",
    misconception="Attention is quadratic, and so is its cache. Keys and values are kept, not "
    "the weights: T of each.",
    symptom="Terabytes for a book.",
)
def caches_the_weights(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens**2 * d_head * bytes_per_element


@bug(
    "kv_cache_bytes",
    title="queries are counted as well: three tensors instead of two",
    misconception="Attention has q, k and v. A query is used once, when it is made, and never "
    "again.",
    symptom="One and a half times too much.",
)
def caches_queries_too(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1):
    return 3 * batch_size * n_layers * n_kv_heads * n_tokens * d_head * bytes_per_element


@bug(
    "kv_cache_bytes",
    title="numbers, not bytes: bytes_per_element is not used",
    misconception="Memory is how many numbers there are. Each takes two or four bytes.",
    symptom="Too little by a factor of 2 or 4.",
)
def counts_cached_numbers(
    *, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1
):
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens * d_head


@bug(
    "kv_cache_bytes",
    title="d_head is not used: one number a head",
    misconception="A head keeps a key for each token. The key is a vector of d_head numbers.",
    symptom="A hundred times too little.",
)
def counts_a_number_a_head(
    *, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1
):
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens * bytes_per_element


@bug(
    "kv_cache_bytes",
    title="batch_size has no default",
    misconception="A function must be told everything. Here one text is the rule.",
    symptom="TypeError 'missing 1 required keyword-only argument'.",
)
def requires_a_batch_size(*, n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size):
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens * d_head * bytes_per_element


# --- sinusoidal_positions --------------------------------------------------------------------


@bug(
    "sinusoidal_positions",
    title="all sines first, then all cosines",
    misconception="The order of the channels does not matter. A trained model expects one of "
    "them, and the formula has sine and cosine side by side.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
def puts_all_sines_first(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    return torch.cat([angles.sin(), angles.cos()], dim=-1).float()


@bug(
    "sinusoidal_positions",
    title="cosine in the even channels, sine in the odd ones",
    misconception="Sine and cosine are the same wave, a quarter apart. The formula begins with "
    "the sine.",
    symptom="Trains as well as the right one; position 0 is 1, 0, 1, 0, ….",
)
def begins_with_the_cosine(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    return torch.stack([angles.cos(), angles.sin()], dim=-1).flatten(1).float()


@bug(
    "sinusoidal_positions",
    title="the exponent is doubled: 4i/C instead of 2i/C",
    misconception="The formula says 2i, so the channel 2i is multiplied by 2 once more.",
    symptom="Wavelengths up to a hundred million: half of the channels hardly ever move.",
)
def doubles_the_exponent(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (-2 * channels / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@bug(
    "sinusoidal_positions",
    title="the exponent is halved: i/C instead of 2i/C",
    misconception="i counts the pairs, so the exponent is i/C. There are C/2 pairs.",
    symptom="Wavelengths up to a hundred only; distant positions look alike.",
)
def halves_the_exponent(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    pairs = torch.arange(d_model // 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (-pairs / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@bug(
    "sinusoidal_positions",
    title="every channel has a wavelength of its own: c/C, not the pair's 2i/C",
    misconception="The exponent is the channel over C, for odd channels too. Sine and cosine of "
    "a pair share one angle: that makes a shift a rotation.",
    symptom="Looks right; the distance of two positions cannot be read from a pair any more.",
)
def gives_each_channel_its_own_angle(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(d_model, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    table = angles.sin()
    table[:, 1::2] = angles[:, 1::2].cos()
    return table.float()


@bug(
    "sinusoidal_positions",
    title="the sign of the exponent: angles are multiplied by 10000^(2i/C)",
    misconception="The power stands below the fraction line, and a sign got lost.",
    symptom="Waves so short that the values look like noise.",
)
def multiplies_by_the_power(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (channels / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@bug(
    "sinusoidal_positions",
    title="positions are counted from 1",
    misconception="The first token is number 1. All counting here starts at 0.",
    symptom="The whole table is shifted by a row.",
)
def counts_positions_from_one(n_positions, d_model):
    positions = torch.arange(1, n_positions + 1, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@bug(
    "sinusoidal_positions",
    title="the base is 1000 instead of 10000",
    misconception="A zero got lost.",
    symptom="Looks right; weights of other models, loaded, work badly.",
)
def has_a_smaller_base(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 1000.0 ** (-channels / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@bug(
    "sinusoidal_positions",
    title="the exponent runs up to 1: divided by C/2 - 1, as some libraries do",
    misconception="The last pair should have the wavelength 10000 exactly. In the paper's "
    "formula it stays below.",
    symptom="Nearly right in the first channels; with C = 2 a division by 0.",
)
def ends_at_the_longest_wave(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    pairs = torch.arange(d_model // 2, dtype=torch.float64)
    angles = positions[:, None] * torch.exp(-pairs * (math.log(10000.0) / (d_model // 2 - 1)))
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1).float()


@bug(
    "sinusoidal_positions",
    title="the table comes back in float64",
    misconception="More digits do no harm. A float32 model plus a float64 table is a float64 "
    "tensor, which the next layer refuses.",
    symptom="'expected mat1 and mat2 to have the same dtype' at the first linear layer.",
)
def keeps_float64(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


@bug(
    "sinusoidal_positions",
    title="sines only: the odd channels hold no cosine",
    misconception="One wave a channel is enough. Without the cosine a wave does not tell rising "
    "from falling.",
    symptom="Neighbouring channels are equal; position 0 is all zeros.",
)
def has_sines_only(n_positions, d_model):
    positions = torch.arange(n_positions, dtype=torch.float64)
    channels = torch.arange(0, d_model, 2, dtype=torch.float64)
    angles = positions[:, None] * 10000.0 ** (-channels / d_model)
    return angles.sin().repeat_interleave(2, dim=-1).float()


# --- rotate ----------------------------------------------------------------------------------


@bug(
    "rotate",
    title="channel i is paired with i + D/2, not with its neighbour",
    misconception="The two halves are the pairs. Many libraries have it so, with weights to "
    "match; here 2i and 2i + 1 are a pair.",
    symptom="Trains as well as the right one. Weights of the other kind, loaded, give nonsense.",
)
def pairs_the_halves(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        raise ValueError(f"x must have an even number of channels, got D={d_head}.")
    exponents = torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device) / d_head
    angles = (positions[:, None].double() * base**-exponents).repeat(1, 2)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    cos, sin = angles.cos().to(wide.dtype), angles.sin().to(wide.dtype)
    first, second = wide.chunk(2, dim=-1)
    return (wide * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


@bug(
    "rotate",
    title="neighbours are turned, but come back in halves: all a, then all b",
    misconception="cat puts them together again. It puts all first partners in front; stack and "
    "flatten put each beside its own.",
    symptom="Trains, since queries and keys are mixed up alike; loaded weights give nonsense.",
)
def joins_the_halves(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        raise ValueError(f"x must have an even number of channels, got D={d_head}.")
    exponents = torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device) / d_head
    angles = positions[:, None].double() * base**-exponents
    wide = torch.promote_types(x.dtype, torch.float32)
    cos, sin = angles.cos().to(wide), angles.sin().to(wide)
    a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)


@bug(
    "rotate",
    title="turned the other way: the sign of the sine is wrong",
    misconception="The minus may stand in either line. It decides the direction.",
    symptom="Distances come out right, so it trains; loaded weights read the text backwards.",
)
def turns_the_other_way(x, positions, base=10000.0):
    return rotate(x, -positions, base)


@bug(
    "rotate",
    title="no minus at all: (a cos + b sin, a sin + b cos)",
    misconception="The two lines look alike. With two plus signs it is no rotation.",
    symptom="Lengths change with the position; pairs collapse where sine and cosine are equal.",
)
def turns_without_the_minus(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        raise ValueError(f"x must have an even number of channels, got D={d_head}.")
    exponents = torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device) / d_head
    angles = positions[:, None].double() * base**-exponents
    wide = torch.promote_types(x.dtype, torch.float32)
    cos, sin = angles.cos().to(wide), angles.sin().to(wide)
    a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    return torch.stack([a * cos + b * sin, a * sin + b * cos], dim=-1).flatten(-2).to(x.dtype)


@bug(
    "rotate",
    title="the second line uses the a that was turned already",
    misconception="a is overwritten, then b. The second line needs the old a.",
    symptom="Right at position 0; lengths change elsewhere.",
)
def overwrites_the_first_partner(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        raise ValueError(f"x must have an even number of channels, got D={d_head}.")
    exponents = torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device) / d_head
    angles = positions[:, None].double() * base**-exponents
    wide = torch.promote_types(x.dtype, torch.float32)
    cos, sin = angles.cos().to(wide), angles.sin().to(wide)
    a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    a = a * cos - b * sin
    b = a * sin + b * cos
    return torch.stack([a, b], dim=-1).flatten(-2).to(x.dtype)


@bug(
    "rotate",
    title="positions are not used: row t turns by t",
    misconception="The rows are the positions. With a cache, a single row may stand anywhere.",
    symptom="Right without a cache; with one, every new token believes it is the first.",
)
def turns_by_the_row(x, positions, base=10000.0):
    return rotate(x, torch.arange(x.shape[-2], device=x.device), base)


@bug(
    "rotate",
    title="base is not used: it is always 10000",
    misconception="10000 is part of the formula. Models for long texts take a larger base.",
    symptom="Loaded weights of such a model get worse the longer the text.",
)
def ignores_the_base(x, positions, base=10000.0):
    return rotate(x, positions)


@bug(
    "rotate",
    title="the exponent is halved: i/D instead of 2i/D",
    misconception="i counts the pairs, so the exponent is i/D. There are D/2 pairs.",
    symptom="Slow pairs turn too fast: distant positions look alike.",
)
def halves_the_exponent_of_the_base(x, positions, base=10000.0):
    return rotate(x, positions, base**0.5)


@bug(
    "rotate",
    title="the exponent is doubled: 4i/D instead of 2i/D",
    misconception="The formula says 2i, so the channel 2i is multiplied by 2 once more.",
    symptom="Half of the pairs hardly turn at all.",
)
def doubles_the_exponent_of_the_base(x, positions, base=10000.0):
    return rotate(x, positions, base**2)


@bug(
    "rotate",
    title="the sign of the exponent: angles are multiplied by base^(2i/D)",
    misconception="A sign got lost. Later pairs turn more slowly, not faster.",
    symptom="Angles in the thousands from one position to the next: noise.",
)
def turns_faster_and_faster(x, positions, base=10000.0):
    return rotate(x, positions, 1 / base)


@bug(
    "rotate",
    title="all pairs turn by the same angle",
    misconception="The position is the angle. Then position 0 and position 44 are the same, for "
    "44 is seven whole turns.",
    symptom="Distances repeat every 6.28 positions.",
)
def turns_all_pairs_alike(x, positions, base=10000.0):
    return rotate(x, positions, 1.0)


@bug(
    "rotate",
    title="positions are counted from 1",
    misconception="The first token is number 1. Distances stay right, but not what a cache or "
    "another program has turned.",
    symptom="Nothing, until keys of another program meet these queries.",
)
def turns_one_too_far(x, positions, base=10000.0):
    return rotate(x, positions + 1, base)


@bug(
    "rotate",
    title="angles in the dtype of x: half precision does not hold them",
    misconception="Everything should have one dtype. In bfloat16, position 3001 is 3008.",
    symptom="Right in float32; in half precision long texts get worse with every thousand.",
)
def makes_angles_in_half_precision(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        raise ValueError(f"x must have an even number of channels, got D={d_head}.")
    exponents = torch.arange(0, d_head, 2, device=x.device).to(x.dtype) / d_head
    angles = positions[:, None].to(x.dtype) * base**-exponents
    cos, sin = angles.cos(), angles.sin()
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)


@bug(
    "rotate",
    title="half precision comes back as float32",
    misconception="The angles are float32, and so is the product. The caller works in the dtype "
    "of x.",
    symptom="'expected … to have the same dtype' where the queries meet a bfloat16 cache.",
)
def returns_the_wide_dtype(x, positions, base=10000.0):
    return rotate(x.to(torch.promote_types(x.dtype, torch.float32)), positions, base)


@bug(
    "rotate",
    title="the angles belong to the axis before the positions",
    misconception="The positions are axis 1, as in (B, T, H, D). Here heads come before "
    "positions: (..., T, D).",
    symptom="An error, or, with as many heads as positions, heads that turn instead.",
)
def turns_by_head(x, positions, base=10000.0):
    return rotate(x.transpose(-3, -2), positions, base).transpose(-3, -2)


@bug(
    "rotate",
    title="an odd number of channels is not refused",
    misconception="Slices fit anyway. With D = 5 there are three first partners and two second "
    "ones.",
    symptom="RuntimeError about sizes 3 and 2, far from the cause.",
)
def expects_even_channels(x, positions, base=10000.0):
    d_head = x.shape[-1]
    exponents = torch.arange(0, d_head, 2, dtype=torch.float64, device=x.device) / d_head
    angles = positions[:, None].double() * base**-exponents
    wide = torch.promote_types(x.dtype, torch.float32)
    cos, sin = angles.cos().to(wide), angles.sin().to(wide)
    a, b = x[..., 0::2].to(wide), x[..., 1::2].to(wide)
    return torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2).to(x.dtype)


@bug(
    "rotate",
    title="the last channel of an odd number is left as it is",
    misconception="What has no partner does not turn. A head of odd width is a mistake of the "
    "caller, who should hear of it.",
    symptom="No error, and one channel that knows nothing of positions.",
)
def leaves_the_last_channel(x, positions, base=10000.0):
    d_head = x.shape[-1]
    if d_head % 2:
        turned = rotate(x[..., :-1], positions, base)
        return torch.cat([turned, x[..., -1:]], dim=-1)
    return rotate(x, positions, base)


@bug(
    "rotate",
    title="the result is written into x",
    misconception="x is not needed any more. The caller's queries are, in the cache or in a test.",
    symptom="The second call turns what was turned already; gradients raise an error.",
)
def turns_x_itself(x, positions, base=10000.0):
    turned = rotate(x.detach(), positions, base)
    x.copy_(turned)
    return x


# --- sliding_window_mask ---------------------------------------------------------------------


@bug(
    "sliding_window_mask",
    title="one key too many: window + 1 keys, the query's own not counted",
    misconception="The window counts what lies before. Here the query's own key is one of them.",
    symptom="A cache of `window` entries lacks the oldest one.",
)
def sees_one_too_many(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    return sliding_window_mask(n_queries, n_keys, window=window + 1, device=device)


@bug(
    "sliding_window_mask",
    title="one key too few: the oldest of the window is missing",
    misconception="Less than window - 1 before. Distances 0 to window - 1 are `window` keys.",
    symptom="With window=1 nothing may be read, and the rows are empty.",
)
def sees_one_too_few(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    causal = causal_mask(n_queries, n_keys, device=device)
    return causal & causal.new_ones(causal.shape).triu(causal.shape[1] - n_queries - window + 2)


@bug(
    "sliding_window_mask",
    title="the window reaches into the future as well",
    misconception="A window lies around its query: |distance| < window. It must be causal, too.",
    symptom="The loss falls too far, and the model writes nonsense: it has seen the answer.",
)
def looks_both_ways(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    causal = causal_mask(n_queries, n_keys, device=device)
    own = torch.arange(causal.shape[1] - n_queries, causal.shape[1], device=device)[:, None]
    return (torch.arange(causal.shape[1], device=device) - own).abs() < window


@bug(
    "sliding_window_mask",
    title="the window is ignored: a causal mask",
    misconception="The mask is causal, and the window is only a name for its rows.",
    symptom="The cost is that of full attention.",
)
def forgets_the_window(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    return causal_mask(n_queries, n_keys, device=device)


@bug(
    "sliding_window_mask",
    title="with more keys than queries, the queries are taken for the first positions",
    misconception="Row t is position t. With a cache, the queries are the last positions.",
    symptom="Right without a cache. With one, each new token sees the first tokens alone.",
    threads=("pytorch/pytorch#108108", "rasbt/LLMs-from-scratch#697"),
)
def aligns_the_window_top_left(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    ones = causal_mask(n_queries, n_keys, device=device).fill_(True)
    return ones.tril() & ones.triu(1 - window)


@bug(
    "sliding_window_mask",
    title="the causal edge is shifted for a cache, the far edge of the window is not",
    misconception="causal_mask takes care of the cache. triu knows nothing of it.",
    symptom="Right without a cache. With one, the window is longer than it should be.",
)
def shifts_one_edge_alone(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    causal = causal_mask(n_queries, n_keys, device=device)
    return causal & causal.new_ones(causal.shape).triu(1 - window)


@bug(
    "sliding_window_mask",
    title="the mask was inverted: True where a query may not look",
    misconception="True marks what is masked. Here True means may attend.",
    symptom="Every query sees the future and the far past, and nothing near.",
    threads=("rasbt/LLMs-from-scratch#1061",),
)
def marks_what_is_outside(n_queries, n_keys=None, *, window, device=None):
    return ~sliding_window_mask(n_queries, n_keys, window=window, device=device)


@bug(
    "sliding_window_mask",
    title="fixed pieces instead of a window: a query sees its own piece of the text",
    misconception="The text is cut into windows. A sliding one moves with the query.",
    symptom="The first token of each piece sees nothing but itself.",
)
def cuts_the_text_into_pieces(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    causal = causal_mask(n_queries, n_keys, device=device)
    n_keys = causal.shape[1]
    piece = torch.arange(n_keys, device=device) // window
    return causal & (piece == piece[n_keys - n_queries :, None])


@bug(
    "sliding_window_mask",
    title="all queries share the last `window` keys of the text",
    misconception="A window keeps the newest keys. For each query those before *it* are the "
    "newest.",
    symptom="Early queries may look at nothing at all.",
)
def keeps_the_last_keys_for_all(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    causal = causal_mask(n_queries, n_keys, device=device)
    return causal & (torch.arange(causal.shape[1], device=device) >= causal.shape[1] - window)


@bug(
    "sliding_window_mask",
    title="a window below 1 is not refused",
    misconception="Nobody asks for it. An off-by-one in the caller does, and every row is empty.",
    symptom="No error; all outputs of the layer are its bias.",
)
def accepts_an_empty_window(n_queries, n_keys=None, *, window, device=None):
    causal = causal_mask(n_queries, n_keys, device=device)
    return causal & causal.new_ones(causal.shape).triu(causal.shape[1] - n_queries - window + 1)


@bug(
    "sliding_window_mask",
    title="fewer keys than queries are not refused",
    misconception="The formula gives something for any sizes. For the first queries, with no "
    "position to stand at, it gives empty rows.",
    symptom="No error; some outputs are zeros.",
)
def accepts_fewer_keys(n_queries, n_keys=None, *, window, device=None):
    if window < 1:
        raise ValueError(f"window must be at least 1, got window={window}.")
    n_keys = n_queries if n_keys is None else n_keys
    own = torch.arange(n_keys - n_queries, n_keys, device=device)[:, None]
    distance = own - torch.arange(n_keys, device=device)
    return (distance >= 0) & (distance < window)


@bug(
    "sliding_window_mask",
    title="the mask is made on the default device",
    misconception="torch.ones makes it where it is needed. It makes it on the CPU.",
    symptom="'expected all tensors to be on the same device' on a GPU.",
    threads=("facebookresearch/xformers#66",),
)
def ignores_the_device_of_the_window(n_queries, n_keys=None, *, window, device=None):
    return sliding_window_mask(n_queries, n_keys, window=window)


# --- blockwise_attention ---------------------------------------------------------------------


@bug(
    "blockwise_attention",
    title="nothing shrinks when a higher score turns up",
    misconception="Each block's exponentials are added up. They were taken relative to another "
    "maximum, and 1 no longer means the same.",
    symptom="Right with one block; otherwise early keys weigh too much.",
)
def never_rescales(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - highest)
        sums = sums + weights.sum(dim=-1, keepdim=True)
        output = output + weights @ v[..., block, :].to(wide)
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="the sum shrinks when a higher score turns up, the weighted sum of values does not",
    misconception="Only the normaliser has to follow the maximum. Whatever holds exponentials "
    "has to.",
    symptom="Outputs are too large, and the more so the later the maximum comes.",
)
def rescales_the_sum_alone(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        sums = sums * torch.exp(highest - new_highest) + weights.sum(dim=-1, keepdim=True)
        output = output + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="the weighted sum of values shrinks when a higher score turns up, the sum does not",
    misconception="Only the output has to follow the maximum. Whatever holds exponentials has to.",
    symptom="Outputs are too small, and the more so the later the maximum comes.",
)
def rescales_the_output_alone(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        sums = sums + weights.sum(dim=-1, keepdim=True)
        output = output * torch.exp(highest - new_highest) + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="shrinks by exp(new - old), which makes it grow",
    misconception="The difference of the two maxima, in either order. Only exp(old - new) is "
    "below 1.",
    symptom="Early keys win; large scores give inf and nan.",
)
def rescales_upside_down(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest, sums, output = None, 0.0, 0.0
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = scores.amax(dim=-1, keepdim=True)
        if highest is not None:
            new_highest = torch.maximum(highest, new_highest)
            grow = torch.exp(new_highest - highest)
            sums, output = sums * grow, output * grow
        weights = torch.exp(scores - new_highest)
        sums = sums + weights.sum(dim=-1, keepdim=True)
        output = output + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="each block is normalised by itself, and the blocks' outputs are averaged",
    misconception="The average of averages is the average. Blocks with little weight would have "
    "to count less.",
    symptom="Right with one block. Every block has the same say, however unimportant.",
)
def averages_the_blocks(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    output, n_seen = 0.0, 0.0
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        places = torch.arange(n_keys, device=q.device)[block]
        allowed = places <= own_place if causal else torch.ones_like(own_place, dtype=torch.bool)
        found, _ = masked_attention(
            q.to(wide), k[..., block, :].to(wide), v[..., block, :].to(wide), allowed
        )
        output = output + found
        n_seen = n_seen + allowed.any(dim=-1, keepdim=True).to(wide)
    return (output / n_seen).to(v.dtype)


@bug(
    "blockwise_attention",
    title="no maximum is subtracted: large scores overflow",
    misconception="The maximum cancels in the quotient, so it may be left out. Before the "
    "quotient there is an exponential, and exp(1000) is infinite.",
    symptom="Right for small scores; nan or zeros divided by zeros for large ones.",
)
def subtracts_no_maximum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    sums, output = 0.0, 0.0
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        weights = torch.exp(scores)
        sums = sums + weights.sum(dim=-1, keepdim=True)
        output = output + weights @ v[..., block, :].to(wide)
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="the maximum of the first block is kept for all blocks",
    misconception="Any number close to the maximum will do. A later score may be 10,000 higher.",
    symptom="Right for small scores; nan as soon as a later block has a much larger one.",
)
def keeps_the_first_maximum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest, sums, output = None, 0.0, 0.0
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        if highest is None:
            highest = scores.amax(dim=-1, keepdim=True)
        weights = torch.exp(scores - highest)
        sums = sums + weights.sum(dim=-1, keepdim=True)
        output = output + weights @ v[..., block, :].to(wide)
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="the running maximum starts at 0 instead of minus infinity",
    misconception="0 is where one starts. If all scores are far below 0, it stays the maximum.",
    symptom="nan where all scores of a query are below -100 or so; right elsewhere.",
)
def starts_the_maximum_at_zero(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_zeros((*q.shape[:-1], 1))
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="a block's exponentials are taken relative to its own maximum, not the running one",
    misconception="The block is exponentiated, then added. What is added must be relative to the "
    "same maximum as what is there.",
    symptom="Blocks of low scores weigh as much as blocks of high ones.",
)
def keeps_each_blocks_own_maximum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        of_block = scores.amax(dim=-1, keepdim=True)
        new_highest = torch.maximum(highest, of_block)
        weights = torch.exp(scores - of_block.clamp(min=torch.finfo(wide).min))
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="one maximum for all queries instead of one for each",
    misconception="Any common number cancels. Queries whose scores are far below it are left "
    "with zeros, divided by zeros.",
    symptom="Right for small scores; nan for queries with low ones.",
)
def shares_one_maximum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((), -math.inf)
    sums = q.new_zeros((*q.shape[:-1], 1))
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.max())
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="never divided by the sum of the exponentials",
    misconception="The weights are exponentials. They are weights only once they sum to 1.",
    symptom="Outputs grow with the number of keys.",
)
def never_divides_by_the_sum(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        output = output * torch.exp(highest - new_highest) + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return output.to(v.dtype)


@bug(
    "blockwise_attention",
    title="the last, shorter block is left out",
    misconception="S // block_size is the number of blocks. With a remainder there is one more.",
    symptom="Right where the block size divides S; elsewhere the last keys are never read.",
)
def drops_the_last_block(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for number in range(n_keys // block_size):
        start = number * block_size
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="causal with more keys than queries: the queries are taken for the first positions",
    misconception="Row t is position t. With a cache, the queries are the last positions.",
    symptom="Right without a cache. With one, the newest keys are never read.",
    threads=("pytorch/pytorch#108108", "rasbt/LLMs-from-scratch#697"),
)
def aligns_blocks_top_left(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    if causal:  # as if the keys ended with the queries
        k, v = k[..., :n_queries, :], v[..., :n_queries, :]
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@bug(
    "blockwise_attention",
    title="causal is ignored: every query sees every key",
    misconception="Blocks are cut from the keys, and masks from scores; the mask was forgotten.",
    symptom="The loss falls too far, and the model writes nonsense: it has seen the answer.",
)
def ignores_causal_in_blocks(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    return blockwise_attention(q, k, v, block_size=block_size)


@bug(
    "blockwise_attention",
    title="each block's mask counts its keys from 0 again",
    misconception="arange(block) are the keys' places. They are counted within the block; its "
    "start must be added.",
    symptom="Right with one block; with more, each query sees the future of later blocks.",
)
def counts_places_within_the_block(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="a query's own key is hidden from it",
    misconception="A query may look at what came before. It may look at itself as well.",
    symptom="The first query has nothing to look at: nan.",
)
def hides_the_own_key(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places >= own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="masked scores become -1e4, which a real score can be below",
    misconception="-1e4 is as good as minus infinity. A score of -1e4 is as good as masked, then.",
    symptom="Right for usual scores; with very low ones the future comes through.",
)
def masks_with_ten_thousand(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -1e4)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="all T×S scores are made at once",
    misconception="The result is what counts. It is right, and the memory is that of full "
    "attention.",
    symptom="Right, and out of memory for a long text.",
)
def makes_all_scores(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    mask = causal_mask(n_queries, n_keys, device=q.device) if causal else None
    wide = torch.promote_types(q.dtype, torch.float32)
    output, _ = masked_attention(q.to(wide), k.to(wide), v.to(wide), mask)
    return output.to(v.dtype)


@bug(
    "blockwise_attention",
    title="the whole T×S mask is made at once, though the scores are not",
    misconception="A mask costs nothing. It has a byte for each pair of query and key.",
    symptom="Right, and out of memory for a text twice as long as with all scores.",
)
def makes_the_whole_mask(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    mask = causal_mask(n_queries, n_keys, device=q.device) if causal else None
    wide = torch.promote_types(q.dtype, torch.float32)
    q = q.to(wide) / math.sqrt(q.shape[-1])
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].to(wide).transpose(-2, -1)
        if causal:
            scores = scores.masked_fill(~mask[:, block], -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :].to(wide)
        highest = new_highest
    return (output / sums).to(v.dtype)


@bug(
    "blockwise_attention",
    title="sums over blocks are kept in half precision",
    misconception="Everything should have the dtype of q. In bfloat16, 256 + 1 is 256.",
    symptom="Right in float32; in half precision worse the more blocks there are.",
)
def accumulates_in_half_precision(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got block_size={block_size}.")
    if causal and n_queries > n_keys:
        raise ValueError(f"causal needs T <= S, got T={n_queries} and S={n_keys}.")
    q = q / math.sqrt(q.shape[-1])
    own_place = torch.arange(n_keys - n_queries, n_keys, device=q.device)[:, None]
    highest = q.new_full((*q.shape[:-1], 1), -math.inf)
    sums = torch.zeros_like(highest)
    output = q.new_zeros((*q.shape[:-1], v.shape[-1]))
    for start in range(0, n_keys, block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].transpose(-2, -1)
        if causal:
            places = torch.arange(start, start + scores.shape[-1], device=q.device)
            scores = scores.masked_fill(places > own_place, -math.inf)
        new_highest = torch.maximum(highest, scores.amax(dim=-1, keepdim=True))
        weights = torch.exp(scores - new_highest)
        shrink = torch.exp(highest - new_highest)
        sums = sums * shrink + weights.sum(dim=-1, keepdim=True)
        output = output * shrink + weights @ v[..., block, :]
        highest = new_highest
    return output / sums


@bug(
    "blockwise_attention",
    title="always computed in float32: float64 loses half of its digits",
    misconception=".float() makes wide numbers. Of float64 it makes narrow ones.",
    symptom="Agrees to seven digits in float64, and not to fifteen; gradcheck fails.",
)
def computes_in_float32_always(q, k, v, *, block_size, causal=False):
    output = blockwise_attention(
        q.float(), k.float(), v.float(), block_size=block_size, causal=causal
    )
    return output.to(v.dtype)


@bug(
    "blockwise_attention",
    title="half precision comes back as float32",
    misconception="The sums are float32, and so is the result. The caller works in half precision.",
    symptom="'expected … to have the same dtype' at the next layer.",
)
def returns_the_accumulators_dtype(q, k, v, *, block_size, causal=False):
    wide = torch.promote_types(q.dtype, torch.float32)
    return blockwise_attention(
        q.to(wide), k.to(wide), v.to(wide), block_size=block_size, causal=causal
    )


@bug(
    "blockwise_attention",
    title="the scores are not divided by sqrt(D)",
    misconception="The scale is part of attention, not of the softmax. It has to be somewhere.",
    symptom="The weights are too sharp, the more so the wider the heads.",
    threads=("delzac/cntkx#10",),
)
def forgets_the_scale_of_blocks(q, k, v, *, block_size, causal=False):
    return blockwise_attention(
        q * math.sqrt(q.shape[-1]), k, v, block_size=block_size, causal=causal
    )


@bug(
    "blockwise_attention",
    title="a block_size below 1 is not refused by name",
    misconception="range() refuses a step of 0. With a negative one it just makes no step.",
    symptom="'range() arg 3 must not be zero', or nan everywhere.",
)
def leaves_the_block_size_to_range(q, k, v, *, block_size, causal=False):
    if block_size < 0:
        return v.new_full((*q.shape[:-1], v.shape[-1]), math.nan)
    if block_size == 0:
        return range(0, k.shape[-2], block_size)
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@bug(
    "blockwise_attention",
    title="causal with more queries than keys is not refused",
    misconception="The formula gives something for any sizes. The first queries have no position "
    "to stand at, and get nan.",
    symptom="nan in the first rows.",
)
def accepts_more_queries_than_keys(q, k, v, *, block_size, causal=False):
    n_missing = q.shape[-2] - k.shape[-2]
    if causal and n_missing > 0:
        output = blockwise_attention(
            q[..., n_missing:, :], k, v, block_size=block_size, causal=True
        )
        empty = v.new_full((*q.shape[:-2], n_missing, v.shape[-1]), math.nan)
        return torch.cat([empty, output], dim=-2)
    return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@bug(
    "blockwise_attention",
    title="no gradients: the loop ran under no_grad",
    misconception="The running sums need no graph. The result does.",
    symptom="'does not require grad', or a layer that never learns.",
)
def loops_without_gradients(q, k, v, *, block_size, causal=False):
    with torch.no_grad():
        return blockwise_attention(q, k, v, block_size=block_size, causal=causal)


@bug(
    "blockwise_attention",
    title="q was scaled in place",
    misconception="q /= … saves memory. It writes into the caller's queries.",
    symptom="A second call gives another result; gradients raise an error.",
)
def scales_the_callers_queries(q, k, v, *, block_size, causal=False):
    q /= math.sqrt(q.shape[-1])
    return blockwise_attention(
        q * math.sqrt(q.shape[-1]), k, v, block_size=block_size, causal=causal
    )


# --- GroupedQueryAttention -------------------------------------------------------------------


@bug(
    "GroupedQueryAttention",
    title="head h reads key head h % n_kv_heads: repeated in the wrong order",
    misconception="repeat makes as many heads as needed. It puts 0, 1, 0, 1 where 0, 0, 1, 1 is "
    "wanted: repeat_interleave.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
class RepeatsHeadsInTurn(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat(1, group, 1, 1)
        v = split_heads(self.value(x), self.n_kv_heads).repeat(1, group, 1, 1)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="keys in groups, values in turn: a head reads values of another head",
    misconception="Keys and values may be repeated either way. They must be repeated alike.",
    symptom="Each head looks in the right place and takes what stands elsewhere.",
)
class RepeatsValuesInTurn(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat(1, group, 1, 1)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="all heads read the first key head: multi-query attention",
    misconception="Shared means shared by all. n_kv_heads says by how many.",
    symptom="The other key heads never get a gradient.",
)
class ReadsTheFirstKeyHead(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads)[:, :1]
        v = split_heads(self.value(x), self.n_kv_heads)[:, :1]
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="key and value are as wide as query: C -> C, nothing is shared",
    misconception="Sharing happens in forward. What is not made need not be shared, and the "
    "small layers are the point.",
    symptom="Parameters and cache of multi-head attention; checkpoints do not fit.",
)
class MakesAllKeyHeads(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_model, bias=bias)
        self.value = nn.Linear(d_model, d_model, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_heads)[:, ::group].repeat_interleave(group, dim=1)
        v = split_heads(self.value(x), self.n_heads)[:, ::group].repeat_interleave(group, dim=1)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="key heads are C / n_kv_heads wide instead of D",
    misconception="The key heads share the C channels. They are as wide as a query's head, or "
    "no dot product can be taken.",
    symptom="key and value have the shape (C, C); 'mat1 and mat2 shapes' in forward.",
)
class WidensTheKeyHeads(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_model // n_kv_heads, bias=bias)
        self.value = nn.Linear(d_model, d_model // n_kv_heads, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        q = split_heads(self.query(x), self.n_heads)
        k, v = self.key(x)[:, None], self.value(x)[:, None]
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="the mask got no axis for the heads: texts are taken for heads",
    misconception="(B, T, S) broadcasts to (B, H, T, S). It does from the right: B meets H.",
    symptom="An error, unless B = H: then head h wears the mask of text h.",
)
class TakesTextsForGroups(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="the mask is not used",
    misconception="Grouping changes the keys, not the mask, and so it was left out.",
    symptom="The loss falls too far, and the model writes nonsense: it has seen the answer.",
)
class ForgetsTheMaskOfTheGroups(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        output, _ = masked_attention(q, k, v)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="the mask is read the wrong way round: True hides",
    misconception="True marks what is masked. Here True means may attend.",
    symptom="Each query sees the future alone, and the last one nothing.",
    threads=("rasbt/LLMs-from-scratch#1061",),
)
class HidesWhatMayBeRead(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else ~mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="always causal, with or without a mask",
    misconception="A language model is causal. The layer is what the caller's mask makes of it.",
    symptom="Right in a language model; wrong where every token may see every other.",
)
class GroupsAreAlwaysCausal(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        causal = causal_mask(x.shape[-2], device=x.device)
        causal = causal if mask is None else causal & mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, causal)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="key and value are exchanged",
    misconception="Two layers of one shape, and the order is easy to lose.",
    symptom="Trains as well as the right one. Weights of other models, loaded, give nonsense.",
)
class ExchangesKeyAndValue(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="the heads' results do not go through out",
    misconception="Merging is the end. The heads' results lie side by side, and nothing has "
    "mixed them.",
    symptom="out never gets a gradient.",
    threads=("Kyubyong/transformer#17",),
)
class GroupsLeaveOutOut(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return merge_heads(output)


@bug(
    "GroupedQueryAttention",
    title="scaled by the width of all key heads together, not by that of one head",
    misconception="The keys are n_kv_heads·D wide. Each dot product runs over D channels.",
    symptom="Weights are too even; right with a single key head.",
)
class ScalesByAllKeyHeads(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads) / math.sqrt(self.n_kv_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="scaled by 1/sqrt(C) instead of 1/sqrt(D)",
    misconception="The model is C wide. Each dot product runs over D channels.",
    symptom="Weights are too even; the model learns, only more slowly.",
    threads=("karpathy/ng-video-lecture#6",),
)
class ScalesGroupsByTheModel(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads) / math.sqrt(self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="the heads are joined by a reshape alone, across positions",
    misconception="reshape(B, T, C) gives the right shape, so it is right. Head 0 of all "
    "positions stands first in memory; transpose first.",
    symptom="No error, and the loss still falls; with causal masks the future leaks.",
    threads=("jsbaan/transformer-from-scratch#6",),
)
class JoinsGroupsByAReshape(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(output.reshape(x.shape))


@bug(
    "GroupedQueryAttention",
    title="bias=False is ignored by key and value",
    misconception="bias=False was meant for query and out. It is for all four layers.",
    symptom="Missing keys when a checkpoint without biases is loaded.",
)
class KeepsBiasesOfTheKeys(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv)
        self.value = nn.Linear(d_model, d_kv)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="n_kv_heads that does not divide n_heads is not refused",
    misconception="H // n_kv_heads is the size of a group. With a remainder some heads have no "
    "group.",
    symptom="RuntimeError about sizes in forward, far from the cause.",
)
class AcceptsUnevenGroups(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if d_model % n_heads:
            raise ValueError(f"n_heads={n_heads} does not divide d_model={d_model}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))


@bug(
    "GroupedQueryAttention",
    title="n_heads that does not divide d_model is not refused",
    misconception="C // H is the width of a head. With a remainder channels are left over.",
    symptom="An error in forward, when a model is long built.",
)
class AcceptsUnevenHeads(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads, *, bias=True):
        super().__init__()
        if n_heads % n_kv_heads:
            raise ValueError(f"n_kv_heads={n_kv_heads} does not divide n_heads={n_heads}.")
        self.n_heads, self.n_kv_heads = n_heads, n_kv_heads
        d_kv = d_model // n_heads * n_kv_heads
        self.query = nn.Linear(d_model, d_model, bias=bias)
        self.key = nn.Linear(d_model, d_kv, bias=bias)
        self.value = nn.Linear(d_model, d_kv, bias=bias)
        self.out = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, mask=None):
        group = self.n_heads // self.n_kv_heads
        q = split_heads(self.query(x), self.n_heads)
        k = split_heads(self.key(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        v = split_heads(self.value(x), self.n_kv_heads).repeat_interleave(group, dim=-3)
        mask = None if mask is None else mask.unsqueeze(-3)
        output, _ = masked_attention(q, k, v, mask)
        return self.out(merge_heads(output))
