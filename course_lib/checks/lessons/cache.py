"""What must hold of lesson 9: a cache of keys and values, and generation that uses it.

Whatever is given a cache here is given one of the observer's, and a model of the observer's too.
"""

from itertools import cycle, pairwise

import numpy as np

from ..cases.check import ComponentCheck, Draw
from ..cases.scripts import Script, either, is_text, mentions_one_of, text_is, value_is
from ..judges.expect import also, arguments_unchanged, no_error, raises, returns
from ..judges.findings import Finding
from ..judges.seen import Malformed, Seen
from ..judges.tolerances import Tolerance
from ..oracles import cache as oracles

LESSON = "09_kv_cache"
HALF = ("bfloat16", "float16")
# A choice between two tokens whose logits are nearer than this may fall either way in float32.
NEAR_TIE = 0.01
# How far below the highest logit the token may lie that half precision takes for the likeliest:
# logits are of size 5 to 15, with 3 (bfloat16: 2) digits that hold.
HALF_TIE = {"float16": 0.2, "bfloat16": 1.0}
HALF_LOGITS = {"float16": Tolerance(2e-2, 0.1), "bfloat16": Tolerance(8e-2, 0.6)}

kv_cache = ComponentCheck("KVCache", "cache", LESSON)
cached_attention = ComponentCheck("cached_attention", "cache", LESSON)
cached_logits = ComponentCheck("cached_logits", "cache", LESSON)
generate_cached = ComponentCheck("generate_cached", "cache", LESSON)


def _splits(n_tokens: int):
    """Every way to cut `n_tokens` into chunks, as lists of lengths."""
    for cuts in range(2 ** (n_tokens - 1)):
        ends = [n for n in range(1, n_tokens) if cuts >> (n - 1) & 1]
        yield [end - start for start, end in pairwise([0, *ends, n_tokens])]


def _unjudged(seen: Seen) -> None:
    """For a step that only helps to tell bugs apart."""


# --- KVCache ---


class _Caches(Script):
    """A script for caches of the learner's class; it knows what each of them must hold."""

    def __init__(self, draw, *sizes, lengths=False, dtype="float64", given=None, watch=False):
        given = ["dtype", "device"] if given is None else given
        made = " and ".join(f"KVCache{size}" for size in sizes)
        super().__init__(
            kv_cache,
            made,
            dtype=dtype,
            watch=watch,
            caches=[list(size) for size in sizes],
            cache_kwargs=given,
        )
        self.draw, self.sizes, self.lengths_count = draw, sizes, lengths
        self.held: list[list] = [[] for _ in sizes]
        self.given: list[tuple] = []

    def _of(self, cache: int) -> str:
        return f" to cache {cache}" if len(self.sizes) > 1 else ""

    def _lengths(self, judge):
        """Of every cache, after the step."""
        lengths = [sum(k.shape[2] for k, _ in held) for held in self.held]
        return also(judge, value_is(lengths, "length")) if self.lengths_count else judge

    def _draw(self, n_tokens: int, cache: int) -> tuple:
        n_texts, n_heads, _, d_head = self.sizes[cache]
        shape = (n_texts, n_heads, n_tokens, d_head)
        return self.draw.normal(*shape, dtype=self.dtype), self.draw.normal(
            *shape, dtype=self.dtype
        )

    def append(self, n_tokens: int, cache: int = 0, judge=None) -> None:
        k, v = self._draw(n_tokens, cache)
        self.held[cache].append((k, v))
        self.given.append((k, v))
        if judge is None:
            both = [np.concatenate(parts, axis=2) for parts in zip(*self.held[cache], strict=True)]
            judge = returns(*both, dtype=self.dtype, names=("k", "v"))
        shown = f"append {n_tokens}{self._of(cache)}"
        self.add("append", shown, self._lengths(judge), cache=cache, k=k, v=v)

    def refuse(self, n_tokens: int, cache: int = 0) -> None:
        """An append that does not fit."""
        k, v = self._draw(n_tokens, cache)
        self.given.append((k, v))
        judge = raises("ValueError", "capacity", str(self.sizes[cache][2]))
        shown = f"append {n_tokens}{self._of(cache)}"
        self.add("append", shown, self._lengths(judge), cache=cache, k=k, v=v)

    def reset(self, cache: int = 0) -> None:
        self.held[cache] = []
        self.add("reset", f"reset{self._of(cache)}", self._lengths(no_error), cache=cache)

    def overwrite(self, append: int) -> None:
        """Write something else into what an earlier append was given."""
        self.add("overwrite", "other numbers in its arguments", append=append)

    def look(self, append: int, *, now: int | None = None, n_tokens: int | None = None) -> None:
        """What an earlier append returned must be what append `now` (or itself) was given.

        Args:
            n_tokens: as many of it as there were.
        """
        k, v = (array[:, :, :n_tokens] for array in self.given[append if now is None else now])
        judge = returns(k, v, dtype=self.dtype, names=("k", "v"))
        which = ("first", "second", "third")[append]
        self.add("look", f"a look at the {which} views", judge, append=append)


