"""One shape and one set of weights in both models: ours, and Hugging Face's GPT-2."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import ModelError
from ..whose_model import Package


@dataclass(frozen=True)
class Shape:
    """The sizes of a model that is timed."""

    vocab_size: int
    context_length: int
    d_model: int
    n_heads: int
    n_layers: int


GPT2_SMALL = Shape(50257, 1024, 768, 12, 12)  # 124M parameters


def make_pair(shape: Shape, package: Package, *, seed: int = 0) -> tuple[nn.Module, nn.Module]:
    """`(ours, theirs)` with the same weights, in float32 on the CPU, in evaluation mode.

    Ours is the GPT of `package`.

    Raises:
        ModelError: transformers is not installed.
    """
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ModuleNotFoundError:
        raise ModelError(
            "the peer is Hugging Face's GPT-2: install it with  pip install transformers"
        ) from None
    torch.manual_seed(seed)
    theirs = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=shape.vocab_size,
            n_positions=shape.context_length,
            n_embd=shape.d_model,
            n_layer=shape.n_layers,
            n_head=shape.n_heads,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            bos_token_id=0,
            eos_token_id=0,
            attn_implementation="sdpa",
        )
    ).eval()
    config = package.component("model", "GPTConfig")(**vars(shape), gelu_approximate="tanh")
    ours = package.component("model", "load_gpt2")(theirs.state_dict(), config)
    return package.run_by(ours.eval(), "fused"), theirs


def difference(one: Tensor, other: Tensor) -> float:
    """How far two sets of logits are apart, in units of their spread."""
    one, other = one.detach().double(), other.detach().double()
    return float((one - other).abs().max() / other.std())
