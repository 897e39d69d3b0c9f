"""What the right answer of a block is: torch's own encoder layer, norms first, in float64."""

import functools

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

TORCHS_NAMES = {
    "attention.qkv.weight": "self_attn.in_proj_weight",
    "attention.qkv.bias": "self_attn.in_proj_bias",
    "attention.out.weight": "self_attn.out_proj.weight",
    "attention.out.bias": "self_attn.out_proj.bias",
    "mlp.up.weight": "linear1.weight",
    "mlp.up.bias": "linear1.bias",
    "mlp.down.weight": "linear2.weight",
    "mlp.down.bias": "linear2.bias",
}


def block(x, weights: dict, n_heads: int, mask=None, approximate: str = "none") -> np.ndarray:
    """The block's output, with its weights by name; biases may be missing.

    A mask has True where a key may be attended to, and at least one in each row, or none at all
    for a whole text.
    """
    tensors = {name: torch.from_numpy(array) for name, array in weights.items()}
    empty, chosen = _texts_without_keys(mask, len(x)), {"n_heads": n_heads}
    chosen["approximate"] = approximate
    allowed = None if mask is None else torch.from_numpy(_filled(mask, empty))
    output = block_of(tensors, torch.from_numpy(x), allowed, **chosen)
    if empty.any():
        # Attention without keys returns zeros, as it does among values of zero.
        silent = dict(tensors)
        for name in {"attention.qkv.weight", "attention.qkv.bias"} & set(silent):
            silent[name] = tensors[name].clone()
            silent[name][2 * x.shape[-1] :] = 0
        alone = block_of(silent, torch.from_numpy(x), **chosen)
        output = torch.where(torch.from_numpy(empty)[:, None, None], alone, output)
    return output.numpy()


def block_of(
    tensors: dict, x, mask=None, *, n_heads: int, approximate: str = "none"
) -> torch.Tensor:
    """`nn.TransformerEncoderLayer` of tensors; there, True in a mask means may *not* attend."""
    d_mlp, d_model = tensors["mlp.up.weight"].shape
    layer = nn.TransformerEncoderLayer(
        d_model,
        n_heads,
        d_mlp,
        dropout=0.0,
        activation=functools.partial(F.gelu, approximate=approximate),
        batch_first=True,
        norm_first=True,
        bias="norm1.bias" in tensors,
        device="meta",  # no memory, and no random numbers taken from anyone
        dtype=torch.float64,
    )
    hidden = None
    if mask is not None:
        hidden = ~mask
        if hidden.dim() == 3:  # one for each text and head
            n_tokens = x.shape[1]
            hidden = hidden.expand(-1, n_tokens, -1).repeat_interleave(n_heads, dim=0)
    renamed = {TORCHS_NAMES.get(name, name): tensor for name, tensor in tensors.items()}
    return functional_call(layer, renamed, (x, hidden), strict=True)


def _texts_without_keys(mask, n_texts: int) -> np.ndarray:
    if mask is None or mask.ndim == 2:
        return np.zeros(n_texts, dtype=bool)
    return ~mask.any(axis=(1, 2))


def _filled(mask, empty: np.ndarray):
    """The mask with everything allowed to texts that have nothing, for torch's layer's sake."""
    return mask if not empty.any() else mask | empty[:, None, None]
