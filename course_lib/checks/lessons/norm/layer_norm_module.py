"""What must hold of `LayerNorm`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...cases.module_properties import (
    Filled,
    Rule,
    gradient_case,
    module_properties,
    starts_at,
)
from ...judges.expect import (
    also,
    no_error,
    parameters_are,
    returns,
)
from ...judges.findings import Finding
from ...judges.seen import Malformed
from ...oracles import norm as oracles
from .fixtures import (
    FAR_IN_FLOAT32,
    LESSON,
    activations,
    far_from_zero,
    nearly_cancelled,
    nearly_constant,
    scale_and_shift,
)

layer_norm_module = ComponentCheck("LayerNorm", "norm", LESSON)


def _module_case(x, weights: dict, *, eps=None, judge=None, dtype="float64", **options):
    bias = weights.get("bias")
    init_kwargs = {} if "bias" in weights else {"bias": False}
    init_kwargs |= {} if eps is None else {"eps": eps}
    expected = oracles.layer_norm(x, weights["weight"], bias, 1e-5 if eps is None else eps)
    case = layer_norm_module.build(
        x.shape[-1], x=x, weights=weights, init_kwargs=init_kwargs, dtype=dtype, **options
    )
    shapes = {name: array.shape for name, array in weights.items()}
    return case.expect(also(parameters_are(shapes), judge or returns(expected, dtype=dtype)))


def _weights(draw: Draw, width: int, dtype: str = "float64") -> dict:
    weight, bias = scale_and_shift(draw, width, dtype)
    return {"weight": weight, "bias": bias}


def _filled(x, weights: dict, earlier, **options) -> Filled:
    init_kwargs = {} if "bias" in weights else {"bias": False}
    return Filled([x.shape[-1]], weights, [x], [earlier], init_kwargs, **options)


@layer_norm_module.core(
    "it returns layer_norm of x, with its own weight and bias",
    hint="forward is one line: call layer_norm, and return what it gives",
)
def module_values(draw: Draw):
    n_texts, n_tokens, width = draw.sizes(3)
    for shape in ((width,), (n_tokens, width), (n_texts, n_tokens, width), (width, width)):
        yield _module_case(3 * draw.normal(*shape) + 1, _weights(draw, shape[-1]))
    yield _module_case(nearly_constant(draw, width), _weights(draw, width))
    x = draw.normal(2, n_tokens, width, dtype="float32")
    yield _module_case(x, _weights(draw, width, "float32"), dtype="float32")


@layer_norm_module.edge(
    "with bias=False there is no bias: .bias is None, and state_dict() holds weight alone",
    hint="self.bias = nn.Parameter(…) if bias else None",
    fits=("names", "not learned", "raised"),
)
def module_without_bias(draw: Draw):
    n_tokens, width = draw.sizes(2)
    weights = {"weight": _weights(draw, width)["weight"]}
    x = draw.normal(2, n_tokens, width)

    def bias_is_none(seen):
        kinds = seen.flag("attributes")
        if not isinstance(kinds, dict):
            raise Malformed("attributes")
        kind = kinds.get("bias")
        if kind == "NoneType":
            return None
        got = f"a {kind}" if kind else "no attribute of that name"
        return Finding("wrong .bias with bias=False", expected="None", got=str(got)[:60])

    yield _module_case(x, weights)
    yield gradient_case(layer_norm_module, _filled(x, weights, x), draw, oracles.layer_norm_of)
    judge = also(no_error, bias_is_none, starts_at({"weight": np.ones(width)}))
    yield _module_case(x, weights, judge=judge, attributes=["bias"], initial=True)


@layer_norm_module.edge(
    "the given eps is used", hint="keep it in __init__ (self.eps = eps), and pass it on in forward"
)
def module_eps(draw: Draw):
    n_tokens, width = draw.sizes(2)
    yield _module_case(draw.normal(n_tokens, width), _weights(draw, width), eps=0.3)
    without_bias = {"weight": _weights(draw, width)["weight"]}
    yield _module_case(nearly_constant(draw, width), without_bias, eps=1e-3)
    small = 1e-3 * draw.normal(n_tokens, max(width, 5))
    yield _module_case(small, _weights(draw, small.shape[1]), eps=0.0)


@layer_norm_module.edge(
    "an eps as small as float64 has them keeps constant vectors finite in half precision too",
    hint="self.eps = eps is a number; a buffer is cast with the module, and 1e-8 is 0 in float16",
    fits=("not finite",),
)
def module_small_eps(draw: Draw):
    (width,) = draw.sizes(1)
    for dtype in ("float16", "bfloat16"):
        for eps in (1e-8, 1e-12):
            x = np.ones((3, width)) * draw.integers(-4, 4, (3, 1))
            yield _module_case(x, _weights(draw, width, dtype), eps=eps, dtype=dtype)


@layer_norm_module.asked(
    "real sizes",
    "float32 with a mean far above the spread is normalised like any other",
    hint="layer_norm of this lesson does it",
)
def module_of_activations(draw: Draw):
    x, weights = activations(draw, 1027), _weights(draw, 1027, "float32")
    expected = oracles.layer_norm(x, weights["weight"], weights["bias"])
    judge = returns(expected, dtype="float32", tolerance=FAR_IN_FLOAT32)
    yield _module_case(x, weights, dtype="float32", judge=judge)


@layer_norm_module.asked(
    "real sizes",
    "a thousand vectors and some more are like any others",
    hint="layer_norm of this lesson does it: what works in blocks has a rest after the last one",
)
def module_of_many_vectors(draw: Draw):
    for shape in ((1031, 3), (1025, 2), (1031, 1, 3)):
        yield _module_case(draw.normal(*shape), _weights(draw, shape[-1]))


@layer_norm_module.asked(
    "real sizes",
    "half precision is rounded once, at the end, for any shape, and so are gradients",
    hint="layer_norm of this lesson does it",
    fits=("raised", "gradient"),
)
def module_rounds_once(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        x, weight, bias = nearly_cancelled(draw, dtype)
        yield _module_case(x, {"weight": weight, "bias": bias}, dtype=dtype)
    n_tokens, width = draw.sizes(2)
    for shape in ((width,), (1, width), (2, 3, n_tokens, width), (n_tokens, 1)):
        x, weights = draw.normal(*shape), _weights(draw, shape[-1])
        module = _filled(x, weights, x)
        yield gradient_case(layer_norm_module, module, draw, oracles.layer_norm_of)


def _any_layer_norm(draw: Draw, dtype: str):
    n_tokens, more_tokens, width = draw.sizes(3)
    fresh = {"weight": np.ones(width), "bias": np.zeros(width)}
    x = exact_in(2 * draw.normal(n_tokens, width) + 1, dtype)
    earlier = exact_in(5 * draw.normal(more_tokens, width) - 3, dtype)
    yield _filled(x, _weights(draw, width, dtype), earlier, fresh=fresh)
    x = draw.normal(2, n_tokens, width, dtype=dtype)
    without_bias = {"weight": _weights(draw, width, dtype)["weight"]}
    yield _filled(x, without_bias, earlier, is_edge=True)
    for shape in ((width,), (1, 1, width)):
        x = draw.normal(*shape, dtype=dtype)
        yield _filled(x, _weights(draw, width, dtype), earlier, is_edge=True)
    if dtype in ("bfloat16", "float16"):
        far = far_from_zero(draw, max(5, width), dtype)
        plain = {"weight": np.ones(far.shape[1]), "bias": np.zeros(far.shape[1])}
        yield _filled(far, plain, far)


module_properties(
    layer_norm_module,
    _any_layer_norm,
    oracle=oracles.layer_norm_of,
    parameters=Rule(
        "the parameters are weight, all ones, and bias, all zeros, of shape (d_model,)",
        hint="self.weight = nn.Parameter(torch.ones(d_model)), and the bias likewise",
        fits=("names", "not learned", "raised"),
    ),
    modes=Rule(
        "the same in training as in evaluation, whatever came before",
        hint="layer norm keeps no running statistics: each vector has its own mean",
    ),
    gradients=Rule(
        "gradients reach x, weight and bias",
    ),
    half=Rule(
        "half precision in, half precision out, with statistics in float32",
        hint="layer_norm of this lesson does it",
        fits=("dtype",),
    ),
    leaves_inputs=Rule(
        "x is not changed, and every tensor is made on its device",
        hint="device=x.device",
        fits=("device",),
    ),
)
