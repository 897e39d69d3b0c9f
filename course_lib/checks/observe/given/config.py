"""The sizes of a GPT, for models and components that are built from them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ReferenceConfig:
    """The fields of a `GPTConfig`."""

    vocab_size: int
    context_length: int
    d_model: int
    n_heads: int
    n_layers: int
    dropout: float = 0.0
    bias: bool = True
    tie_weights: bool = True
    gelu_approximate: str = "none"
