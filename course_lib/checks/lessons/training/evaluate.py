"""What must hold of `evaluate`."""

import math

import numpy as np
import torch

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import Judge, also, differs, no_error, raises, same_device
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...judges.tolerances import Tolerance
from ...observe.probes.evaluation import old_gradient
from ...oracles import training as oracles
from .fixtures import LESSON, N_IDS, as_listed, facts_of, gpt_spec, small_spec
from .one_number import IN_FLOAT32, STEP, number_is

evaluate = ComponentCheck("evaluate", "training", LESSON)
PARTS_MOVED = "parts of the model are in another mode afterwards"


def _text(draw: Draw, n_tokens: int, *, stumbles_at: int | None = None) -> np.ndarray:
    tokens = draw.integers(0, N_IDS - 2, n_tokens)
    if stumbles_at is not None:
        tokens[stumbles_at] = N_IDS - 1
    return tokens


def _evaluation_case(
    model: dict,
    tokens: np.ndarray,
    context_length: int,
    *,
    batch_size=None,
    dtype="float64",
    training=False,
    in_evaluation=(),
    gradients=True,
    watch=False,
    judge=None,
    left_in=None,
):
    """A call of `evaluate`.

    Args:
        left_in: the training mode in which the model must be afterwards, with gradients on or off
            as before; None where nobody looks.
        in_evaluation: parts of the model that are in evaluation all the same, before and after.
    """
    after = np.where(tokens == N_IDS - 1, 0, tokens)[None, ::-1][:, : min(context_length, 7)].copy()
    kwargs = {"context_length": context_length}
    kwargs |= {} if batch_size is None else {"batch_size": batch_size}
    call = {
        "probe": "evaluation",
        "dtype": dtype,
        "device": "cpu",
        "model": model,
        "training": training,
        "in_evaluation": list(in_evaluation),
        "gradients": gradients,
        "tokens": tokens,
        "after": after,
        "kwargs": kwargs,
        "watch_devices": watch,
    }
    given = ", ".join(f"{name}={value}" for name, value in kwargs.items())
    noun = "token" if len(tokens) == 1 else "tokens"
    shown = f"evaluate(model, {len(tokens)} {noun}, {given}), {dtype}"
    shown += ", model in training" if training else ""
    shown += "" if gradients else ", under no_grad()"
    if judge is None:
        expected = oracles.evaluate(model, tokens, context_length, dtype=dtype)
        tolerance = IN_FLOAT32 if dtype == "float64" else STEP[dtype]
        judge = _returned(number_is(expected, tolerance))
    if left_in is not None:
        expected = oracles.logits_afterwards(
            model, after, training=left_in, in_evaluation=in_evaluation, gradients=gradients
        )
        judge = also(judge, _answers_afterwards(expected))
    return Case(call, shown, also(no_error, judge))


def _answers_afterwards(expected: np.ndarray) -> Judge:
    """Judge: the logits of a model that is in this mode, with these weights."""

    def judge(seen: Seen) -> Finding | None:
        outputs = _parts(seen)[1].outputs
        if (
            len(outputs) != 1
            or outputs[0].array is None
            or outputs[0].array.shape != expected.shape
        ):
            raise Malformed("after")
        return differs(outputs[0].array, expected, IN_FLOAT32) and Finding(
            "the model answers otherwise afterwards",
            expected="as before: the same weights and mode, gradients on or off as they were",
            got="others",
        )

    return judge


def _parts(seen: Seen) -> tuple[Seen, Seen]:
    """What came back, and what is left."""
    if len(seen.steps) != 2:
        raise Malformed("steps")
    return seen.steps[0], seen.steps[1]


def _returned(judge: Judge) -> Judge:
    return lambda seen: judge(_parts(seen)[0])


def _left(name: str, wanted, what: str, said: str, *, returned: Judge = no_error) -> Judge:
    """Judge: one of the facts that the observer wrote down after the call."""

    def judge(seen: Seen) -> Finding | None:
        back, left = _parts(seen)
        finding = returned(back)
        got = facts_of(left.value).get(name)
        if finding or got == wanted:
            return finding
        return Finding(what, expected=said, got=as_listed(got))

    return judge


@evaluate.core(
    "the mean loss over every token but the first, in windows that follow each other",
    hint="window w reads tokens w·T … w·T+T-1; targets are one token on: N - 1 of them in all",
)
def evaluation_values(draw: Draw):
    width, n_windows, _ = draw.sizes(3, largest=7)
    small, gpt = small_spec(draw), gpt_spec(draw, context_length=width)
    for model in (small, gpt):
        yield _evaluation_case(model, _text(draw, n_windows * width + 1), width)
        yield _evaluation_case(model, _text(draw, width + 1), width)
    yield _evaluation_case(small, _text(draw, n_windows + 1), 1)
    longer = gpt_spec(draw, context_length=width + 2)  # than the windows
    yield _evaluation_case(longer, _text(draw, n_windows * width + 1), width)
    yield _evaluation_case(gpt, _text(draw, 2 * width + 1), width, dtype="float32")


