"""What the checks of the cache share: ways to cut a text, models, scripts that use one."""

from itertools import pairwise

import numpy as np

from ...cases.draw import Draw
from ...cases.scripts import Script
from ...judges.expect import no_error, returns
from ...judges.findings import Finding
from ...judges.seen import Malformed, Seen
from ...observe.given.in_use import AS_IT_IS
from ...oracles import cache as oracles

LESSON = "09_kv_cache"
HALF = ("bfloat16", "float16")


def splits(n_tokens: int):
    """Every way to cut `n_tokens` into chunks, as lists of lengths."""
    for cuts in range(2 ** (n_tokens - 1)):
        ends = [n for n in range(1, n_tokens) if cuts >> (n - 1) & 1]
        yield [end - start for start, end in pairwise([0, *ends, n_tokens])]


def unjudged(seen: Seen) -> None:
    """For a step that only helps to tell bugs apart."""


def model_spec(draw: Draw, *, growing=False, heard=False, way=AS_IT_IS, **sizes) -> dict:
    """A small model: no two of its sizes are the same.

    Args:
        growing: it gives recomputing away.
        heard: its logits say in which mode it is, and whether gradients are recorded.
        way: how people have it (`given/in_use.py`).
    """
    n_heads, d_head = sizes.pop("n_heads", 3), sizes.pop("d_head", 5)
    config = {
        "vocab_size": 29,
        "context_length": 17,
        "d_model": n_heads * d_head,
        "n_heads": n_heads,
        "n_layers": 2,
        "tie_weights": False,
    }
    seed = draw.seed()
    about = {"seed": seed, "growing": growing, "heard": heard, "way": way}
    return {"config": config | sizes, **about}


def draw_model(draw: Draw, **sizes) -> oracles.Recomputing:
    return oracles.Recomputing(model_spec(draw, **sizes))


def draw_ids(draw: Draw, spec: dict, n_texts: int, n_tokens: int) -> np.ndarray:
    return draw.integers(0, spec["config"]["vocab_size"] - 1, (n_texts, n_tokens))


class ModelScript(Script):
    """What scripts for components that are given a model share."""

    def __init__(self, check, draw, model, *, dtype="float64", watch=False, **call):
        self.draw, self.spec = draw, model.spec
        config = self.spec["config"]
        made = f"{check.name} ({config['n_layers']} blocks, {config['n_heads']} heads)"
        super().__init__(check, made, dtype=dtype, watch=watch, model=self.spec, **call)
        same = model.dtype == dtype
        self.recomputing = model if same else oracles.Recomputing(self.spec, dtype)

    def call_model(self, ids: np.ndarray) -> None:
        """The model alone must answer as it always does."""
        judge = returns(self.recomputing.logits(ids), dtype=self.dtype)
        self.add("call_model", "the model alone", judge, ids=ids)

    def weights_unchanged(self) -> None:
        def judge(seen: Seen) -> Finding | None:
            finding = no_error(seen)
            if finding:
                return finding
            if seen.outputs[0].array is None:
                raise Malformed("weights")
            n_changed = int(seen.outputs[0].array)
            return Finding(f"{n_changed} parameters were changed") if n_changed else None

        self.add("weights_changed", "a look at the weights", judge)
