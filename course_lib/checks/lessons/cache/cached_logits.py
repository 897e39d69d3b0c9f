"""What must hold of `cached_logits`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import also, arguments_unchanged, no_error, raises, returns
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...judges.steps import value_is
from ...judges.tolerances import Tolerance
from ...oracles import cache as oracles
from .fixtures import HALF, LESSON, ModelScript, draw_ids, draw_model, splits

HALF_LOGITS = {"float16": Tolerance(2e-2, 0.1), "bfloat16": Tolerance(8e-2, 0.6)}

cached_logits = ComponentCheck("cached_logits", "cache", LESSON)


class _Feeding(ModelScript):
    """A script that feeds texts to a model, with lists of caches, one list a text."""

    def __init__(self, draw, model, *n_texts, capacity=17, lengths=False, **options):
        config = model.spec["config"]
        d_head = config["d_model"] // config["n_heads"]
        caches = [[n, config["n_heads"], capacity, d_head] for n in n_texts]
        super().__init__(cached_logits, draw, model, caches=caches, **options)
        self.lengths_count = lengths
        self.n_texts, self.fed = n_texts, [np.zeros((n, 0), dtype=np.int64) for n in n_texts]
        self.decoder: oracles.Decoder | None = None

    def _of(self, caches: int) -> str:
        return f" of text {caches}" if len(self.n_texts) > 1 else ""

    def feed(self, n_tokens=0, caches=0, *, ids=None, judge=None, expected=None, tolerance=None):
        if ids is None:
            ids = draw_ids(self.draw, self.spec, self.n_texts[caches], n_tokens)
        self.fed[caches] = np.concatenate([self.fed[caches], ids], axis=1)
        if judge is None:
            if expected is None:
                expected = self.recomputing.logits(self.fed[caches])[:, -ids.shape[1] :]
            judge = returns(expected, dtype=self.dtype, tolerance=tolerance)
        if self.lengths_count:
            n_layers = self.spec["config"]["n_layers"]
            lengths = [[fed.shape[1]] * n_layers for fed in self.fed]
            judge = also(judge, value_is(lengths, "length of a cache"))
        shown = f"{ids.shape[1]} new{self._of(caches)}"
        self.add("feed", shown, judge, caches=caches, ids=ids)

    def feed_while_it_changes(self, n_tokens: int) -> None:
        """New tokens for a model whose weights may have been other ones before."""
        self.decoder = self.decoder or oracles.Decoder(self.spec)
        ids = draw_ids(self.draw, self.spec, self.n_texts[0], n_tokens)
        self.feed(ids=ids, expected=self.decoder.feed(ids))

    def roll_weights(self) -> None:
        self.decoder.roll_weights()
        self.add("roll_weights", "other weights")

    def reset(self, caches: int = 0) -> None:
        self.fed[caches] = self.fed[caches][:, :0]
        self.add("reset", f"reset{self._of(caches)}", caches=caches)


@cached_logits.core(
    "with empty caches, the logits of the new tokens are the model's",
    hint="the model's own steps in their order, with cached_attention in the place of attention",
)
def logits_alone(draw: Draw):
    (n_tokens,) = draw.sizes(1)
    for n_texts, tokens, sizes in (
        (2, n_tokens, {}),
        (3, n_tokens, {"n_layers": 3}),
        (2, 3, {"n_layers": 1, "n_heads": 1}),
        (5, 5, {"n_heads": 5, "d_head": 5, "bias": False}),
        (2, n_tokens, {"tie_weights": True, "gelu_approximate": "tanh"}),
        (1, 1, {}),
        (2, 3, {"dropout": 0.5}),  # nothing is dropped in evaluation mode
    ):
        script = _Feeding(draw, draw_model(draw, **sizes), n_texts)
        script.feed(tokens)
        yield script.case()


@cached_logits.core(
    "each further token has the logits of the last row of the whole text",
    hint="positions go on where the caches end: offset = caches[0].length, before any append",
)
def logits_token_by_token(draw: Draw):
    (n_tokens,) = draw.sizes(1)
    for n_texts, sizes in ((3, {"n_layers": 3}), (2, {"tie_weights": True}), (1, {"n_layers": 1})):
        script = _Feeding(draw, draw_model(draw, **sizes), n_texts)
        script.feed(n_tokens)
        for _ in range(4):
            script.feed(1)
        yield script.case()


@cached_logits.core(
    "every split of a text into chunks gives the same logits",
    hint="a chunk of T tokens has T rows of logits, whatever came before",
)
def logits_in_every_split(draw: Draw):
    model = draw_model(draw)
    ids = draw_ids(draw, model.spec, 2, 4)
    for chunks in splits(4):
        script, start = _Feeding(draw, model, 2), 0
        for n_tokens in chunks:
            script.feed(ids=ids[:, start : start + n_tokens])
            start += n_tokens
        yield script.case()


@cached_logits.core(
    "every block has a cache of its own, and all of them hold every token once",
    hint="zip(model.blocks, caches): block n appends to cache n",
)
def logits_cache_by_cache(draw: Draw):
    script = _Feeding(draw, draw_model(draw, n_layers=3), 2, lengths=True)
    for n_tokens in (3, 1, 2):
        script.feed(n_tokens, judge=no_error)
    yield script.case()


@cached_logits.core(
    "two texts in turn, a reset, and the model alone in between do not disturb each other",
    hint="what is remembered stands in the caches that are given, and nowhere else",
)
def logits_in_turn(draw: Draw):
    model = draw_model(draw)
    for n_texts in (2, 1):
        script = _Feeding(draw, model, 2, n_texts)
        script.feed(3, 0)
        script.feed(5, 1)
        script.call_model(draw_ids(draw, model.spec, 2, 4))
        script.feed(1, 0)
        script.feed(1, 1)
        script.reset(0)
        script.feed(2, 0)
        script.feed(2, 1)
        script.feed(1, 0)
        script.call_model(draw_ids(draw, model.spec, 3, 5))
        yield script.case()


@cached_logits.core(
    "nothing is computed for old tokens: their keys and values stay, though weights change",
    hint="the blocks get the new tokens alone; the caches bring the old ones' keys and values",
)
def logits_of_new_tokens_only(draw: Draw):
    script = _Feeding(draw, draw_model(draw), 2)
    for n_tokens in (3, 1, 2):
        script.feed_while_it_changes(n_tokens)
        script.roll_weights()
    script.feed_while_it_changes(1)
    yield script.case()


@cached_logits.edge(
    "float32 and half precision: logits in the model's dtype, close to the exact ones",
    hint="caches, x and logits all have the dtype of the weights",
)
def logits_in_half(draw: Draw):
    for dtype in ("float32", *HALF):
        script = _Feeding(draw, draw_model(draw), 2, dtype=dtype)
        for n_tokens in (3, 1, 2):
            script.feed(n_tokens, tolerance=HALF_LOGITS.get(dtype))
        yield script.case()


@cached_logits.edge(
    "a text that fills the caches exactly has room, one token more raises their ValueError",
    hint="append refuses by itself; catch nothing, and compute no mask of another length",
)
def logits_until_full(draw: Draw):
    script = _Feeding(draw, draw_model(draw), 2, capacity=7)
    script.feed(4)
    script.feed(3)
    ids = draw_ids(draw, script.spec, 2, 1)
    script.add("feed", "1 new", raises("ValueError"), caches=0, ids=ids)
    yield script.case()
    script = _Feeding(draw, draw_model(draw), 2, capacity=5)
    script.feed(3)
    ids = draw_ids(draw, script.spec, 2, 4)
    script.add("feed", "4 new", raises("ValueError"), caches=0, ids=ids)
    yield script.case()


@cached_logits.edge(
    "the model stays in the mode it is in",
    hint="train() and eval() are the caller's business",
)
def logits_leave_the_mode(draw: Draw):
    def still_in_training(seen: Seen) -> Finding | None:
        if not seen.outputs or seen.outputs[0].array is None:
            raise Malformed("mode")
        is_in_training = not seen.outputs[0].array
        return None if is_in_training else Finding("the model was put into evaluation mode")

    script = _Feeding(draw, draw_model(draw), 2)
    script.add("train", "training mode")
    script.feed(3, judge=no_error)
    script.add("count_in_evaluation", "a look at the mode", still_in_training)
    yield script.case()


@cached_logits.edge(
    "ids and weights are not changed, and every tensor is made on the model's device",
    hint="device=ids.device wherever a tensor is made",
    fits=("device",),
)
def logits_leave_inputs(draw: Draw):
    for watch in (False, True):
        script = _Feeding(draw, draw_model(draw), 2, watch=watch)
        for n_tokens in (3, 1, 2):
            script.feed(n_tokens, judge=arguments_unchanged(("model", "ids")))
        script.weights_unchanged()
        yield script.case()


@cached_logits.asked(
    "in use",
    "a block that stands in two places has a cache for each of them",
    hint="go through blocks and caches side by side; a dict by block holds one for both places",
)
def logits_of_a_block_used_twice(draw: Draw):
    script = _Feeding(draw, draw_model(draw, n_layers=3, way="one block twice"), 2)
    for n_tokens in (3, 1, 2):
        script.feed(n_tokens)
    yield script.case()


@cached_logits.asked(
    "real sizes",
    "positions past 256 are what they are, in bfloat16 too",
    hint="an offset is a Python number: bfloat16 has no 257",
)
def logits_of_real_size(draw: Draw):
    model = draw_model(draw, context_length=1030, n_layers=1)
    script = _Feeding(draw, model, 1, capacity=1030, dtype="float32")
    for n_tokens in (1025, 1):
        script.feed(n_tokens)
    yield script.case()
    model = draw_model(draw, context_length=307, n_layers=1)
    script = _Feeding(draw, model, 1, capacity=307, dtype="bfloat16")
    for n_tokens in (290, 1, 2):
        script.feed(n_tokens, tolerance=HALF_LOGITS["bfloat16"])
    yield script.case()
