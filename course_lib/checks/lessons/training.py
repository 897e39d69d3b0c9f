"""What must hold of lesson 8: a loss, batches, a schedule, groups, a step, and an evaluation."""

import math
from functools import partial

import numpy as np
import torch

from ..cases.check import Case, ComponentCheck, Draw, exact_in
from ..judges.expect import (
    Judge,
    also,
    arguments_unchanged,
    at,
    differs,
    gradients_are,
    no_error,
    raises,
    same_device,
)
from ..judges.findings import Finding, number
from ..judges.seen import Malformed, Seen
from ..judges.tolerances import BY_DTYPE, Tolerance
from ..observe.probes.train import build_model, facts_of_batches
from ..oracles import training as oracles

LESSON = "08_training"
LOSS_CALL = ("logits", "targets")
IGNORED = oracles.IGNORED
# A loss may be taken in float32 whatever the logits are, and torch clips with an eps of 1e-6.
IN_FLOAT32 = Tolerance(relative=1e-5, absolute=1e-6)
STEP = {
    "float64": Tolerance(relative=5e-5, absolute=5e-5),
    "float32": BY_DTYPE["float32"],
    "bfloat16": BY_DTYPE["bfloat16"],
    "float16": BY_DTYPE["float16"],
}
N_IDS = 13

next_token_loss = ComponentCheck("next_token_loss", "training", LESSON)
get_batch = ComponentCheck("get_batch", "training", LESSON)
learning_rate = ComponentCheck("learning_rate", "training", LESSON)
decay_groups = ComponentCheck("decay_groups", "training", LESSON)
train_step = ComponentCheck("train_step", "training", LESSON)
evaluate = ComponentCheck("evaluate", "training", LESSON)


# --- next_token_loss ---


