"""Steps of `train_step` as cases, and the judges of what each returns and leaves behind."""

from dataclasses import replace
from functools import partial

import numpy as np

from ...cases.check import Case
from ...cases.draw import Draw
from ...judges.expect import also, arguments_unchanged, differs, no_error, raises
from ...judges.findings import Finding, number
from ...judges.seen import Malformed, Seen
from ...oracles import training as oracles
from .fixtures import IGNORED, N_IDS, as_listed, facts_of
from .one_number import STEP, number_is

SGD = {"optimizer": "sgd", "lr": 0.5}
MOMENTUM = {"optimizer": "momentum", "lr": 0.4}
ADAMW = {"optimizer": "adamw", "lr": 0.3}
GROUPED = {"grouped": True}  # with two groups of parameters, as decay_groups gives them
NEVER_CLIPS = {"max_grad_norm": 1e6}


def draw_batch(
    draw: Draw, n_texts: int, n_tokens: int, *, n_ids=N_IDS, ignored=None, **kwargs
) -> dict:
    """A batch without the last id, which is the one that makes trouble.

    Args:
        ignored: a boolean mask of the targets that do not count.
    """
    inputs, targets = (draw.integers(0, max(0, n_ids - 2), (n_texts, n_tokens)) for _ in range(2))
    if ignored is not None:
        targets[ignored] = IGNORED
    return {"inputs": inputs, "targets": targets, "kwargs": kwargs}


def steps_case(
    model: dict,
    optimizer: dict,
    *batches: dict,
    dtype="float64",
    training=False,
    stale=False,
    in_evaluation=(),
    watch=False,
    judge=None,
    tolerance=None,
):
    expected = oracles.take_steps(model, optimizer, batches, dtype=dtype, training=training)
    call = {
        "probe": "steps",
        "dtype": dtype,
        "device": "cpu",
        "model": model,
        "optimizer": optimizer,
        "training": training,
        "in_evaluation": list(in_evaluation),
        "stale": stale,
        "batches": [dict(batch) for batch in batches],
        "watch_devices": watch,
    }
    tolerance = tolerance or STEP[dtype]
    return Case(
        call,
        _shown_steps(optimizer, batches, dtype, training, stale),
        also(no_error, partial(judge or _steps_are, expected=expected, tolerance=tolerance)),
    )


def _shown_steps(optimizer, batches, dtype, training, stale) -> str:
    sizes = "×".join(map(str, batches[-1]["inputs"].shape))
    given = {name: value for batch in batches for name, value in batch["kwargs"].items()}
    given = "".join(f", {name}={_short(value)}" for name, value in given.items())
    kind = {"sgd": "SGD", "momentum": "SGD with momentum", "adamw": "AdamW"}[optimizer["optimizer"]]
    kind += " with two groups" if optimizer.get("grouped") else ""
    notes = f"{kind}, {dtype}" + (", training" if training else "")
    notes += f", {len(batches)} steps" if len(batches) > 1 else ""
    notes += ", a backward() of another loss before" if stale else ""
    return f"train_step(model, optimizer, inputs {sizes}, targets{given}), {notes}"


def _short(value) -> str:
    return value if isinstance(value, str) else number(value)


def _pairs(seen: Seen, expected):
    """`(which, what came back, what is left, expected)` of each call."""
    steps = seen.steps
    if len(steps) != 2 * len(expected):
        raise Malformed("steps")
    for n, wanted in enumerate(expected):
        which = f"step {n + 1} of {len(expected)}: " if len(expected) > 1 else ""
        yield which, steps[2 * n], steps[2 * n + 1], wanted


def _of_step(which: str, finding: Finding | None) -> Finding | None:
    if finding is None or not which:
        return finding
    return replace(finding, what=which + finding.what)


