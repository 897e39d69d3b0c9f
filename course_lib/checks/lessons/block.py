"""What must hold of a block: attention and an MLP, each behind a norm, each added to the stream."""

import itertools

import numpy as np

from ..cases.check import ComponentCheck
from ..cases.draw import Draw, exact_in
from ..cases.module_properties import Filled, Rule, module_properties
from ..cases.slopes import slope_case
from ..judges.chance import BY_CHANCE, DROPOUT, dropped_together, share
from ..judges.expect import (
    also,
    parameters_are,
    returns,
)
from ..judges.findings import Finding, number
from ..oracles import block as oracles
from ..oracles.tensors import given
from .attention.fixtures import LARGE, WIDTH, one_sided_head
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
        expected = oracles.block(x, weights, n_heads, mask, approximate or "none")
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
        notes=[f"{' and '.join(silent)} giving zeros"] if silent else (),
        **options,
    ).expect(also(parameters_are({name: array.shape for name, array in weights.items()}), judge))


def _causal(n_tokens: int) -> np.ndarray:
    return np.tri(n_tokens, dtype=bool)


@block.core(
    "if attention and MLP return zeros, x comes out as it went in",
    hint="each is added to x itself, as it comes: one norm before it, and none behind it",
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
    "the mask goes to attention as it is, of any shape: (T, S), (B, T, S) or (B, 1, S)",
    hint="self.attention(self.norm1(x), mask): no axis is added here, and nothing else is hidden",
    fits=("shape", "raised"),
)
def block_masks(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    sizes = (2, n_tokens, n_heads, d_head)
    for shape in ((n_tokens, n_tokens), (2, n_tokens, n_tokens), (2, 1, n_tokens)):
        yield _block_case(draw, sizes, mask=draw.mask(*shape))
    yield _block_case(draw, sizes, mask=_causal(n_tokens), by_name=True)
    mask = draw.mask(n_heads, n_heads, n_heads)
    yield _block_case(draw, (n_heads, n_heads, n_heads, d_head), mask=mask)


@block.edge(
    "with bias=False no part has a bias",
    hint="pass bias=bias on to both norms, to the attention and to the MLP",
    fits=("names", "not learned", "raised"),
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


@block.edge(
    "with dropout, gradients reach the weights through the entries that were kept, and no others",
    hint="what is computed again on the way back must drop the same entries: keep what was drawn",
    fits=("gradient",),
)
def block_slopes(draw: Draw):
    case = _block_case(draw, (2, 5, 3, 3), dropout=DROPOUT, training=True)
    yield slope_case(case, draw, (2, 5, 9))


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
    fits=("not finite",),
)
def block_empty_text(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3, largest=9)
    mask = draw.mask(2, 1, n_tokens)
    mask[1] = False
    for bias in (True, False):
        yield _block_case(draw, (2, n_tokens, n_heads, d_head), mask=mask, bias=bias)


@block.edge(
    "scores in the thousands give weights, all below 0 as well as all above",
    hint="the attention of lesson 4 does it: the highest score of a row may be far below 0",
    fits=("not finite",),
)
def block_of_one_side(draw: Draw):
    weights = _layers(draw, 32, dtype="float32")
    # All keys are the same, and each query is on one side of 0 or the other.
    weights["norm1.weight"][:2], weights["norm1.bias"][:2] = (1.0, 0.0), (0.0, 80.0)
    qkv = weights["attention.qkv.weight"]
    for head, sign in enumerate((1.0, -1.0)):
        one_sided_head(qkv, head * WIDTH, 0, sign * LARGE)
        one_sided_head(qkv, 32 + head * WIDTH, 1, 1.0)
    weights["attention.qkv.bias"][:64] = 0.0
    qkv[64:, :2] = 0.0
    for mask in (None, _causal(7)):
        yield _block_case(draw, (2, 7, 2, WIDTH), mask=mask, weights=weights, dtype="float32")


@block.asked(
    "real sizes",
    "a text of hundreds of tokens is read as a short one is",
    hint="make nothing whose size is fixed; what works in blocks has a rest after the last",
)
def block_of_real_size(draw: Draw):
    yield _block_case(draw, (1, 257, 3, 8), mask=_causal(257), dtype="float32")
    # In float64: of many vectors of two numbers, some have next to no variance to divide by.
    yield _block_case(draw, (1, 1031, 1, 2), mask=_causal(1031))
    yield _block_case(draw, (1031, 2, 1, 2))


def _filled(draw: Draw, n_heads, d_head, *texts, bias=True, dtype="float64") -> Filled:
    """A block with drawn weights; of its texts, the last come before: how many tokens, and mask."""
    d_model = n_heads * d_head
    weights = _layers(draw, d_model, bias=bias, dtype=dtype)
    inputs = [
        [draw.normal(2, n_tokens, d_model, dtype=dtype), *given(mask)] for n_tokens, mask in texts
    ]
    return Filled(
        [d_model, n_heads],
        weights,
        inputs[0],
        inputs[-1],
        {} if bias else {"bias": False},
        settings={"n_heads": n_heads},
        is_edge=not bias,
    )


def _any_block(draw: Draw, dtype: str):
    short, long, n_heads, d_head = sorted(draw.sizes(4, largest=9))
    sizes = n_heads, d_head
    mask, causal = draw.mask(long, long), _causal(long)
    yield _filled(draw, *sizes, [short, None], [long, None], dtype=dtype)
    yield _filled(draw, *sizes, [long, None], [long, mask], dtype=dtype)
    yield _filled(draw, *sizes, [short, None], [long, None], bias=False, dtype=dtype)
    yield _filled(draw, *sizes, [long, causal], [long, mask], dtype=dtype)
    yield _filled(draw, *sizes, [long, draw.mask(2, 1, long)], [short, None], dtype=dtype)


module_properties(
    block,
    _any_block,
    oracle=oracles.block_of,
    names=CALL,
    parameters=Rule(
        "the parameters are those of norm1, attention, norm2 and mlp",
        hint="two LayerNorm, one MultiHeadAttention and one MLP, which is 4 * d_model wide inside",
        fits=("names", "not learned", "raised"),
    ),
    modes=Rule(
        "without dropout, training is as evaluation, whatever texts came before",
        hint="forward keeps nothing between calls",
    ),
    gradients=Rule(
        "gradients reach x and every weight",
    ),
    leaves_inputs=Rule(
        "x and mask are not changed, and every tensor is made on their device",
        hint="x = x + … makes a new tensor; x += … writes into the caller's",
        fits=("changed",),
    ),
)
