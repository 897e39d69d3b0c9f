"""What must hold of `generate_cached`."""

from itertools import cycle

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import also, arguments_unchanged, no_error, raises, returns
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...judges.steps import are_ids_of_shape, either, ids_are
from ...oracles import cache as oracles
from .fixtures import LESSON, ModelScript, draw_ids, model_spec, unjudged

# A choice between two tokens whose logits are nearer than this may fall either way in float32.
NEAR_TIE = 0.01

# How far below the highest logit the token may lie that half precision takes for the likeliest:
# logits are of size 5 to 15, with 3 (bfloat16: 2) digits that hold.
HALF_TIE = {"float16": 0.2, "bfloat16": 1.0}

# In class: with a cache this takes a third of a second; without one, at least ten.
LONG, LONG_NEW, SECONDS = 2048, 256, 3.0

generate_cached = ComponentCheck("generate_cached", "cache", LESSON)


class _Generating(ModelScript):
    """A script of texts that one model continues, likeliest tokens unless told otherwise."""

    def __init__(self, draw, model, **options):
        super().__init__(generate_cached, draw, model, **options)

    def prompt(self, n_texts: int, n_tokens: int) -> np.ndarray:
        return draw_ids(self.draw, self.spec, n_texts, n_tokens)

    def generate(
        self,
        ids,
        n_new,
        judge=None,
        *,
        sampling=None,
        seed=None,
        training=False,
        in_evaluation=(),
        breaks_after=None,
    ) -> None:
        sampling = {"temperature": 0.0} if sampling is None else sampling
        if judge is None:
            judge = ids_are(self.recomputing.greedy(ids, n_new)[0])
        options = "".join(f", {name}={value}" for name, value in sampling.items())
        options = "" if sampling == {"temperature": 0.0} else options
        shown = f"{ids.shape[0]}×{ids.shape[1]} tokens, {n_new} new{options}"
        self.add(
            "generate",
            shown + (", training" if training else ""),
            judge,
            ids=ids,
            n_new=n_new,
            sampling=sampling,
            seed=seed,
            training=training,
            in_evaluation=list(in_evaluation),
            breaks_after=breaks_after,
        )

    def look(self, training: bool) -> None:
        """What a model that is `heard` says afterwards, if it was left in this mode."""
        ids = self.prompt(2, 3)
        expected = np.roll(self.recomputing.logits(ids), int(training), axis=-1)
        agree = returns(expected, dtype="float64")

        def judge(seen: Seen) -> Finding | None:
            return agree(seen) and Finding(
                "the model answers otherwise afterwards", expected="the mode that it was in"
            )

        self.add("call_model", "the model alone", judge, ids=ids)

    def replay(self, ids: np.ndarray, n_new: int, *, seed: int) -> None:
        """The same by recomputing, with the `sample` that the component's cell knows, if any."""
        self.add("replay", "recomputed", unjudged, ids=ids, n_new=n_new, sampling={}, seed=seed)


def _clear(draw: Draw, n_texts: int, n_tokens: int, n_new: int, **options):
    """A model and a prompt whose likeliest continuation varies, and is no near-tie anywhere."""
    while True:
        recomputing = oracles.Recomputing(model_spec(draw, **options))
        for _ in range(4):
            ids = draw_ids(draw, recomputing.spec, n_texts, n_tokens)
            text, narrowest = recomputing.greedy(ids, n_new)
            varied = all(len(set(row[n_tokens:].tolist())) >= min(3, n_new) for row in text)
            if narrowest > NEAR_TIE and varied:
                return recomputing, ids


def _clear_prompt(draw: Draw, recomputing, n_texts: int, n_tokens: int, n_new: int):
    """A prompt for a given model, without near-ties on the way."""
    while True:
        ids = draw_ids(draw, recomputing.spec, n_texts, n_tokens)
        if recomputing.greedy(ids, n_new)[1] > NEAR_TIE:
            return ids


