"""What must hold of `future_influence`."""

from functools import partial

import numpy as np
import torch

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import also, no_error, returns
from ...judges.findings import Finding, number
from ...judges.tolerances import NO_INFLUENCE
from ...observe.given import fixtures
from ...oracles import masking as oracles
from .fixtures import LESSON

future_influence = ComponentCheck("future_influence", "masking", LESSON)


def _influence_case(draw: Draw, kind: str, reach, *, judge=None, **options):
    n_positions, width = draw.sizes(2, largest=7)  # a Jacobian has the fourth power of entries
    seed = draw.seed()
    spec = {
        "fixture": kind,
        "n_positions": n_positions,
        "width": width,
        "reach": reach,
        "seed": seed,
    }
    x = draw.normal(n_positions, width)
    expected = oracles.influence(fixtures.build(spec, torch.float64), x)
    right = also(returns(expected, dtype="float64"), _no_future(expected), _detached)
    return future_influence.influence(spec, x, **options).expect(judge(spec) if judge else right)


def _no_future(expected):
    causal = not np.triu(expected, 1).any()

    def judge(seen):
        above = np.triu(seen.outputs[0].array, 1)
        if causal and above.max() > NO_INFLUENCE:
            place = np.unravel_index(above.argmax(), above.shape)
            return Finding(
                f"a causal fn has influence at {[int(i) for i in place]}",
                expected=f"at most {NO_INFLUENCE}",
                got=number(above[place]),
            )
        return None

    return judge


def _detached(seen):
    if seen.outputs[0].requires_grad:
        return Finding("the result is not detached", expected="a detached tensor")
    return None


@future_influence.core(
    "entry [t, s] is the Frobenius norm of d fn(x)[t] / d x[s]",
    hint="a Jacobian block of (C, C) numbers becomes one: square, add, take the root",
)
def future_influence_values(draw: Draw):
    yield _influence_case(draw, "mixer", None)
    yield _influence_case(draw, "mixer", 1)


@future_influence.core(
    "nothing above the diagonal for a causal fn", hint="outputs in rows, inputs in columns"
)
def future_influence_causal(draw: Draw):
    yield _influence_case(draw, "mixer", 0)
    yield _influence_case(draw, "mixer", -1)


@future_influence.edge(
    "fn keeps the first axis and nothing else: its output may have another width and more axes",
    hint="sum over all axes but the two that count positions",
)
def future_influence_widening(draw: Draw):
    yield _influence_case(draw, "widening", 0)
    yield _influence_case(draw, "widening", None)


@future_influence.edge(
    "x and the .grad of every parameter stay as they were",
    hint="torch.autograd.grad returns gradients; backward() adds them to .grad",
)
def future_influence_leaves_gradients(draw: Draw):
    def judge(spec, x_requires_grad):
        fn = fixtures.build(spec, torch.float64)
        held = [parameter.grad.numpy() for parameter in fn.parameters()]

        def keeps(seen):
            finding = no_error(seen)
            if finding:
                return finding
            if seen.changed:
                return Finding("x or a parameter was changed in place", how="changed")
            for n, gradient in enumerate(seen.kept_gradients[1:]):
                if gradient is None or not np.array_equal(gradient, held[n]):
                    return Finding(
                        "the .grad of a parameter of fn was changed",
                        expected=f"all entries {number(held[n].flat[0])}, as before the call",
                        got="None" if gradient is None else number(gradient.flat[0]),
                    )
            own = seen.kept_gradients[0]
            if own is not None and not (own == 1).all():
                return Finding("x.grad was changed", expected="1", got=number(own.flat[0]))
            if seen.flag("x_requires_grad") is not x_requires_grad:
                return Finding(
                    "x.requires_grad was switched",
                    expected=str(x_requires_grad),
                    got=str(seen.flag("x_requires_grad")),
                )
            if seen.flag("parameters_still_train") is not True:
                return Finding("a parameter of fn no longer requires gradients")
            return None

        return keeps

    for x_requires_grad in (False, True):
        yield _influence_case(
            draw,
            "mixer",
            None,
            judge=partial(judge, x_requires_grad=x_requires_grad),
            x_requires_grad=x_requires_grad,
        )


@future_influence.edge(
    "float32 in, float32 out, detached, also when x requires gradients",
    hint="x.detach()",
    fits=("dtype",),
)
def future_influence_dtype(draw: Draw):
    yield _influence_case(draw, "mixer", 0, x_requires_grad=True)

    def judge(spec):
        shape = (spec["n_positions"],) * 2
        return also(returns(np.zeros(shape), dtype="float32", skip_values=True), _detached)

    yield _influence_case(draw, "mixer", None, judge=judge, dtype="float32")
