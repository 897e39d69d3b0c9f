"""What must hold of `train_step`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import same_device
from ...judges.tolerances import Tolerance
from .fixtures import LESSON, gpt_spec, small_spec
from .steps import (
    ADAMW,
    GROUPED,
    MOMENTUM,
    NEVER_CLIPS,
    SGD,
    batch_is_kept,
    draw_batch,
    fact_is,
    losses_are,
    mode_shows,
    steps_case,
    with_trouble,
)

train_step = ComponentCheck("train_step", "training", LESSON)


@train_step.core(
    "it returns the loss before the step, as a Python float",
    hint="loss.item(), taken from the forward pass that the gradients come from",
    fits=("type",),
)
def step_loss(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    for optimizer in (SGD, ADAMW):
        batches = [draw_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(2)]
        yield steps_case(small_spec(draw), optimizer, *batches, judge=losses_are)
    yield steps_case(small_spec(draw), SGD, draw_batch(draw, n_tokens, n_tokens), judge=losses_are)
    yield steps_case(small_spec(draw), SGD, draw_batch(draw, 1, 1), judge=losses_are)


@train_step.core(
    "weights and optimizer state are those of backward() and optimizer.step()",
    hint="zero_grad(), the loss, backward(), clip, step(): each once, in this order, no more",
)
def step_weights(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    for optimizer in (SGD, MOMENTUM, ADAMW):
        batches = [draw_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(3)]
        yield steps_case(small_spec(draw), optimizer, *batches)
    yield steps_case(small_spec(draw), SGD, draw_batch(draw, n_tokens, n_tokens, **NEVER_CLIPS))
    gpt = gpt_spec(draw, context_length=7)
    yield steps_case(gpt, {"optimizer": "sgd", "lr": 0.02}, draw_batch(draw, 3, 7, **NEVER_CLIPS))
    batch = draw_batch(draw, n_texts, n_tokens, **NEVER_CLIPS)
    yield steps_case(small_spec(draw), MOMENTUM, batch, batch, dtype="float32")


@train_step.core(
    "gradients of an earlier backward() do not count",
    hint="optimizer.zero_grad() comes first: backward() adds to what is there",
)
def step_zeroes(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    for optimizer in (SGD, MOMENTUM, SGD | GROUPED):
        batches = [draw_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(2)]
        yield steps_case(small_spec(draw), optimizer, *batches, stale=True)


@train_step.core(
    "a gradient longer than max_grad_norm, all parameters together, is shortened to it",
    hint="one norm over all parameters, after backward(); below max_grad_norm nothing is shortened",
)
def step_clips(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    for max_grad_norm, lr in ((0.01, 40.0), (0.1, 4.0), (1e6, 0.5)):
        batches = [
            draw_batch(draw, n_texts, n_tokens, max_grad_norm=max_grad_norm) for _ in range(2)
        ]
        optimizer = {"optimizer": "sgd", "lr": lr}
        yield steps_case(small_spec(draw), optimizer, *batches)
    batch = draw_batch(draw, n_texts, n_tokens, max_grad_norm=0.1)
    yield steps_case(small_spec(draw), {"optimizer": "adamw", "lr": 1.0}, batch)
    batch = draw_batch(draw, n_texts, n_tokens, max_grad_norm=0.1)
    yield steps_case(small_spec(draw), {"optimizer": "sgd", "lr": 4.0} | GROUPED, batch)
    none_left = draw_batch(draw, n_texts, n_tokens, max_grad_norm=0.0)
    yield steps_case(small_spec(draw), SGD, none_left)
    # the default, 1.0, for a long gradient and for a short one
    yield steps_case(small_spec(draw, gain=8.0), SGD, draw_batch(draw, n_texts, n_tokens))
    yield steps_case(small_spec(draw, gain=0.1), SGD, draw_batch(draw, n_texts, n_tokens))


@train_step.core(
    "the batch goes through in n_chunks parts, and the step is the same as with one",
    hint="a part counts for its share of the batch, in the gradients and in the loss returned",
)
def step_chunks(draw: Draw):
    half, n_tokens, _ = draw.sizes(3)
    for n_chunks, n_texts in ((2, 2 * half), (3, 9), (half, half)):
        batches = [draw_batch(draw, n_texts, n_tokens, n_chunks=n_chunks, **NEVER_CLIPS)] * 2
        yield steps_case(small_spec(draw), SGD, *batches)
    batch = draw_batch(draw, 6, n_tokens, n_chunks=3, max_grad_norm=0.1)
    yield steps_case(small_spec(draw), {"optimizer": "momentum", "lr": 4.0}, batch, batch)
    yield steps_case(small_spec(draw), ADAMW, batch)
    batch = draw_batch(draw, 4, n_tokens, n_chunks=2, **NEVER_CLIPS)
    yield steps_case(small_spec(draw), SGD, batch, stale=True)


@train_step.edge(
    "with n_chunks each forward pass takes a part of the rows, and no more",
    hint="inputs.chunk(n_chunks): the point of parts is that one fits where the batch does not",
)
def step_takes_parts(draw: Draw):
    half, n_tokens = draw.sizes(2)
    judge = fact_is(
        "rows", "as asked", "too many or too few rows at once", "1/n_chunks of the rows"
    )
    for n_chunks, n_texts in ((2, 2 * half), (3, 3 * half), (1, half)):
        batch = draw_batch(draw, n_texts, n_tokens, n_chunks=n_chunks)
        yield steps_case(small_spec(draw), SGD, batch, judge=judge)
        rows = n_texts // n_chunks
        yield steps_case(small_spec(draw) | {"wants": {"rows": [rows, rows]}}, SGD, batch)


@train_step.edge(
    "ignored targets may be spread unevenly over the parts",
    hint="a part counts by how many of the batch's targets it holds, not as one of n_chunks",
)
def step_uneven_chunks(draw: Draw):
    (n_tokens,) = draw.sizes(1)
    n_tokens += 2
    for n_chunks in (1, 2, 3):
        ignored = np.zeros((6, n_tokens), dtype=bool)
        ignored[0], ignored[1, 1:], ignored[5, 2] = True, True, True
        batch = draw_batch(draw, 6, n_tokens, ignored=ignored, n_chunks=n_chunks, **NEVER_CLIPS)
        yield steps_case(small_spec(draw), SGD, batch)
    for n_chunks in (2, 3):  # a whole part without targets: its mean is nan, its share 0
        for empty in (slice(0, 6 // n_chunks), slice(6 - 6 // n_chunks, 6)):
            ignored = np.zeros((6, n_tokens), dtype=bool)
            ignored[empty] = True
            batch = draw_batch(draw, 6, n_tokens, ignored=ignored, n_chunks=n_chunks, **NEVER_CLIPS)
            yield steps_case(small_spec(draw), SGD, batch)


@train_step.edge(
    "the model stays in the mode it is in, every part of it",
    hint="train() and eval() are the caller's business",
)
def step_mode(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    parts = ["", "head", "mix", "token"]
    for training, in_evaluation in ((True, []), (True, ["mix"]), (False, [])):
        during = fact_is(
            "modes_during", [training], "the model ran in another mode", f"training: {training}"
        )
        in_training = [name for name in parts if training and name not in in_evaluation]
        after = fact_is(
            "in_training_after",
            in_training,
            "the model is in another mode afterwards",
            _in_training(in_training),
        )
        for judge in (during, after, mode_shows, None):
            batch = draw_batch(draw, n_texts, n_tokens)
            yield steps_case(
                small_spec(draw),
                SGD,
                batch,
                training=training,
                in_evaluation=in_evaluation,
                judge=judge,
            )


def _in_training(names: list[str]) -> str:
    return f"in training: {', '.join(name or 'the model' for name in names) or 'nothing'}"


@train_step.edge(
    "a loss that is not finite: FloatingPointError, weights and optimizer as they were",
    hint="look at the loss with math.isfinite before optimizer.step()",
)
def step_not_finite(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for trouble in ("nan", "inf"):
        for optimizer in (SGD, MOMENTUM, ADAMW):
            bad = with_trouble(draw_batch(draw, n_texts, n_tokens), row=1)
            good, again = (draw_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(2))
            model = small_spec(draw, trouble=trouble)
            yield steps_case(model, optimizer, good, bad, again)
            if optimizer is not SGD:
                yield steps_case(model, optimizer, bad, again)


@train_step.asked(
    "in use",
    "a gradient that is not finite, though the loss is: FloatingPointError, all as it was",
    hint="clip_grad_norm_ returns the norm: look at it with math.isfinite before optimizer.step()",
)
def step_too_steep(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for optimizer in (SGD, MOMENTUM, ADAMW):
        for limit in (NEVER_CLIPS, {}):
            bad = with_trouble(draw_batch(draw, n_texts, n_tokens, **limit), row=1)
            good, again = (draw_batch(draw, n_texts, n_tokens, **limit) for _ in range(2))
            yield steps_case(small_spec(draw, trouble="steep"), optimizer, good, bad, again)
    bad = with_trouble(draw_batch(draw, 6, n_tokens, n_chunks=3), row=2)
    good = draw_batch(draw, 6, n_tokens, n_chunks=3)
    yield steps_case(small_spec(draw, trouble="steep"), MOMENTUM, good, bad, good)


@train_step.edge(
    "only a later part's loss is not finite: FloatingPointError all the same, all as it was",
    hint="look at the loss of the whole batch, after its last part and before the step",
)
def step_not_finite_in_a_part(draw: Draw):
    (n_tokens,) = draw.sizes(1)
    for trouble in ("nan", "inf"):
        for row in (0, 2, 5):
            bad = with_trouble(draw_batch(draw, 6, n_tokens, n_chunks=3, **NEVER_CLIPS), row)
            good = draw_batch(draw, 6, n_tokens, n_chunks=3, **NEVER_CLIPS)
            yield steps_case(small_spec(draw, trouble=trouble), MOMENTUM, good, bad, good)


@train_step.edge(
    "every target is ignored: FloatingPointError too, for the mean of nothing is nan",
    hint="a loss of 0 would say that the model is perfect",
)
def step_without_targets(draw: Draw):
    (n_tokens,) = draw.sizes(1)
    nothing = np.ones((4, n_tokens), dtype=bool)
    for n_chunks in (1, 2):
        bad = draw_batch(draw, 4, n_tokens, ignored=nothing, n_chunks=n_chunks)
        good = draw_batch(draw, 4, n_tokens, n_chunks=n_chunks)
        yield steps_case(small_spec(draw), MOMENTUM, good, bad, good)


@train_step.edge(
    "with autocast_dtype the forward pass runs under autocast, and weights stay float32",
    hint="with torch.autocast(inputs.device.type, dtype=autocast_dtype): around the model",
)
def step_autocast(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    under = fact_is("autocast", ["bfloat16"], "the model did not run under autocast", "bfloat16")
    without = fact_is("autocast", ["none"], "the model ran under autocast", "none")
    stays = fact_is("dtypes", ["float32"], "the weights have another dtype", "float32")
    for kwargs in ({}, {"n_chunks": 2}):
        batch = draw_batch(draw, 2 * n_texts, n_tokens, autocast_dtype="bfloat16", **kwargs)
        for judge in (under, stays, None):
            told = {"wants": {"autocast": "bfloat16"}} if judge is None else {}
            yield steps_case(
                small_spec(draw) | told,
                SGD,
                batch,
                dtype="float32",
                judge=judge,
                tolerance=Tolerance(relative=2e-2, absolute=1e-2),
            )
    plain = draw_batch(draw, n_texts, n_tokens)
    yield steps_case(small_spec(draw), SGD, plain, dtype="float32", judge=without)
    told = {"wants": {"autocast": "none"}}
    yield steps_case(small_spec(draw) | told, SGD, plain, dtype="float32")


@train_step.edge(
    "parameters without a gradient are left alone, and so is all when the gradient is 0",
    hint="p.grad is None where no gradient arrived; 1.0 / 0 is no factor to shorten by",
    fits=("names", "not learned"),
)
def step_without_gradients(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for optimizer in (SGD, ADAMW):
        for max_grad_norm in (0.1, 1e6):
            batch = draw_batch(draw, n_texts, n_tokens, max_grad_norm=max_grad_norm)
            yield steps_case(small_spec(draw, spare=True), optimizer, batch)
    certain = draw_batch(draw, n_texts, n_tokens, n_ids=1)  # a vocabulary of one leaves no doubt
    yield steps_case(small_spec(draw, n_ids=1), SGD, certain, certain)


@train_step.edge(
    "half-precision models are trained, with the loss in float32",
    hint="next_token_loss gives float32, and backward() carries it back to the weights' dtype",
)
def step_half(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        stays = fact_is("dtypes", [dtype], "the weights have another dtype", dtype)
        for judge in (stays, None):
            batch = draw_batch(draw, n_texts, n_tokens, **NEVER_CLIPS)
            yield steps_case(small_spec(draw), SGD, batch, dtype=dtype, judge=judge)


@train_step.edge(
    "the optimizer keeps its learning rate, and every tensor is made on the model's device",
    hint="device=inputs.device for what you make yourself",
    fits=("device",),
)
def step_leaves_the_rest(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    keeps = fact_is("lr", [0.5], "the optimizer's learning rate was changed", "0.5")
    yield steps_case(small_spec(draw), SGD, draw_batch(draw, n_texts, n_tokens), judge=keeps)

    def on_device(seen, expected, tolerance):
        return losses_are(seen, expected, tolerance) or same_device(seen)

    batch = draw_batch(draw, 2 * n_texts, n_tokens, n_chunks=2)
    yield steps_case(small_spec(draw), SGD, batch, watch=True, judge=on_device)


@train_step.edge(
    "inputs and targets are not changed",
    hint="targets[targets == -100] = 0 writes into the caller's tensor: clone() it first",
    fits=("changed",),
)
def step_leaves_the_batch(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for n_chunks in (1, 2):
        ignored = draw.mask(2 * n_texts, n_tokens)
        ignored[:, 0] = False
        batch = draw_batch(draw, 2 * n_texts, n_tokens, ignored=ignored, n_chunks=n_chunks)
        yield steps_case(small_spec(draw), SGD, batch, judge=batch_is_kept)


@train_step.asked(
    "in use",
    "frozen parameters stay as they are, and a block used twice learns from both its places",
    hint="loss.backward() and optimizer.step() do it; leave requires_grad alone",
)
def step_of_models_in_use(draw: Draw):
    for way in ("half frozen", "one block twice"):
        model = gpt_spec(draw, context_length=7) | {"way": way}
        batch = draw_batch(draw, 3, 7, n_chunks=3, max_grad_norm=0.1)
        yield steps_case(model, {"optimizer": "sgd", "lr": 2.0}, batch, batch)


@train_step.asked(
    "in use",
    "what no gradient reaches stays as it is, though an earlier backward() reached it",
    hint="zero_grad() takes a gradient away; one of 0 makes optimizers decay, and go on moving",
)
def step_of_a_model_in_parts(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for optimizer in (ADAMW, MOMENTUM):
        for limit in (NEVER_CLIPS, {"max_grad_norm": 0.3}):
            batches = [draw_batch(draw, n_texts, n_tokens, **limit) for _ in range(2)]
            yield steps_case(small_spec(draw, spare=True), optimizer, *batches, stale=True)
    for optimizer in (SGD, ADAMW):
        some = optimizer | {"leaves_out": "scale"}
        batches = [draw_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(2)]
        yield steps_case(small_spec(draw), some, *batches)


@train_step.asked(
    "real sizes",
    "the loss of many small parts is added up in more than half precision",
    hint="loss.item() is a Python number, and so is their sum",
)
def step_of_many_parts(draw: Draw):
    batch = draw_batch(draw, 64, 25, n_chunks=64, **NEVER_CLIPS)
    yield steps_case(
        small_spec(draw),
        SGD,
        batch,
        dtype="bfloat16",
        judge=losses_are,
        tolerance=Tolerance(relative=1e-2, absolute=1e-2),
    )
