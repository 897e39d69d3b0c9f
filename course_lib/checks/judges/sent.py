"""What a call sent as arguments, as arrays: what comes back of them is compared with this.

Which arguments a component has written into is decided here and not where it runs: there it could
say that there were none.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ..observe.given import fixtures
from ..observe.given.config import ReferenceConfig
from ..observe.lent.models import ReferenceGPT

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
_OF_A_STEP = {"append": ("k", "v"), "attend": ("q", "k", "v"), "feed": (None, "ids")}
_OF_A_STEP |= {"generate": (None, "ids")}


def arguments_of(call: Mapping) -> list:
    """The arguments of a call, by position: arrays in its dtype, JSON, or None for others."""
    match call["probe"]:
        case "influence":
            fn = fixtures.build(call["fn"], torch.float64)
            parameters = [parameter.detach().numpy() for parameter in fn.parameters()]
            return [_as_sent(one, call) for one in (call["args"][0], *parameters)]
        case "load_gpt2":
            return [_in_one({name: _as_sent(a, call) for name, a in call["tensors"].items()})]
        case "n_parameters" if not call["shared"] and not call["without_memory"]:
            model = ReferenceGPT(ReferenceConfig(**call["config"]), seed=0)
            named = model.named_parameters(remove_duplicate=False)
            return [_in_one({name: parameter.detach().numpy() for name, parameter in named})]
        case "batches":
            return [call["tokens"]]
        case "plain":
            return list(call["args"])
    return [_as_sent(one, call) for one in call.get("args", ())]


def arguments_of_step(call: Mapping, number: int) -> list:
    """The arguments of one step of a call that has several."""
    match call["probe"]:
        case "caching":
            step = call["steps"][number]
            names = _OF_A_STEP.get(step["do"], ())
            return [None if name is None else _as_sent(step[name], call) for name in names]
        case "steps":
            batch = call["batches"][number // 2]
            return [batch["inputs"], batch["targets"]]
        case "evaluation":
            return [None, call["tokens"]]
        case "plain":
            return list(call["script"][number].get("args", ()))
    return []


def changed(sent: Sequence, back: Sequence) -> list[int]:
    """The positions of the arguments that came back as something else, or did not come back."""
    return [
        n
        for n, one in enumerate(sent)
        if one is not None and not (n < len(back) and _is_same(one, back[n]))
    ]


def _in_one(arrays: Mapping) -> np.ndarray:
    """All numbers of these arrays, by their names, as the observer of a model puts them."""
    return np.concatenate([arrays[name].ravel().astype(np.float64) for name in sorted(arrays)])


def _as_sent(value, call: Mapping):
    if not isinstance(value, np.ndarray):
        return None
    dtype = _DTYPES.get(call["dtype"])
    if value.dtype.kind != "f" or dtype is None:
        return value
    return torch.from_numpy(value.copy()).to(dtype).double().numpy()


def _is_same(one, back) -> bool:
    if not isinstance(one, np.ndarray):
        return type(one) is type(back) and one == back
    if not isinstance(back, np.ndarray) or back.shape != one.shape:
        return False
    return np.array_equal(one, back, equal_nan=one.dtype.kind == "f")