@generate_cached.core(
    "the likeliest tokens are those that recomputing everything gives",
    hint="the prompt through cached_logits first, then each new token alone; look at the last row",
)
def text_values(draw: Draw):
    for n_texts, n_tokens, sizes in (
        (1, 5, {}),
        (2, 5, {"n_layers": 3}),
        (3, 7, {"bias": False}),
        (2, 3, {"n_layers": 1, "n_heads": 1, "tie_weights": True}),
    ):
        n_new = 1 if sizes.get("tie_weights") else 8
        model, ids = _clear(draw, n_texts, n_tokens, n_new, **sizes)
        script = _Generating(draw, model)
        script.generate(ids, n_new)
        yield script.case()


@generate_cached.core(
    "a prompt of one token, no new token, one, and as many as the context holds",
    hint="n_new = 0 returns ids; T + n_new == context_length fits",
    fits=("raised", "shape"),
)
def text_lengths(draw: Draw):
    model, ids = _clear(draw, 2, 3, 8, context_length=11)
    for n_tokens, n_new in ((3, 8), (1, 7), (5, 0), (5, 1), (10, 1), (11, 0)):
        if n_tokens != 3:
            ids = _clear_prompt(draw, model, 2, n_tokens, n_new)
        script = _Generating(draw, model)
        script.generate(ids, n_new)
        yield script.case()


@generate_cached.core(
    "each position is computed once",
    hint="after the prompt, feed the new token alone: the caches hold all the others",
)
def text_computed_once(draw: Draw):
    # Whoever begins again at some step, from new caches, gets another token there in one of them.
    unseen = set(range(1, 8))
    for n_tokens in cycle((1, 5)):  # of one text: texts one after the other would be right, too
        model, ids = _clear(draw, 1, n_tokens, 8, growing=True)
        right = model.greedy(ids, 8)[0]
        tokens = dict(enumerate(right[0, n_tokens:].tolist()))
        seen = {n for n in unseen if model.refilled(right, n_tokens + n) != tokens[n]}
        if 3 * len(seen) <= len(unseen):
            continue
        script = _Generating(draw, model)
        # A component that takes the embeddings' weights without calling them is right, too.
        steady = oracles.Recomputing(model.spec | {"growing": False}).greedy(ids, 8)[0]
        script.generate(ids, 8, either(ids_are(right), ids_are(steady)))
        yield script.case()
        unseen -= seen
        if not unseen:
            break
    yield _in_time(draw)


def _in_time(draw: Draw):
    """So long a text that computing it again at every step takes some forty times as long."""
    sizes = {"context_length": LONG + LONG_NEW, "n_layers": 1, "n_heads": 2, "d_head": 32}
    recomputing = oracles.Recomputing(model_spec(draw, **sizes))
    script = _Generating(draw, recomputing, dtype="float32", limits={"wall_seconds": SECONDS})
    ids = script.prompt(1, LONG)
    likely = _likely_enough(script.recomputing, ids, NEAR_TIE)
    script.generate(ids, LONG_NEW, are_ids_of_shape((1, LONG + LONG_NEW), likely))

    def not_stopped(seen: Seen) -> Finding | None:
        if seen.error and seen.error["type"] == "RuntimeError" and not seen.steps:
            return Finding(
                f"{LONG_NEW} tokens behind {LONG} took longer than {SECONDS:g} s",
                expected="well below a second: each position computed once",
                got=seen.error["message"][:100],
            )
        return None

    return script.case(first=not_stopped)


@generate_cached.core(
    "a text leaves nothing behind for the next, nor for the model alone",
    hint="fresh caches for every call, in variables of the function",
)
def text_after_text(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6)
    script = _Generating(draw, model)
    script.generate(ids, 6)
    script.generate(_clear_prompt(draw, model, 2, 3, 5), 5)
    script.call_model(script.prompt(3, 7))
    script.generate(_clear_prompt(draw, model, 1, 5, 6), 6)
    script.generate(ids, 6)
    script.generate(ids, 8, judge=no_error)
    script.call_model(script.prompt(2, 1))
    yield script.case()
    yield _with_other_weights(draw)