def losses_are(seen: Seen, expected, tolerance) -> Finding | None:
    """Judge: each step returns its loss as a float, or refuses one that is not finite.

    Where the step before has left other weights, its loss can be no other: then those are told.
    """
    before = None
    for which, back, left, wanted in _pairs(seen, expected):
        finding = _loss_is_right(back, wanted, tolerance)
        if finding:
            return before or _of_step(which, finding)
        of_the_weights = _left_is(left, wanted, tolerance)
        if of_the_weights:
            before = _of_step(which, replace(of_the_weights, how="weights"))
    return None


def _loss_is_right(back: Seen, wanted, tolerance) -> Finding | None:
    if not wanted.not_finite:
        return number_is(wanted.loss, tolerance, "the loss")(back)
    if back.error:
        return raises("FloatingPointError")(back)
    return _let_through(back, wanted.not_finite)


def _let_through(back: Seen, what: str) -> Finding:
    value = back.outputs[0].array if back.outputs else None
    got = f"{number(value)} returned" if value is not None and value.size == 1 else "no error"
    return Finding(f"a {what} that is not finite was let through", "FloatingPointError", got)


def _steps_are(seen: Seen, expected, tolerance) -> Finding | None:
    """Judge: loss, weights, and what the optimizer remembers, step by step."""
    for which, back, left, wanted in _pairs(seen, expected):
        finding = _loss_is_right(back, wanted, tolerance) or _left_is(left, wanted, tolerance)
        if finding:
            return _of_step(which, finding)
    return None


def _left_is(left: Seen, wanted, tolerance) -> Finding | None:
    found = left.arrays("left")
    if found.keys() != wanted.left.keys():
        missing = sorted(wanted.left.keys() - found.keys())
        surplus = sorted(found.keys() - wanted.left.keys())
        return Finding(
            "the optimizer did not take the step" if missing else "the optimizer took a step",
            expected=f"{len(wanted.left)} weights and tensors of state",
            got=f"{len(found)}: " + (f"no {missing[0]}" if missing else f"also {surplus[0][:60]}"),
        )
    for name, array in wanted.left.items():
        got = found[name]
        if got is None or got.shape != array.shape:
            raise Malformed("left")
        if not np.isfinite(got).all():
            return Finding(f"{name} is not finite afterwards", "finite numbers", "nan or inf")
        whose = name if name.startswith("optimizer") else f"the model's {name}"
        finding = differs(got, array, tolerance, f"{whose} after the step")
        if finding:
            return finding
    return None


def fact_is(name: str, wanted, what: str, said: str):
    """Judge: one of the facts that the observer wrote down after each step."""

    def judge(seen: Seen, expected, tolerance) -> Finding | None:
        for which, back, left, _ in _pairs(seen, expected):
            finding = no_error(back)
            got = facts_of(left.value).get(name)
            if not finding and got != wanted:
                finding = Finding(what, expected=said, got=as_listed(got))
            if finding:
                return _of_step(which, finding)
        return None

    return judge


def mode_shows(seen: Seen, expected, tolerance) -> Finding | None:
    """Judge: the logits afterwards are those of the mode that the model was in before."""
    for which, back, left, wanted in _pairs(seen, expected):
        finding = no_error(back)
        array = left.outputs[0].array if left.outputs else None
        if array is None or array.shape != wanted.logits.shape:
            raise Malformed("after")
        if not finding and differs(array, wanted.logits, tolerance):
            finding = Finding("the model is in another mode afterwards", "the mode it was in")
        if finding:
            return _of_step(which, finding)
    return None


def with_trouble(batch: dict, row: int) -> dict:
    """`batch`, with the token that makes trouble in one row, and the target it makes impossible."""
    batch["inputs"][row, -1] = N_IDS - 1
    batch["targets"][row, -1] = 0
    return batch


def batch_is_kept(seen: Seen, expected, tolerance) -> Finding | None:
    """Judge: no step wrote into its inputs or targets."""
    for which, back, left, _ in _pairs(seen, expected):
        finding = no_error(back) or arguments_unchanged(("inputs", "targets"))(left)
        if finding:
            return _of_step(which, finding)
    return None
