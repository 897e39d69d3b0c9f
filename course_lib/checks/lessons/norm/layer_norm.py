"""What must hold of `layer_norm`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...judges.expect import also, arguments_unchanged, gradients_are, returns, same_device
from ...oracles import norm as oracles
from .fixtures import (
    EPS_ASIDE,
    FAR_IN_FLOAT32,
    LESSON,
    NORM_CALL,
    activations,
    far_from_zero,
    nearly_cancelled,
    nearly_constant,
    scale_and_shift,
)

layer_norm = ComponentCheck("layer_norm", "norm", LESSON)


def _norm_case(x, weight, bias, *eps, dtype="float64", judge=None, tolerance=None, **options):
    given = {"eps": options["eps"]} if "eps" in options else {}
    expected = oracles.layer_norm(x, weight, bias, *eps, **given)
    case = layer_norm.call(x, weight, bias, *eps, dtype=dtype, names=NORM_CALL, **options)
    return case.expect(judge or returns(expected, dtype=dtype, tolerance=tolerance))


@layer_norm.core(
    "with weight 1 and bias 0, each vector gets mean 0 and variance 1",
    hint="each vector by itself, all of them: mean and var(correction=0) over the last axis",
    fits=("shape", "raised"),
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
        parameters = scale_and_shift(draw, shape[-1])
        yield _norm_case(2 * draw.normal(*shape) + 1, *parameters, tolerance=EPS_ASIDE)
    x, parameters = draw.normal(2, n_tokens, width), scale_and_shift(draw, width, "float32")
    x = exact_in(x, "float32")
    yield _norm_case(x, *parameters, dtype="float32", tolerance=EPS_ASIDE)


@layer_norm.core(
    "without bias (None) nothing is added", hint="if bias is not None: …", fits=("raised",)
)
def layer_norm_without_bias(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for shape in ((n_tokens, width), (2, n_tokens, width)):
        weight, _ = scale_and_shift(draw, width)
        yield _norm_case(2 * draw.normal(*shape) + 1, weight, None, tolerance=EPS_ASIDE)


@layer_norm.core(
    "eps is added to the variance, inside the root, and is 1e-5 unless given",
    hint="sqrt(variance + eps), with the eps that was given: it matters where the variance is tiny",
    fits=("not finite",),
)
def layer_norm_eps(draw: Draw):
    n_tokens, width = draw.sizes(2)
    weight, bias = scale_and_shift(draw, width)
    yield _norm_case(nearly_constant(draw, width), weight, bias)
    yield _norm_case(np.full((n_tokens, width), 1.5), weight, bias)
    yield _norm_case(draw.normal(2, n_tokens, width), weight, bias)
    yield _norm_case(nearly_constant(draw, width), weight, bias, 0.1)
    yield _norm_case(draw.normal(n_tokens, width), weight, None, eps=0.3)
    yield _norm_case(nearly_constant(draw, width), weight, bias, eps=1e-8)
    yield _norm_case(
        1e-3 * draw.normal(n_tokens, max(width, 5)), np.ones(max(width, 5)), None, eps=0.0
    )
    x = nearly_constant(draw, width, "float32")
    yield _norm_case(x, *scale_and_shift(draw, width, "float32"), dtype="float32")


@layer_norm.core(
    "gradients reach x, weight and bias, through mean and variance too",
)
def layer_norm_gradients(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for x in (2 * draw.normal(2, n_tokens, width) + 1, 3e-3 * draw.normal(n_tokens, width)):
        weight, bias = scale_and_shift(draw, width)
        for shift in (bias, 0 * bias, None):
            cotangent = draw.normal(*x.shape)
            expected = oracles.layer_norm_gradients(x, weight, shift, cotangent)
            judge = gradients_are(
                expected, "float64", {f"argument {n}": name for n, name in enumerate(NORM_CALL)}
            )
            yield _norm_case(x, weight, shift, judge=judge, cotangents=[cotangent])


@layer_norm.edge(
    "gradients reach x, weight and bias of one vector as of many, of one channel as of many",
    hint="sum over the leading axes, however many: with none, sum(dim=()) sums over all",
    fits=("raised", "gradient"),
)
def layer_norm_gradients_of_any_shape(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for shape in ((width,), (1, width), (1, 1, width), (n_tokens, 1), (2, 3, n_tokens, width)):
        x, (weight, bias) = draw.normal(*shape), scale_and_shift(draw, shape[-1])
        for shift in (bias, None):
            cotangent = draw.normal(*shape)
            expected = oracles.layer_norm_gradients(x, weight, shift, cotangent)
            labels = {f"argument {n}": name for n, name in enumerate(NORM_CALL)}
            judge = gradients_are(expected, "float64", labels)
            yield _norm_case(x, weight, shift, judge=judge, cotangents=[cotangent])


@layer_norm.edge(
    "half precision in, half precision out, and close to the exact result",
    hint="compute in float32, and end with .to(x.dtype)",
)
def layer_norm_half(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        weight, bias = scale_and_shift(draw, width, dtype)
        x = draw.normal(2, n_tokens, width, dtype=dtype)
        yield _norm_case(x, weight, bias, dtype=dtype)
        yield _norm_case(x, weight, None, dtype=dtype)
        yield _norm_case(nearly_constant(draw, width, dtype), weight, bias, dtype=dtype)


@layer_norm.edge(
    "mean and variance of half-precision x are taken in float32",
    hint="a mean rounded to bfloat16 can be off by 1 at 257, and 300² overflows in float16",
    fits=("not finite",),
)
def layer_norm_statistics(draw: Draw):
    width = max(5, *draw.sizes(1))
    ones, zeros = np.ones(width), np.zeros(width)
    for dtype in ("bfloat16", "float16"):
        yield _norm_case(far_from_zero(draw, width, dtype), ones, zeros, dtype=dtype)
        large = exact_in(1000 * draw.normal(5, width), dtype)
        yield _norm_case(large, ones, zeros, dtype=dtype)


@layer_norm.asked(
    "real sizes",
    "half precision is rounded once, at the end: after the weight and the bias",
    hint="first times weight, then plus bias, in float32; .to(x.dtype) is the last thing to do",
)
def layer_norm_rounds_once(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        yield _norm_case(*nearly_cancelled(draw, dtype), dtype=dtype)


@layer_norm.edge(
    "x, weight and bias are not changed, and every tensor is made on their device",
    hint="x -= … writes into the caller's tensor; x - … does not",
    fits=("changed",),
)
def layer_norm_leaves_inputs(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for dtype in ("float64", "float32"):
        x = draw.normal(2, n_tokens, width, dtype=dtype)
        weight, bias = scale_and_shift(draw, width, dtype)
        yield _norm_case(x, weight, bias, dtype=dtype, judge=arguments_unchanged(NORM_CALL))
        for shift in (bias, None):
            yield _norm_case(x, weight, shift, dtype=dtype, judge=same_device, watch_devices=True)


@layer_norm.asked(
    "real sizes",
    "float32 with a mean far above the spread is normalised like any other",
    hint="subtract the mean before you square: E[x²] - E[x]² has no digit left there",
)
def layer_norm_of_activations(draw: Draw):
    for width in (7, 1027):
        x, (weight, bias) = activations(draw, width), scale_and_shift(draw, width, "float32")
        yield _norm_case(x, weight, bias, dtype="float32", tolerance=FAR_IN_FLOAT32)


@layer_norm.asked(
    "real sizes",
    "wide vectors in half precision, and their gradients, are close to the exact ones",
    hint="compute in float32, and end with .to(x.dtype): then gradients come in float32, too",
)
def layer_norm_of_wide_vectors(draw: Draw):
    for dtype in ("bfloat16", "float16"):  # near zero: torch's own keeps its statistics in half
        weight, bias = scale_and_shift(draw, 1027, dtype)
        x = exact_in(2 * draw.normal(3, 1027) + 1, dtype)
        cotangent = draw.normal(3, 1027, dtype=dtype)
        expected = oracles.layer_norm_gradients(x, weight, bias, cotangent)
        labels = {f"argument {n}": name for n, name in enumerate(NORM_CALL)}
        judge = also(
            returns(oracles.layer_norm(x, weight, bias), dtype=dtype),
            gradients_are(expected, dtype, labels),
        )
        yield _norm_case(x, weight, bias, dtype=dtype, judge=judge, cotangents=[cotangent])


@layer_norm.asked(
    "real sizes",
    "a thousand vectors and some more are like any others",
    hint="what works in blocks has a rest after the last whole one",
)
def layer_norm_of_many_vectors(draw: Draw):
    for shape in ((1031, 3), (1025, 2), (1, 1031, 3), (1031, 1, 3)):
        yield _norm_case(draw.normal(*shape), *scale_and_shift(draw, shape[-1]))
    yield _norm_case(draw.normal(2, 1025), *scale_and_shift(draw, 1025))