@evaluate.core(
    "the last window may be shorter, and counts by its tokens",
    hint="add up losses times their numbers of targets; divide once, by all N - 1 targets",
)
def evaluation_of_a_rest(draw: Draw):
    width, n_windows, _ = draw.sizes(3, largest=7)
    small, gpt = small_spec(draw), gpt_spec(draw, context_length=width)
    for model in (small, gpt):
        for rest in (1, width - 1):
            yield _evaluation_case(model, _text(draw, n_windows * width + rest + 1), width)
        yield _evaluation_case(model, _text(draw, width), width)
        yield _evaluation_case(model, _text(draw, 2), width)
    yield _evaluation_case(small, _text(draw, 5), 50)


@evaluate.core(
    "batch_size changes nothing, whether it divides the number of windows or not",
    hint="all batches count, each by its targets: the last one may hold fewer windows",
)
def evaluation_batches(draw: Draw):
    width, n_windows, _ = draw.sizes(3, largest=7)
    model = small_spec(draw)
    for rest in (0, 2):
        tokens = _text(draw, n_windows * width + rest + 1)
        for batch_size in (1, 2, 3, n_windows, 100):
            yield _evaluation_case(model, tokens, width, batch_size=batch_size)
    yield _evaluation_case(model, _text(draw, 11 * width + 1), width)
    yield _evaluation_case(model, _text(draw, 132), 1)  # batches of eight, as is usual


