"""What must hold of `Embeddings`."""

import numpy as np

from ...cases.check import ComponentCheck
from ...cases.draw import Draw, exact_in
from ...cases.module_properties import IN_HALF
from ...judges.expect import (
    also,
    arguments_unchanged,
    gradients_are,
    parameters_are,
    raises,
    returns,
    same_device,
)
from ...oracles import tokens as oracles
from .fixtures import LESSON

embeddings = ComponentCheck("Embeddings", "tokens", LESSON)


def _tables(draw: Draw, vocab_size, context_length, d_model, dtype="float64") -> dict:
    return {
        "token.weight": exact_in(draw.normal(vocab_size, d_model), dtype),
        "position.weight": exact_in(draw.normal(context_length, d_model), dtype),
    }


def _embeds(
    draw: Draw, shape=None, offset=None, *, dtype="float64", sizes=None, judge=None, **options
):
    """A module over drawn tables and ids; by default a batch of texts as long as the context."""
    vocab_size, context_length, d_model, n_texts = sizes or draw.sizes(4)
    weights = _tables(draw, vocab_size, context_length, d_model, dtype)
    ids = draw.integers(0, vocab_size - 1, shape or (n_texts, context_length))
    where = {} if offset is None else {"offset": offset}
    shapes = parameters_are({name: array.shape for name, array in weights.items()})
    judge = judge or returns(oracles.embeddings(ids, weights, offset or 0), dtype=dtype)
    case = embeddings.build(
        vocab_size, context_length, d_model, x=ids, weights=weights, dtype=dtype, **where, **options
    )
    return case.expect(also(shapes, judge))


@embeddings.core(
    "the parameters are token (vocab_size, C) and position (context_length, C): nn.Embedding",
    hint="self.token = nn.Embedding(vocab_size, d_model), and self.position likewise",
    fits=("names", "not learned", "raised"),
)
def embeddings_parameters(draw: Draw):
    yield _embeds(draw, judge=lambda seen: None)


@embeddings.core(
    "each token's vector plus the vector of its position, counted from 0",
    hint="positions 0, 1, … T-1 give T vectors; add them to those of the tokens, in every text",
    fits=("shape",),
)
def embeddings_values(draw: Draw):
    size, other = draw.sizes(2)
    yield _embeds(draw)
    yield _embeds(draw, (4, 2))
    yield _embeds(draw, (1, 3))
    yield _embeds(draw, (5, 1))
    yield _embeds(draw, (size, size), sizes=(size, size, size, size))
    yield _embeds(draw, (size, size), sizes=(other, size, 6, size))
    yield _embeds(draw, (2, 3), training=True)
    yield _embeds(draw, dtype="float32")


@embeddings.core(
    "with an offset the first token stands at position `offset`",
    hint="torch.arange(offset, offset + T): from offset on, whatever came before",
)
def embeddings_offset(draw: Draw):
    sizes = (7, 9, 5, 3)
    for shape, offset in (((3, 4), 2), ((3, 4), 5), ((2, 1), 8), ((4, 9), 0), ((6, 6), 3)):
        yield _embeds(draw, shape, offset, sizes=sizes)
    earlier = draw.integers(0, 6, (2, 4))
    for offset in (None, 1):
        yield _embeds(draw, (2, 4), offset, sizes=sizes, warm_up=[earlier])


@embeddings.core(
    "gradients reach the rows that were used, and add up where one was used twice",
)
def embeddings_gradients(draw: Draw):
    ids = np.array([[1, 4, 1], [0, 4, 4]])
    for offset in (0, 3):
        weights = _tables(draw, 7, 9, 5)
        cotangent = draw.normal(2, 3, 5)
        expected = oracles.embeddings_gradients(ids, weights, cotangent, offset)
        yield embeddings.build(
            7, 9, 5, x=ids, weights=weights, offset=offset, cotangents=[cotangent]
        ).expect(gradients_are(expected, "float64", {}))


@embeddings.edge(
    "past context_length: ValueError",
    hint="the last position is offset + T - 1, and context_length is one too many",
)
def embeddings_refuses(draw: Draw):
    sizes = (7, 9, 5, 3)
    refused = raises("ValueError", "context_length", "9")
    for shape, offset in (((2, 10), None), ((2, 4), 6), ((2, 1), 9), ((1, 23), 4)):
        yield _embeds(draw, shape, offset, sizes=sizes, judge=refused)


@embeddings.edge(
    "half precision tables give half precision vectors",
    hint=IN_HALF,
)
def embeddings_half(draw: Draw):
    for dtype in ("bfloat16", "float16"):
        yield _embeds(draw, dtype=dtype)


@embeddings.edge(
    "ids are not changed, and every tensor is made on their device",
    hint="device=ids.device",
    fits=("device",),
)
def embeddings_leaves_ids(draw: Draw):
    yield _embeds(draw, judge=arguments_unchanged(["ids"]))
    for offset in (None, 2):
        yield _embeds(
            draw, (3, 4), offset, sizes=(7, 9, 5, 3), judge=same_device, watch_devices=True
        )


@embeddings.asked(
    "real sizes",
    "positions past 2048 and ids past 50,000 are right, in half precision too",
    hint="positions and ids are whole numbers: bfloat16 has no 257, and float16 no 2049",
)
def embeddings_of_real_size(draw: Draw):
    for shape in ((1031, 2), (1, 1025)):
        yield _embeds(draw, shape, sizes=(7, 1031, 3, 1))
    for dtype in ("bfloat16", "float16"):
        yield _embeds(draw, (1, 2300), 90, sizes=(7, 2400, 3, 1), dtype=dtype)
        yield _embeds(draw, (2, 3), sizes=(50_257, 9, 3, 1), dtype=dtype)
