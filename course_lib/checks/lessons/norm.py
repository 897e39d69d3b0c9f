"""What must hold of lesson 5: layer norm, and a residual connection, the norm on either side."""

import numpy as np
import torch

from ..cases.check import ComponentCheck, Draw, exact_in
from ..judges.expect import (
    also,
    arguments_unchanged,
    differs,
    gradients_are,
    no_error,
    parameters_are,
    returns,
    same_device,
)
from ..judges.findings import Finding
from ..judges.seen import Malformed
from ..judges.tolerances import BY_DTYPE, Tolerance
from ..observe.given import fixtures
from ..oracles import attention as oracles

LESSON = "05_residual_and_layernorm"
NORM_CALL = ("x", "weight", "bias")
RESIDUAL_CALL = ("x", "norm", "sublayer")
# A mistake with eps does less than this to usual inputs: it has a property of its own.
EPS_ASIDE = Tolerance(relative=1e-3, absolute=1e-3)

layer_norm = ComponentCheck("layer_norm", "norm", LESSON)
layer_norm_module = ComponentCheck("LayerNorm", "norm", LESSON)
pre_norm = ComponentCheck("pre_norm", "norm", LESSON)
post_norm = ComponentCheck("post_norm", "norm", LESSON)


# --- layer_norm ---


def _scale_and_shift(draw: Draw, width: int, dtype: str = "float64"):
    """A weight and a bias that no channel shares with another."""
    return exact_in(1 + 0.5 * draw.normal(width), dtype), draw.normal(width, dtype=dtype)


def _norm_case(x, weight, bias, *eps, dtype="float64", judge=None, tolerance=None, **options):
    given = {"eps": options["eps"]} if "eps" in options else {}
    expected = oracles.layer_norm(x, weight, bias, *eps, **given)
    case = layer_norm.call(x, weight, bias, *eps, dtype=dtype, names=NORM_CALL, **options)
    return case.expect(judge or returns(expected, dtype=dtype, tolerance=tolerance))


def _nearly_constant(draw: Draw, width: int, dtype: str = "float64"):
    """Vectors whose variance is near the default eps; one is all zeros, one as large as usual."""
    x = exact_in(3e-3 * draw.normal(5, width), dtype)
    x[1] = 0.0
    x[3] = draw.normal(width, dtype=dtype)
    return x


