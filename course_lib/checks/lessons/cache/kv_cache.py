"""What must hold of `KVCache`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...cases.scripts import Script
from ...judges.expect import also, arguments_unchanged, no_error, raises, returns
from ...judges.steps import value_is
from .fixtures import HALF, LESSON, unjudged

kv_cache = ComponentCheck("KVCache", "cache", LESSON)


class _Caches(Script):
    """A script for caches of the learner's class; it knows what each of them must hold."""

    def __init__(
        self, draw, *sizes, lengths=False, dtype="float64", given=None, watch=False, **call
    ):
        given = ["dtype", "device"] if given is None else given
        made = " and ".join(f"KVCache{size}" for size in sizes)
        if "default_dtype" in call:
            made += f" after torch.set_default_dtype(torch.{dtype})"
        super().__init__(
            kv_cache,
            made,
            dtype=dtype,
            watch=watch,
            caches=[list(size) for size in sizes],
            cache_kwargs=given,
            **call,
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
    hint="a number: 0 at first; append adds k.shape[-2]; reset makes it 0 again",
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
    script.append(1, judge=unjudged)
    script.add("write_through", "other numbers in older views", unjudged, append=3)
    script.append(1, judge=unjudged)
    yield script.case()
    script = _Caches(draw, (2, n_heads, 9, d_head))
    for n_tokens in (3, 2, 1):
        script.append(n_tokens)
    script.reset()
    script.append(6)
    script.look(1, now=3, n_tokens=5)
    script.look(2, now=3)
    yield script.case()
    script = _Caches(draw, (1, 1, 2100, 1))  # longer than what is taken in steps
    for n_tokens in (2, 300):
        script.append(n_tokens)
    script.append(1790)
    script.reset()
    script.append(2)
    script.look(0, now=3)
    yield script.case()
    script = _Caches(draw, (2, n_heads, 3, d_head))
    script.append(3)  # all of it at once: what was given must be copied all the same
    script.overwrite(0)
    script.look(0)
    yield script.case()


@kv_cache.edge(
    "past capacity: ValueError, and the cache is as before",
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
    fits=("dtype",),
)
def cache_dtype(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    for dtype, given in (*((dtype, None) for dtype in ("float32", *HALF)), ("float32", [])):
        script = _Caches(draw, (2, n_heads, 5, d_head), dtype=dtype, given=given)
        script.append(3)
        script.append(1)
        yield script.case()
    for dtype in ("float64", "bfloat16"):
        sizes = 2, n_heads, 5, d_head
        script = _Caches(draw, sizes, dtype=dtype, given=[], default_dtype=dtype)
        script.append(3)
        script.append(1)
        yield script.case()


@kv_cache.edge(
    "k and v are not changed",
    hint="copy them into the memory, and write nothing into k or v themselves",
    fits=("changed",),
)
def cache_leaves_inputs(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Caches(draw, (2, n_heads, 5, d_head))
    for n_tokens in (3, 1):
        script.append(n_tokens, judge=also(no_error, arguments_unchanged(("k", "v"))))
    yield script.case()


@kv_cache.edge(
    "it is on the device that is given", hint="pass device on to torch.empty", fits=("device",)
)
def cache_device(draw: Draw):
    n_heads, d_head = draw.sizes(2)
    script = _Caches(draw, (2, n_heads, 5, d_head), watch=True)
    for n_tokens in (3, 1):
        script.append(n_tokens, judge=no_error)
    yield script.case()


@kv_cache.asked(
    "real sizes",
    "a cache of thousands of positions, in half precision",
    hint="length is a Python number",
)
def cache_of_real_size(draw: Draw):
    script = _Caches(draw, (1, 1, 1031, 2), lengths=True)
    for n_tokens in (1025, 1, 5):
        script.append(n_tokens)
    yield script.case()
    script = _Caches(draw, (1, 3, 2053, 5), dtype="bfloat16", lengths=True)
    for n_tokens in (2050, 1, 2):
        script.append(n_tokens)
    yield script.case()
