"""Figures that answer: a picture of `plots`, and the numbers that a script draws from.

The numbers travel in the picture's metadata. A notebook, which has no script of ours, shows the
picture as it shows any other; on a page of the book `lessons/interactive.py` puts the numbers
beside it and `book/_static/figures/` does the rest.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from . import plots


@dataclass(frozen=True)
class Interactive:
    """What the last line of a cell shows: a picture that the book's pages bring to life.

    Args:
        picture: for a notebook, a printed page, and a reader without JavaScript.
        name: the script that draws, `book/_static/figures/<name>.js`.
        data: what it draws, as JSON; `title` says to all what the figure is.
    """

    picture: plots.Picture
    name: str
    data: dict

    def __repr__(self) -> str:
        return f"<an interactive figure: {self.data['title']}>"

    def _repr_mimebundle_(self, include=None, exclude=None) -> tuple[dict, dict]:
        png = b64encode(self.picture._repr_png_()).decode("ascii")
        return {"image/png": png}, {"image/png": {"figure": {"name": self.name, "data": self.data}}}


def attention(
    tokens: Sequence[str], tables, *, block: int = 0, head: int = 0, reader: int = -1
) -> Interactive:
    """What each token of one text reads, in each head of each block.

    Args:
        tables: the weights, (L, H, T, T).
        block, head, reader: what the figure shows at first, and the picture always.
    """
    tables = np.asarray(tables)
    shown = [token.replace(" ", "␣").replace("\n", "↵") for token in tokens]
    # Whole thousandths make half the page of decimals; a row ends with its last weight above 0.
    weights = [
        [[_up_to_the_last(row) for row in table] for table in heads]
        for heads in np.rint(1000 * tables).astype(int)
    ]
    data = {
        "title": "Attention explorer",
        "tokens": shown,
        "thousandths": weights,
        "block": block,
        "head": head,
        "reader": reader % len(shown),
    }
    row = tables[block, head, reader].tolist()
    reads = {key: w for key, w in enumerate(row) if w >= 0.02 and key != data["reader"]}
    picture = plots.sentence_arcs([(shown, data["reader"], reads)])
    return Interactive(picture, "attention", data)


def masks(
    tokens: Sequence[str],
    *,
    causal,
    windows: Sequence,
    paddings: Sequence | None = None,
    shown: str = "causal",
) -> Interactive:
    """Who may read whom: no mask, the causal one or a window, and padding on top of any.

    Args:
        causal: (T, T), True where the query may attend.
        windows: (T, T) for a window of 1, 2, …, T keys.
        paddings: (T,) for 1, 2, …, T real tokens.
        shown: what the figure shows at first, "none", "causal" or "window".
    """
    causal = np.asarray(causal).astype(int)
    windows = np.stack([np.asarray(mask) for mask in windows]).astype(int)
    data = {
        "title": "Masks",
        "tokens": list(tokens),
        "masks": {
            "none": np.ones_like(causal).tolist(),
            "causal": causal.tolist(),
            "window": windows.tolist(),
        },
        "paddings": None,
        "shown": shown,
    }
    width, n_real = 3, len(tokens) - 2
    pictured = {"causal": causal, f"a window of {width}": windows[width - 1]}
    if paddings is not None:
        paddings = np.stack([np.asarray(mask) for mask in paddings]).astype(int)
        data["paddings"] = paddings.tolist()
        pictured[f"causal, {n_real} real tokens"] = causal * paddings[n_real - 1]
    return Interactive(plots.mask_pictures(pictured, tokens), "mask", data)


def dials(logits: Mapping[str, Mapping[str, float]]) -> Interactive:
    """Temperature, top-k and top-p on the next token after each of some prompts.

    Args:
        logits: by prompt, what the model gives each token. The picture shows the first prompt.
    """
    prompts = []
    for prompt, by_token in logits.items():
        likeliest_first = sorted(by_token.items(), key=lambda item: -float(item[1]))
        prompts.append(
            {
                "prompt": prompt,
                "tokens": [token for token, _ in likeliest_first],
                "logits": [round(float(logit), 4) for _, logit in likeliest_first],
            }
        )
    first, n_shown = prompts[0], 8
    panels = {f"temperature {t:g}": _softmax(first["logits"], t)[:n_shown] for t in (0.5, 1.0, 2.0)}
    picture = plots.bar_panels(
        panels, first["tokens"][:n_shown], xlabel=f"probability after “{first['prompt']}”"
    )
    return Interactive(picture, "dials", {"title": "Three dials", "prompts": prompts})


def cache(tokens: Sequence[str], *, cached: Sequence[int], uncached: Sequence[int]) -> Interactive:
    """A text that is written token by token, and the positions that each step computes.

    Args:
        tokens: the prompt and all that was written.
        cached, uncached: how many positions each step computes with a cache and without one.
    """
    n_prompt = len(tokens) - len(cached)
    with_cache, without = (np.zeros((len(cached), len(tokens))) for _ in range(2))
    for step, (new, again) in enumerate(zip(cached, uncached, strict=True)):
        end = n_prompt + step
        with_cache[step, :end] = 0.2  # pale: it is in the cache
        with_cache[step, end - new : end] = 1
        without[step, end - again : end] = 1
    picture = plots.attention_maps(
        {
            f"with a cache: {sum(cached)} computed": with_cache,
            f"without: {sum(uncached)} computed": without,
        },
        [str(step) for step in range(len(cached))],
        tokens,
        key_axis="position",
        query_axis="step",
    )
    data = {
        "title": "The cache, step by step",
        "tokens": list(tokens),
        "prompt": n_prompt,
        "cached": [int(count) for count in cached],
        "uncached": [int(count) for count in uncached],
    }
    return Interactive(picture, "cache", data)


def _up_to_the_last(row: np.ndarray) -> list[int]:
    return row[: np.flatnonzero(row).max(initial=-1) + 1].tolist()


def _softmax(logits: Sequence[float], temperature: float) -> np.ndarray:
    scaled = np.array(logits) / temperature
    raised = np.exp(scaled - scaled.max())
    return raised / raised.sum()
