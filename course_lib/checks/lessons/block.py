"""What must hold of a block: attention and an MLP, each behind a norm, each added to the stream."""

import itertools

import numpy as np

from ..cases.check import ComponentCheck
from ..cases.draw import Draw, exact_in
from ..judges.chance import BY_CHANCE, DROPOUT, dropped_together, share
from ..judges.expect import (
    also,
    arguments_unchanged,
    gradients_are,
    no_error,
    parameters_are,
    returns,
    same_device,
)
from ..judges.findings import Finding, number
from ..oracles.block import block as right_block
from ..oracles.block import block_gradients as right_gradients
from .mlp.fixtures import FORMS
from .mlp.mlp import mlp_layers
from .multihead.fixtures import CALL, MANY
from .multihead.multi_head_attention import (
    attention_layers,
    outputs_count_weights,
    weights_were_dropped,
)

LESSON = "06_mlp_and_block"

block = ComponentCheck("Block", "block", LESSON)


def _layers(draw: Draw, d_model: int, *, bias: bool = True, dtype: str = "float64") -> dict:
    """Weights by the names of `state_dict`; no norm scales as the other does."""
    size = 0.5 if dtype in ("float16", "bfloat16") else 1.0  # rounding grows from layer to layer
    weights = {}
    for name in ("norm1", "norm2"):
        weights[f"{name}.weight"] = exact_in(1 + 0.3 * draw.normal(d_model), dtype)
        if bias:
            weights[f"{name}.bias"] = exact_in(0.5 * draw.normal(d_model), dtype)
    parts = {
        "attention": attention_layers(draw, d_model, bias=bias, dtype=dtype),
        "mlp": mlp_layers(draw, d_model, 4 * d_model, bias=bias, dtype=dtype),
    }
    for part, layers in parts.items():
        weights |= {
            f"{part}.{name}": exact_in(size * array, dtype) for name, array in layers.items()
        }
    return weights


def _silenced(weights: dict, *layers: str) -> dict:
    """The weights, with these linear layers all zeros."""
    return {
        name: np.zeros_like(array) if name.rsplit(".", 1)[0] in layers else array
        for name, array in weights.items()
    }


def _block_case(
    draw: Draw,
    sizes,
    *,
    mask=None,
    by_name=False,
    bias=True,
    approximate=None,
    dropout=0.0,
    dtype="float64",
    x=None,
    weights=None,
    silent=(),
    judge=None,
    **options,
):
    """A block with drawn weights over drawn texts; right when it agrees with torch's own.

    Args:
        sizes: how many texts, tokens, heads, and channels a head.
        by_name: whether the mask is passed by name.
        silent: linear layers that return zeros.
        judge: what must hold of the call besides its parameters, instead of its values.
    """
    n_texts, n_tokens, n_heads, d_head = sizes
    d_model = n_heads * d_head
    if weights is None:
        weights = _silenced(_layers(draw, d_model, bias=bias, dtype=dtype), *silent)
    if x is None:
        x = draw.normal(n_texts, n_tokens, d_model, dtype=dtype)
    if judge is None:
        expected = right_block(x, weights, n_heads, mask, approximate or "none")
        judge = returns(expected, dtype=dtype)
    chosen = {"bias": bias} if not bias else {}
    chosen |= {"approximate": approximate} if approximate else {}
    chosen |= {"dropout": dropout} if dropout else {}
    if by_name:
        options["mask"] = mask
    return block.build(
        d_model,
        n_heads,
        x=x if mask is None or by_name else (x, mask),
        weights=weights,
        dtype=dtype,
        init_kwargs=chosen,
        names=CALL,
        **options,
    ).expect(also(parameters_are({name: array.shape for name, array in weights.items()}), judge))


def _causal(n_tokens: int) -> np.ndarray:
    return np.tri(n_tokens, dtype=bool)


@block.core(
    "the parameters are those of norm1, attention, norm2 and mlp",
    hint="two LayerNorm, one MultiHeadAttention and one MLP, which is 4 * d_model wide inside",
)
def block_parameters(draw: Draw):
    yield _block_case(draw, (2, *draw.sizes(3, largest=9)), judge=no_error)


