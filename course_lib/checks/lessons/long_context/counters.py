"""What must hold of `attention_flops`, `attention_bytes` and `kv_cache_bytes`."""

from collections.abc import Callable

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...cases.plain import function_case
from ...judges.plain import returns_value
from .fixtures import LESSON

attention_flops = ComponentCheck("attention_flops", "long_context", LESSON)
attention_bytes = ComponentCheck("attention_bytes", "long_context", LESSON)
kv_cache_bytes = ComponentCheck("kv_cache_bytes", "long_context", LESSON)


def add_counter_properties(
    check: ComponentCheck,
    count: Callable[..., int],
    *,
    rule: str,
    hint: str,
    names: tuple[str, ...],
    by_hand: list[dict],
    large: list[dict],
    by_name_only: bool,
) -> None:
    """What the counters have in common: a product of whole numbers, exact however large.

    Args:
        count: the right number, from arguments by name.
        names: the arguments, in order.
    """

    def case(given: dict, *, by_name: bool = by_name_only) -> Case:
        if by_name:
            made = function_case(check, **dict(reversed(given.items())))
        else:
            made = function_case(check, *given.values())
        return made.expect(returns_value(count(**given)))

    def drawn(draw: Draw) -> dict:
        return dict(zip(names, draw.sizes(len(names)), strict=True))

    @check.core(rule, hint=hint)
    def values(draw: Draw):
        for given in (*by_hand, drawn(draw), drawn(draw)):
            yield case(given)
        yield case(drawn(draw), by_name=True)
        yield case(dict.fromkeys(names, 1))

    @check.edge(
        "the number is an int, and exact however large",
        hint="multiply whole numbers with * and **; a float holds no more than 16 digits",
        fits=("type",),
    )
    def exact(draw: Draw):
        for given in large:
            yield case(given)


add_counter_properties(
    attention_flops,
    lambda n_tokens, d_model: 4 * n_tokens**2 * d_model,
    rule="4·T²·C operations: two products of T²·C multiply-adds, each two operations",
    hint="Q·Kᵀ has T² entries, each a dot product over all channels; weights times V as well",
    names=("n_tokens", "d_model"),
    by_hand=[
        {"n_tokens": 3, "d_model": 2},
        {"n_tokens": 5, "d_model": 64},
        {"n_tokens": 1024, "d_model": 768},
    ],
    large=[
        {"n_tokens": 100_003, "d_model": 12_289},
        {"n_tokens": 10_000_019, "d_model": 12_289},
    ],
    by_name_only=False,
)


add_counter_properties(
    attention_bytes,
    lambda n_tokens, n_heads, bytes_per_element: n_tokens**2 * n_heads * bytes_per_element,
    rule="one T×T table of weights for each head, in bytes",
    hint="count the numbers of all heads, then multiply by the bytes of one",
    names=("n_tokens", "n_heads", "bytes_per_element"),
    by_hand=[
        {"n_tokens": 3, "n_heads": 2, "bytes_per_element": 4},
        {"n_tokens": 1024, "n_heads": 12, "bytes_per_element": 2},
    ],
    large=[
        {"n_tokens": 10_000_019, "n_heads": 97, "bytes_per_element": 2},
        {"n_tokens": 100_000_007, "n_heads": 97, "bytes_per_element": 4},
    ],
    by_name_only=False,
)


CACHE_SIZES = ("n_layers", "n_kv_heads", "d_head", "n_tokens", "bytes_per_element")


def _cache_bytes(n_layers, n_kv_heads, d_head, n_tokens, bytes_per_element, batch_size=1) -> int:
    return 2 * batch_size * n_layers * n_kv_heads * n_tokens * d_head * bytes_per_element


def _cache(*sizes: int) -> dict:
    return dict(zip((*CACHE_SIZES, "batch_size"), sizes, strict=False))


add_counter_properties(
    kv_cache_bytes,
    _cache_bytes,
    rule="keys and values of all layers, key heads, tokens and texts, in bytes",
    hint="two tensors a layer, each of the shape (B, key heads, T, D)",
    names=(*CACHE_SIZES, "batch_size"),
    by_hand=[_cache(2, 3, 4, 5, 2, 7), _cache(32, 8, 128, 8192, 2, 1)],
    large=[_cache(127, 129, 131, 10_000_019, 3, 9), _cache(127, 129, 131, 1_000_003, 2, 1001)],
    by_name_only=True,
)


@kv_cache_bytes.core(
    "one text unless batch_size says otherwise", hint="batch_size: int = 1", fits=("raised",)
)
def kv_cache_bytes_of_one_text(draw: Draw):
    for sizes in (draw.sizes(5), draw.sizes(5)):
        given = _cache(*sizes)
        yield function_case(kv_cache_bytes, **given).expect(returns_value(_cache_bytes(**given)))