def _far_from_zero(draw: Draw, width: int, dtype: str):
    """Vectors that `dtype` holds exactly, and their mean it does not: it lies between two numbers.

    From 256 (bfloat16) and from 2048 (float16) on, neighbours are 2 apart. The mean of each vector
    is almost half way between two of them.
    """
    start, steps = (256, 3) if dtype == "bfloat16" else (2048, 15)
    counts = draw.integers(0, steps, (6, width))
    counts[:, 0], counts[:, -1] = 0, steps
    missing = ((width - 1) // 2 - counts.sum(axis=1)) % width
    counts += np.arange(width) < missing[:, None]
    return start + 2.0 * counts


@layer_norm.core(
    "with weight 1 and bias 0, each vector gets mean 0 and variance 1",
    hint="mean and variance are taken over the last axis, and kept as an axis of length 1",
)
def layer_norm_plain(draw: Draw):
    n_texts, n_tokens, width = draw.sizes(3)
    shapes = [(width,), (n_tokens, width), (n_texts, n_tokens, width), (2, 4, n_tokens, width)]
    shapes += [(width, width), (width, width, width), (n_tokens, n_tokens, width), (n_tokens, 3)]
    for shape in shapes:
        x = 3 * draw.normal(*shape) + 2 * draw.normal(*shape[:-1], 1)
        ones, zeros = np.ones(shape[-1]), np.zeros(shape[-1])
        yield _norm_case(x, ones, zeros, tolerance=EPS_ASIDE)
    x = draw.normal(n_tokens, width, dtype="float32")
    yield _norm_case(x, np.ones(width), np.zeros(width), dtype="float32", tolerance=EPS_ASIDE)


@layer_norm.core(
    "then weight scales and bias shifts, each channel by its own number",
    hint="first times weight, then plus bias; both have one number for each channel",
)
def layer_norm_scaled(draw: Draw):
    n_texts, n_tokens, width = draw.sizes(3)
    shapes = [(n_tokens, width), (n_texts, n_tokens, width), (width, width), (width, 3)]
    for shape in (*shapes, (1, n_tokens, width), (n_tokens, 1), (1, 1)):
        parameters = _scale_and_shift(draw, shape[-1])
        yield _norm_case(2 * draw.normal(*shape) + 1, *parameters, tolerance=EPS_ASIDE)
    x, parameters = draw.normal(2, n_tokens, width), _scale_and_shift(draw, width, "float32")
    x = exact_in(x, "float32")
    yield _norm_case(x, *parameters, dtype="float32", tolerance=EPS_ASIDE)


@layer_norm.core("without bias (None) nothing is added", hint="if bias is not None: …")
def layer_norm_without_bias(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for shape in ((n_tokens, width), (2, n_tokens, width)):
        weight, _ = _scale_and_shift(draw, width)
        yield _norm_case(2 * draw.normal(*shape) + 1, weight, None, tolerance=EPS_ASIDE)


@layer_norm.core(
    "eps is added to the variance, inside the root, and is 1e-5 unless given",
    hint="sqrt(variance + eps): eps must matter exactly where the variance is tiny",
)
def layer_norm_eps(draw: Draw):
    n_tokens, width = draw.sizes(2)
    weight, bias = _scale_and_shift(draw, width)
    yield _norm_case(_nearly_constant(draw, width), weight, bias)
    yield _norm_case(np.full((n_tokens, width), 1.5), weight, bias)
    yield _norm_case(draw.normal(2, n_tokens, width), weight, bias)
    yield _norm_case(_nearly_constant(draw, width), weight, bias, 0.1)
    yield _norm_case(draw.normal(n_tokens, width), weight, None, eps=0.3)
    yield _norm_case(_nearly_constant(draw, width), weight, bias, eps=1e-8)
    x = _nearly_constant(draw, width, "float32")
    yield _norm_case(x, *_scale_and_shift(draw, width, "float32"), dtype="float32")


@layer_norm.core(
    "gradients reach x, weight and bias, through mean and variance too",
    hint="write nothing into x, and cut nothing off with detach(), item() or no_grad()",
)
def layer_norm_gradients(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for x in (2 * draw.normal(2, n_tokens, width) + 1, 3e-3 * draw.normal(n_tokens, width)):
        weight, bias = _scale_and_shift(draw, width)
        for shift in (bias, 0 * bias, None):
            cotangent = draw.normal(*x.shape)
            expected = oracles.layer_norm_gradients(x, weight, shift, cotangent)
            judge = gradients_are(
                expected, "float64", {f"argument {n}": name for n, name in enumerate(NORM_CALL)}
            )
            yield _norm_case(x, weight, shift, judge=judge, cotangents=[cotangent])


@layer_norm.edge(
    "half precision in, half precision out, and close to the exact result",
    hint="compute in float32, and end with .to(x.dtype)",
)
def layer_norm_half(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        weight, bias = _scale_and_shift(draw, width, dtype)
        x = draw.normal(2, n_tokens, width, dtype=dtype)
        yield _norm_case(x, weight, bias, dtype=dtype)
        yield _norm_case(x, weight, None, dtype=dtype)
        yield _norm_case(_nearly_constant(draw, width, dtype), weight, bias, dtype=dtype)


@layer_norm.edge(
    "mean and variance of half-precision x are taken in float32",
    hint="a mean rounded to bfloat16 can be off by 1 at 257, and 300² overflows in float16",
)
def layer_norm_statistics(draw: Draw):
    width = max(5, *draw.sizes(1))
    ones, zeros = np.ones(width), np.zeros(width)
    for dtype in ("bfloat16", "float16"):
        yield _norm_case(_far_from_zero(draw, width, dtype), ones, zeros, dtype=dtype)
        large = exact_in(1000 * draw.normal(5, width), dtype)
        yield _norm_case(large, ones, zeros, dtype=dtype)


@layer_norm.edge(
    "x, weight and bias are not changed, and every tensor is made on their device",
    hint="x -= … writes into the caller's tensor; x - … does not",
)
def layer_norm_leaves_inputs(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for dtype in ("float64", "float32"):
        x = draw.normal(2, n_tokens, width, dtype=dtype)
        weight, bias = _scale_and_shift(draw, width, dtype)
        yield _norm_case(x, weight, bias, dtype=dtype, judge=arguments_unchanged(NORM_CALL))
        for shift in (bias, None):
            yield _norm_case(x, weight, shift, dtype=dtype, judge=same_device, watch_devices=True)


# --- LayerNorm ---


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
    weight, bias = _scale_and_shift(draw, width, dtype)
    return {"weight": weight, "bias": bias}


def _starts_at(expected: dict):
    """Judge: the values of a fresh module's parameters."""

    def judge(seen):
        found = seen.initial
        for name, array in expected.items():
            values = found.get(name)
            if values is None or values.shape != array.shape:
                raise Malformed("initial")
            finding = differs(values, array, BY_DTYPE["float32"], f"the fresh {name}")
            if finding:
                return finding
        return None

    return judge


@layer_norm_module.core(
    "the parameters are weight, all ones, and bias, all zeros, of shape (d_model,)",
    hint="self.weight = nn.Parameter(torch.ones(d_model)), and the bias likewise",
)
def module_parameters(draw: Draw):
    n_tokens, width = draw.sizes(2)
    judge = _starts_at({"weight": np.ones(width), "bias": np.zeros(width)})
    x = draw.normal(n_tokens, width)
    yield _module_case(x, _weights(draw, width), judge=judge, initial=True)


@layer_norm_module.core(
    "it returns layer_norm of x, with its own weight and bias",
    hint="forward is one line: call layer_norm, and return what it gives",
)
def module_values(draw: Draw):
    n_texts, n_tokens, width = draw.sizes(3)
    for shape in ((width,), (n_tokens, width), (n_texts, n_tokens, width), (width, width)):
        yield _module_case(3 * draw.normal(*shape) + 1, _weights(draw, shape[-1]))
    yield _module_case(_nearly_constant(draw, width), _weights(draw, width))
    x = draw.normal(2, n_tokens, width, dtype="float32")
    yield _module_case(x, _weights(draw, width, "float32"), dtype="float32")


@layer_norm_module.core(
    "the same in training as in evaluation, whatever came before",
    hint="layer norm keeps no running statistics: each vector has its own mean",
)
def module_modes(draw: Draw):
    n_tokens, more_tokens, width = draw.sizes(3)
    x = 2 * draw.normal(n_tokens, width) + 1
    earlier = [5 * draw.normal(more_tokens, width) - 3]
    yield _module_case(x, _weights(draw, width), training=True)
    for training in (False, True):
        yield _module_case(x, _weights(draw, width), warm_up=earlier, training=training)
    yield _module_case(x, _weights(draw, width), warm_up=earlier, warm_up_training=True)


@layer_norm_module.core(
    "gradients reach x, weight and bias", hint="parameters, not plain tensors, and no detach()"
)
def module_gradients(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for training in (False, True):
        x = draw.normal(2, n_tokens, width)
        yield _module_gradients(draw, x, _weights(draw, width), training=training)


def _module_gradients(draw, x, weights, **options):
    cotangent = draw.normal(*x.shape)
    found = oracles.layer_norm_gradients(x, weights["weight"], weights.get("bias"), cotangent)
    expected = dict(zip(["argument 0", *weights], found.values(), strict=True))
    judge = gradients_are(expected, "float64", {"argument 0": "x"})
    return _module_case(x, weights, judge=judge, cotangents=[cotangent], **options)


@layer_norm_module.edge(
    "with bias=False there is no bias: .bias is None, and state_dict() holds weight alone",
    hint="self.bias = nn.Parameter(…) if bias else None",
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
    yield _module_gradients(draw, x, weights)
    judge = also(no_error, bias_is_none, _starts_at({"weight": np.ones(width)}))
    yield _module_case(x, weights, judge=judge, attributes=["bias"], initial=True)


@layer_norm_module.edge(
    "the given eps is used", hint="keep it in __init__ (self.eps = eps), and pass it on in forward"
)
def module_eps(draw: Draw):
    n_tokens, width = draw.sizes(2)
    yield _module_case(draw.normal(n_tokens, width), _weights(draw, width), eps=0.3)
    without_bias = {"weight": _weights(draw, width)["weight"]}
    yield _module_case(_nearly_constant(draw, width), without_bias, eps=1e-3)


@layer_norm_module.edge(
    "half precision in, half precision out, with statistics in float32",
    hint="layer_norm of this lesson does it",
)
def module_half(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        x = draw.normal(2, n_tokens, width, dtype=dtype)
        yield _module_case(x, _weights(draw, width, dtype), dtype=dtype)
        far = _far_from_zero(draw, max(5, width), dtype)
        plain = {"weight": np.ones(far.shape[1]), "bias": np.zeros(far.shape[1])}
        yield _module_case(far, plain, dtype=dtype)


@layer_norm_module.edge(
    "x is not changed, and every tensor is made on its device", hint="device=x.device"
)
def module_leaves_x(draw: Draw):
    n_tokens, width = draw.sizes(2)
    x = draw.normal(2, n_tokens, width)
    yield _module_case(x, _weights(draw, width), judge=arguments_unchanged(["x"]))
    without_bias = {"weight": _weights(draw, width)["weight"]}
    for weights in (_weights(draw, width), without_bias):
        yield _module_case(x, weights, judge=same_device, watch_devices=True)


# --- pre_norm and post_norm ---


def add_residual_properties(check: ComponentCheck, *, norm_first: bool) -> None:
    """What the two ways around a sublayer have in common: all but the order."""

    def case(draw, shape, *, kinds=("stretching", "blending"), judge=None, dtype="float64", **more):
        norm, sublayer = (
            {
                "fixture": kind,
                "n_positions": shape[-2],
                "width": shape[-1],
                "reach": None,
                "seed": int(draw.integers(0, 2**31 - 1)),
            }
            for kind in kinds
        )
        x, cotangent = draw.normal(*shape, dtype=dtype), draw.normal(*shape)
        built = (fixtures.build(spec, torch.float64) for spec in (norm, sublayer))
        expected, gradients = oracles.residual(
            x, *built, norm_first=norm_first, cotangent=cotangent
        )
        if judge == "gradients":
            judge = gradients_are(gradients, "float64", {"argument 0": "x"})
            more["cotangents"] = [cotangent]
        made = check.call(x, norm, sublayer, dtype=dtype, names=RESIDUAL_CALL, **more)
        return made.expect(judge or returns(expected, dtype=dtype))

    @check.core(
        "x itself, plus what the sublayer makes of the normalised x"
        if norm_first
        else "the sum of x and of what the sublayer makes of x, normalised",
        hint="three steps: normalise, call the sublayer, add x itself"
        if norm_first
        else "three steps: call the sublayer, add x, normalise the sum",
    )
    def values(draw: Draw):
        n_texts, n_tokens, width = draw.sizes(3)
        for shape in ((n_tokens, width), (n_texts, n_tokens, width), (width, width, width)):
            yield case(draw, shape)
        yield case(draw, (2, n_tokens, width), dtype="float32")
        yield case(draw, (n_tokens, width), kinds=("passing", "blending"))
        yield case(draw, (n_tokens, width), kinds=("stretching", "passing"))

    @check.core(
        "gradients reach x by both ways: straight on, and through the sublayer",
        hint="write nothing into x, and cut nothing off with detach() or no_grad()",
    )
    def gradients(draw: Draw):
        n_tokens, width = draw.sizes(2)
        yield case(draw, (2, n_tokens, width), judge="gradients")
        yield case(draw, (n_tokens, width), judge="gradients", kinds=("passing", "blending"))

    @check.edge(
        "x is not changed in place, also when norm or sublayer returns x itself",
        hint="x + … makes a new tensor; += writes into an old one, and it may be the caller's",
    )
    def leaves_x(draw: Draw):
        n_tokens, width = draw.sizes(2)
        unchanged = arguments_unchanged(["x"])
        for norm in ("stretching", "passing"):
            for sublayer in ("blending", "passing"):
                kinds = (norm, sublayer)
                yield case(draw, (2, n_tokens, width), judge=unchanged, kinds=kinds)
        yield case(draw, (n_tokens, width), kinds=("passing", "passing"))

    @check.edge("norm and sublayer are called once each", hint="keep what a call returns in a name")
    def called_once(draw: Draw):
        def once(seen):
            finding = no_error(seen)
            calls = seen.flag("calls")
            if not finding and calls != [1, 1]:
                return Finding(
                    "norm or sublayer was not called once",
                    expected="1 call of norm, 1 call of sublayer",
                    got=str(calls)[:40],
                )
            return finding

        yield case(draw, draw.sizes(2), judge=once)

    @check.edge(
        "half precision in, half precision out, and every tensor on the device of x",
        hint="nothing here needs a new tensor or another dtype",
    )
    def half_and_device(draw: Draw):
        n_tokens, width = draw.sizes(2)
        for dtype in ("bfloat16", "float16"):
            yield case(draw, (2, n_tokens, width), dtype=dtype)
        yield case(draw, (2, n_tokens, width), judge=same_device, watch_devices=True)


add_residual_properties(pre_norm, norm_first=True)
add_residual_properties(post_norm, norm_first=False)
