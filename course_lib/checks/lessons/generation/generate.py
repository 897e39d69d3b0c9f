"""What must hold of `generate`."""

import numpy as np
import torch

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import (
    Judge,
    also,
    arguments_unchanged,
    no_error,
    raises,
    returns,
    same_device,
)
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...observe.given.rolling import build_model
from ...oracles import generation as oracles
from .fixtures import (
    ALIKE_ON_AVERAGE,
    DEVIATIONS,
    EXACT,
    HALF,
    LESSON,
    N_TEXTS,
    are_ids,
    are_known,
    decided_by_the_generator,
    outputs_drawn,
    percent,
)

generate = ComponentCheck("generate", "generation", LESSON)

N_STATES = 101


def rolling_model(draw: Draw, context_length: int, *, n_tokens=11, fails_at=None) -> dict:
    """A model whose logits, the same heights in another order for each state, have no ties."""
    table = 0.5 * np.argsort(draw.normal(N_STATES, n_tokens), axis=-1)
    return {"table": table, "context_length": context_length, "fails_at": fails_at}


def _generates(
    model,
    ids,
    n_new,
    *,
    dtype="float64",
    judge=None,
    training=False,
    in_evaluation=(),
    seed=None,
    n_rows=1,
    watch_devices=False,
    learns=False,
    **options,
) -> Case:
    call = {
        "probe": "generate",
        "dtype": dtype,
        "device": "cpu",
        "args": [ids, n_new],
        "kwargs": options,
        "model": model,
        "training": training,
        "in_evaluation": list(in_evaluation),
        "learns": learns,
        "n_rows": n_rows,
        "seed": seed,
        "compare": judge is decided_by_the_generator,
        "watch_devices": watch_devices,
    }
    if n_rows > 1:
        call["alike"] = ALIKE_ON_AVERAGE
    given = [f"ids {n_rows * ids.shape[0]}×{ids.shape[1]}", f"n_new={n_new}"]
    given += [f"{name}={value!r}" for name, value in options.items()]
    given += [] if seed is None else ["generator=…"]
    length = model["context_length"] if "table" in model else model["config"]["context_length"]
    notes = f"context_length={length}, {dtype}" + (", model in training" if training else "")
    notes += ", with other weights than before" if learns else ""
    case = Case(call, f"generate(model, {', '.join(given)}), {notes}")
    return case.expect(judge or continues(model, ids, n_new, dtype))


def continues(model, ids, n_new, dtype="float64") -> Judge:
    """The prompt, and behind it the likeliest tokens."""
    return returns(expected_text(model, ids, n_new, dtype), dtype="int64", tolerance=EXACT)


def expected_text(model: dict, ids, n_new: int, dtype: str = "float64") -> np.ndarray:
    """What greedy generation makes of `ids`."""
    if "table" in model:
        length = model["context_length"]
        return oracles.greedy_text(
            lambda text: oracles.rolling_logits(model["table"], text, length), ids, n_new
        )
    built = build_model(model, torch.float64).eval()

    @torch.no_grad()
    def next_logits(text):
        return built(torch.from_numpy(text[:, -built.config.context_length :]))[:, -1].numpy()

    return oracles.greedy_text(next_logits, ids, n_new)


def _prompt(draw: Draw, n_rows: int, n_tokens: int, vocab_size: int = 11) -> np.ndarray:
    return draw.integers(0, vocab_size - 1, (n_rows, n_tokens))


def greedy_cases(draw: Draw, sizes, context_length: int, **options):
    """Cases whose new tokens vary within a row and from row to row: others would test nothing."""
    for n_rows, n_tokens, n_new in sizes:
        while True:
            model = rolling_model(draw, context_length)
            ids = _prompt(draw, n_rows, n_tokens)
            new = expected_text(model, ids, n_new)[:, n_tokens:]
            if all(len(set(row)) > n_new // 3 for row in new) and (
                n_rows == 1 or len(np.unique(new, axis=0)) > 1
            ):
                break
        yield _generates(model, ids, n_new, temperature=0.0, **options)