def _loss_is(expected: float, tolerance: Tolerance = IN_FLOAT32) -> Judge:
    """Judge: a scalar tensor in float32 or wider, of this value."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        if seen.structure in ("tuple", "list") or len(seen.outputs) != 1:
            got = f"a {seen.structure} of {seen.n_parts}"
            return Finding("a tuple came back", expected="one scalar tensor", got=got)
        output = seen.outputs[0]
        if output.kind != "tensor" or output.array is None:
            got = "None (return is missing)" if output.dtype == "NoneType" else output.dtype
            return Finding("wrong type", expected="a scalar tensor", got=got)
        if output.array.shape != ():
            return Finding("wrong shape", expected="() (a scalar)", got=str(output.array.shape))
        if output.dtype not in ("float32", "float64"):
            return Finding("wrong dtype", expected="float32 or wider", got=output.dtype)
        return _is_number(output.array, expected, tolerance)

    return judge


def _is_number(got, expected: float, tolerance: Tolerance, name: str = "") -> Finding | None:
    """A finding unless both are nan, or near each other."""
    if math.isnan(expected) or not np.isfinite(got).all():
        same = np.isnan(got).all() and math.isnan(expected)
        what = f"wrong value{at(name, ())}"
        return None if same else Finding(what, expected=number(expected), got=number(got))
    return differs(got, np.asarray(expected), tolerance, name)


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
    hint="F.cross_entropy wants rows of scores, (B·T, V), and one target for each row",
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
    hint="no detach(), item() or no_grad() on the way",
)
def loss_gradients(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    for n_ignored in (0, 2):
        logits, targets = _logits(draw, n_texts, n_tokens, n_ids)
        targets[1, :n_ignored] = IGNORED
        expected = oracles.next_token_loss_gradient(logits, targets)
        judge = gradients_are(  # a loss taken in float32 leaves seven digits of them
            {"argument 0": expected}, "float32", {"argument 0": "the logits"}
        )
        yield _loss_case(logits, targets, judge=judge, cotangents=[np.array(1.0)])


@next_token_loss.core(
    "large logits give a large loss, not nan or infinity",
    hint="take log_softmax, not the log of a softmax: exp(1000) is infinite, log(0) too",
)
def loss_of_large_logits(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    for size, dtype in ((1e3, "float64"), (300.0, "float32")):
        logits, targets = _logits(draw, n_texts, n_tokens, n_ids, size=size, dtype=dtype)
        yield _loss_case(logits, targets, dtype=dtype)
        yield _loss_case(logits + 1e3, targets, dtype=dtype)


@next_token_loss.edge(
    "half-precision logits: computed in float32, and returned in float32",
    hint="logits.to(torch.promote_types(logits.dtype, torch.float32)) before anything else",
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
    hint="detach() and .data cut the way back; .to(torch.float32) does not",
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
)
def loss_leaves_inputs(draw: Draw):
    n_texts, n_tokens, n_ids = draw.sizes(3)
    logits, targets = _logits(draw, n_texts, n_tokens, n_ids)
    targets[0, 0] = IGNORED
    yield _loss_case(logits, targets, judge=arguments_unchanged(LOSS_CALL))
    yield _loss_case(logits, targets, judge=same_device, watch_devices=True)
    targets[0, 0] = 1
    yield _loss_case(logits, targets, 1, judge=arguments_unchanged(LOSS_CALL))


# --- get_batch ---


def _batch_case(
    draw: Draw,
    n_tokens,
    batch_size,
    context_length,
    *,
    n_calls=1,
    judges=None,
    watch=False,
    sliced=False,
):
    """`n_calls` batches of a text that counts upwards from a number that is not 0.

    Args:
        sliced: the tokens are every second number of a tensor.
        judges: from the call to what must hold of the batches besides their form.
    """
    first = int(draw.integers(100, 900))
    call = {
        "probe": "batches",
        "dtype": "float64",
        "device": "cpu",
        "tokens": np.arange(first, first + n_tokens),
        "batch_size": batch_size,
        "context_length": context_length,
        "seed": int(draw.integers(0, 2**31)),
        "n_calls": n_calls,
        "watch_devices": watch,
        "sliced": sliced,
    }
    sizes = f"batch_size={batch_size}, context_length={context_length}"
    text = "numbers[::2]" if sliced else f"{n_tokens} tokens"
    shown = f"get_batch({text}, {sizes}){f', {n_calls} times' if n_calls > 1 else ''}"
    return Case(call, shown, also(_batches_are_whole(call), *(judges(call) if judges else ())))


def _batches_are_whole(call: dict) -> Judge:
    """Judge: a pair of int64 tensors of the right shape each time."""
    sizes = f"int64 {call['batch_size']}×{call['context_length']}"
    wanted = f"({sizes}, {sizes})"

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        kinds = _dict(seen.value).get("kinds")
        if kinds != [wanted]:
            got = " or ".join(map(str, kinds[:2])) if isinstance(kinds, list) else ""
            return Finding("wrong return value", expected=wanted, got=got[:200])
        _drawn(seen, call)
        return None

    return judge


def _drawn(seen: Seen, call: dict) -> dict:
    """The raw batches, each of the shape that the call asked for."""
    found = seen.arrays("drawn")
    shape = (call["batch_size"], call["context_length"])
    for which, n_calls in (("batches", call["n_calls"]), ("again", min(3, call["n_calls"]))):
        for part in ("inputs", "targets"):
            array = found.get(f"{which} {part}")
            if array is None or array.dtype != np.int64 or array.shape != (n_calls, *shape):
                raise Malformed("drawn")
    return found


def _facts_are(call: dict, **messages: Finding) -> Judge:
    """Judge: facts about the batches that must hold; `messages` says which, and what if not."""

    def judge(seen: Seen) -> Finding | None:
        facts = facts_of_batches(_drawn(seen, call), call)
        for name, (expected, what, said) in messages.items():
            got = facts[name.replace("_", " ")]
            if got != expected:
                return Finding(what, expected=said, got=_listed(got))
        return None

    return judge


def _rows_are_text(call: dict) -> Judge:
    """Judge: each row is a piece of the text, and its targets the same piece one token on."""

    def judge(seen: Seen) -> Finding | None:
        drawn = _drawn(seen, call)
        inputs, targets = (drawn[f"batches {part}"] for part in ("inputs", "targets"))
        row, its_targets = inputs[0, 0], targets[0, 0]
        facts = facts_of_batches(drawn, call)
        text = f"tokens counting from {call['tokens'][0]} to {call['tokens'][-1]}"
        shown = f"{row[:6].tolist()} with targets {its_targets[:6].tolist()}"
        if facts["along a row"] != ([1] if call["context_length"] > 1 else []):
            return Finding(f"a row is no piece of the text ({text})", got=shown)
        if facts["from input to target"] != [1]:
            good = f"{row[:6].tolist()} with targets {(row[:6] + 1).tolist()}"
            return Finding("targets are not the inputs, one token on", expected=good, got=shown)
        if not facts["all starts are valid"]:
            return Finding(f"a row leaves the text ({text})", got=shown)
        return None

    return judge


def _only_text(call: dict) -> list[Judge]:
    return [_rows_are_text(call)]


@get_batch.core(
    "inputs are pieces of the text, (B, T), and targets the same pieces one token on",
    hint="with start s: inputs are tokens s … s+T-1, targets tokens s+1 … s+T",
)
def batch_rows(draw: Draw):
    n_texts, width, more = draw.sizes(3)
    for n_tokens, batch_size, context_length in (
        (width + more, n_texts, width),
        (width + more, width, width),
        (2 * width, n_texts, 1),
        (width + more, 1, width),
        (50 * width, 2, width),
    ):
        yield _batch_case(draw, n_tokens, batch_size, context_length, n_calls=5, judges=_only_text)


@get_batch.core(
    "a text of context_length + 1 tokens is long enough: every row is all of it",
    hint="there are N - T starts, from 0 to N - T - 1",
)
def batch_of_the_shortest_text(draw: Draw):
    n_texts, width = draw.sizes(2)
    for context_length in (width, 1):
        yield _batch_case(draw, context_length + 1, n_texts, context_length, judges=_only_text)


N_STARTS, MANY_ROWS, MANY_CALLS = 5, 100, 80  # 8,000 starts: a share deviates by 0.5 %


def _many_batches(draw: Draw, judges):
    (width,) = draw.sizes(1, largest=7)
    return _batch_case(draw, N_STARTS + width, MANY_ROWS, width, n_calls=MANY_CALLS, judges=judges)


@get_batch.core(
    "every call gives another batch",
    hint="the generator goes on from call to call: draw with itself, not with a copy or a new one",
)
def batch_after_batch(draw: Draw):
    def judges(call: dict):
        yield _rows_are_text(call)
        again = (False, "two calls in a row gave the same batch", "another one")
        yield _facts_are(call, a_batch_comes_again=again)

    yield _many_batches(draw, judges)


@get_batch.core(
    "every valid start occurs, the last one included, and all of them equally often",
    hint="valid starts are 0 … N - T - 1, both included; torch.randint leaves its upper end out",
)
def batch_starts(draw: Draw):
    every = list(range(N_STARTS))

    def judges(call: dict):
        yield _rows_are_text(call)
        yield _facts_are(
            call,
            starts=(every, "some starts never occur", str(every)),
            rare=([], "some starts are too rare", "each in a fifth of the rows"),
            frequent=([], "some starts are too frequent", "each in a fifth of the rows"),
        )

    yield _many_batches(draw, judges)


@get_batch.core(
    "each row has a start of its own, whatever those of the other rows are",
    hint="draw batch_size starts, not one",
)
def batch_independence(draw: Draw):
    def judges(call: dict):
        yield _rows_are_text(call)
        yield _facts_are(
            call,
            neighbours_alike=(False, "all rows of a batch are the same", "rows of their own"),
            neighbours_in_turn=(False, "each row starts one after the last", "any start"),
            neighbours_sorted=(False, "the rows come in the order of the text", "any order"),
            neighbours_related=(False, "a row's start depends on that before it", "any start"),
            rows_related=(False, "a row's start depends on that of another", "any start"),
            rows_too_even=(False, "the rows share the starts among them", "any start"),
        )

    yield _many_batches(draw, judges)


@get_batch.core(
    "chance comes from the generator alone: the same state gives the same batch",
    hint="pass generator=generator to torch's function, and seed nothing yourself",
)
def batch_generator(draw: Draw):
    n_texts, width = draw.sizes(2)

    def moves_nothing(seen: Seen) -> Finding | None:
        moved = _dict(seen.value).get("moved")
        if moved != []:
            got = f"{', '.join(map(str, moved))[:60]} moved" if isinstance(moved, list) else ""
            return Finding("a global source of chance was used", expected="none moved", got=got)
        return None

    def judges(call: dict):
        said = "the same batches as before"
        yield _facts_are(
            call,
            the_same_with_the_same_seed=(
                True,
                "a generator of the same seed gives other batches",
                said,
            ),
        )
        yield moves_nothing

    yield _batch_case(draw, 40 * width, n_texts, width, n_calls=4, judges=judges)
    yield _batch_case(draw, 900, 1, width, n_calls=4, judges=judges)


@get_batch.edge(
    "a text too short for one row: ValueError naming an argument and its value",
    hint="a row needs context_length tokens and one more, for the last target",
)
def batch_refuses(draw: Draw):
    n_texts, width = draw.sizes(2)
    for n_tokens in (width, width - 1, 1):
        case = _batch_case(draw, n_tokens, n_texts, width)
        allowed = {"tokens": (n_tokens,), "context_length": (width, width + 1)}
        yield case.expect(_refuses_naming(allowed))


def _refuses_naming(allowed: dict[str, tuple[int, ...]]) -> Judge:
    """Judge: a ValueError that names one of these arguments, and one of the values."""

    def judge(seen: Seen) -> Finding | None:
        finding = raises("ValueError")(seen)
        if finding:
            return finding
        message = seen.error["message"]
        values = [str(value) for several in allowed.values() for value in several]
        if not any(name in message for name in allowed) or not any(v in message for v in values):
            return Finding(
                "the error's text leaves something out",
                expected=f"the name {' or '.join(allowed)}, and its value",
                got=message or "(no text)",
            )
        return None

    return judge


@get_batch.edge(
    "the text may be a slice of another tensor, such as numbers[::2]",
    hint="index the tokens: as_strided and the like count places in the memory behind them",
)
def batch_of_a_slice(draw: Draw):
    n_texts, width = draw.sizes(2)
    yield _batch_case(draw, 3 * width, n_texts, width, judges=_only_text, sliced=True)


@get_batch.edge(
    "tokens are not changed, and the batch is on their device",
    hint="the starts are drawn on the CPU: .to(tokens.device) before they meet the tokens",
)
def batch_leaves_tokens(draw: Draw):
    n_texts, width = draw.sizes(2)

    def judges(call: dict):
        return [arguments_unchanged(["tokens"]), same_device]

    yield _batch_case(draw, 4 * width, n_texts, width, judges=judges, watch=True)


# --- learning_rate ---


def _rate_cases(steps, **schedule):
    for step in steps:
        expected = oracles.learning_rate(step, **schedule)
        case = learning_rate.call(step, **schedule)
        yield case.expect(_number_is(expected, BY_DTYPE["float64"]))


def _a_number(seen: Seen) -> Finding | None:
    """Judge: a Python number, whatever its value."""
    finding = no_error(seen)
    if finding:
        return finding
    if seen.structure in ("tuple", "list") or len(seen.outputs) != 1:
        got = f"a {seen.structure} of {seen.n_parts}"
        return Finding("wrong return value", expected="one float", got=got)
    output = seen.outputs[0]
    is_double = output.kind == "array" and output.dtype == "float64"  # NumPy's float is a float
    is_number = output.kind == "number" and output.dtype in ("float", "int", "float64")
    if not (is_number or is_double) or output.array is None or output.array.shape != ():
        got = "None (return is missing)" if output.dtype == "NoneType" else output.dtype
        got = f"a tensor ({output.dtype})" if output.kind == "tensor" else got
        return Finding("wrong type", expected="a Python float", got=got)
    return None


def _number_is(expected: float, tolerance: Tolerance, name: str = "") -> Judge:
    """Judge: a Python number of this value."""

    def judge(seen: Seen) -> Finding | None:
        finding = _a_number(seen)
        return finding or _is_number(seen.outputs[0].array, expected, tolerance, name)

    return judge


def _schedule(draw: Draw, warmup_steps: int, cosine_steps: int) -> dict:
    max_lr = float(draw.integers(20, 90)) / 1000
    return {
        "max_lr": max_lr,
        "min_lr": max_lr * float(draw.integers(1, 4)) / 10,
        "warmup_steps": warmup_steps,
        "total_steps": warmup_steps + cosine_steps,
    }


@learning_rate.core(
    "it returns one Python float",
    hint="return the rate; what torch computed becomes a number by .item()",
)
def rate_is_a_number(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    for step in (0, warmup_steps + 1, warmup_steps + cosine_steps + 1):
        schedule = _schedule(draw, warmup_steps, cosine_steps)
        yield learning_rate.call(step, **schedule).expect(_a_number)


@learning_rate.core(
    "before warmup_steps: a line, max_lr·(step + 1) / (warmup_steps + 1)",
    hint="step 0 must move already: not 0, but the first of warmup_steps + 1 equal stairs",
)
def rate_warm_up(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    schedule = _schedule(draw, warmup_steps, cosine_steps)
    yield from _rate_cases((0, 1, warmup_steps // 2, warmup_steps - 1), **schedule)
    yield from _rate_cases((0,), **_schedule(draw, 1, cosine_steps))


@learning_rate.core(
    "max_lr at warmup_steps, and half a cosine from there to min_lr at total_steps",
    hint="how much of the way from warmup_steps to total_steps is done? cos goes from 1 to -1",
)
def rate_cosine(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    schedule = _schedule(draw, warmup_steps, 4 * cosine_steps)
    total = schedule["total_steps"]
    steps = [warmup_steps + part * cosine_steps for part in range(4)]
    yield from _rate_cases((*steps, warmup_steps + 1, total - 1, total), **schedule)


@learning_rate.core(
    "after total_steps it stays at min_lr", hint="cos would rise again: the share done ends at 1"
)
def rate_after_the_end(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    schedule = _schedule(draw, warmup_steps, cosine_steps)
    total = schedule["total_steps"]
    yield from _rate_cases((total + 1, total + cosine_steps, 2 * total, 1000 * total), **schedule)


@learning_rate.edge(
    "without warm-up the first step has max_lr", hint="warmup_steps=0 must divide nothing by 0"
)
def rate_without_warm_up(draw: Draw):
    (cosine_steps,) = draw.sizes(1)
    schedule = _schedule(draw, 0, cosine_steps)
    yield from _rate_cases((0, 1, cosine_steps - 1, cosine_steps, cosine_steps + 1), **schedule)
    yield from _rate_cases((0, 1, 2), **_schedule(draw, 0, 1))


@learning_rate.edge(
    "min_lr may be 0 or max_lr, and the cosine may last a single step",
    hint="nothing may be divided by min_lr or by max_lr - min_lr",
)
def rate_corners(draw: Draw):
    warmup_steps, cosine_steps = draw.sizes(2)
    for share in (0.0, 1.0):
        schedule = _schedule(draw, warmup_steps, cosine_steps)
        schedule["min_lr"] = share * schedule["max_lr"]
        total = schedule["total_steps"]
        yield from _rate_cases((0, warmup_steps, total - 1, total, total + 3), **schedule)
    schedule = _schedule(draw, warmup_steps, 1)
    yield from _rate_cases(range(warmup_steps - 1, warmup_steps + 3), **schedule)


# --- decay_groups ---


def _gpt(draw: Draw, **config) -> dict:
    width, n_blocks = 6, 2
    sizes = {"vocab_size": N_IDS, "context_length": 5, "d_model": width, "n_heads": 2}
    seed = int(draw.integers(0, 2**31 - 1))
    return {"model": "gpt", "config": sizes | {"n_layers": n_blocks} | config, "seed": seed}


def _groups_case(draw: Draw, model: dict, *, dtype="float64", decay=None):
    decay = float(draw.integers(1, 40)) / 100 if decay is None else decay
    call = {
        "probe": "groups",
        "dtype": dtype,
        "device": "cpu",
        "model": model,
        "weight_decay": decay,
    }
    shape = _parameter_axes(model, dtype)
    kind = "GPT" if model["model"] == "gpt" else "model"
    notes = [name for name in ("tied", "frozen") if model.get(name)]
    if model["model"] == "gpt" and model["config"].get("tie_weights", True):
        notes = ["tied", *notes]
    shown = f"decay_groups({' and '.join(notes)}{' ' if notes else ''}{kind}, {decay})"
    return Case(call, shown, _groups_are(shape, decay))


def _parameter_axes(spec: dict, dtype: str) -> dict[str, int]:
    """How many axes each trained parameter has, by name, shared ones once."""
    model = build_model(spec, getattr(torch, dtype))
    return {name: p.dim() for name, p in model.named_parameters() if p.requires_grad}


def _groups_are(axes: dict[str, int], decay: float) -> Judge:
    """Judge: two groups, and each trained parameter in the one where it belongs, once."""

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        found = _dict(seen.value)
        groups = found.get("groups")
        if found.get("structure") not in ("list", "tuple") or not isinstance(groups, list):
            got = str(found.get("structure"))[:60]
            return Finding("wrong return value", expected="a list of two dicts", got=got)
        groups = [_dict(group) for group in groups]
        if len(groups) != 2 or any(group.get("type") != "dict" for group in groups):
            kinds = ", ".join(str(group.get("type"))[:30] for group in groups[:4])
            return Finding("wrong groups", expected="two dicts", got=f"{len(groups)}: {kinds}")
        return _stated(groups, decay) or _members(groups, axes, decay) or _kept(found)

    return judge


def _stated(groups: list[dict], decay: float) -> Finding | None:
    for group in groups:
        if not isinstance(group.get("params"), list):
            wanted = '{"params": [...], "weight_decay": …}'
            return Finding('a group has no list under "params"', expected=wanted)
        if group.get("weight_decay") == "NoneType":
            return Finding(
                "a group does not state its weight_decay",
                expected="0.0 stated: otherwise the optimizer's own default holds",
                got=f"none for {str(group['params'][:1])[:60]}",
            )
    found = sorted(str(group.get("weight_decay")) for group in groups)
    if found != sorted(map(str, (0.0, decay))):
        return Finding("wrong weight_decay", expected=f"{decay} and 0.0", got=" and ".join(found))
    return None


def _members(groups: list[dict], axes: dict[str, int], decay: float) -> Finding | None:
    where = [(str(name), group["weight_decay"]) for group in groups for name in group["params"]]
    names = [name for name, _ in where]
    strange = [name for name in names if name not in axes]
    if strange:
        _, is_other, other = strange[0].partition("not there: ")
        what = "something else is in a group" if is_other else "a frozen parameter is in a group"
        got = other if is_other else strange[0]
        return Finding(what, expected="the parameters of the model that are trained", got=got[:80])
    for name, n_axes in axes.items():
        if name not in names:
            return Finding(f"{name} is in no group", expected="every trained parameter in one")
        if names.count(name) > 1:
            return Finding(f"{name} is there {names.count(name)} times", expected="once")
        wanted, got = decay if n_axes >= 2 else 0.0, dict(where)[name]
        if got != wanted:
            return Finding(
                f"{name}, with {n_axes} {'axis' if n_axes == 1 else 'axes'}, is in the wrong group",
                expected=f"weight_decay {wanted}",
                got=f"weight_decay {got}",
            )
    return None


def _kept(found: dict) -> Finding | None:
    kept = found.get("model_kept")
    if not isinstance(kept, list) or not all(one is True for one in kept):
        return Finding("the model was changed", expected="its parameters and mode as they were")
    return None


@decay_groups.core(
    "weights and embeddings of a GPT get weight_decay, biases and norms 0.0",
    hint='two dicts, each with "params" and "weight_decay"; p.dim() counts the axes',
)
def groups_of_a_gpt(draw: Draw):
    for config in ({"tie_weights": False}, {"tie_weights": False, "n_layers": 1}):
        yield _groups_case(draw, _gpt(draw, **config))


@decay_groups.core(
    "what counts is the number of axes, not the name and not the kind of layer",
    hint="two axes or more: decay; one or none: no decay",
)
def groups_by_axes(draw: Draw):
    yield _groups_case(draw, {"model": "oddments", "tied": False})
    yield _groups_case(draw, {"model": "oddments", "tied": False}, decay=1e-3)


@decay_groups.core(
    "a tensor that two layers share stands in a group once, and equal ones are not shared",
    hint="model.parameters() and named_parameters() give a shared tensor once by themselves",
)
def groups_of_tied_weights(draw: Draw):
    yield _groups_case(draw, _gpt(draw))
    yield _groups_case(draw, _gpt(draw, bias=False))
    yield _groups_case(draw, {"model": "oddments", "tied": True})
    yield _groups_case(draw, {"model": "oddments", "tied": False, "twins": True})


@decay_groups.edge(
    "a weight_decay of 0 is a number like others: there are two groups all the same",
    hint="0.0 counts as false: neither `if weight_decay` nor `weight_decay or …`",
)
def groups_without_decay(draw: Draw):
    yield _groups_case(draw, {"model": "oddments", "tied": False}, decay=0.0)


@decay_groups.edge(
    "frozen parameters are left out", hint="p.requires_grad says whether it is trained"
)
def groups_without_the_frozen(draw: Draw):
    frozen = ["embeddings.position.weight", "blocks.0.norm1.weight", "blocks.1.mlp.up.bias"]
    yield _groups_case(draw, _gpt(draw, tie_weights=False) | {"frozen": frozen})
    for tied in (False, True):
        names = ["token.weight", "weight", "body.1.bias"]
        yield _groups_case(draw, {"model": "oddments", "tied": tied, "frozen": names})


@decay_groups.edge(
    "the same in every dtype, and the model is left as it is",
    hint="sorting parameters needs no arithmetic",
)
def groups_in_half_precision(draw: Draw):
    for dtype in ("float32", "bfloat16", "float16"):
        yield _groups_case(draw, _gpt(draw), dtype=dtype)


# --- train_step ---

SGD = {"optimizer": "sgd", "lr": 0.5}
MOMENTUM = {"optimizer": "momentum", "lr": 0.4}
ADAMW = {"optimizer": "adamw", "lr": 0.3}
GROUPED = {"grouped": True}  # with two groups of parameters, as decay_groups gives them
NEVER_CLIPS = {"max_grad_norm": 1e6}


def _small(draw: Draw, *, gain=1.0, spare=False, trouble="", n_ids=N_IDS) -> dict:
    (width,) = draw.sizes(1, largest=7)
    seed = int(draw.integers(0, 2**31 - 1))
    return {
        "model": "small",
        "vocab_size": n_ids,
        "width": width,
        "seed": seed,
        "gain": gain,
        "spare": spare,
        "trouble": trouble,
    }


def _batch(draw: Draw, n_texts: int, n_tokens: int, *, n_ids=N_IDS, ignored=None, **kwargs) -> dict:
    """A batch without the last id, which is the one that makes trouble.

    Args:
        ignored: a boolean mask of the targets that do not count.
    """
    inputs, targets = (draw.integers(0, max(0, n_ids - 2), (n_texts, n_tokens)) for _ in range(2))
    if ignored is not None:
        targets[ignored] = IGNORED
    return {"inputs": inputs, "targets": targets, "kwargs": kwargs}


def _steps_case(
    model: dict,
    optimizer: dict,
    *batches: dict,
    dtype="float64",
    training=False,
    stale=False,
    asleep=(),
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
        "asleep": list(asleep),
        "stale": stale,
        "batches": [dict(batch) for batch in batches],
        "watch_devices": watch,
    }
    tolerance = tolerance or STEP[dtype]
    return Case(
        call,
        _shown_steps(optimizer, batches, dtype, training),
        also(no_error, partial(judge or _steps_are, expected=expected, tolerance=tolerance)),
    )


def _shown_steps(optimizer, batches, dtype, training) -> str:
    sizes = "×".join(map(str, batches[-1]["inputs"].shape))
    given = {name: value for batch in batches for name, value in batch["kwargs"].items()}
    given = "".join(f", {name}={_short(value)}" for name, value in given.items())
    kind = {"sgd": "SGD", "momentum": "SGD with momentum", "adamw": "AdamW"}[optimizer["optimizer"]]
    kind += " with two groups" if optimizer.get("grouped") else ""
    notes = f"{kind}, {dtype}" + (", training" if training else "")
    notes += f", {len(batches)} steps" if len(batches) > 1 else ""
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


def _say(which: str, finding: Finding | None) -> Finding | None:
    if finding is None or not which:
        return finding
    return Finding(which + finding.what, finding.expected, finding.got, finding.details)


def _losses_are(seen: Seen, expected, tolerance) -> Finding | None:
    """Judge: each step returns its loss as a float, or refuses one that is not finite."""
    for which, back, _, wanted in _pairs(seen, expected):
        finding = _loss_is_right(back, wanted, tolerance)
        if finding:
            return _say(which, finding)
    return None


def _loss_is_right(back: Seen, wanted, tolerance) -> Finding | None:
    if math.isfinite(wanted.loss):
        return _number_is(wanted.loss, tolerance, "the loss")(back)
    return raises("FloatingPointError")(back) if back.error else _let_through(back)


def _let_through(back: Seen) -> Finding:
    value = back.outputs[0].array if back.outputs else None
    got = f"{number(value)} returned" if value is not None and value.size == 1 else "no error"
    return Finding("a loss that is not finite was let through", "FloatingPointError", got)


def _steps_are(seen: Seen, expected, tolerance) -> Finding | None:
    """Judge: loss, weights, and what the optimizer remembers, step by step."""
    for which, back, left, wanted in _pairs(seen, expected):
        finding = _loss_is_right(back, wanted, tolerance) or _left_is(left, wanted, tolerance)
        if finding:
            return _say(which, finding)
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
        finding = differs(got, array, tolerance, name + " after the step")
        if finding:
            return finding
    return None


def _facts(name: str, wanted, what: str, said: str):
    """Judge: one of the facts that the observer wrote down after each step."""

    def judge(seen: Seen, expected, tolerance) -> Finding | None:
        for which, back, left, _ in _pairs(seen, expected):
            finding = no_error(back)
            got = _dict(left.value).get(name)
            if not finding and got != wanted:
                finding = Finding(what, expected=said, got=_listed(got))
            if finding:
                return _say(which, finding)
        return None

    return judge


def _listed(value) -> str:
    """What was found, for a message; nothing where it is only the opposite of what must be."""
    values = value if isinstance(value, list) else [value]
    if values and all(isinstance(one, bool) for one in values):
        return ""
    return (", ".join(str(one) or "the model" for one in values) or "nothing")[:100]


def _dict(value) -> dict:
    if not isinstance(value, dict):
        raise Malformed("value")
    return value


@train_step.core(
    "it returns the loss before the step, as a Python float",
    hint="loss.item(), taken from the forward pass that the gradients come from",
)
def step_loss(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    for optimizer in (SGD, ADAMW):
        batches = [_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(2)]
        yield _steps_case(_small(draw), optimizer, *batches, judge=_losses_are)
    yield _steps_case(_small(draw), SGD, _batch(draw, n_tokens, n_tokens), judge=_losses_are)
    yield _steps_case(_small(draw), SGD, _batch(draw, 1, 1), judge=_losses_are)


@train_step.core(
    "weights and optimizer state are those of backward() and optimizer.step()",
    hint="zero_grad(), the loss, backward(), clip, step(): each once, in this order",
)
def step_weights(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    for optimizer in (SGD, MOMENTUM, ADAMW):
        batches = [_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(3)]
        yield _steps_case(_small(draw), optimizer, *batches)
    yield _steps_case(_small(draw), SGD, _batch(draw, n_tokens, n_tokens, **NEVER_CLIPS))
    gpt = _gpt(draw, context_length=7)
    yield _steps_case(gpt, {"optimizer": "sgd", "lr": 0.02}, _batch(draw, 3, 7, **NEVER_CLIPS))
    batch = _batch(draw, n_texts, n_tokens, **NEVER_CLIPS)
    yield _steps_case(_small(draw), MOMENTUM, batch, batch, dtype="float32")


@train_step.core(
    "gradients of an earlier backward() do not count",
    hint="optimizer.zero_grad() comes first: backward() adds to what is there",
)
def step_zeroes(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    for optimizer in (SGD, MOMENTUM, SGD | GROUPED):
        batches = [_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(2)]
        yield _steps_case(_small(draw), optimizer, *batches, stale=True)


@train_step.core(
    "a gradient longer than max_grad_norm, all parameters together, is shortened to it",
    hint="one norm over all parameters, between backward() and step(); short ones stay",
)
def step_clips(draw: Draw):
    n_texts, n_tokens, _ = draw.sizes(3)
    for max_grad_norm, lr in ((0.01, 40.0), (0.1, 4.0), (1e6, 0.5)):
        batches = [_batch(draw, n_texts, n_tokens, max_grad_norm=max_grad_norm) for _ in range(2)]
        optimizer = {"optimizer": "sgd", "lr": lr}
        yield _steps_case(_small(draw), optimizer, *batches)
    batch = _batch(draw, n_texts, n_tokens, max_grad_norm=0.1)
    yield _steps_case(_small(draw), {"optimizer": "adamw", "lr": 1.0}, batch)
    batch = _batch(draw, n_texts, n_tokens, max_grad_norm=0.1)
    yield _steps_case(_small(draw), {"optimizer": "sgd", "lr": 4.0} | GROUPED, batch)
    # the default, 1.0, for a long gradient and for a short one
    yield _steps_case(_small(draw, gain=8.0), SGD, _batch(draw, n_texts, n_tokens))
    yield _steps_case(_small(draw, gain=0.1), SGD, _batch(draw, n_texts, n_tokens))


@train_step.core(
    "the batch goes through in n_chunks parts, and the step is the same as with one",
    hint="backward() adds gradients up: each part's loss counts for its share of the batch",
)
def step_chunks(draw: Draw):
    half, n_tokens, _ = draw.sizes(3)
    for n_chunks, n_texts in ((2, 2 * half), (3, 9), (half, half)):
        batches = [_batch(draw, n_texts, n_tokens, n_chunks=n_chunks, **NEVER_CLIPS)] * 2
        yield _steps_case(_small(draw), SGD, *batches)
    batch = _batch(draw, 6, n_tokens, n_chunks=3, max_grad_norm=0.1)
    yield _steps_case(_small(draw), {"optimizer": "momentum", "lr": 4.0}, batch, batch)
    yield _steps_case(_small(draw), ADAMW, batch)
    batch = _batch(draw, 4, n_tokens, n_chunks=2, **NEVER_CLIPS)
    yield _steps_case(_small(draw), SGD, batch, stale=True)


@train_step.edge(
    "with n_chunks each forward pass takes a part of the rows, and no more",
    hint="inputs.chunk(n_chunks): the point of parts is that one fits where the batch does not",
)
def step_takes_parts(draw: Draw):
    half, n_tokens = draw.sizes(2)
    judge = _facts("rows", "as asked", "too many or too few rows at once", "1/n_chunks of the rows")
    for n_chunks, n_texts in ((2, 2 * half), (3, 3 * half), (1, half)):
        batch = _batch(draw, n_texts, n_tokens, n_chunks=n_chunks)
        yield _steps_case(_small(draw), SGD, batch, judge=judge)


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
        batch = _batch(draw, 6, n_tokens, ignored=ignored, n_chunks=n_chunks, **NEVER_CLIPS)
        yield _steps_case(_small(draw), SGD, batch)
    for n_chunks in (2, 3):  # a whole part without targets: its mean is nan, its share 0
        for empty in (slice(0, 6 // n_chunks), slice(6 - 6 // n_chunks, 6)):
            ignored = np.zeros((6, n_tokens), dtype=bool)
            ignored[empty] = True
            batch = _batch(draw, 6, n_tokens, ignored=ignored, n_chunks=n_chunks, **NEVER_CLIPS)
            yield _steps_case(_small(draw), SGD, batch)


@train_step.edge(
    "the model stays in the mode it is in, every part of it",
    hint="train() and eval() are the caller's business",
)
def step_mode(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    parts = ["", "head", "mix", "token"]
    for training, asleep in ((True, []), (True, ["mix"]), (False, [])):
        during = _facts(
            "modes_during", [training], "the model ran in another mode", f"training: {training}"
        )
        awake = [name for name in parts if training and name not in asleep]
        after = _facts(
            "in_training_after",
            awake,
            "the model is in another mode afterwards",
            _in_training(awake),
        )
        for judge in (during, after, None):
            batch = _batch(draw, n_texts, n_tokens)
            yield _steps_case(
                _small(draw), SGD, batch, training=training, asleep=asleep, judge=judge
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
            bad = _trouble(_batch(draw, n_texts, n_tokens), row=1)
            good, again = (_batch(draw, n_texts, n_tokens, **NEVER_CLIPS) for _ in range(2))
            model = _small(draw, trouble=trouble)
            yield _steps_case(model, optimizer, good, bad, again)
            if optimizer is not SGD:
                yield _steps_case(model, optimizer, bad, again)


def _trouble(batch: dict, row: int) -> dict:
    """`batch`, with the token that makes trouble in one row, and the target it makes impossible."""
    batch["inputs"][row, -1] = N_IDS - 1
    batch["targets"][row, -1] = 0
    return batch


@train_step.edge(
    "and so when the first parts are finite, and only a later one is not",
    hint="look at the loss of the whole batch, after its last part and before the step",
)
def step_not_finite_in_a_part(draw: Draw):
    (n_tokens,) = draw.sizes(1)
    for trouble in ("nan", "inf"):
        for row in (0, 2, 5):
            bad = _trouble(_batch(draw, 6, n_tokens, n_chunks=3, **NEVER_CLIPS), row)
            good = _batch(draw, 6, n_tokens, n_chunks=3, **NEVER_CLIPS)
            yield _steps_case(_small(draw, trouble=trouble), MOMENTUM, good, bad, good)


@train_step.edge(
    "and so when every target is ignored: the mean of nothing is nan",
    hint="a loss of 0 would say that the model is perfect",
)
def step_without_targets(draw: Draw):
    (n_tokens,) = draw.sizes(1)
    nothing = np.ones((4, n_tokens), dtype=bool)
    for n_chunks in (1, 2):
        bad = _batch(draw, 4, n_tokens, ignored=nothing, n_chunks=n_chunks)
        good = _batch(draw, 4, n_tokens, n_chunks=n_chunks)
        yield _steps_case(_small(draw), MOMENTUM, good, bad, good)


@train_step.edge(
    "with autocast_dtype the forward pass runs under autocast, and weights stay float32",
    hint="with torch.autocast(inputs.device.type, dtype=autocast_dtype): around the model",
)
def step_autocast(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    under = _facts("autocast", ["bfloat16"], "the model did not run under autocast", "bfloat16")
    without = _facts("autocast", ["none"], "the model ran under autocast", "none")
    stays = _facts("dtypes", ["float32"], "the weights have another dtype", "float32")
    for kwargs in ({}, {"n_chunks": 2}):
        batch = _batch(draw, 2 * n_texts, n_tokens, autocast_dtype="bfloat16", **kwargs)
        for judge in (under, stays, None):
            yield _steps_case(
                _small(draw),
                SGD,
                batch,
                dtype="float32",
                judge=judge,
                tolerance=Tolerance(relative=2e-2, absolute=1e-2),
            )
    plain = _batch(draw, n_texts, n_tokens)
    yield _steps_case(_small(draw), SGD, plain, dtype="float32", judge=without)


@train_step.edge(
    "parameters without a gradient are left alone, and so is all when the gradient is 0",
    hint="p.grad is None where no gradient arrived; 1.0 / 0 is no factor to shorten by",
)
def step_without_gradients(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for optimizer in (SGD, ADAMW):
        for max_grad_norm in (0.1, 1e6):
            batch = _batch(draw, n_texts, n_tokens, max_grad_norm=max_grad_norm)
            yield _steps_case(_small(draw, spare=True), optimizer, batch)
    certain = _batch(draw, n_texts, n_tokens, n_ids=1)  # a vocabulary of one leaves no doubt
    yield _steps_case(_small(draw, n_ids=1), SGD, certain, certain)


@train_step.edge(
    "half-precision models are trained, with the loss in float32",
    hint="next_token_loss gives float32, and backward() carries it back to the weights' dtype",
)
def step_half(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        stays = _facts("dtypes", [dtype], "the weights have another dtype", dtype)
        for judge in (stays, None):
            batch = _batch(draw, n_texts, n_tokens, **NEVER_CLIPS)
            yield _steps_case(_small(draw), SGD, batch, dtype=dtype, judge=judge)


@train_step.edge(
    "the optimizer keeps its learning rate, and every tensor is made on the model's device",
    hint="device=inputs.device for what you make yourself",
)
def step_leaves_the_rest(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    keeps = _facts("lr", [0.5], "the optimizer's learning rate was changed", "0.5")
    yield _steps_case(_small(draw), SGD, _batch(draw, n_texts, n_tokens), judge=keeps)

    def on_device(seen, expected, tolerance):
        return _losses_are(seen, expected, tolerance) or same_device(seen)

    batch = _batch(draw, 2 * n_texts, n_tokens, n_chunks=2)
    yield _steps_case(_small(draw), SGD, batch, watch=True, judge=on_device)


def _batch_is_kept(seen: Seen, expected, tolerance) -> Finding | None:
    """Judge: no step wrote into its inputs or targets."""
    for which, back, left, _ in _pairs(seen, expected):
        finding = no_error(back) or arguments_unchanged(("inputs", "targets"))(left)
        if finding:
            return _say(which, finding)
    return None


@train_step.edge(
    "inputs and targets are not changed",
    hint="targets[targets == -100] = 0 writes into the caller's tensor: clone() it first",
)
def step_leaves_the_batch(draw: Draw):
    n_texts, n_tokens = draw.sizes(2)
    for n_chunks in (1, 2):
        ignored = draw.mask(2 * n_texts, n_tokens)
        ignored[:, 0] = False
        batch = _batch(draw, 2 * n_texts, n_tokens, ignored=ignored, n_chunks=n_chunks)
        yield _steps_case(_small(draw), SGD, batch, judge=_batch_is_kept)


# --- evaluate ---


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
    gradients=True,
    watch=False,
    judge=None,
):
    kwargs = {"context_length": context_length}
    kwargs |= {} if batch_size is None else {"batch_size": batch_size}
    call = {
        "probe": "evaluation",
        "dtype": dtype,
        "device": "cpu",
        "model": model,
        "training": training,
        "gradients": gradients,
        "tokens": tokens,
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
        judge = _returned(_number_is(expected, tolerance))
    return Case(call, shown, also(no_error, judge))


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
        got = _dict(left.value).get(name)
        if finding or got == wanted:
            return finding
        return Finding(what, expected=said, got=_listed(got))

    return judge


@evaluate.core(
    "the mean loss over every token but the first, in windows that follow each other",
    hint="window w reads tokens w·T … w·T+T-1, and its targets are one token further on",
)
def evaluation_values(draw: Draw):
    width, n_windows, _ = draw.sizes(3, largest=7)
    small, gpt = _small(draw), _gpt(draw, context_length=width)
    for model in (small, gpt):
        yield _evaluation_case(model, _text(draw, n_windows * width + 1), width)
        yield _evaluation_case(model, _text(draw, width + 1), width)
    yield _evaluation_case(small, _text(draw, n_windows + 1), 1)
    yield _evaluation_case(small, _text(draw, 132), 1)
    longer = _gpt(draw, context_length=width + 2)  # than the windows
    yield _evaluation_case(longer, _text(draw, n_windows * width + 1), width)
    yield _evaluation_case(gpt, _text(draw, 2 * width + 1), width, dtype="float32")


@evaluate.core(
    "the last window may be shorter, and counts by its tokens",
    hint="add up losses times their numbers of targets; divide by N - 1 once, at the end",
)
def evaluation_of_a_rest(draw: Draw):
    width, n_windows, _ = draw.sizes(3, largest=7)
    small, gpt = _small(draw), _gpt(draw, context_length=width)
    for model in (small, gpt):
        for rest in (1, width - 1):
            yield _evaluation_case(model, _text(draw, n_windows * width + rest + 1), width)
        yield _evaluation_case(model, _text(draw, width), width)
        yield _evaluation_case(model, _text(draw, 2), width)
    yield _evaluation_case(small, _text(draw, 5), 50)


@evaluate.core(
    "batch_size changes nothing, whether it divides the number of windows or not",
    hint="a batch counts by its targets, too: the last one may hold fewer windows",
)
def evaluation_batches(draw: Draw):
    width, n_windows, _ = draw.sizes(3, largest=7)
    model = _small(draw)
    for rest in (0, 2):
        tokens = _text(draw, n_windows * width + rest + 1)
        for batch_size in (1, 2, 3, n_windows, 100):
            yield _evaluation_case(model, tokens, width, batch_size=batch_size)
    yield _evaluation_case(model, _text(draw, 11 * width + 1), width)


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
            yield _evaluation_case(_small(draw), tokens, width, training=training, judge=judge)


@evaluate.core(
    "afterwards the model is in the mode it was in before",
    hint="keep model.training in a name, and give it back: model.train(was_training)",
)
def evaluation_restores(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    for training in (True, False):
        tokens = _text(draw, n_windows * width + 1)
        yield _evaluation_case(
            _small(draw), tokens, width, training=training, judge=_in_the_old_mode(training)
        )


def _in_the_old_mode(training: bool, *, returned: Judge = no_error) -> Judge:
    awake = ["", "head", "mix", "token"] if training else []
    return _left(
        "in_training_after",
        awake,
        "the model is in another mode afterwards",
        f"{_listed(awake)} in training",
        returned=returned,
    )


@evaluate.edge(
    "the mode comes back when there is an error, and the model's goes on to the caller",
    hint="try: … finally: runs its second half in any case",
)
def evaluation_of_a_model_that_fails(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    passes_on = raises("RuntimeError", "cannot read")
    for training in (True, False):
        for stumbles_at in (0, n_windows * width - 1):
            tokens = _text(draw, n_windows * width + 1, stumbles_at=stumbles_at)
            model = _small(draw, trouble="raise")
            judge = _in_the_old_mode(training, returned=passes_on)
            yield _evaluation_case(
                model, tokens, width, training=training, batch_size=1, judge=judge
            )

    def is_awake(seen: Seen) -> Finding | None:
        if _parts(seen)[1].flag("awake_without_targets") == ["", "head", "mix", "token"]:
            return None
        return Finding("the model is in another mode afterwards", expected="in training, as before")

    yield _evaluation_case(_small(draw), _text(draw, 1), width, training=True, judge=is_awake)


@evaluate.edge(
    "no gradients are recorded meanwhile; afterwards they are on or off as before",
    hint="with torch.no_grad(): around the forward passes",
)
def evaluation_without_gradients(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    tokens = _text(draw, n_windows * width + 1)
    for judge in (
        _left("gradients_during", [False], "gradients were recorded", "none"),
        _left("gradients_after", True, "gradients are off for good", "on again afterwards"),
    ):
        yield _evaluation_case(_small(draw), tokens, width, training=True, judge=judge)
    stays = _left("gradients_after", False, "gradients were switched on", "off, as before")
    yield _evaluation_case(_small(draw), tokens, width, gradients=False, judge=stays)


@evaluate.edge(
    "weights, their gradients, and what is frozen stay as they are",
    hint="a measurement needs no zero_grad(), no backward() and no requires_grad_()",
)
def evaluation_leaves_the_model(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    tokens = _text(draw, n_windows * width + 1)
    for judge in (
        _left("gradients_kept", True, "the .grad of a parameter was changed", "as before"),
        _left("weights_kept", True, "the weights were changed", "as before"),
    ):
        yield _evaluation_case(_small(draw), tokens, width, training=True, judge=judge)
    frozen = ["head.bias", "mix.weight"]
    stays = _left("frozen_after", frozen, "other parameters are frozen", ", ".join(frozen))
    yield _evaluation_case(_small(draw) | {"frozen": frozen}, tokens, width, judge=stays)


@evaluate.edge(
    "no more than batch_size windows go through the model at once",
    hint="the whole text at once may not fit: windows.split(batch_size)",
)
def evaluation_in_batches(draw: Draw):
    (width,) = draw.sizes(1, largest=7)
    few = _left("too_many_rows", False, "more windows at once than batch_size", "no more")
    for batch_size, n_windows in ((1, 3), (3, 7), (None, 11)):
        tokens = _text(draw, n_windows * width + 1)
        yield _evaluation_case(_small(draw), tokens, width, batch_size=batch_size, judge=few)


@evaluate.edge(
    "a text of one token has no target: an error or nan, but no loss",
    hint="there is nothing to take a mean of",
)
def evaluation_of_one_token(draw: Draw):
    (width,) = draw.sizes(1, largest=7)

    has_no_loss = _returned(_number_is(math.nan, IN_FLOAT32))  # an error is observed as nan
    yield _evaluation_case(_small(draw), _text(draw, 1), width, judge=has_no_loss)


@evaluate.edge(
    "half-precision models are measured, with the loss in float32",
    hint="next_token_loss gives float32; keep the sum in a Python float",
)
def evaluation_half(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)
    for dtype in ("bfloat16", "float16"):
        tokens = _text(draw, n_windows * width + 3)
        yield _evaluation_case(_small(draw), tokens, width, dtype=dtype, batch_size=2)


@evaluate.edge(
    "tokens are not changed, and every tensor is made on their device",
    hint="device=tokens.device for what you make yourself",
)
def evaluation_leaves_tokens(draw: Draw):
    width, n_windows = draw.sizes(2, largest=7)

    def unchanged(seen: Seen) -> Finding | None:
        back, left = _parts(seen)
        if not no_error(back) and left.changed:
            return Finding("tokens were changed in place", expected="the tokens as they were")
        return no_error(back)

    for judge in (unchanged, also(same_device, _returned(no_error))):
        tokens = _text(draw, n_windows * width + 3)
        watch = judge is not unchanged
        yield _evaluation_case(_small(draw), tokens, width, batch_size=2, judge=judge, watch=watch)
