"""What must hold of `next_token_loss`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...judges.expect import Judge, arguments_unchanged, gradients_are, no_error, same_device
from ...judges.findings import Finding
from ...judges.seen import Seen
from ...judges.tolerances import Tolerance
from ...oracles import training as oracles
from .fixtures import IGNORED, LESSON, LOSS_CALL
from .one_number import IN_FLOAT32, number_differs

next_token_loss = ComponentCheck("next_token_loss", "training", LESSON)


def _loss_is(expected: float, tolerance: Tolerance = IN_FLOAT32) -> Judge:
    """Judge: a scalar tensor in float32 or wider, of this value."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        if seen.structure in ("tuple", "list") or len(seen.outputs) != 1:
            got = f"a {seen.structure} of {seen.n_parts}"
            return Finding("a tuple came back", expected="one scalar tensor", got=got, how="type")
        output = seen.outputs[0]
        if output.kind != "tensor" or output.array is None:
            got = "None (return is missing)" if output.dtype == "NoneType" else output.dtype
            how = "nothing" if output.dtype == "NoneType" else "type"
            return Finding("wrong type", expected="a scalar tensor", got=got, how=how)
        if output.array.shape != ():
            got = str(output.array.shape)
            return Finding("wrong shape", expected="() (a scalar)", got=got, how="shape")
        if output.dtype not in ("float32", "float64"):
            return Finding(
                "wrong dtype", expected="float32 or wider", got=output.dtype, how="dtype"
            )
        return number_differs(output.array, expected, tolerance)

    return judge


def _loss_case(logits, targets, *ignore_index, dtype="float64", judge=None, **options):
    given = (*ignore_index, *(v for k, v in options.items() if k == "ignore_index"))
    expected = float(oracles.next_token_loss(logits, targets, *given))
    case = next_token_loss.call(
        logits, targets, *ignore_index, dtype=dtype, names=LOSS_CALL, **options
    )
    return case.expect(judge or _loss_is(expected))


def _logits(draw: Draw, n_texts, n_tokens, n_ids, *, size=2.0, dtype="float64"):
    """Logits that are exact in `dtype`, and a target for each position."""
    logits = exact_in(size * draw.normal(n_texts, n_tokens, n_ids), dtype)
    return logits, draw.integers(0, n_ids - 1, (n_texts, n_tokens))