def _with_other_weights(draw: Draw):
    """The same prompt twice for one model, which has learned in between."""
    while True:
        model, ids = _clear(draw, 2, 5, 6)
        later = oracles.Recomputing(model.spec)
        later.roll_weights()
        text, narrowest = later.greedy(ids, 6)
        if narrowest > NEAR_TIE and (text != model.greedy(ids, 6)[0]).any():
            break
    script = _Generating(draw, model)
    script.generate(ids, 6)
    script.add("roll_weights", "other weights")
    script.generate(ids, 6, ids_are(text))
    return script.case()


@generate_cached.edge(
    "sampling options reach sample, at every step",
    hint="sample(logits[:, -1], **sampling)",
)
def text_sampled(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6)
    script = _Generating(draw, model)
    likeliest = ids_are(script.recomputing.greedy(ids, 6)[0])
    for sampling in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 0.5, "top_k": 1}):
        script.generate(ids, 6, likeliest, sampling=sampling, seed=1)
    yield script.case()
    many = np.repeat(ids[:1], 400, axis=0)
    for temperature in (1.0, 4.0):
        script = _Generating(draw, model)
        judge = _among_the_likeliest(script.recomputing, many, 3, temperature)
        sampling = {"temperature": temperature, "top_k": 3}
        script.generate(
            many, 4, are_ids_of_shape((400, ids.shape[1] + 4), judge), sampling=sampling, seed=2
        )
        yield script.case()


def _among_the_likeliest(recomputing, ids, k: int, temperature: float):
    """Every new token is one of the k likeliest, and the first ones are as frequent as they must.

    The frequency of each may be off by six standard deviations.
    """
    n_tokens = ids.shape[1]
    logits = recomputing.logits(ids[:1])[0, -1] / temperature
    kept = np.where(logits >= np.sort(logits)[-k], np.exp(logits - logits.max()), 0.0)
    shares = kept / kept.sum()

    def judge(seen: Seen) -> Finding | None:
        text = seen.outputs[0].array
        n_vocabulary = logits.size
        if (text[:, :n_tokens] != ids).any():
            return Finding("the text does not begin with the prompt")
        if (text < 0).any() or (text >= n_vocabulary).any():
            return Finding("not a token id", f"0 to {n_vocabulary - 1}", str(int(text.max())))
        before = recomputing.logits(text[:, :-1])[:, n_tokens - 1 :]
        lowest = np.sort(before, axis=-1)[:, :, -k]
        chosen = np.take_along_axis(before, text[:, n_tokens:, None], axis=-1)[..., 0]
        outside = chosen < lowest - 1e-6
        if outside.any():
            row, place = (int(i) for i in np.argwhere(outside)[0])
            return Finding(
                f"new token {place} of row {row} is none of the {k} likeliest",
                details=(f"{int(outside.sum())} of {outside.size} are not",),
            )
        found = np.bincount(text[:, n_tokens], minlength=n_vocabulary) / len(text)
        allowed = 6 * np.sqrt(shares * (1 - shares) / len(text)) + 1e-9
        if (np.abs(found - shares) > allowed).any():
            token = int(np.argmax(np.abs(found - shares) - allowed))
            return Finding(
                f"token {token} comes first too often or too rarely, of {len(text)} rows",
                expected=f"a share of {shares[token]:.2f}",
                got=f"{found[token]:.2f}",
            )
        return None

    return judge


@generate_cached.edge(
    "chance comes from the generator alone: the same seed, the same tokens, as recomputing draws",
    hint="the generator is one of the sampling options: one call of sample a step, no other draws",
)
def text_by_generator(draw: Draw):
    model, ids = _clear(draw, 3, 5, 6)
    script = _Generating(draw, model)
    for seed in (3, 3, 4):
        script.generate(ids, 8, are_ids_of_shape((3, 13), no_error), sampling={}, seed=seed)
    script.replay(ids, 8, seed=3)
    yield script.case(_by_the_generator)