@kv_cache.core(
    "append returns the keys and the values of all positions, the new ones last",
    hint="write the new ones behind the old, k into keys and v into values; return all so far",
)
def cache_values(draw: Draw):
    n_heads, d_head, n_texts = draw.sizes(3)
    for sizes in (
        (n_texts, n_heads, 11, d_head),
        (n_heads, n_heads, 11, n_heads),
        (2, 1, 11, d_head),
        (1, n_heads, 11, 1),
    ):
        script = _Caches(draw, sizes)
        for n_tokens in (3, 1, 1, 2, 4):  # full at the end
            script.append(n_tokens)
        yield script.case()
    script = _Caches(draw, (2, n_heads, 5, d_head))
    script.append(5)
    yield script.case()
    script = _Caches(draw, (2, n_heads, n_heads, d_head))
    for _ in range(n_heads):
        script.append(1)
    yield script.case()


@kv_cache.core(
    "length is the number of positions that it holds",
    hint="0 at first; append adds as many as k has positions, k.shape[-2]; reset: 0 again",
)
def cache_length(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    for sizes in ((2, n_heads, 9, d_head), (n_heads, n_heads, 9, 5)):
        script = _Caches(draw, sizes, lengths=True)
        script.reset()
        for n_tokens in (3, 1, 5):
            script.append(n_tokens, judge=no_error)
        script.reset()
        yield script.case()


@kv_cache.core(
    "after reset, it begins again from nothing",
    hint="reset forgets the positions by length = 0: the memory is written over by what comes",
)
def cache_reset(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Caches(draw, (2, n_heads, 7, d_head), lengths=True)
    for n_tokens in (3, 2):
        script.append(n_tokens)
    script.reset()
    for n_tokens in (1, 4, 2):
        script.append(n_tokens)
    script.reset()
    script.reset()
    script.append(7)
    yield script.case()


@kv_cache.core(
    "each cache has memory of its own",
    hint="make the tensors in __init__, as attributes of self: those of a class are shared",
)
def cache_alone(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    sizes = (2, n_heads, 7, d_head)
    for other in (sizes, (1, n_heads, 5, 3)):
        script = _Caches(draw, sizes, other, lengths=True)
        script.append(3, 0)
        script.append(2, 1)
        script.append(1, 0)
        script.append(1, 1)
        script.reset(1)
        script.append(2, 0)
        script.append(3, 1)
        yield script.case()


@kv_cache.edge(
    "the memory is taken once: append returns views into it, and reset keeps it",
    hint="torch.empty for all of capacity in __init__; then write into slices, and return slices",
)
def cache_views(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Caches(draw, (2, n_heads, 9, d_head))
    script.append(3)
    script.overwrite(0)
    script.append(2)
    script.look(0)
    script.append(1)
    script.reset()
    script.append(3)
    script.look(0, now=3)
    # Memory that is new for every append is another mistake than memory that is new after reset:
    # the rest says which. It is not judged.
    script.append(1, judge=_unjudged)
    script.add("write_through", "other numbers in older views", _unjudged, append=3)
    script.append(1, judge=_unjudged)
    yield script.case()
    script = _Caches(draw, (2, n_heads, 9, d_head))
    for n_tokens in (3, 2, 1):
        script.append(n_tokens)
    script.reset()
    script.append(6)
    script.look(1, now=3, n_tokens=5)
    script.look(2, now=3)
    yield script.case()
    script = _Caches(draw, (2, n_heads, 3, d_head))
    script.append(3)  # all of it at once: what was given must be copied all the same
    script.overwrite(0)
    script.look(0)
    yield script.case()


@kv_cache.edge(
    "past capacity: ValueError naming capacity and its value, and the cache is as before",
    hint="compare length + T with capacity before anything is written or counted",
)
def cache_full(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Caches(draw, (2, n_heads, 7, d_head), lengths=True)
    script.append(4)
    script.refuse(5)
    script.append(1)
    script.refuse(3)
    script.look(0)
    script.append(2)
    script.refuse(1)
    script.reset()
    script.append(7)
    script.refuse(2)
    yield script.case()
    script = _Caches(draw, (2, n_heads, 5, d_head), lengths=True)
    script.refuse(6)
    script.append(5)
    yield script.case()


@kv_cache.edge(
    "it has the dtype that is given, and torch's default without",
    hint="pass dtype on to torch.empty: dtype=None is the default there, too",
)
def cache_dtype(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    for dtype, given in (*((dtype, None) for dtype in ("float32", *HALF)), ("float32", [])):
        script = _Caches(draw, (2, n_heads, 5, d_head), dtype=dtype, given=given)
        script.append(3)
        script.append(1)
        yield script.case()


@kv_cache.edge(
    "k and v are not changed",
    hint="copy them into the memory, and write nothing into k or v themselves",
)
def cache_leaves_inputs(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Caches(draw, (2, n_heads, 5, d_head))
    for n_tokens in (3, 1):
        script.append(n_tokens, judge=also(no_error, arguments_unchanged(("k", "v"))))
    yield script.case()


@kv_cache.edge("it is on the device that is given", hint="pass device on to torch.empty")
def cache_device(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Caches(draw, (2, n_heads, 5, d_head), watch=True)
    for n_tokens in (3, 1):
        script.append(n_tokens, judge=no_error)
    yield script.case()


# --- cached_attention ---


class _Attending(Script):
    """A script for attention over caches; it knows what each of them holds."""

    def __init__(self, draw, *sizes, lengths=False, dtype="float64", watch=False):
        caches = " and ".join("×".join(map(str, size)) for size in sizes)
        made = f"cached_attention (cache {caches})"
        super().__init__(
            cached_attention, made, dtype=dtype, watch=watch, caches=[list(s) for s in sizes]
        )
        self.draw, self.sizes, self.lengths_count = draw, sizes, lengths
        self.held: list[list] = [[] for _ in sizes]

    def _of(self, cache: int) -> str:
        return f" of text {cache}" if len(self.sizes) > 1 else ""

    def draw_text(self, n_tokens: int, cache: int = 0) -> list[np.ndarray]:
        """Queries, keys and values of new positions."""
        n_texts, n_heads, _, d_head = self.sizes[cache]
        shape = (n_texts, n_heads, n_tokens, d_head)
        return [self.draw.normal(*shape, dtype=self.dtype) for _ in range(3)]

    def fill(self, n_tokens: int, cache: int = 0) -> None:
        """Positions that are in the cache before the component is called."""
        _, k, v = self.draw_text(n_tokens, cache)
        self.held[cache].append((k, v))
        self.add("fill", f"{n_tokens} old{self._of(cache)}", cache=cache, k=k, v=v)

    def attend(self, n_tokens=0, cache=0, *, qkv=None, judge=None, tolerance=None) -> None:
        q, k, v = qkv or self.draw_text(n_tokens, cache)
        self.held[cache].append((k, v))
        keys, values = (np.concatenate(a, axis=2) for a in zip(*self.held[cache], strict=True))
        if judge is None:
            expected = oracles.attention_of_the_last(q, keys, values)
            judge = returns(expected, dtype=self.dtype, tolerance=tolerance)
        if self.lengths_count:
            lengths = [sum(k.shape[2] for k, _ in held) for held in self.held]
            judge = also(judge, value_is(lengths, "length of the cache"))
        shown = f"{q.shape[2]} new{self._of(cache)}"
        self.add("attend", shown, judge, cache=cache, q=q, k=k, v=v)

    def refuse(self, n_tokens: int) -> None:
        q, k, v = self.draw_text(n_tokens, 0)
        lengths = [sum(k.shape[2] for k, _ in held) for held in self.held]
        judge = also(raises("ValueError"), _same_length(lengths))
        self.add("attend", f"{n_tokens} new", judge, cache=0, q=q, k=k, v=v)

    def reset(self, cache: int = 0) -> None:
        self.held[cache] = []
        self.add("reset", f"reset{self._of(cache)}", cache=cache)

    def holds(self, cache: int = 0) -> None:
        """The cache must hold all keys and values so far."""
        both = [np.concatenate(parts, axis=2) for parts in zip(*self.held[cache], strict=True)]
        judge = returns(*both, dtype=self.dtype, names=("keys", "values"))
        self.add("holds", "what the cache holds", judge, cache=cache)


def _same_length(lengths: list[int]):
    """The caches' lengths after a step that ended with an error."""

    def judge(seen: Seen) -> Finding | None:
        if seen.value == lengths:
            return None
        return Finding("the cache is not as before", f"length {lengths[0]}", str(seen.value)[:40])

    return judge


@cached_attention.core(
    "in an empty cache, the new positions attend causally to each other",
    hint="attend to what append returned: scores by the root of D, later ones masked, softmax",
)
def attends_alone(draw: Draw):
    n_tokens, n_heads, d_head = draw.sizes(3)
    for n_texts, heads, tokens, width in (
        (2, n_heads, n_tokens, d_head),
        (n_heads, n_heads, n_tokens, d_head),
        (n_heads, n_heads, n_heads, n_heads),
        (2, 1, n_tokens, d_head),
        (1, n_heads, 1, d_head),
    ):
        script = _Attending(draw, (n_texts, heads, 15, width))
        script.attend(tokens)
        yield script.case()


@cached_attention.core(
    "a new position attends to all that the cache holds, and to itself",
    hint="one query, S keys: the mask's row is all True, and the scale is the root of D, not of S",
)
def attends_to_the_past(draw: Draw):
    n_past, n_heads, d_head = draw.sizes(3)
    for n_texts, heads in ((2, n_heads), (n_heads, n_heads), (2, 1)):
        script = _Attending(draw, (n_texts, heads, 17, d_head))
        script.fill(n_past)
        for _ in range(3):
            script.attend(1)
        yield script.case()


@cached_attention.core(
    "several new positions see all old ones, and of the new ones those up to themselves",
    hint="the queries are the last of the S positions: causal_mask(T, S) of lesson 3",
)
def attends_in_chunks(draw: Draw):
    n_past, n_tokens, n_heads, d_head = draw.sizes(4)
    for n_texts, old, new in ((2, n_past, n_tokens), (n_heads, n_tokens, n_tokens), (2, 1, 7)):
        script = _Attending(draw, (n_texts, n_heads, 29, d_head))
        script.fill(old)
        script.attend(new)
        script.attend(2)
        yield script.case()


@cached_attention.core(
    "every split of a text into chunks gives the same result",
    hint="does a chunk of several positions know that there are older ones?",
)
def attends_in_every_split(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    q, k, v = (draw.normal(2, n_heads, 5, d_head) for _ in range(3))
    for chunks in _splits(5):
        script, start = _Attending(draw, (2, n_heads, 5, d_head)), 0
        for n_tokens in chunks:
            part = np.s_[:, :, start : start + n_tokens]
            script.attend(qkv=[array[part] for array in (q, k, v)])
            start += n_tokens
        yield script.case()


@cached_attention.core(
    "the cache holds the new keys and values afterwards, once and unchanged",
    hint="one call of append, k as it is: scale the scores, never k or what append returned",
)
def attends_and_keeps(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Attending(draw, (2, n_heads, 11, d_head), lengths=True)
    for n_tokens in (3, 1, 2):
        script.attend(n_tokens, judge=no_error)
        script.holds()
    yield script.case()


@cached_attention.core(
    "several caches in turn, and one that was reset, each go on with their own text",
    hint="what is remembered stands in the cache, and nowhere else",
)
def attends_in_turn(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    sizes = (2, n_heads, 11, d_head)
    for other in (sizes, (1, n_heads, 9, d_head)):
        script = _Attending(draw, sizes, other)
        script.attend(3, 0)
        script.attend(2, 1)
        script.attend(1, 0)
        script.attend(2, 1)
        script.reset(1)
        script.attend(2, 0)
        script.attend(3, 1)
        yield script.case()


@cached_attention.core(
    "what comes later changes nothing, however large it is",
    hint="-inf before the softmax, not -1e4, nor 0 after it; exp() of large scores is infinite",
)
def attends_beside_a_hostile_future(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Attending(draw, (4, n_heads, 11, d_head))
    for n_tokens in (5, 3):
        q, k, v = (1e3 * array for array in script.draw_text(n_tokens))
        if n_tokens == 5:
            k[0, :, 0] = -q[0, :, 0]  # the first position likes nothing less than itself
        # Scores of a million leave ten digits for the weights.
        script.attend(qkv=[q, k, v], tolerance=Tolerance(1e-7, 1e-6))
    yield script.case()


@cached_attention.edge(
    "float32 and half precision come back as they were, close to the exact result",
    hint="no .float() and no float64 on the way out; -1e9 does not fit float16",
)
def attends_in_half(draw: Draw):
    n_heads, d_head = draw.sizes(2, largest=7)
    for dtype in ("float32", *HALF):
        script = _Attending(draw, (2, n_heads, 9, d_head), dtype=dtype)
        for n_tokens in (3, 1, 2):
            script.attend(n_tokens)
        yield script.case()


@cached_attention.edge(
    "a full cache takes no more: append's ValueError comes through",
    hint="append before anything else, and catch nothing",
)
def attends_until_full(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Attending(draw, (2, n_heads, 7, d_head))
    script.attend(4)
    script.attend(3)
    for n_tokens in (1, 2):
        script.refuse(n_tokens)
    script.holds()
    script.reset()
    script.attend(7)
    yield script.case()


@cached_attention.edge(
    "q, k and v are not changed, and every tensor is made on their device",
    hint="causal_mask takes device=q.device",
)
def attends_and_leaves_inputs(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    for watch in (False, True):
        script = _Attending(draw, (2, n_heads, 9, d_head), watch=watch)
        for n_tokens in (3, 1, 2):
            script.attend(n_tokens, judge=arguments_unchanged(("q", "k", "v")))
        yield script.case()


# --- models ---


def _spec(draw: Draw, *, growing=False, **sizes) -> dict:
    """A small model: no two of its sizes are the same."""
    n_heads, d_head = sizes.pop("n_heads", 3), sizes.pop("d_head", 5)
    config = {
        "vocab_size": 29,
        "context_length": 17,
        "d_model": n_heads * d_head,
        "n_heads": n_heads,
        "n_layers": 2,
        "tie_weights": False,
    }
    seed = int(draw.integers(0, 2**31 - 1))
    return {"config": config | sizes, "seed": seed, "growing": growing}


def _model(draw: Draw, **sizes) -> oracles.Recomputing:
    return oracles.Recomputing(_spec(draw, **sizes))


def _ids(draw: Draw, spec: dict, n_texts: int, n_tokens: int) -> np.ndarray:
    return draw.integers(0, spec["config"]["vocab_size"] - 1, (n_texts, n_tokens))


class _OnAModel(Script):
    """What scripts for components that are given a model share."""

    def __init__(self, check, draw, model, *, dtype="float64", watch=False, **call):
        self.draw, self.spec = draw, model.spec
        config = self.spec["config"]
        made = f"{check.name} ({config['n_layers']} blocks, {config['n_heads']} heads)"
        super().__init__(check, made, dtype=dtype, watch=watch, model=self.spec, **call)
        same = model.dtype == dtype
        self.recomputing = model if same else oracles.Recomputing(self.spec, dtype)

    def call_model(self, ids: np.ndarray) -> None:
        """The model alone must answer as it always does."""
        judge = returns(self.recomputing.logits(ids), dtype=self.dtype)
        self.add("call_model", "the model alone", judge, ids=ids)

    def weights_unchanged(self) -> None:
        def judge(seen: Seen) -> Finding | None:
            finding = no_error(seen)
            if finding:
                return finding
            if seen.outputs[0].array is None:
                raise Malformed("weights")
            n_changed = int(seen.outputs[0].array)
            return Finding(f"{n_changed} parameters were changed") if n_changed else None

        self.add("weights_changed", "a look at the weights", judge)


# --- cached_logits ---


class _Feeding(_OnAModel):
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
            ids = _ids(self.draw, self.spec, self.n_texts[caches], n_tokens)
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
        ids = _ids(self.draw, self.spec, self.n_texts[0], n_tokens)
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
        script = _Feeding(draw, _model(draw, **sizes), n_texts)
        script.feed(tokens)
        yield script.case()


@cached_logits.core(
    "each further token has the logits of the last row of the whole text",
    hint="positions go on where the caches end: offset = caches[0].length, before any append",
)
def logits_token_by_token(draw: Draw):
    (n_tokens,) = draw.sizes(1)
    for n_texts, sizes in ((3, {"n_layers": 3}), (2, {"tie_weights": True}), (1, {"n_layers": 1})):
        script = _Feeding(draw, _model(draw, **sizes), n_texts)
        script.feed(n_tokens)
        for _ in range(4):
            script.feed(1)
        yield script.case()


@cached_logits.core(
    "every split of a text into chunks gives the same logits",
    hint="a chunk of T tokens has T rows of logits, whatever came before",
)
def logits_in_every_split(draw: Draw):
    model = _model(draw)
    ids = _ids(draw, model.spec, 2, 4)
    for chunks in _splits(4):
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
    script = _Feeding(draw, _model(draw, n_layers=3), 2, lengths=True)
    for n_tokens in (3, 1, 2):
        script.feed(n_tokens, judge=no_error)
    yield script.case()


@cached_logits.core(
    "two texts in turn, a reset, and the model alone in between do not disturb each other",
    hint="what is remembered stands in the caches that are given, and nowhere else",
)
def logits_in_turn(draw: Draw):
    model = _model(draw)
    for n_texts in (2, 1):
        script = _Feeding(draw, model, 2, n_texts)
        script.feed(3, 0)
        script.feed(5, 1)
        script.call_model(_ids(draw, model.spec, 2, 4))
        script.feed(1, 0)
        script.feed(1, 1)
        script.reset(0)
        script.feed(2, 0)
        script.feed(2, 1)
        script.feed(1, 0)
        script.call_model(_ids(draw, model.spec, 3, 5))
        yield script.case()


@cached_logits.core(
    "nothing is computed for old tokens: their keys and values stay, though weights change",
    hint="the blocks get the new tokens alone; the caches bring the old ones' keys and values",
)
def logits_of_new_tokens_only(draw: Draw):
    script = _Feeding(draw, _model(draw), 2)
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
        script = _Feeding(draw, _model(draw), 2, dtype=dtype)
        for n_tokens in (3, 1, 2):
            script.feed(n_tokens, tolerance=HALF_LOGITS.get(dtype))
        yield script.case()


@cached_logits.edge(
    "a text that fills the caches exactly has room, one token more raises their ValueError",
    hint="append refuses by itself; catch nothing, and compute no mask of another length",
)
def logits_until_full(draw: Draw):
    script = _Feeding(draw, _model(draw), 2, capacity=7)
    script.feed(4)
    script.feed(3)
    ids = _ids(draw, script.spec, 2, 1)
    script.add("feed", "1 new", raises("ValueError"), caches=0, ids=ids)
    yield script.case()
    script = _Feeding(draw, _model(draw), 2, capacity=5)
    script.feed(3)
    ids = _ids(draw, script.spec, 2, 4)
    script.add("feed", "4 new", raises("ValueError"), caches=0, ids=ids)
    yield script.case()


@cached_logits.edge(
    "the model stays in the mode it is in",
    hint="train() and eval() are the caller's business",
)
def logits_leave_the_mode(draw: Draw):
    def awake(seen: Seen) -> Finding | None:
        if not seen.outputs or seen.outputs[0].array is None:
            raise Malformed("mode")
        is_awake = not seen.outputs[0].array
        return None if is_awake else Finding("the model was put into evaluation mode")

    script = _Feeding(draw, _model(draw), 2)
    script.add("train", "training mode")
    script.feed(3, judge=no_error)
    script.add("asleep", "a look at the mode", awake)
    yield script.case()


@cached_logits.edge(
    "ids and weights are not changed, and every tensor is made on the model's device",
    hint="device=ids.device wherever a tensor is made",
)
def logits_leave_inputs(draw: Draw):
    for watch in (False, True):
        script = _Feeding(draw, _model(draw), 2, watch=watch)
        for n_tokens in (3, 1, 2):
            script.feed(n_tokens, judge=arguments_unchanged(("model", "ids")))
        script.weights_unchanged()
        yield script.case()


# --- generate_cached ---


class _Generating(_OnAModel):
    """A script of texts that one model continues, likeliest tokens unless told otherwise."""

    def __init__(self, draw, model, **options):
        super().__init__(generate_cached, draw, model, **options)

    def prompt(self, n_texts: int, n_tokens: int) -> np.ndarray:
        return _ids(self.draw, self.spec, n_texts, n_tokens)

    def generate(
        self, ids, n_new, judge=None, *, sampling=None, seed=None, training=False, breaks_after=None
    ) -> None:
        sampling = {"temperature": 0.0} if sampling is None else sampling
        if judge is None:
            judge = text_is(self.recomputing.greedy(ids, n_new)[0])
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
            breaks_after=breaks_after,
        )

    def replay(self, ids: np.ndarray, n_new: int, *, seed: int) -> None:
        """The same by recomputing, with the `sample` that the component's cell knows, if any."""
        self.add("replay", "recomputed", _unjudged, ids=ids, n_new=n_new, sampling={}, seed=seed)


def _clear(draw: Draw, n_texts: int, n_tokens: int, n_new: int, **options):
    """A model and a prompt whose likeliest continuation varies, and is no near-tie anywhere."""
    while True:
        recomputing = oracles.Recomputing(_spec(draw, **options))
        for _ in range(4):
            ids = _ids(draw, recomputing.spec, n_texts, n_tokens)
            text, narrowest = recomputing.greedy(ids, n_new)
            varied = all(len(set(row[n_tokens:].tolist())) >= min(3, n_new) for row in text)
            if narrowest > NEAR_TIE and varied:
                return recomputing, ids


def _clear_prompt(draw: Draw, recomputing, n_texts: int, n_tokens: int, n_new: int):
    """A prompt for a given model, without near-ties on the way."""
    while True:
        ids = _ids(draw, recomputing.spec, n_texts, n_tokens)
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
        script.generate(ids, 8, either(text_is(right), text_is(steady)))
        yield script.case()
        unseen -= seen
        if not unseen:
            break


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
    script.generate(ids, 6, text_is(text))
    return script.case()


@generate_cached.edge(
    "sampling options reach sample, at every step",
    hint="sample(logits[:, -1], **sampling)",
)
def text_sampled(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6)
    script = _Generating(draw, model)
    likeliest = text_is(script.recomputing.greedy(ids, 6)[0])
    for sampling in ({"top_k": 1}, {"top_p": 1e-6}, {"temperature": 0.5, "top_k": 1}):
        script.generate(ids, 6, likeliest, sampling=sampling, seed=1)
    yield script.case()
    many = np.repeat(ids[:1], 400, axis=0)
    for temperature in (1.0, 4.0):
        script = _Generating(draw, model)
        judge = _among_the_likeliest(script.recomputing, many, 3, temperature)
        sampling = {"temperature": temperature, "top_k": 3}
        script.generate(many, 4, is_text((400, ids.shape[1] + 4), judge), sampling=sampling, seed=2)
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
        script.generate(ids, 8, is_text((3, 13), no_error), sampling={}, seed=seed)
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
    return text_is(texts[0])(recomputed) and Finding(
        "other tokens than recomputing draws with this seed",
        expected=str(recomputed.outputs[0].array[0].tolist())[:60],
        got=str(texts[0][0].tolist())[:60],
    )


@generate_cached.edge(
    "more than the context holds: ValueError naming n_new or context_length and its value",
    hint="check T + n_new before anything is computed: cached positions cannot be renumbered",
)
def text_too_long(draw: Draw):
    model = oracles.Recomputing(_spec(draw, context_length=11))
    script = _Generating(draw, model)
    for n_tokens, n_new in ((5, 7), (11, 1), (1, 11), (3, 20)):
        judge = mentions_one_of(("n_new", str(n_new)), ("context_length", "11"))
        script.generate(script.prompt(2, n_tokens), n_new, judge)
    yield script.case()


@generate_cached.edge(
    "evaluation mode and no gradients meanwhile; afterwards the mode that was, on errors too",
    hint="remember model.training; model.eval() and torch.no_grad(); try: … finally: …",
)
def text_mode(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6, dropout=0.5)
    for training in (True, False):
        script = _Generating(draw, model)
        right = text_is(script.recomputing.greedy(ids, 6)[0])
        script.generate(ids, 6, also(right, _mode_kept(training)), training=training)
        yield script.case()
    for n_tokens, n_new, options in (
        (5, 6, {"breaks_after": 30}),
        (5, 6, {"sampling": {"temperature": -1.0}}),
        (11, 7, {}),
    ):
        script = _Generating(draw, model)
        prompt = script.prompt(2, n_tokens)
        script.generate(prompt, n_new, _mode_kept(True), training=True, **options)
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
        script.generate(ids, 8, is_text((2, 13), judge))
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
)
def text_leaves_inputs(draw: Draw):
    model, ids = _clear(draw, 2, 5, 6)
    for watch in (False, True):
        script = _Generating(draw, model, watch=watch)
        script.generate(ids, 6, arguments_unchanged(("model", "ids")))
        script.weights_unchanged()
        yield script.case()
