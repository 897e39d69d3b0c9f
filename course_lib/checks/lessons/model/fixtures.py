"""What the checks of the model share: small configs, weights and ids."""

import math
from dataclasses import fields

import numpy as np

from ...cases.draw import Draw, exact_in
from ...judges.tolerances import Tolerance
from ...observe.given.config import ReferenceConfig
from ...oracles import model as oracles

LESSON = "07_the_model"
# Two blocks, each rounding some ten times, and a head that sums over all channels.
HALF = {"bfloat16": Tolerance(1e-1, 2e-1), "float16": Tolerance(2e-2, 3e-2)}
TIED = ["embeddings.token.weight", "head.weight"]


def small_config(draw: Draw, **changes) -> ReferenceConfig:
    """A small model whose sizes are all different."""
    vocab_size, context_length, n_heads, d_head = draw.sizes(4, largest=9)
    sizes = {
        "vocab_size": vocab_size,
        "context_length": context_length,
        "d_model": n_heads * d_head,
        "n_heads": n_heads,
        "n_layers": 2,
    }
    return ReferenceConfig(**(sizes | changes))


def shown_config(config: ReferenceConfig) -> str:
    """A config as one would type it: sizes, and what is not as usual."""
    sizes = [str(getattr(config, field.name)) for field in fields(config)[:5]]
    others = [
        f"{field.name}={getattr(config, field.name)!r}"
        for field in fields(config)[5:]
        if getattr(config, field.name) != field.default
    ]
    return f"GPTConfig({', '.join(sizes + others)})"


def draw_weights(draw: Draw, config: ReferenceConfig, dtype: str = "float64") -> dict:
    """Weights with which every part has a say; no two tensors, tied ones aside, are alike."""
    weights = {}
    for name, shape in oracles.state_shapes(config).items():
        values = draw.normal(*shape)
        if len(shape) == 1:
            values = 0.3 * values + (1.0 if name.endswith("weight") else 0.0)
        elif not name.startswith("embeddings"):
            values /= math.sqrt(shape[1])
        weights[name] = exact_in(values, dtype)
    if config.tie_weights:
        weights["head.weight"] = weights["embeddings.token.weight"] = exact_in(
            weights["head.weight"] * 3, dtype
        )
    return weights


def draw_ids(draw: Draw, config: ReferenceConfig, n_texts=2, n_tokens=None) -> np.ndarray:
    n_tokens = config.context_length - 1 if n_tokens is None else n_tokens
    return draw.integers(0, config.vocab_size - 1, (n_texts, n_tokens))


def tied_names(config: ReferenceConfig) -> list[list[str]]:
    return [TIED] if config.tie_weights else []