def _by_the_generator(seen: Seen) -> Finding | None:
    """Of texts drawn with seeds 3, 3 and 4, and one recomputed with seed 3."""
    one, again, other, recomputed = seen.steps
    texts = [step.outputs[0].array for step in (one, again, other)]
    if (texts[0] != texts[1]).any():
        return Finding("the same seed gave two texts")
    if (texts[0] == texts[2]).all():
        return Finding("two seeds gave the same text")
    if recomputed.error or not recomputed.outputs:  # the cell has no sample to compare with
        return None
    return ids_are(texts[0])(recomputed) and Finding(
        "other tokens than recomputing draws with this seed",
        expected=str(recomputed.outputs[0].array[0].tolist())[:60],
        got=str(texts[0][0].tolist())[:60],
    )


@generate_cached.edge(
    "more than the context holds: ValueError",
    hint="check T + n_new before anything is computed: cached positions cannot be renumbered",
)
def text_too_long(draw: Draw):
    model = oracles.Recomputing(model_spec(draw, context_length=11))
    script = _Generating(draw, model)
    for n_tokens, n_new in ((5, 7), (11, 1), (1, 11), (3, 20)):
        judge = raises("ValueError", ("n_new", "context_length"), (str(n_new), "11"))
        script.generate(script.prompt(2, n_tokens), n_new, judge)
    yield script.case()


@generate_cached.edge(
    "evaluation mode and no gradients meanwhile; afterwards the mode that was, on errors too",
    hint="remember the mode of each part; model.eval() and torch.no_grad(); try: … finally: …",
)
def text_mode(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6, dropout=0.5)
    for training in (True, False):
        script = _Generating(draw, model)
        right = ids_are(script.recomputing.greedy(ids, 6)[0])
        script.generate(ids, 6, also(right, _mode_kept(training)), training=training)
        yield script.case()
    heard, ids = _clear(draw, 2, 5, 6, heard=True)
    for training in (True, False):
        script = _Generating(draw, heard)
        script.generate(ids, 6, training=training)  # the text shows mode and gradients meanwhile
        script.look(training)
        yield script.case()
    for n_tokens, n_new, options in (
        (5, 6, {"breaks_after": 30}),
        (5, 6, {"sampling": {"temperature": -1.0}}),
        (11, 7, {}),
    ):
        script = _Generating(draw, heard)
        prompt = script.prompt(2, n_tokens)
        script.generate(prompt, n_new, _mode_kept(True), training=True, **options)
        script.look(True)
        yield script.case()


@generate_cached.edge(
    "a text that ended with an error leaves nothing behind for the next",
    hint="fresh caches for every call, or reset() before the first token and not after the last",
    fits=("raised", "not finite"),
)
def text_after_an_error(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6)
    script = _Generating(draw, model)
    script.generate(ids, 6)
    refused = raises("ValueError", "temperature", "-1.0")
    script.generate(ids, 6, refused, sampling={"temperature": -1.0})
    script.generate(ids, 6)
    yield script.case()


def _mode_kept(was_training: bool):
    """What was written down of the model's mode, whether or not there was an error."""

    def judge(seen: Seen) -> Finding | None:
        told = seen.value
        if not isinstance(told, dict) or not isinstance(told.get("training after"), list):
            raise Malformed("mode")
        if told["training inside"] is not False:
            return Finding("the model is in training mode meanwhile", "model.eval()", "training")
        if told["gradients inside"] is not False:
            return Finding("gradients are recorded meanwhile", "torch.no_grad()", "gradients on")
        if any(training is not was_training for training in told["training after"]):
            modes = {True: "training", False: "evaluation"}
            return Finding(
                "the model is left in another mode" + (" after an error" if seen.error else ""),
                expected=f"{modes[was_training]} mode, as before",
                got=f"{modes[not was_training]} mode",
            )
        return None

    return judge