@generate.core(
    "each new token is the one that the model's last position finds likeliest",
    hint="logits[:, -1] are about the next token; put it behind ids, whatever it is; ask again",
)
def generate_greedy(draw: Draw):
    n_rows, n_tokens, n_new = draw.sizes(3, largest=9)
    sizes = [(1, 1, 1), (1, n_tokens, 6), (n_rows, n_tokens, n_new), (n_tokens, n_tokens, n_tokens)]
    yield from greedy_cases(draw, sizes, 20)
    yield from greedy_cases(draw, [(3, 5, 7)], 12, dtype="float32")


@generate.core(
    "of a text longer than context_length the model sees the last context_length tokens",
    hint="ids[:, -model.config.context_length:] goes to the model; all of ids is returned",
)
def generate_crops(draw: Draw):
    n_rows, n_tokens, n_new = draw.sizes(3, largest=9)
    sizes = [(n_rows, n_tokens, n_new + n_tokens), (2, 9, 6), (1, n_tokens, 9)]
    yield from greedy_cases(draw, sizes, 5)
    yield from greedy_cases(draw, [(3, 4, 7)], 1)


@generate.core(
    "n_new = 0 gives the prompt back", hint="a loop over range(0) does nothing", fits=("raised",)
)
def generate_nothing(draw: Draw):
    ids = _prompt(draw, *draw.sizes(2))
    yield _generates(rolling_model(draw, 15), ids, 0)
    yield _generates(rolling_model(draw, 2), ids, 0, temperature=0.0)


@generate.core(
    "the options of sampling reach sample, by their names",
    hint="sample(logits, **sampling) passes on whatever was given",
)
def generate_passes_options(draw: Draw):
    n_rows, n_tokens = draw.sizes(2, largest=9)
    for options in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}):
        model, ids = rolling_model(draw, 6), _prompt(draw, n_rows, n_tokens)
        yield _generates(model, ids, 7, **options)
    yield _random(draw)
    yield _random(draw, temperature=0.5)
    yield _random(draw, temperature=2.0, top_k=3)
    yield _random(draw, top_p=0.7)


def _random(draw: Draw, *, judge=None, **options) -> Case:
    """Two new tokens behind many prompts of two kinds; the model sees three tokens at most."""
    model, ids = rolling_model(draw, 3, n_tokens=5), _prompt(draw, 2, 3, 5)
    while (ids[0] == ids[1]).all():
        ids = _prompt(draw, 2, 3, 5)
    judge = judge or grown_by(model, ids, 2, options)
    return _generates(model, ids, 2, seed=draw.seed(), n_rows=N_TEXTS, judge=judge, **options)


def grown_by(model, ids, n_new: int, options: dict) -> Judge:
    """Texts whose new tokens are drawn as the model says about all that stands before them."""
    n_kinds, n_prompt = ids.shape
    prompts = np.tile(ids, (N_TEXTS, 1))

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        for output in outputs_drawn(seen):
            finding = are_ids(output, (len(prompts), n_prompt + n_new))
            finding = finding or are_known(output.array, model["table"].shape[1])
            if finding:
                return finding
            if (output.array[:, :n_prompt] != prompts).any():
                return Finding("the text does not begin with the prompt")
            for end in range(n_prompt, n_prompt + n_new):
                finding = _next_as_often(output.array, end)
                if finding:
                    return finding
        return None

    def _next_as_often(texts, end: int) -> Finding | None:
        seen_by_model = oracles.rolling_logits(
            model["table"], texts[:, :end], model["context_length"]
        )
        wanted = oracles.distribution(seen_by_model, **options)
        drawn = np.eye(wanted.shape[1])[texts[:, end]]
        if ((wanted == 0) & (drawn == 1)).any():
            return Finding(
                f"a token that must never be drawn stands at position {end}",
                expected="tokens that the options leave",
                got=f"token {int(texts[:, end][((wanted == 0) & (drawn == 1)).any(axis=1)][0])}",
            )
        for kind in range(n_kinds):
            expected, spread = wanted[kind::n_kinds], drawn[kind::n_kinds]
            error = (spread - expected).sum(axis=0)
            allowed = DEVIATIONS * np.sqrt((expected * (1 - expected)).sum(axis=0)) + 2
            if (np.abs(error) > allowed).any():
                token = int(np.argmax(np.abs(error)))
                return Finding(
                    f"drawn too often or too seldom at position {end}",
                    expected=f"token {token} in {percent(expected[:, token].mean())} of the rows",
                    got=percent(spread[:, token].mean()),
                )
        return None

    return judge