@next_token_loss.core(
    "the mean of -log p(target) over all positions of all texts",
    hint="-log p(target), no smoothing, no weights; F.cross_entropy wants (B·T, V) and B·T targets",
    fits=("shape", "raised"),
)
def loss_values(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    yield _loss_case(np.log([[[0.5, 0.25, 0.25]]]), np.array([[1]]))
    for sizes in (
        (n_texts, n_tokens, n_ids),
        (n_texts, n_tokens, n_tokens),
        (n_texts, n_texts, n_ids),
        (n_ids, n_ids, n_ids),
        (1, n_tokens, n_ids),
        (n_texts, 1, n_ids),
        (1, 1, 1),
    ):
        yield _loss_case(*_logits(draw, *sizes))
    yield _loss_case(*_logits(draw, n_texts, n_tokens, n_ids, dtype="float32"), dtype="float32")


@next_token_loss.core(
    "targets equal to ignore_index do not count, neither above nor below the line",
    hint="the mean is over the targets that are left; F.cross_entropy knows ignore_index",
)
def loss_ignores(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    for ignore_index in (IGNORED, 0, 2, -1, n_ids):
        logits, targets = _logits(draw, n_texts, n_tokens, n_ids)
        targets[0, :-1] = ignore_index
        targets[:, 0] = ignore_index
        if ignore_index == IGNORED:
            yield _loss_case(logits, targets)
        yield _loss_case(logits, targets, ignore_index)
    yield _loss_case(logits, np.where(targets == n_ids, 1, targets), ignore_index=1)


@next_token_loss.core(
    "gradients reach the logits of every target that counts, and of no other",
)
def loss_gradients(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    for shape in ((n_texts, n_tokens), (n_texts, n_tokens), (1, n_tokens), (n_texts, 1), (1, 1)):
        logits, targets = _logits(draw, *shape, n_ids)
        targets[1:2, :2] = IGNORED if shape[1] > 2 else targets[1:2, :2]
        expected = oracles.next_token_loss_gradient(logits, targets)
        judge = gradients_are(  # a loss taken in float32 leaves seven digits of them
            {"argument 0": expected}, "float32", {"argument 0": "the logits"}
        )
        yield _loss_case(logits, targets, judge=judge, cotangents=[np.array(1.0)])


@next_token_loss.core(
    "large logits give a large loss, not nan or infinity",
    hint="take log_softmax, not the log of a softmax: exp(1000) is infinite, log(0) too",
    fits=("not finite",),
)
def loss_of_large_logits(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    for size, dtype in ((1e3, "float64"), (300.0, "float32")):
        logits, targets = _logits(draw, n_texts, n_tokens, n_ids, size=size, dtype=dtype)
        yield _loss_case(logits, targets, dtype=dtype)
        yield _loss_case(logits + 1e3, targets, dtype=dtype)


@next_token_loss.edge(
    "logits far below 0, far above, or -inf where no target is, do no harm, nor to gradients",
    hint="pick the target's log-probability by its place: 0 times -inf, a one-hot sum, is nan",
    fits=("not finite", "gradient"),
)
def loss_beside_the_impossible(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    heights = 1e4 * (np.arange(n_tokens) % 3 - 1)[:, None]
    for dtype in ("float64", "float32", "bfloat16", "float16"):
        logits, targets = _logits(draw, n_texts, n_tokens, 11, dtype=dtype)
        if dtype in ("float64", "float32"):
            for high in (heights, -1e4):  # where float32 has steps of a thousandth
                moved = exact_in(logits + high, "float32")
                expected = float(oracles.next_token_loss(moved, targets))
                judge = _loss_is(expected, Tolerance(relative=1e-3, absolute=5e-3))
                yield _loss_case(moved, targets, dtype=dtype, judge=judge)
        ruled_out = draw.mask(n_texts, n_tokens, 11)
        np.put_along_axis(ruled_out, targets[..., None], False, axis=-1)
        logits = np.where(ruled_out, -np.inf, logits)
        logits[0, 0, :] = np.where(np.arange(11) == targets[0, 0], logits[0, 0], -np.inf)
        yield _loss_case(logits, targets, dtype=dtype)
        gradient = oracles.next_token_loss_gradient(logits, targets)
        tolerance = "float32" if dtype == "float64" else dtype
        judge = gradients_are({"argument 0": gradient}, tolerance, {"argument 0": "the logits"})
        yield _loss_case(logits, targets, dtype=dtype, judge=judge, cotangents=[np.array(1.0)])


@next_token_loss.edge(
    "where a target is ignored, a logit of -inf, at whichever token, does no harm",
    hint="pick the targets that count first; 0 times -inf is nan",
    fits=("not finite", "gradient"),
)
def loss_ignores_whatever_is_there(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    for ignore_index in (IGNORED, 2):
        for ruled_out in (0, 2, n_ids - 1):
            logits, targets = _logits(draw, n_texts, n_tokens, n_ids)
            targets = np.where(targets == 2, 1, targets)
            targets[0, :-1] = targets[:, 0] = ignore_index
            logits[targets == ignore_index, ruled_out] = -np.inf
            given = () if ignore_index == IGNORED else (ignore_index,)
            yield _loss_case(logits, targets, *given)


@next_token_loss.edge(
    "half-precision logits: computed in float32, and returned in float32",
    hint="logits.to(torch.promote_types(logits.dtype, torch.float32)) before anything else",
    fits=("dtype",),
)
def loss_half(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    for dtype in ("bfloat16", "float16"):
        for size in (2.0, 8.0):
            logits, targets = _logits(draw, n_texts, n_tokens, n_ids, size=size, dtype=dtype)
            targets[0, 1:] = IGNORED
            yield _loss_case(logits, targets, dtype=dtype)


@next_token_loss.edge(
    "gradients reach half-precision logits as well",
)
def loss_half_gradients(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    for dtype in ("bfloat16", "float16"):
        logits, targets = _logits(draw, n_texts, n_tokens, n_ids, dtype=dtype)
        expected = oracles.next_token_loss_gradient(logits, targets)
        judge = gradients_are({"argument 0": expected}, dtype, {"argument 0": "the logits"})
        yield _loss_case(logits, targets, dtype=dtype, judge=judge, cotangents=[np.array(1.0)])


@next_token_loss.edge(
    "when every target is ignored the loss is nan",
    hint="the mean of nothing is 0 / 0; a loss of 0 would say that the model is perfect",
)
def loss_of_nothing(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    logits, targets = _logits(draw, n_texts, n_tokens, n_ids)
    yield _loss_case(logits, np.full_like(targets, IGNORED))
    yield _loss_case(logits, np.full_like(targets, 2), 2)


@next_token_loss.edge(
    "logits and targets are not changed, and every tensor is made on their device",
    hint="x[…] = … and the methods that end in _ write into the caller's tensor",
    fits=("changed",),
)
def loss_leaves_inputs(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    logits, targets = _logits(draw, n_texts, n_tokens, n_ids)
    targets[0, 0] = IGNORED
    yield _loss_case(logits, targets, judge=arguments_unchanged(LOSS_CALL))
    yield _loss_case(logits, targets, judge=same_device, watch_devices=True)
    targets[0, 0] = 1
    yield _loss_case(logits, targets, 1, judge=arguments_unchanged(LOSS_CALL))


@next_token_loss.asked(
    "real sizes",
    "a vocabulary of fifty thousand, thousands of targets, and targets next to impossible",
    hint="widen to float32 first: half precision has no probability of 1e-9, and no sum above 256",
)
def loss_of_real_size(draw: Draw):
    for sizes in ((1031, 1, 3), (1, 1025, 2)):
        yield _loss_case(*_logits(draw, *sizes))
    for dtype in ("bfloat16", "float16"):
        yield _loss_case(*_logits(draw, 2, 3, 50_257, dtype=dtype), dtype=dtype)
        yield _loss_case(*_logits(draw, 4, 701, 11, dtype=dtype), dtype=dtype)
        unlikely, targets = _logits(draw, 2, 5, 11, dtype=dtype)
        np.put_along_axis(unlikely, targets[..., None], -40.0, axis=-1)
        yield _loss_case(unlikely, targets, dtype=dtype)
