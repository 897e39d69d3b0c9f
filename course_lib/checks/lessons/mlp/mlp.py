"""What must hold of `MLP`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...cases.module_properties import HALF, Filled, Rule, module_properties
from ...cases.slopes import slope_case
from ...judges.chance import BY_CHANCE, DROPOUT, dropped_together, share
from ...judges.expect import (
    also,
    differs,
    parameters_are,
    returns,
)
from ...judges.tolerances import Tolerance
from ...oracles import mlp as oracles
from .fixtures import FORMS, LESSON

MANY = (16, 7, 15)  # texts, tokens, channels: a share of all deviates by about 1 %

mlp = ComponentCheck("MLP", "mlp", LESSON)


def mlp_layers(
    draw: Draw, d_model: int, d_mlp: int, *, bias: bool = True, dtype: str = "float64"
) -> dict:
    """Weights by the names of `state_dict`, with which the hidden numbers reach both bends."""
    shapes = {"up": (d_mlp, d_model), "down": (d_model, d_mlp)}
    weights = {
        f"{name}.weight": 1.5 * draw.normal(*shape) / np.sqrt(shape[1])
        for name, shape in shapes.items()
    }
    if bias:
        weights |= {f"{name}.bias": draw.normal(shape[0]) for name, shape in shapes.items()}
    return {name: exact_in(array, dtype) for name, array in weights.items()}


def _mlp_case(
    draw: Draw,
    shape,
    d_mlp=None,
    *,
    by_name=False,
    bias=True,
    approximate=None,
    dropout=0.0,
    dtype="float64",
    x=None,
    weights=None,
    judge=None,
    **options,
):
    """An MLP with drawn weights over drawn vectors; right when it agrees with torch's own.

    Args:
        d_mlp: left out of the call when None.
        by_name: whether `d_mlp` is passed by name.
        judge: what must hold of the call besides its parameters, instead of its values.
    """
    d_model = shape[-1]
    if weights is None:
        weights = mlp_layers(draw, d_model, d_mlp or 4 * d_model, bias=bias, dtype=dtype)
    if x is None:
        x = draw.normal(*shape, dtype=dtype)
    chosen = {"bias": bias} if not bias else {}
    chosen |= {"approximate": approximate} if approximate else {}
    chosen |= {"dropout": dropout} if dropout else {}
    chosen |= {"d_mlp": d_mlp} if d_mlp and by_name else {}
    init = [d_model] if by_name or d_mlp is None else [d_model, d_mlp]
    expected = oracles.mlp(x, weights, approximate or "none")
    case = mlp.build(*init, x=x, weights=weights, init_kwargs=chosen, dtype=dtype, **options)
    shapes = {name: array.shape for name, array in weights.items()}
    return case.expect(also(parameters_are(shapes), judge or returns(expected, dtype=dtype)))


@mlp.core("down of the gelu of up", hint="one line: up, then gelu, then down")
def mlp_values(draw: Draw):
    n_texts, n_tokens, width, d_mlp = draw.sizes(4)
    for shape in ((n_texts, n_tokens, width), (n_tokens, width), (width,), (width, width)):
        yield _mlp_case(draw, shape)
    yield _mlp_case(draw, (2, n_tokens, width), d_mlp)
    yield _mlp_case(draw, (2, n_tokens, width), width, by_name=True)
    yield _mlp_case(draw, (2, n_tokens, width), 1)
    yield _mlp_case(draw, (2, n_tokens, 1))
    yield _mlp_case(draw, (2, n_tokens, width), dtype="float32")


@mlp.edge(
    "with bias=False neither layer has a bias",
    hint="pass bias=bias on to both nn.Linear",
    fits=("raised",),
)
def mlp_without_bias(draw: Draw):
    n_tokens, width, d_mlp = draw.sizes(3)
    yield _mlp_case(draw, (n_tokens, width), bias=False)
    yield _mlp_case(draw, (2, n_tokens, width), d_mlp, bias=False)


@mlp.edge(
    'approximate is passed on to gelu: "tanh" gives the other curve',
    hint="keep it in __init__ (self.approximate = approximate), and give it to gelu in forward",
)
def mlp_approximate(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for form in FORMS:
        yield _mlp_case(draw, (2, n_tokens, width), approximate=form)


@mlp.edge(
    "in training, dropout sets outputs to 0 and scales the others by 1 / (1 - p)",
    hint="nn.Dropout on the output alone, after .down: it divides what stays by 1 - p",
)
def mlp_dropout(draw: Draw):
    small = mlp_layers(draw, MANY[-1], 4 * MANY[-1])
    # Small outputs: chance moves their mean by less than diagnosis.py compares with.
    small |= {name: small[name] / 8 for name in ("down.weight", "down.bias")}
    for x, layers in (
        (draw.normal(*MANY), small),
        (np.ones(MANY), _always_six(MANY[-1])),
        (np.ones(MANY), _balanced(MANY[-1])),
    ):
        judge = _dropped(oracles.mlp(x, layers))
        given = {"x": x, "weights": layers, "dropout": DROPOUT, "random": True}
        yield _mlp_case(draw, MANY, judge=judge, training=True, **given)


@mlp.edge(
    "with dropout, gradients reach the weights through the entries that were kept, and no others",
    hint="what is computed again on the way back must drop the same entries: keep what was drawn",
    fits=("gradient",),
)
def mlp_slopes(draw: Draw):
    shape = (2, *draw.sizes(2))
    yield slope_case(_mlp_case(draw, shape, dropout=DROPOUT, training=True), draw, shape)


def _always_six(d_model: int) -> dict:
    """Layers that do not hear x: every output is 5, which many equal numbers add up to, and 1.

    So what falls tells where: an output to 0, a sum to 1, some of the many by a little, x by none.
    """
    d_mlp = 4 * d_model
    of_two = float(oracles.gelu(np.array([2.0]), "none")[0])
    return {
        "up.weight": np.zeros((d_mlp, d_model)),
        "up.bias": np.full(d_mlp, 2.0),
        "down.weight": np.full((d_model, d_mlp), 5.0 / (of_two * d_mlp)),
        "down.bias": np.ones(d_model),
    }


def _balanced(d_model: int) -> dict:
    """Layers that hear nothing of equal numbers, and much as soon as some of them fall.

    Every output is 1, the bias; only where x itself was dropped are they far apart.
    """
    d_mlp = 4 * d_model
    return {
        "up.weight": np.tile(np.arange(d_model) - (d_model - 1) / 2, (d_mlp, 1)),
        "up.bias": np.zeros(d_mlp),
        "down.weight": np.full((d_model, d_mlp), 1.0 / d_mlp),
        "down.bias": np.ones(d_model),
    }


def _dropped(expected: np.ndarray):
    """Judge: a number is 0, or what is expected without dropout, scaled."""

    def judge(seen):
        finding = returns(expected, dtype="float64", skip_values=True)(seen)
        if finding:
            return finding
        output = seen.outputs[0].array
        is_zero = output == 0
        return (
            share("of the outputs are 0", is_zero, DROPOUT)
            or differs(output, np.where(is_zero, 0.0, expected / (1 - DROPOUT)), BY_CHANCE)
            or dropped_together("outputs", 1.0 * is_zero, ("texts", "positions", "channels"))
        )

    return judge


@mlp.edge(
    "in evaluation, dropout does nothing",
    hint="nn.Dropout knows the mode by itself; F.dropout must be told: training=self.training",
)
def mlp_dropout_rests(draw: Draw):
    yield _mlp_case(draw, MANY, dropout=DROPOUT, random=True)
    n_tokens, width = draw.sizes(2)
    earlier = [draw.normal(3, n_tokens, width)]
    yield _mlp_case(
        draw,
        (2, n_tokens, width),
        dropout=DROPOUT,
        random=True,
        warm_up=earlier,
        warm_up_training=True,
    )


@mlp.edge(HALF.rule, hint=HALF.hint)
def mlp_half_with_dropout(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        judge = returns(np.zeros(MANY), dtype=dtype, skip_values=True)
        given = {"weights": _always_six(MANY[-1]), "dropout": DROPOUT, "random": True}
        yield _mlp_case(draw, MANY, judge=judge, dtype=dtype, training=True, **given)


@mlp.edge(
    "in half precision the gelu is rounded once, at its end",
    hint="gelu of this lesson, or F.gelu, computes in float32: near -3 little is left of 1 + erf",
)
def mlp_gelu_in_half(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        weights = {"up.weight": np.ones((1, 1)), "up.bias": np.zeros(1)}
        weights |= {"down.weight": np.ones((1, 1)), "down.bias": np.zeros(1)}
        x = exact_in(-3 + draw.normal(7, 1) / 8, dtype)
        relative = Tolerance(relative=0.05, absolute=0.0)
        judge = returns(oracles.mlp(x, weights, "none"), dtype=dtype, tolerance=relative)
        yield _mlp_case(draw, (7, 1), 1, x=x, weights=weights, judge=judge, dtype=dtype)


@mlp.asked(
    "real sizes",
    "as wide as in real models, in half precision too",
    hint="nn.Linear adds up in more digits than it returns",
)
def mlp_of_real_size(draw: Draw):
    for dtype in ("float32", "bfloat16"):
        yield _mlp_case(draw, (3, 257), dtype=dtype)


@mlp.asked(
    "real sizes",
    "a thousand vectors and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def mlp_of_many_vectors(draw: Draw):
    for shape in ((1031, 2), (1, 1025, 2), (1031, 1, 2), (11, 103, 2)):
        yield _mlp_case(draw, shape)


def _any_mlp(draw: Draw, dtype: str):
    n_tokens, more_tokens, width, d_mlp = draw.sizes(4)
    for d_hidden, init, init_kwargs in (
        (4 * width, [width], {}),
        (d_mlp, [width, d_mlp], {}),
        (4 * width, [width], {"bias": False}),
        (d_mlp, [width], {"d_mlp": d_mlp}),
    ):
        bias = init_kwargs.get("bias", True)
        weights = mlp_layers(draw, width, d_hidden, bias=bias, dtype=dtype)
        x, earlier = (draw.normal(2, n, width, dtype=dtype) for n in (n_tokens, more_tokens))
        yield Filled(init, weights, [x], [earlier], init_kwargs, is_edge=not bias)
    weights = mlp_layers(draw, width, 4 * width, dtype=dtype)
    for shape in ((width,), (1, width), (2, 3, 1, width)):
        x = draw.normal(*shape, dtype=dtype)
        yield Filled([width], weights, [x], [earlier])


module_properties(
    mlp,
    _any_mlp,
    oracle=oracles.mlp_of,
    parameters=Rule(
        "the parameters are those of up, C -> M, and down, M -> C: nn.Linear each",
        hint="self.up and self.down; d_mlp is M as it stands, and 4 * d_model if it is None",
        fits=("names", "not learned", "raised"),
    ),
    modes=Rule(
        "without dropout, training is as evaluation, whatever came before",
        hint="forward keeps nothing between calls",
    ),
    leaves_inputs=Rule(
        "x is not changed, and every tensor is made on its device",
        hint="device=x.device",
        fits=("device",),
    ),
)
