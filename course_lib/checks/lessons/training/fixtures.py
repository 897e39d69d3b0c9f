"""What the checks of training share: models that are trained, and facts that were written down."""

from ...cases.draw import Draw
from ...judges.seen import Malformed
from ...oracles import training as oracles

LESSON = "08_training"
LOSS_CALL = ("logits", "targets")
IGNORED = oracles.IGNORED

N_IDS = 13


def gpt_spec(draw: Draw, **config) -> dict:
    width, n_blocks = 6, 2
    sizes = {"vocab_size": N_IDS, "context_length": 5, "d_model": width, "n_heads": 2}
    seed = draw.seed()
    return {"model": "gpt", "config": sizes | {"n_layers": n_blocks} | config, "seed": seed}


def small_spec(draw: Draw, *, gain=1.0, spare=False, trouble="", n_ids=N_IDS) -> dict:
    (width,) = draw.sizes(1, largest=7)
    seed = draw.seed()
    return {
        "model": "small",
        "vocab_size": n_ids,
        "width": width,
        "seed": seed,
        "gain": gain,
        "spare": spare,
        "trouble": trouble,
    }


def as_listed(value) -> str:
    """What was found, for a message; nothing where it is only the opposite of what must be."""
    values = value if isinstance(value, list) else [value]
    if values and all(isinstance(one, bool) for one in values):
        return ""
    return (", ".join(str(one) or "the model" for one in values) or "nothing")[:100]


def facts_of(value) -> dict:
    if not isinstance(value, dict):
        raise Malformed("value")
    return value
