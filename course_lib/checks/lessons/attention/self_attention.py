"""What must hold of `SelfAttention`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...cases.module_properties import IN_HALF
from ...judges.expect import (
    also,
    arguments_unchanged,
    gradients_are,
    parameters_are,
    returns,
    same_device,
)
from ...oracles import attention as oracles
from .fixtures import (
    LARGE,
    LESSON,
    SMALL,
    WIDTH,
    of_one_side,
    one_sided_head,
    one_sided_text,
)

self_attention = ComponentCheck("SelfAttention", "attention", LESSON)


def head_weights(draw: Draw, d_model: int, d_head: int, dtype: str = "float64") -> dict:
    """Weights of one head, by the names of `state_dict`."""
    return {
        f"{name}.weight": exact_in(draw.normal(d_head, d_model) / np.sqrt(d_model) * 1.5, dtype)
        for name in ("query", "key", "value")
    }


def one_head(
    check: ComponentCheck, draw: Draw, lead=(), *, causal, dtype="float64", sizes=None, **options
):
    """A head with drawn weights over a drawn text; right when it agrees with torch's attention."""
    n_tokens, d_model, d_head = sizes or draw.sizes(3)
    weights = head_weights(draw, d_model, d_head, dtype)
    x = draw.normal(*lead, n_tokens, d_model, dtype=dtype)
    earlier = [draw.normal(*lead, n, d_model, dtype=dtype) for n in options.pop("warm_up", ())]
    expected = oracles.self_attention(x, weights, causal=causal)
    return check.build(
        d_model, d_head, x=x, weights=weights, dtype=dtype, warm_up=earlier, **options
    ).expect(also(_shapes_of(weights), returns(expected, dtype=dtype)))


def _shapes_of(weights):
    return parameters_are({name: array.shape for name, array in weights.items()})


def add_head_properties(check: ComponentCheck, *, causal: bool) -> None:
    """What `SelfAttention` and its causal sister have in common."""

    @check.core(
        "the parameters are query, key and value: nn.Linear(d_model, d_head, bias=False)",
        hint="self.query = nn.Linear(d_model, d_head, bias=False), and so on",
        fits=("names", "not learned", "raised"),
    )
    def parameters(draw: Draw):
        n_tokens, d_model, d_head = draw.sizes(3)
        weights = head_weights(draw, d_model, d_head)
        x = draw.normal(n_tokens, d_model)
        yield check.build(d_model, d_head, x=x, weights=weights).expect(_shapes_of(weights))

    @check.core(
        "every position gathers values with the weights of its own query"
        + (", from itself and earlier positions" if causal else ""),
        hint="attention(q, k, v), in that order; the scale is the square root of d_head"
        + (", and position t may read positions 0..t" if causal else ""),
    )
    def values(draw: Draw):
        for lead in ((), (2,), (3, 3)):
            yield one_head(check, draw, lead, causal=causal)
        n_tokens, width = draw.sizes(2)
        yield one_head(check, draw, causal=causal, sizes=(n_tokens, width, width))
        yield one_head(check, draw, (width,), causal=causal, sizes=(width, width, width))
        yield one_head(check, draw, (1,), causal=causal, sizes=(1, n_tokens, width))
        yield one_head(check, draw, causal=causal, sizes=(70, n_tokens, width))
        yield one_head(check, draw, (2,), causal=causal, dtype="float32")

    @check.core(
        "the same in training as in evaluation, whatever texts came before",
        hint="make the mask anew for every x, in both modes"
        if causal
        else "forward keeps nothing between calls",
    )
    def modes(draw: Draw):
        short, long, d_model, d_head = sorted(draw.sizes(4))
        yield one_head(check, draw, (2,), causal=causal, training=True)
        for now, before in ((short, long), (long, short)):
            sizes = (now, d_model, d_head)
            yield one_head(check, draw, (2,), causal=causal, sizes=sizes, warm_up=[before])

    @check.core(
        "gradients reach x and every weight",
    )
    def gradients(draw: Draw):
        n_tokens, d_model, d_head = draw.sizes(3)
        weights = head_weights(draw, d_model, d_head)
        x = draw.normal(2, n_tokens, d_model)
        cotangent = draw.normal(2, n_tokens, d_head)
        expected = oracles.self_attention_gradients(x, weights, cotangent, causal=causal)
        yield check.build(d_model, d_head, x=x, weights=weights, cotangents=[cotangent]).expect(
            gradients_are(expected, "float64", {"argument 0": "x"})
        )

    @check.edge(
        "half precision in, half precision out, and close to the exact result",
        hint=IN_HALF,
    )
    def half(draw: Draw):
        for dtype in ("bfloat16", "float16"):
            yield one_head(check, draw, (2,), causal=causal, dtype=dtype)

    @check.edge(
        "scores in the thousands give weights, all below 0 as well as all above",
        hint="the highest score of each row itself is what to subtract: it may be far below 0",
        fits=("not finite",),
    )
    def one_sided(draw: Draw):
        for dtype, size in (("float32", LARGE), ("bfloat16", SMALL), ("float16", SMALL)):
            weights, x = head_weights(draw, 5, WIDTH, dtype), one_sided_text(draw, dtype, 5)
            one_sided_head(weights["query.weight"], 0, 0, size)
            one_sided_head(weights["key.weight"], 0, 1, 1.0)
            weights["value.weight"][:, :2] = 0.0
            expected = oracles.self_attention(x, weights, causal=causal)
            judge = returns(expected, dtype=dtype, tolerance=of_one_side(dtype, size))
            yield check.build(5, WIDTH, x=x, weights=weights, dtype=dtype).expect(judge)

    @check.asked(
        "real sizes",
        "a text of a thousand tokens and some more is read as a short one is",
        hint="make nothing whose size is fixed; what works in blocks has a rest after the last",
    )
    def real_sizes(draw: Draw):
        yield one_head(check, draw, causal=causal, sizes=(1031, 9, 5), dtype="float32")
        yield one_head(check, draw, causal=causal, sizes=(1025, 3, 2), dtype="float32")
        yield one_head(check, draw, (1031,), causal=causal, sizes=(2, 3, 2), dtype="float32")

    @check.edge(
        "x is not changed, and every tensor is made on its device",
        hint="device=x.device",
        fits=("device",),
    )
    def leaves_x(draw: Draw):
        n_tokens, d_model, d_head = draw.sizes(3)
        weights = head_weights(draw, d_model, d_head)
        x = draw.normal(2, n_tokens, d_model)
        yield check.build(d_model, d_head, x=x, weights=weights).expect(arguments_unchanged(["x"]))
        yield check.build(d_model, d_head, x=x, weights=weights, watch_devices=True).expect(
            same_device
        )


add_head_properties(self_attention, causal=False)
