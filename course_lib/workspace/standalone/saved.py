"""Given by the course: a model in one file, weights, sizes and vocabulary together.

The format is safetensors. Eight bytes say how long the header is; the header is JSON and says where
each tensor lies; behind it lie the tensors, number after number.
"""

import json
import os
from pathlib import Path

import torch
from my_transformer.model import GPT, GPTConfig
from my_transformer.tokens import BPETokenizer, CharTokenizer
from torch import nn

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}


def save(path: Path, model: nn.Module, sizes: dict, tokenizer: dict) -> None:
    """Write a model to `path`, in one step: there is the old file, or the new one.

    Args:
        sizes: what `GPTConfig` takes besides the size of the vocabulary.
        tokenizer: what `make_tokenizer` takes.
    """
    about = {"sizes": json.dumps(sizes), "tokenizer": json.dumps(tokenizer)}
    header, contents, seen, end = {"__metadata__": about}, [], set(), 0
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() in seen:
            continue  # a tied head is the token embedding, and stands there once
        seen.add(tensor.data_ptr())
        flat = tensor.detach().cpu().contiguous().flatten()
        contents.append(flat.view(torch.uint8).numpy().tobytes())
        begin, end = end, end + len(contents[-1])
        header[name] = {
            "dtype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_bytes(b"".join([len(text).to_bytes(8, "little"), text, *contents]))
    os.replace(draft, path)


def load(path: Path) -> tuple[nn.Module, object]:
    """The model in `path`, ready to write, and its tokenizer.

    Raises:
        ValueError: the file does not hold a model of this package.
    """
    about, weights = read(path)
    tokenizer = make_tokenizer(json.loads(about["tokenizer"]))
    sizes = json.loads(about["sizes"])
    model = GPT(GPTConfig(vocab_size=tokenizer.vocab_size, **sizes))
    own = model.state_dict()
    filled = {own[name].data_ptr() for name in weights if name in own}
    missing = [name for name, tensor in own.items() if tensor.data_ptr() not in filled]
    surplus = [name for name in weights if name not in own]
    if missing or surplus:
        raise ValueError(f"{path} holds another model: missing {missing}, surplus {surplus}.")
    with torch.no_grad():
        for name, tensor in weights.items():
            if own[name].shape != tensor.shape:
                raise ValueError(
                    f"{path} holds another model: {name} is {tuple(tensor.shape)}, "
                    f"not {tuple(own[name].shape)}."
                )
            own[name].copy_(tensor)
    return model.eval(), tokenizer


def read(path: Path) -> tuple[dict, dict]:
    """What the file says about its model, and the tensors by name."""
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8:start])
        about = header.pop("__metadata__", {})
    except (ValueError, AttributeError):
        raise ValueError(f"{path} must be a whole file in the format safetensors.") from None
    if not {"sizes", "tokenizer"} <= set(about):
        raise ValueError(f"{path} must say what model it holds: take one that train.py wrote.")
    size = max((entry["data_offsets"][1] for entry in header.values()), default=0)
    if len(content) < start + size:
        raise ValueError(
            f"{path} must hold {start + size} bytes, got {len(content)}: it is cut off."
        )
    weights = {}
    for name, entry in header.items():
        begin, end = (start + offset for offset in entry["data_offsets"])
        numbers = torch.frombuffer(content[begin:end], dtype=DTYPES[entry["dtype"]])
        weights[name] = numbers.view(entry["shape"])
    return about, weights


def make_tokenizer(about: dict):
    """A tokenizer: `{"kind": "characters", "characters": …}`, or of kind "bpe" with "merges"."""
    if about["kind"] == "characters":
        return CharTokenizer(about["characters"])
    return BPETokenizer([tuple(pair) for pair in about["merges"]])