@generate.core(
    "the model is in evaluation mode meanwhile",
    hint="model.eval() before the first token: dropout must not drop anything now",
)
def generate_evaluates(draw: Draw):
    yield from greedy_cases(draw, [(3, 5, 7)], 6, training=True)
    config = {
        "vocab_size": 13,
        "context_length": 7,
        "d_model": 12,
        "n_heads": 3,
        "n_layers": 2,
        "dropout": 0.4,
    }
    while True:
        model, ids = {"config": config, "seed": draw.seed()}, _prompt(draw, 3, 5, 13)
        if len(np.unique(expected_text(model, ids, 5)[:, 5:])) > 3:
            break
    yield _generates(model, ids, 5, training=True, temperature=0.0)


def _was(seen: Seen, when: str) -> dict:
    state = seen.flag(when)
    if not isinstance(state, dict):
        raise Malformed(when)
    return state


def _without_gradients(seen: Seen) -> Finding | None:
    finding = no_error(seen)
    if not finding and _was(seen, "inside").get("with_gradients") is not False:
        return Finding(
            "gradients were recorded",
            expected="every call of the model under torch.no_grad()",
            got="a call with gradients: memory grows with every token",
        )
    return finding


def _answers_as_before(model: dict, ids, training: bool) -> Judge:
    """Judge: the model's logits afterwards are those of its mode, with gradients switched on."""
    logits = oracles.rolling_logits(model["table"], ids[:1], model["context_length"])
    expected = np.roll(logits, (1 if training else 0) + 2, axis=-1)

    def judge(seen: Seen) -> Finding | None:
        (looked,) = seen.steps
        array = looked.outputs[0].array if looked.outputs else None
        if array is None or array.shape[-1] != expected.shape[-1]:
            raise Malformed("steps")
        if np.array_equal(array[:, -1], expected):
            return None
        return Finding(
            "the model answers otherwise afterwards",
            expected="the mode that it was in, and gradients switched on as before",
        )

    return judge


def _as_before(training: bool, *, fails: bool = False, of_parts=()) -> Judge:
    """The model's mode and torch's are as they were.

    Args:
        of_parts: the mode of each part, where they are not all in the same.
    """

    def judge(seen: Seen) -> Finding | None:
        finding = no_error(seen)
        if finding:
            return finding
        state = _was(seen, "afterwards")
        if fails and state.get("raised") is None:
            return Finding(
                "the model's error did not come through", expected="the error, raised on"
            )
        modes = state.get("in_training")
        if not isinstance(modes, list) or not modes:
            raise Malformed("afterwards")
        if of_parts and modes != list(of_parts):
            return Finding(
                "parts of the model are left in another mode", expected="each in its own, as before"
            )
        if not of_parts and any(mode is not training for mode in modes):
            names = {True: "training mode", False: "evaluation mode"}
            when = "after an error in it, the model" if fails else "the model"
            return Finding(
                f"{when} is left in another mode",
                expected=f"{names[training]}, as before",
                got=names[not training],
            )
        if state.get("with_gradients") is not True:
            return Finding("gradients stay switched off", expected="as before: switched on")
        return None

    return judge


@generate.edge(
    "a text follows from the weights as they are now, also when it was asked for before",
    hint="keep nothing from call to call: the model may have learned in between",
)
def generate_with_other_weights(draw: Draw):
    yield from greedy_cases(draw, [(2, 3, 5)], 6, learns=True)


@generate.edge(
    "the prompt is not changed, and every tensor is made on its device",
    hint="torch.cat makes a new tensor; an empty one needs device=ids.device",
    fits=("device",),
)
def generate_leaves_the_prompt(draw: Draw):
    ids = _prompt(draw, 3, 5)
    unchanged = arguments_unchanged(["ids"])
    for options in ({"judge": unchanged}, {"judge": same_device, "watch_devices": True}):
        yield _generates(rolling_model(draw, 7), ids, 5, top_k=1, **options)
        yield _generates(rolling_model(draw, 4), ids, 3, temperature=0.0, **options)


