"""What must hold of `sliding_window_mask`."""

from ...cases.check import Case, ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import raises, returns, same_device
from ...observe.calls import THE_CALLS_DEVICE
from ...oracles import long_context as long_oracles
from .fixtures import LESSON

sliding_window_mask = ComponentCheck("sliding_window_mask", "long_context", LESSON)


def _window_case(n_queries, *n_keys, window: int, judge=None, **options) -> Case:
    width = (*n_keys, options.get("n_keys"), n_queries)
    width = next(n for n in width if n is not None)
    case = sliding_window_mask.call(n_queries, *n_keys, window=window, **options)
    expected = long_oracles.sliding_window(n_queries, width, window)
    return case.expect(judge or returns(expected, dtype="float64"))


@sliding_window_mask.core(
    "query t may attend to the `window` keys up to its own, and to no later one",
    hint="two conditions: not after the query, and less than `window` before it",
)
def window_square(draw: Draw):
    n, window = sorted(draw.sizes(2))[::-1]
    yield _window_case(5, window=3)
    for width in (window, 2, n - 1):
        yield _window_case(n, window=width)


@sliding_window_mask.core(
    "the queries are the last n_queries of the n_keys positions",
    hint="query t stands at n_keys - n_queries + t: causal and window count from there",
)
def window_with_cache(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys, window in (
        (2, 5, 2),
        (few, many, few),
        (few, many, 2),
        (1, many, 3),
        (few, many, many - 1),
        (many, many, few),
    ):
        yield _window_case(n_queries, n_keys, window=window)
        yield _window_case(n_queries, n_keys=n_keys, window=window)


@sliding_window_mask.core(
    "a window of 1 is the query's own key; one as long as the text is the causal mask",
    hint="count: from position p - window + 1 to p, both included, there are `window` keys",
)
def window_smallest_and_largest(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys in ((many, many), (few, many), (1, many), (1, 1)):
        for window in (1, n_keys, n_keys + 1, n_keys + 40):
            yield _window_case(n_queries, n_keys, window=window)


@sliding_window_mask.edge(
    "a window below 1: ValueError",
    hint="a query that sees nothing is a mistake of the caller",
)
def window_refuses(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for window in (0, -1, -few):
        judge = raises("ValueError", "window", str(window))
        yield _window_case(many, window=window, judge=judge)
        yield _window_case(few, many, window=window, judge=judge)


@sliding_window_mask.edge(
    "fewer keys than queries: ValueError",
    hint="causal_mask of lesson 3 refuses it: call it",
)
def window_refuses_fewer_keys(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys in ((many, few), (many + 1, many)):
        case = sliding_window_mask.call(n_queries, n_keys, window=2)
        yield case.expect(raises("ValueError", "n_keys", str(n_keys)))


@sliding_window_mask.edge(
    "the mask is made on the given device", hint="torch.…(…, device=device)", fits=("device",)
)
def window_device(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for args in ((many,), (few, many)):
        yield _window_case(
            *args, window=few, device=THE_CALLS_DEVICE, judge=same_device, watch_devices=True
        )


@sliding_window_mask.asked(
    "real sizes",
    "two queries after thousands of keys",
    hint="positions are int64, as torch.arange makes them: small integers end at 127 or 255",
)
def window_of_real_size(draw: Draw):
    yield _window_case(2, 4099, window=3001)
    yield _window_case(300, window=257)
    yield _window_case(1031, window=3)
    yield _window_case(1025, 1030, window=1000)


@sliding_window_mask.nothing_to_do
def window_over_everything(draw: Draw):
    yield sliding_window_mask.call(5, window=5)
    yield sliding_window_mask.call(1, 5, window=9)
