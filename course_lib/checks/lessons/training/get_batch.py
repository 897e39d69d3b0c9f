"""What must hold of `get_batch`: its batches, and where chance lets them begin."""

import numpy as np

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import Judge, also, arguments_unchanged, no_error, raises, same_device
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...observe.probes.batches import facts_of_batches
from .fixtures import LESSON, as_listed, facts_of

get_batch = ComponentCheck("get_batch", "training", LESSON)


def _batch_case(
    draw: Draw,
    n_tokens,
    batch_size,
    context_length,
    *,
    n_calls=1,
    judges=None,
    watch=False,
):
    """`n_calls` batches of a text that counts upwards from a number that is not 0.

    Args:
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
    }
    sizes = f"batch_size={batch_size}, context_length={context_length}"
    shown = f"get_batch({n_tokens} tokens, {sizes}){f', {n_calls} times' if n_calls > 1 else ''}"
    return Case(call, shown, also(_batches_are_whole(call), *(judges(call) if judges else ())))


def _batches_are_whole(call: dict) -> Judge:
    """Judge: a pair of int64 tensors of the right shape each time."""
    sizes = f"int64 {call['batch_size']}×{call['context_length']}"
    wanted = f"({sizes}, {sizes})"

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        kinds = facts_of(seen.value).get("kinds")
        if kinds != [wanted]:
            got = " or ".join(map(str, kinds[:2])) if isinstance(kinds, list) else ""
            return Finding("wrong return value", expected=wanted, got=got[:200], how="type")
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
                return Finding(what, expected=said, got=as_listed(got))
        return None

    return judge


def _rows_are_text(call: dict) -> Judge:
    """Judge: each row is a piece of the text, and its targets the same piece one token on."""

    def judge(seen: Seen) -> Finding | None:
        drawn = _drawn(seen, call)
        inputs, targets = (drawn[f"batches {part}"] for part in ("inputs", "targets"))
        inputs, targets = (rows.reshape(-1, rows.shape[-1]) for rows in (inputs, targets))
        facts = facts_of_batches(drawn, call)
        text = f"tokens counting from {call['tokens'][0]} to {call['tokens'][-1]}"
        if facts["along a row"] != ([1] if call["context_length"] > 1 else []):
            n, at = _first(np.diff(inputs) != 1)
            return Finding(
                f"a row is no piece of the text ({text})", got=_around(inputs[n], at + 1)
            )
        if facts["from input to target"] != [1]:
            n, at = _first(targets - inputs != 1)
            return Finding(
                "targets are not the inputs, one token on",
                expected=f"{_around(inputs[n], at)} with targets {_around(inputs[n] + 1, at)}",
                got=f"{_around(inputs[n], at)} with targets {_around(targets[n], at)}",
            )
        if not facts["all starts are valid"]:
            outside = ~np.isin(inputs, call["tokens"]) | ~np.isin(targets, call["tokens"])
            n, at = _first(outside) if outside.any() else (0, 0)
            shown = f"{_around(inputs[n], at)} with targets {_around(targets[n], at)}"
            return Finding(f"a row leaves the text ({text})", got=shown)
        return None

    return judge


def _first(is_so: np.ndarray) -> tuple[int, int]:
    """The row and the place where it is so first."""
    row, place = np.argwhere(is_so)[0]
    return int(row), int(place)


def _around(row: np.ndarray, place: int) -> str:
    """The tokens around a place of a row; "…" stands for the others."""
    begin = max(0, place - 3)
    end = min(len(row), begin + 6)
    shown = [*(["…"] if begin else []), *map(str, row[begin:end])]
    return f"[{', '.join([*shown, *(['…'] if end < len(row) else [])])}]"


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
    fits=("raised",),
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
    "each row has a start of its own, whatever those of the other rows are",
    hint="draw batch_size starts, each by itself, and leave them in the order drawn",
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
    "chance comes from the generator alone: the same state gives the same batch",
    hint="pass generator=generator to torch's function, and seed nothing yourself",
)
def batch_generator(draw: Draw):
    n_texts, width = draw.sizes(2)

    def moves_nothing(seen: Seen) -> Finding | None:
        moved = facts_of(seen.value).get("moved")
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
    "a text too short for one row: ValueError",
    hint="a row needs context_length tokens and one more, for the last target",
)
def batch_refuses(draw: Draw):
    n_texts, width = draw.sizes(2)
    for n_tokens in (width, width - 1, 1):
        case = _batch_case(draw, n_tokens, n_texts, width)
        values = tuple(map(str, (n_tokens, width, width + 1)))
        yield case.expect(raises("ValueError", ("tokens", "context_length"), values))


@get_batch.edge(
    "tokens are not changed, and the batch is on their device",
    hint="the starts are drawn on the CPU: .to(tokens.device) before they meet the tokens",
    fits=("device",),
)
def batch_leaves_tokens(draw: Draw):
    n_texts, width = draw.sizes(2)

    def judges(call: dict):
        return [arguments_unchanged(["tokens"]), same_device]

    yield _batch_case(draw, 4 * width, n_texts, width, judges=judges, watch=True)


@get_batch.asked(
    "real sizes",
    "a text of a hundred thousand tokens, from which any start may come",
    hint="starts are int64: small integers end at 127 or 32767",
)
def batch_of_real_size(draw: Draw):
    yield _batch_case(draw, 100_003, 64, 129, judges=_only_text)
