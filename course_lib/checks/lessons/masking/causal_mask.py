"""What must hold of `causal_mask`."""

from ...cases.check import ComponentCheck
from ...cases.draw import Draw
from ...judges.expect import raises, returns, same_device
from ...observe.calls import THE_CALLS_DEVICE
from .fixtures import LESSON, lower

causal_mask = ComponentCheck("causal_mask", "masking", LESSON)


@causal_mask.core(
    "query t may attend to keys 0..t, and True means may attend",
    hint="row t may look at all of the columns 0..t, and at no other",
)
def causal_mask_square(draw: Draw):
    for n in (4, *draw.sizes(2), 1, 130):
        yield causal_mask.call(n).expect(returns(lower(n, n), dtype="float64"))


@causal_mask.core(
    "the queries are the last n_queries of the n_keys positions",
    hint="with 2 queries after 3 cached keys, the first query stands at position 3, not 0",
)
def causal_mask_with_cache(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for n_queries, n_keys in ((2, 5), (few, many), (1, many), (many, many)):
        expected = returns(lower(n_queries, n_keys), dtype="float64")
        yield causal_mask.call(n_queries, n_keys).expect(expected)
        yield causal_mask.call(n_queries, n_keys=n_keys).expect(expected)


@causal_mask.edge(
    "fewer keys than queries: ValueError",
    hint="compare n_keys with n_queries before you build anything",
)
def causal_mask_refuses(draw: Draw):
    few, many = sorted(draw.sizes(2))
    yield causal_mask.call(many, few).expect(raises("ValueError", "n_keys", str(few)))
    yield causal_mask.call(many + 1, many).expect(raises("ValueError", "n_keys", str(many)))


@causal_mask.edge(
    "the mask is made on the given device", hint="torch.…(…, device=device)", fits=("device",)
)
def causal_mask_device(draw: Draw):
    few, many = sorted(draw.sizes(2))
    for args in ((few,), (few, many)):
        yield causal_mask.call(*args, device=THE_CALLS_DEVICE, watch_devices=True).expect(
            same_device
        )


@causal_mask.asked(
    "real sizes",
    "two queries after thousands of keys",
    hint="positions are int64, as torch.arange makes them: small integers end at 127 or 255",
)
def causal_mask_of_real_size(draw: Draw):
    for sizes in ((2, 4099), (300, 300), (1031, 1031), (1025, 1030)):
        yield causal_mask.call(*sizes).expect(returns(lower(*sizes), dtype="float64"))


@causal_mask.nothing_to_do
def causal_mask_of_the_last_query(draw: Draw):
    yield causal_mask.call(1, 5)