@generate_cached.edge(
    "float32 and half precision models generate too",
    hint="the caches have the dtype of the model's weights: KVCache(…, dtype=…)",
)
def text_in_half(draw: Draw):
    model, ids = _clear(draw, 2, 5, 8)
    script = _Generating(draw, model, dtype="float32")
    script.generate(ids, 8)
    yield script.case()
    for dtype, tie in HALF_TIE.items():
        script = _Generating(draw, model, dtype=dtype)
        judge = _likely_enough(script.recomputing, ids, tie)
        script.generate(ids, 8, are_ids_of_shape((2, 13), judge))
        yield script.case()


def _likely_enough(recomputing, ids: np.ndarray, tie: float):
    """Every new token's logit is the highest, or nearly: rounding may have decided."""

    def judge(seen: Seen) -> Finding | None:
        text, n_tokens = seen.outputs[0].array, ids.shape[1]
        n_vocabulary = recomputing.model.config.vocab_size
        if (text[:, :n_tokens] != ids).any():
            return Finding("the text does not begin with the prompt")
        if (text < 0).any() or (text >= n_vocabulary).any():
            return Finding("not a token id", f"0 to {n_vocabulary - 1}", str(int(text.max())))
        logits = recomputing.logits(text[:, :-1])[:, n_tokens - 1 :]
        chosen = np.take_along_axis(logits, text[:, n_tokens:, None], axis=-1)[..., 0]
        behind = logits.max(axis=-1) - chosen
        if behind.max() <= tie:
            return None
        row, place = (int(i) for i in np.argwhere(behind > tie)[0])
        return Finding(
            f"new token {place} of row {row} is far from the likeliest",
            expected=f"a logit at most {tie:g} below the highest",
            got=f"{behind[row, place]:.3g} below",
        )

    return judge


@generate_cached.edge(
    "ids and weights are not changed, and every tensor is made on the model's device",
    hint="device=… of the weights for the caches, torch.cat and not ids[:, n] = … for the text",
    fits=("device",),
)
def text_leaves_inputs(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6)
    for watch in (False, True):
        script = _Generating(draw, model, watch=watch)
        script.generate(ids, 6, arguments_unchanged(("model", "ids")))
        script.weights_unchanged()
        yield script.case()


@generate_cached.asked(
    "in use",
    "a block that stands in two places has a cache for each of them",
    hint="as many caches as model.blocks has places",
)
def text_of_a_block_used_twice(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6, n_layers=3, way="one block twice")
    script = _Generating(draw, model)
    script.generate(ids, 6)
    yield script.case()


@generate_cached.asked(
    "in use",
    "parts of a model that are in different modes are left in them",
    hint="model.train(…) moves every part: _evaluating of lesson 8 remembers the mode of each",
)
def text_by_parts_in_two_modes(draw: Draw):
    heard = oracles.Recomputing(model_spec(draw, heard=True))
    for parts, head_in_training in ((["head"], False), (["", "blocks.0"], True)):
        script = _Generating(draw, heard)
        script.generate(script.prompt(2, 5), 2, no_error, training=True, in_evaluation=parts)
        script.look(head_in_training)
        yield script.case()


@generate_cached.asked(
    "real sizes",
    "a prompt of hundreds of tokens is continued, in bfloat16 too",
    hint="capacity and offsets are Python numbers: bfloat16 has no 257",
)
def text_of_real_size(draw: Draw):
    model = oracles.Recomputing(model_spec(draw, context_length=307, n_layers=1))
    script = _Generating(draw, model, dtype="bfloat16")
    ids = script.prompt(1, 290)
    judge = _likely_enough(script.recomputing, ids, HALF_TIE["bfloat16"])
    script.generate(ids, 5, are_ids_of_shape((1, 295), judge))
    yield script.case()