@block.core(
    "if attention and MLP return zeros, x comes out as it went in",
    hint="each of the two is added to x itself: not to the norm of x, nor to its own output",
)
def block_silent(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    x = 2 * draw.normal(2, n_tokens, n_heads * d_head) + 3
    yield _block_case(
        draw, (2, n_tokens, n_heads, d_head), x=x, silent=("attention.out", "mlp.down")
    )


@block.core(
    "if the MLP returns zeros, the block is x + attention(norm1(x))",
    hint="self.attention reads self.norm1(x), and what it returns is added to x",
)
def block_without_mlp(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    for mask in (None, _causal(n_tokens)):
        sizes = (2, n_tokens, n_heads, d_head)
        yield _block_case(draw, sizes, mask=mask, silent=["mlp.down"])


@block.core(
    "if attention returns zeros, the block is x + mlp(norm2(x))",
    hint="self.mlp reads self.norm2 of the stream, and what it returns is added to the stream",
)
def block_without_attention(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    yield _block_case(draw, (2, n_tokens, n_heads, d_head), silent=["attention.out"])


@block.core(
    "attention first; the MLP then reads, and adds to, the stream that attention has added to",
    hint="two lines, and both begin x = x + …; the second has its own norm",
)
def block_values(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    for sizes in (
        (2, n_tokens, n_heads, d_head),
        (n_heads, n_tokens, n_heads, d_head),
        (2, n_heads, n_heads, n_heads),
        (1, 1, n_heads, d_head),
        (2, n_tokens, 1, d_head),
        (2, n_tokens, n_heads, 1),
    ):
        yield _block_case(draw, sizes)
    far = 5 + 3 * draw.normal(2, n_tokens, n_heads * d_head)
    yield _block_case(draw, (2, n_tokens, n_heads, d_head), x=far)
    nearly_constant = 3e-3 * draw.normal(2, n_tokens, n_heads * d_head)
    yield _block_case(draw, (2, n_tokens, n_heads, d_head), x=nearly_constant)
    yield _block_case(draw, (2, n_tokens, n_heads, d_head), dtype="float32")


@block.core(
    "the mask goes to attention, whatever its shape: (T, S), (B, T, S) or (B, 1, S)",
    hint="self.attention(self.norm1(x), mask): attention adds the axis for the heads by itself",
)
def block_masks(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    sizes = (2, n_tokens, n_heads, d_head)
    for shape in ((n_tokens, n_tokens), (2, n_tokens, n_tokens), (2, 1, n_tokens)):
        yield _block_case(draw, sizes, mask=draw.mask(*shape))
    yield _block_case(draw, sizes, mask=_causal(n_tokens), by_name=True)
    mask = draw.mask(n_heads, n_heads, n_heads)
    yield _block_case(draw, (n_heads, n_heads, n_heads, d_head), mask=mask)


@block.core(
    "without dropout, training is as evaluation, whatever texts came before",
    hint="forward keeps nothing between calls",
)
def block_modes(draw: Draw):
    short, long, n_heads, d_head = sorted(draw.sizes(4, largest=11))
    for mask in (None, _causal(short)):
        yield _block_case(draw, (2, short, n_heads, d_head), mask=mask, training=True)
    for now, before in ((short, long), (long, short)):
        earlier = draw.normal(3, before, n_heads * d_head)
        yield _block_case(draw, (2, now, n_heads, d_head), warm_up=[earlier])
    masked = [draw.normal(2, now, n_heads * d_head), draw.mask(now, now)]
    for mask in (None, _causal(now)):
        yield _block_case(
            draw,
            (2, now, n_heads, d_head),
            mask=mask,
            warm_up=[masked],
            warm_up_training=True,
        )


@block.core(
    "gradients reach x and every weight",
    hint="write nothing into x, and cut nothing off with detach() or no_grad()",
)
def block_gradients(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    d_model = n_heads * d_head
    for mask in (None, _causal(n_tokens)):
        weights = _layers(draw, d_model)
        x, cotangent = draw.normal(2, n_tokens, d_model), draw.normal(2, n_tokens, d_model)
        expected = right_gradients(x, weights, n_heads, cotangent, mask)
        judge = gradients_are(expected, "float64", {"argument 0": "x"})
        given = {"x": x, "weights": weights, "mask": mask, "cotangents": [cotangent]}
        given["training"] = mask is not None
        yield _block_case(draw, (2, n_tokens, n_heads, d_head), judge=judge, **given)


@block.edge(
    "with bias=False no part has a bias",
    hint="pass bias=bias on to both norms, to the attention and to the MLP",
)
def block_without_bias(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    yield _block_case(draw, (2, n_tokens, n_heads, d_head), bias=False)
    mask = _causal(n_tokens)
    yield _block_case(draw, (2, n_tokens, n_heads, d_head), bias=False, mask=mask)


@block.edge(
    'approximate is passed on to the MLP: "tanh" gives the other curve',
    hint="MLP(…, approximate=approximate)",
)
def block_approximate(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    for form in FORMS:
        yield _block_case(draw, (2, n_tokens, n_heads, d_head), approximate=form)


@block.edge(
    "in training, dropout falls on what attention returns and on what the MLP returns",
    hint="pass dropout=dropout on to the attention and to the MLP, and drop nothing yourself",
)
def block_dropout(draw: Draw):
    n_texts, n_tokens, n_heads, d_head = MANY
    d_model = n_heads * d_head
    weights = _silenced(_layers(draw, d_model), "attention.qkv", "mlp.down")
    # Small numbers: chance moves their mean by less than diagnosis.py compares with.
    weights["attention.out.bias"] = 0.25 + draw.integers(0, 9, d_model) / 40
    weights["mlp.down.bias"] = 1 + draw.integers(0, 9, d_model) / 40
    for level in (0.0, 20.0):  # what a stream holds that is the same in all channels
        x = np.full((n_texts, n_tokens, d_model), level)
        yield _block_case(
            draw,
            MANY,
            x=x,
            weights=weights,
            judge=_each_fell_by_itself(x, weights),
            training=True,
            dropout=DROPOUT,
            random=True,
        )


def _each_fell_by_itself(x: np.ndarray, weights: dict):
    """Judge: each number is x plus what is left of the two biases, either of them scaled or 0."""
    scaled = [weights[f"{layer}.bias"] / (1 - DROPOUT) for layer in ("attention.out", "mlp.down")]

    def judge(seen):
        finding = returns(x, dtype="float64", skip_values=True)(seen)
        if finding:
            return finding
        added = seen.outputs[0].array - x
        kept = np.full((2, *x.shape), np.nan)  # of attention, and of the MLP
        for fates in itertools.product((False, True), repeat=2):
            total = sum(bias * fate for bias, fate in zip(scaled, fates, strict=True))
            agrees = np.abs(added - total) <= BY_CHANCE.absolute * (1 + np.abs(x))
            for part, fate in zip(kept, fates, strict=True):
                part[agrees] = fate
        unknown = np.isnan(kept[0])
        if unknown.any():
            place = tuple(int(i) for i in np.argwhere(unknown)[0])
            return Finding(
                f"wrong value at {list(place)}",
                expected="x plus each of two numbers, dropped or scaled by 1 / (1 - p)",
                got=f"{number(added[place])} more than x",
                details=(f"{int(unknown.sum())} of {unknown.size} values are none of the four",),
            )
        both = (1 - kept[0]) * (1 - kept[1])
        return (
            share("of what attention returns is 0", 1 - kept[0], DROPOUT)
            or share("of what the MLP returns is 0", 1 - kept[1], DROPOUT)
            or share("is 0 of both", both, DROPOUT**2)
            or dropped_together("attention's outputs", kept[0], ("texts", "positions", "channels"))
            or dropped_together("the MLP's outputs", kept[1], ("texts", "positions", "channels"))
        )

    return judge


@block.edge(
    "in training, dropout falls on the weights of attention too",
    hint="MultiHeadAttention does it, if you pass dropout=dropout on to it",
)
def block_dropout_on_the_weights(draw: Draw):
    n_texts, n_tokens, n_heads, d_head = MANY
    weights = _silenced(_layers(draw, n_heads * d_head), "mlp.down")
    weights |= {f"attention.{name}": array for name, array in outputs_count_weights().items()}
    yield _block_case(
        draw,
        MANY,
        x=np.zeros((n_texts, n_tokens, n_heads * d_head)),
        weights=weights,
        judge=weights_were_dropped,
        training=True,
        dropout=DROPOUT,
        random=True,
    )


@block.edge(
    "in evaluation, dropout does nothing",
    hint="nn.Dropout knows the mode by itself; F.dropout must be told: training=self.training",
)
def block_dropout_rests(draw: Draw):
    sizes = (3, *MANY[1:])
    for mask in (None, _causal(MANY[1])):
        yield _block_case(draw, sizes, mask=mask, dropout=DROPOUT, random=True)


@block.edge(
    "where a text has nothing to attend to, attention adds the bias of out",
    hint="MultiHeadAttention does it by itself; the block passes the mask on as it is",
)
def block_empty_text(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    mask = draw.mask(2, 1, n_tokens)
    mask[1] = False
    for bias in (True, False):
        yield _block_case(draw, (2, n_tokens, n_heads, d_head), mask=mask, bias=bias)


@block.edge(
    "half precision in, half precision out, and close to the exact result",
    hint="make no tensor of a fixed dtype inside forward",
)
def block_half(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    for dtype in ("bfloat16", "float16"):
        for mask in (None, _causal(n_tokens)):
            yield _block_case(draw, (2, n_tokens, n_heads, d_head), mask=mask, dtype=dtype)


@block.edge(
    "x and mask are not changed, and every tensor is made on their device",
    hint="x = x + … makes a new tensor; x += … writes into the caller's",
)
def block_leaves_inputs(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    for mask in (None, draw.mask(n_tokens, n_tokens), draw.mask(2, 1, n_tokens)):
        for judge, watch in ((arguments_unchanged(CALL), False), (same_device, True)):
            yield _block_case(
                draw, (2, n_tokens, n_heads, d_head), mask=mask, judge=judge, watch_devices=watch
            )