@evaluate.core(
    "the model is in evaluation mode while it is measured",
    hint="model.eval() before the first window: otherwise dropout spoils the measure",
)
def evaluation_mode(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    during = _left("modes_during", [False], "the model was measured in training", "evaluation mode")
    for training in (True, False):
        tokens = _text(draw, n_windows * width + 2)
        for judge in (during, None):
            yield _evaluation_case(small_spec(draw), tokens, width, training=training, judge=judge)


@evaluate.core(
    "afterwards the model is in the mode it was in before",
    hint="keep model.training in a name, and give it back: model.train(was_training)",
)
def evaluation_restores(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    for training in (True, False):
        tokens = _text(draw, n_windows * width + 1)
        yield _evaluation_case(
            small_spec(draw),
            tokens,
            width,
            training=training,
            judge=_in_the_old_mode(training),
            left_in=training,
        )


def _in_the_old_mode(training: bool, *, returned: Judge = no_error) -> Judge:
    in_training = ["", "head", "mix", "token"] if training else []
    return _left(
        "in_training_after",
        in_training,
        "the model is in another mode afterwards",
        f"{as_listed(in_training)} in training",
        returned=returned,
    )


@evaluate.edge(
    "the mode comes back when there is an error, and the model's goes on to the caller",
    hint="catch nothing; what stands in finally: is done also when the model raises",
)
def evaluation_of_a_model_that_fails(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    passes_on = raises("RuntimeError")
    for training in (True, False):
        for stumbles_at in (0, n_windows * width - 1):
            tokens = _text(draw, n_windows * width + 1, stumbles_at=stumbles_at)
            model = small_spec(draw, trouble="raise")
            judge = _in_the_old_mode(training, returned=passes_on)
            yield _evaluation_case(
                model,
                tokens,
                width,
                training=training,
                batch_size=1,
                judge=judge,
                left_in=training,
            )

    def is_still_in_training(seen: Seen) -> Finding | None:
        if _parts(seen)[1].flag("in_training_without_targets") == ["", "head", "mix", "token"]:
            return None
        return Finding("the model is in another mode afterwards", expected="in training, as before")

    yield _evaluation_case(
        small_spec(draw),
        _text(draw, 1),
        width,
        training=True,
        judge=is_still_in_training,
        left_in=True,
    )


@evaluate.edge(
    "no gradients are recorded meanwhile; afterwards they are on or off as before",
    hint="with torch.no_grad(): around the forward passes",
)
def evaluation_without_gradients(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    tokens = _text(draw, n_windows * width + 1)
    told = {"wants": {"gradients": False}}  # the loss, and the logits afterwards, show them
    for judge in (
        _left("gradients_during", [False], "gradients were recorded", "none"),
        _left("gradients_after", True, "gradients are off for good", "on again afterwards"),
        None,
    ):
        yield _evaluation_case(
            small_spec(draw) | told, tokens, width, training=True, judge=judge, left_in=True
        )
    stays = _left("gradients_after", False, "gradients were switched on", "off, as before")
    yield _evaluation_case(
        small_spec(draw) | told, tokens, width, gradients=False, judge=stays, left_in=False
    )


def _gradients_kept(model: dict) -> Judge:
    """Judge: every parameter's .grad is the one that it had."""
    kept = {
        name: old_gradient(parameter).numpy()
        for name, parameter in oracles.build_model(model, torch.float64).named_parameters()
    }

    def judge(seen: Seen) -> Finding | None:
        back, left = _parts(seen)
        found = left.gradients
        same = found.keys() == kept.keys() and all(
            found[name] is not None and np.array_equal(found[name], kept[name]) for name in kept
        )
        finding = no_error(back)
        if finding or same:
            return finding
        return Finding("the .grad of a parameter was changed", expected="as before")

    return judge


@evaluate.edge(
    "weights, their gradients, and what is frozen stay as they are",
    hint="a measurement needs no zero_grad(), no backward() and no requires_grad_()",
)
def evaluation_leaves_the_model(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    tokens = _text(draw, n_windows * width + 1)
    model = small_spec(draw)
    for judge in (
        _gradients_kept(model),
        _left("weights_kept", True, "the weights were changed", "as before"),
    ):
        yield _evaluation_case(model, tokens, width, training=True, judge=judge, left_in=True)
    frozen = ["head.bias", "mix.weight"]
    stays = _left("frozen_after", frozen, "other parameters are frozen", ", ".join(frozen))
    yield _evaluation_case(small_spec(draw) | {"frozen": frozen}, tokens, width, judge=stays)


@evaluate.edge(
    "no more than batch_size windows go through the model at once",
    hint="the whole text at once may not fit: windows.split(batch_size)",
)
def evaluation_in_batches(draw: Draw):
    (width,) = draw.sizes(1, largest=7)
    few = _left("too_many_rows", False, "more windows at once than batch_size", "no more")
    for batch_size, n_windows in ((1, 3), (3, 7), (None, 11)):
        tokens, model = _text(draw, n_windows * width + 1), small_spec(draw)
        yield _evaluation_case(model, tokens, width, batch_size=batch_size, judge=few)
        told = {"wants": {"rows": [1, batch_size or 8]}}  # the loss shows whether there are more
        yield _evaluation_case(model | told, tokens, width, batch_size=batch_size)


@evaluate.edge(
    "a text of one token has no target: an error or nan, but no loss",
    hint="there is nothing to take a mean of",
)
def evaluation_of_one_token(draw: Draw):
    (width,) = draw.sizes(1, largest=7)

    has_no_loss = _returned(number_is(math.nan, IN_FLOAT32))  # an error is observed as nan
    yield _evaluation_case(small_spec(draw), _text(draw, 1), width, judge=has_no_loss)


@evaluate.edge(
    "half-precision models are measured, with the loss in float32",
    hint="next_token_loss gives float32; keep the sum in a Python float",
)
def evaluation_half(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    for dtype in ("bfloat16", "float16"):
        tokens = _text(draw, n_windows * width + 3)
        yield _evaluation_case(small_spec(draw), tokens, width, dtype=dtype, batch_size=2)


@evaluate.edge(
    "tokens are not changed, and every tensor is made on their device",
    hint="device=tokens.device for what you make yourself",
    fits=("device",),
)
def evaluation_leaves_tokens(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)

    def unchanged(seen: Seen) -> Finding | None:
        back, left = _parts(seen)
        if not no_error(back) and left.changed:
            what = "tokens were changed in place"
            return Finding(what, expected="the tokens as they were", how="changed")
        return no_error(back)

    for judge in (unchanged, also(same_device, _returned(no_error))):
        tokens = _text(draw, n_windows * width + 3)
        watch = judge is not unchanged
        yield _evaluation_case(
            small_spec(draw), tokens, width, batch_size=2, judge=judge, watch=watch
        )


@evaluate.asked(
    "in use",
    "a model that uses one block twice is measured like any other",
    hint="nothing but model(inputs) is asked of it",
)
def evaluation_of_a_block_used_twice(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    model = gpt_spec(draw, context_length=width) | {"way": "one block twice"}
    yield _evaluation_case(model, _text(draw, n_windows * width + 3), width, training=True)


@evaluate.asked(
    "in use",
    "a part that is in evaluation while the model trains is left so",
    hint="model.train(…) moves every part: _evaluating remembers the mode of each",
)
def evaluation_of_parts_in_two_modes(draw: Draw):
    (width,) = draw.sizes(1, largest=7)
    kept = _left("in_training_after", ["", "mix", "token"], PARTS_MOVED, "all but the head")
    part = {"training": True, "in_evaluation": ["head"], "left_in": True}
    yield _evaluation_case(small_spec(draw), _text(draw, 3 * width), width, judge=kept, **part)
    model, inner = gpt_spec(draw, context_length=width), "blocks.1.attention"
    names = sorted(dict(oracles.build_model(model, torch.float64).named_modules()))
    names.remove(inner)
    kept = _left("in_training_after", names, PARTS_MOVED, f"all but {inner}")
    part = {"training": True, "in_evaluation": [inner]}
    yield _evaluation_case(model, _text(draw, 3 * width), width, judge=kept, **part)


@evaluate.asked(
    "real sizes",
    "the losses of thousands of tokens are added up in more than half precision",
    hint="loss.item() is a Python number, as is the sum: a large sum in bfloat16 stands still",
)
def evaluation_of_real_size(draw: Draw):
    model, tokens = small_spec(draw), _text(draw, 3001)
    expected = oracles.evaluate(model, tokens, 7, dtype="bfloat16")
    judge = _returned(number_is(expected, Tolerance(relative=1e-2, absolute=0.0)))
    yield _evaluation_case(model, tokens, 7, batch_size=1, dtype="bfloat16", judge=judge)
