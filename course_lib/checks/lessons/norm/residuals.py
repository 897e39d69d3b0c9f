"""What must hold of `pre_norm` and `post_norm`."""

import torch

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...cases.module_properties import IN_HALF
from ...judges.expect import arguments_unchanged, gradients_are, no_error, returns, same_device
from ...judges.findings import Finding
from ...observe.given import fixtures
from ...oracles import norm as oracles
from .fixtures import LESSON

RESIDUAL_CALL = ("x", "norm", "sublayer")

pre_norm = ComponentCheck("pre_norm", "norm", LESSON)
post_norm = ComponentCheck("post_norm", "norm", LESSON)


def add_residual_properties(check: ComponentCheck, *, norm_first: bool) -> None:
    """What the two ways around a sublayer have in common: all but the order."""

    def case(draw, shape, *, kinds=("stretching", "blending"), judge=None, dtype="float64", **more):
        norm, sublayer = (
            {
                "fixture": kind,
                "n_positions": shape[-2],
                "width": shape[-1],
                "reach": None,
                "seed": draw.seed(),
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
        yield case(draw, (1031, 3, 2))

    @check.core(
        "gradients reach x by both ways: straight on, and through the sublayer",
    )
    def gradients(draw: Draw):
        n_tokens, width = draw.sizes(2)
        yield case(draw, (2, n_tokens, width), judge="gradients")
        yield case(draw, (n_tokens, width), judge="gradients", kinds=("passing", "blending"))

    @check.edge(
        "x is not changed in place, also when norm or sublayer returns x itself",
        hint="x + … makes a new tensor; += writes into an old one, and it may be the caller's",
        fits=("changed",),
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
        hint=IN_HALF,
    )
    def half_and_device(draw: Draw):
        n_tokens, width = draw.sizes(2)
        for dtype in ("bfloat16", "float16"):
            yield case(draw, (2, n_tokens, width), dtype=dtype)
        yield case(draw, (2, n_tokens, width), judge=same_device, watch_devices=True)


add_residual_properties(pre_norm, norm_first=True)


add_residual_properties(post_norm, norm_first=False)