@generate.edge(
    "no gradients are recorded meanwhile",
    hint="with torch.no_grad(): around the loop",
)
def generate_without_gradients(draw: Draw):
    for training in (False, True):
        ids = _prompt(draw, 2, 3)
        yield _generates(
            rolling_model(draw, 7), ids, 3, judge=_without_gradients, training=training, top_k=1
        )
        heeding = rolling_model(draw, 7) | {"heeds_gradients": True}  # the text shows gradients
        yield _generates(heeding, ids, 5, training=training, top_k=1)


@generate.edge(
    "the model's mode is restored, whichever it was, also when something fails",
    hint="_evaluating of lesson 8 does it; by hand: try: … finally:, with the mode of each part",
)
def generate_restores(draw: Draw):
    for training in (False, True):
        ids = _prompt(draw, 2, 3)
        for fails_at in (None, 1, 3):
            model = rolling_model(draw, 7, fails_at=fails_at) | {"heeds_gradients": True}
            looked = _answers_as_before(model, ids, training)
            yield _generates(
                model,
                ids,
                4,
                judge=also(_as_before(training, fails=fails_at is not None), looked),
                training=training,
                top_k=1,
            )


@generate.edge(
    "the generator and nothing else decides, and it goes on from token to token",
    hint="generator is one of the options in **sampling",
)
def generate_generator(draw: Draw):
    yield _random(draw, judge=decided_by_the_generator)


@generate.edge(
    "an empty prompt: ValueError",
    hint="with no token there is no last position; look at ids.shape[1]",
)
def generate_refuses_an_empty_prompt(draw: Draw):
    for n_rows in (1, 3):
        ids = _prompt(draw, n_rows, 0)
        judge = raises("ValueError", "ids")
        yield _generates(rolling_model(draw, 7), ids, 2, judge=judge, top_k=1)


@generate.edge(
    "n_new below 0: ValueError",
    hint="range(-1) is empty: the mistake would go unnoticed",
)
def generate_refuses_less_than_nothing(draw: Draw):
    for n_new in (-1, -4):
        judge = raises("ValueError", "n_new", str(n_new))
        yield _generates(rolling_model(draw, 7), _prompt(draw, 2, 3), n_new, judge=judge, top_k=1)


@generate.edge("models in half precision write too", hint="sample takes logits of any dtype")
def generate_half(draw: Draw):
    for dtype in HALF:
        yield from greedy_cases(draw, [(3, 5, 7)], 9, dtype=dtype)


@generate.asked(
    "in use",
    "a model that uses one block twice writes like any other",
    hint="nothing but model(ids) is asked of it",
)
def generate_by_a_block_used_twice(draw: Draw):
    config = {"vocab_size": 13, "context_length": 7, "d_model": 12, "n_heads": 3, "n_layers": 2}
    model = {"config": config, "seed": draw.seed(), "way": "one block twice"}
    yield _generates(model, _prompt(draw, 3, 5, 13), 5, training=True, temperature=0.0)


@generate.asked(
    "in use",
    "parts of a model that are in different modes are left in them",
    hint="model.train(…) moves every part: _evaluating of lesson 8 remembers the mode of each",
)
def generate_by_parts_in_two_modes(draw: Draw):
    for part, modes in (("heard", [True, False]), ("", [False, True])):
        model, ids = rolling_model(draw, 7) | {"heeds_gradients": True}, _prompt(draw, 2, 3)
        looked = _answers_as_before(model, ids, modes[1])
        judge = also(_as_before(True, of_parts=modes), looked)
        yield _generates(model, ids, 4, judge=judge, training=True, in_evaluation=[part], top_k=1)


@generate.asked(
    "real sizes",
    "a text of hundreds of tokens goes on from its last ones",
    hint="ids[:, -model.config.context_length:], however long ids is",
)
def generate_of_real_size(draw: Draw):
    yield from greedy_cases(draw, [(2, 401, 3)], 300, dtype="bfloat16")
