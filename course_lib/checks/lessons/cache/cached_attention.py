"""What must hold of `cached_attention`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...cases.scripts import Script
from ...judges.expect import also, arguments_unchanged, no_error, raises, returns
from ...judges.findings import Finding
from ...judges.seen import Seen
from ...judges.steps import value_is
from ...judges.tolerances import Tolerance
from ...oracles import cache as oracles
from ..attention.fixtures import LARGE, SMALL, WIDTH, of_one_side, one_sided
from .fixtures import HALF, LESSON, splits

cached_attention = ComponentCheck("cached_attention", "cache", LESSON)


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
    hint="attend to what append returned: divide scores by the root of D, mask later ones, softmax",
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
    hint="one query, S keys, all allowed; scale scores by root D: keys /= … changes the cache",
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
    fits=("raised",),
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
    for chunks in splits(5):
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
    fits=("not finite",),
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
    hint="what stands for minus infinity must fit the dtype: -1e9 does not fit float16",
)
def attends_in_half(draw: Draw):
    n_heads, d_head = draw.sizes(2, largest=7)
    for dtype in ("float32", *HALF):
        script = _Attending(draw, (2, n_heads, 9, d_head), dtype=dtype)
        for n_tokens in (3, 1, 2):
            script.attend(n_tokens)
        yield script.case()


@cached_attention.edge(
    "scores in the thousands give weights, all below 0 as well as all above",
    hint="masked_attention of lesson 3 does it, for one new position as for several",
    fits=("not finite",),
)
def attends_on_one_side(draw: Draw):
    for dtype, size in (("float32", LARGE), ("bfloat16", SMALL), ("float16", SMALL)):
        q, k, _ = one_sided(draw, dtype, size, 2, 3)
        v = draw.normal(2, 3, 7, WIDTH, dtype=dtype)
        for chunks in ((1,) * 7, (3, 1, 3)):
            script, start = _Attending(draw, (2, 3, 7, WIDTH), dtype=dtype), 0
            for n_tokens in chunks:
                part = np.s_[:, :, start : start + n_tokens]
                new = [array[part] for array in (q, k, v)]
                script.attend(qkv=new, tolerance=of_one_side(dtype, size))
                start += n_tokens
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
    fits=("device",),
)
def attends_and_leaves_inputs(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    for watch in (False, True):
        script = _Attending(draw, (2, n_heads, 9, d_head), watch=watch)
        for n_tokens in (3, 1, 2):
            script.attend(n_tokens, judge=arguments_unchanged(("q", "k", "v")))
        yield script.case()


@cached_attention.asked(
    "real sizes",
    "a new position attends to thousands of old ones, in half precision too",
    hint="masked_attention of lesson 3, over all that append returns, the last block of it too",
)
def attends_to_thousands(draw: Draw):
    for chunks in ((1031, 1), (1, 1025)):
        script = _Attending(draw, (1, 1, 1040, 2), dtype="float32")
        for n_tokens in chunks:
            script.attend(n_tokens)
        yield script.case()
    for dtype in ("float32", "bfloat16"):
        script = _Attending(draw, (1, 3, 2063, 8), dtype=dtype)
        script.fill(2050)
        for n_tokens in (1, 3):
            q, k, v = script.draw_text(n_tokens)
            script.attend(qkv=(q, k, v))
        yield script.case()
