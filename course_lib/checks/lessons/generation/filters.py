"""What `keep_top_k` and `keep_top_p` have in common."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import (
    Judge,
    arguments_unchanged,
    at,
    gradients_are,
    no_error,
    raises,
    right_dtype,
    right_kind,
    right_shape,
    right_structure,
    same_device,
)
from ...judges.findings import Finding, number
from ...judges.seen import Seen
from ...judges.tolerances import BY_DTYPE
from ...oracles import generation as oracles
from .fixtures import HALF, distinct_logits


def filters_to(logits, kept, dtype: str, *, free=None) -> Judge:
    """The logits, with -inf in place of all that is not `kept`.

    Args:
        free: entries that may stay or go: ties at the threshold.
    """
    free = np.zeros(kept.shape, dtype=bool) if free is None else free

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen) or right_structure(seen, (logits,), (), "float64")
        if finding:
            return finding
        output = seen.outputs[0]
        for step in (right_kind, right_shape, right_dtype):
            finding = step(output, logits, "", dtype)
            if finding:
                return finding
        return _filtered(output.array)

    def _filtered(got) -> Finding | None:
        dropped = np.isneginf(got)
        for wrong, what, expected in (
            (~dropped & ~kept & ~free, "kept a token that must go", "-inf"),
            (dropped & kept & ~free, "dropped a token that must stay", None),
        ):
            if wrong.any():
                place = tuple(int(i) for i in np.argwhere(wrong)[0])
                return Finding(
                    f"{what}{at('', place)}",
                    expected=expected or number(logits[place]),
                    got=number(got[place]),
                    details=(f"{int(wrong.sum())} of {wrong.size} entries are wrong",),
                )
        changed = ~dropped & ~np.isclose(
            got, logits, rtol=BY_DTYPE[dtype].relative, atol=BY_DTYPE[dtype].absolute
        )
        if changed.any():
            place = tuple(int(i) for i in np.argwhere(changed)[0])
            return Finding(
                f"a logit that stays was changed{at('', place)}",
                expected=number(logits[place]),
                got=number(got[place]),
            )
        short = (~dropped).sum(axis=-1) < kept.sum(axis=-1)
        if short.any():
            row = int(np.argmax(short))
            return Finding(
                f"too few tokens are kept{at('', (row,))}",
                expected=f"at least {int(kept[row].sum())}",
                got=str(int((~dropped[row]).sum())),
            )
        return None

    return judge


def filter_case(check, logits, limit, kept, *, dtype="float64", free=None, **options):
    case = check.call(logits, limit, dtype=dtype, names=("logits",), **options)
    return case.expect(filters_to(logits, kept, dtype, free=free))


def add_filter_properties(check: ComponentCheck, limit_name: str, limits, refused, case) -> None:
    """What the two filters have in common.

    Args:
        limits: some values of k or p that drop something; the first one drops a lot.
        case: makes a case from logits and a limit.
    """

    @check.edge(
        "half precision in, half precision out, with the right tokens",
        hint="compute in float32 where rounding could matter, and drop from the logits as given",
    )
    def half(draw: Draw):
        for dtype in HALF:
            for limit in limits:
                yield case(distinct_logits(draw, draw.sizes(1)[0], 9), limit, dtype=dtype)

    @check.edge(
        "gradients reach the logits that stay",
        hint="drop with masked_fill or where; write nothing in place, detach nothing",
    )
    def gradients(draw: Draw):
        logits = distinct_logits(draw, *draw.sizes(2))
        kept = (oracles.top_k if limit_name == "k" else oracles.top_p)(logits, limits[0])
        cotangent = np.where(kept, draw.normal(*logits.shape), 0.0)
        judge = gradients_are({"argument 0": cotangent}, "float64", {"argument 0": "logits"})
        yield case(logits, limits[0], judge=judge, cotangents=[cotangent])

    @check.edge(
        "the logits are not changed, and every tensor is made on their device",
        hint="masked_fill makes a new tensor, masked_fill_ and logits[…] = … write into theirs",
        fits=("changed",),
    )
    def leaves_logits(draw: Draw):
        logits = distinct_logits(draw, *draw.sizes(2))
        for dtype in ("float64", "float32"):
            unchanged = arguments_unchanged(["logits"])
            yield case(logits, limits[0], dtype=dtype, judge=unchanged)
            yield case(logits, limits[0], dtype=dtype, judge=same_device, watch_devices=True)

    @check.edge(
        f"{refused[0]}: ValueError",
        hint=f'raise ValueError(f"… got {limit_name}={{{limit_name}}}.") before anything else',
    )
    def refuses(draw: Draw):
        for limit in refused[1]:
            judge = raises("ValueError", limit_name, str(limit))
            yield case(draw.normal(*draw.sizes(2)), limit, judge=judge)
