"""What the right answers of lesson 7 are: a GPT of torch's own functions, and sums by hand."""

import numpy as np
import torch

from ..observe.given.config import ReferenceConfig
from ..observe.lent.models import ReferenceGPT


def state_shapes(config: ReferenceConfig) -> dict[str, tuple[int, ...]]:
    """The names and shapes of a GPT's `state_dict()`."""
    width = config.d_model
    shapes = {
        "embeddings.token.weight": (config.vocab_size, width),
        "embeddings.position.weight": (config.context_length, width),
    }
    for n in range(config.n_layers):
        layers = {"attention.qkv": (3 * width, width), "attention.out": (width, width)}
        layers |= {"mlp.up": (4 * width, width), "mlp.down": (width, 4 * width)}
        for name, shape in ({"norm1": (width,), "norm2": (width,)} | layers).items():
            shapes[f"blocks.{n}.{name}.weight"] = shape
            shapes[f"blocks.{n}.{name}.bias"] = shape[:1]
    shapes |= {"norm.weight": (width,), "norm.bias": (width,)}
    shapes["head.weight"] = (config.vocab_size, width)
    return {n: shape for n, shape in shapes.items() if config.bias or not n.endswith("bias")}


def count(config: ReferenceConfig, *, embeddings: bool = True) -> int:
    """How many numbers such a model has, added up by the shapes."""
    names = {name: int(np.prod(shape)) for name, shape in state_shapes(config).items()}
    if config.tie_weights:
        del names["head.weight"]
    if not embeddings:
        names = {name: n for name, n in names.items() if not name.startswith("embeddings")}
    return sum(names.values())


def logits(config: ReferenceConfig, weights: dict, ids: np.ndarray) -> np.ndarray:
    """The logits in float64."""
    with torch.no_grad():
        return _model(config, weights)(torch.from_numpy(ids)).numpy()


@torch.no_grad()
def parts(config: ReferenceConfig, weights: dict, ids, x, offset: int) -> dict[str, np.ndarray]:
    """What each part makes of `ids`, whose first stands at position `offset`, or of `x`."""
    model, stream = _model(config, weights), torch.from_numpy(x)
    found = {"embeddings": model.embeddings(torch.from_numpy(ids), offset)}
    for n, block in enumerate(model.blocks):
        for name in ("norm1", "attention.qkv", "attention.out", "norm2", "mlp"):
            found[f"blocks.{n}.{name}"] = block.get_submodule(name)(stream)
    found |= {"norm": model.norm(stream), "head": model.head(stream)}
    return {name: tensor.numpy() for name, tensor in found.items()}


def gradients(config, weights: dict, ids: np.ndarray, cotangent) -> dict[str, np.ndarray]:
    """Gradients of every weight, by name; those of tied ones are the sum of both."""
    model = _model(config, weights)
    named = dict(model.named_parameters())
    total = (model(torch.from_numpy(ids)) * torch.from_numpy(cotangent)).sum()
    found = torch.autograd.grad(total, list(named.values()))
    return dict(zip(named, (gradient.numpy() for gradient in found), strict=True))


def gpt2_layout(weights: dict, prefix: str = "transformer.") -> dict[str, np.ndarray]:
    """The weights under Hugging Face's names, which keep most matrices with their inputs first."""
    words = {
        "embeddings.token": "wte",
        "embeddings.position": "wpe",
        "blocks.": "h.",
        "attention.qkv": "attn.c_attn",
        "attention.out": "attn.c_proj",
        "mlp.up": "mlp.c_fc",
        "mlp.down": "mlp.c_proj",
        "norm1": "ln_1",
        "norm2": "ln_2",
    }
    found = {}
    for name, array in weights.items():
        theirs = {"norm.weight": "ln_f.weight", "norm.bias": "ln_f.bias"}.get(name, name)
        for ours, word in words.items():
            theirs = theirs.replace(ours, word)
        if name == "head.weight":
            found["lm_head.weight"] = array
        else:
            turned = array.ndim == 2 and name.startswith("blocks.")
            found[prefix + theirs] = np.ascontiguousarray(array.T) if turned else array
    return found


def _model(config: ReferenceConfig, weights: dict) -> ReferenceGPT:
    model = ReferenceGPT(config, seed=0).double().eval()
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return model
