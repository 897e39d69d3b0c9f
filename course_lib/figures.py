"""Figures that answer: a picture of `plots`, and the numbers that a script draws from.

The numbers travel in the picture's metadata. A notebook, which has no script of ours, shows the
picture as it shows any other; on a page of the book `lessons/interactive.py` puts the numbers
beside it and `book/_static/figures/` does the rest.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import safetensors.numpy

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
    shown = [_visible(token) for token in tokens]
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


def rotation(
    query: Sequence[float], key: Sequence[float], *, positions: tuple[int, int], base: float = 1e4
) -> Interactive:
    """A query and a key that turn with their positions, pair by pair, and their dot product.

    Args:
        query, key: (D,) each, as they are before they are turned.
        positions: where the two stand at first, and in the picture, the query first.
        base: pair i turns by base^(-2i/D) a step.
    """
    query, key = (np.asarray(vector, dtype=float).reshape(-1, 2) for vector in (query, key))
    turns = base ** (-np.arange(len(query)) / len(query))
    at_query, at_key = positions
    pictured = {}
    for shift in (0, 1):
        places = (at_query + shift, at_key + shift)
        turned = [_turned(v, p * turns) for v, p in zip((query, key), places, strict=True)]
        pictured["query at {}, key at {}".format(*places)] = turned
    data = {
        "title": "Turning arrows",
        "query": query.round(6).tolist(),
        "key": key.round(6).tolist(),
        "positions": [at_query, at_key],
        "base": base,
    }
    return Interactive(plots.pairs_as_arrows(pictured, turns), "rotation", data)


def cost(
    models: Mapping[str, Mapping[str, int]],
    machines: Mapping[str, Mapping[str, float | str]],
    *,
    model: str,
    machine: str,
) -> Interactive:
    """What the next token costs a model that writes, and what a machine allows.

    Args:
        models: by name `n_layers`, `n_heads`, `n_kv_heads`, `d_head`, `d_mlp`, `mlp_matrices` (in
            each block, C x d_mlp), `vocab_size`, and `rows_looked_up`: of tables that multiply
            nothing, such as an embedding that is not the head as well.
        machines: by name `gigabytes`, `gigabytes_a_second`, `teraflops`, and their `source`.
        model, machine: what the figure shows at first.
    """
    data = {
        "title": "What a token costs",
        "models": [{"name": name, **sizes} for name, sizes in models.items()],
        "machines": [{"name": name, **sheet} for name, sheet in machines.items()],
        "model": list(models).index(model),
        "machine": list(machines).index(machine),
    }
    n_tokens, gigabytes = 8192, {}
    for name, sizes in models.items():
        width = sizes["n_heads"] * sizes["d_head"]
        kept = 2 * sizes["n_kv_heads"] * sizes["d_head"]  # a layer keeps so many numbers a token
        block = width * (2 * width + kept + sizes["mlp_matrices"] * sizes["d_mlp"])
        tables = width * (sizes["vocab_size"] + sizes["rows_looked_up"])
        gigabytes[f"{name}: weights"] = 2 * (sizes["n_layers"] * block + tables) / 1e9
        gigabytes[f"{name}: cache"] = 2 * sizes["n_layers"] * kept * n_tokens / 1e9
    picture = plots.bars(
        gigabytes,
        xlabel=f"GB for one text of {n_tokens:,} tokens, at two bytes a number",
        show=lambda value: f"{value:.2f}",
    )
    return Interactive(picture, "cost", data)


def saturation(
    queries, keys, widths: Sequence[int], *, width: int, n_shown: int = 5
) -> Interactive:
    """Scores, weights and slopes of softmax at growing widths, with the root of D and without.

    Args:
        queries: (T, D) with the largest D of all. A width takes the first channels of it.
        keys: (S, D) likewise.
        width: what the figure shows at first, one of the `widths`.
        n_shown: how many of the queries can be looked at. The means are of all.
    """
    queries, keys = np.asarray(queries), np.asarray(keys)
    dots = [queries[:, :d] @ keys[:, :d].T for d in widths]
    roots = np.sqrt(widths)
    means = {"plain": [], "divided": []}
    for scores, root in zip(dots, roots, strict=True):
        for name, divisor in (("plain", 1), ("divided", root)):
            weights = np.array([_softmax(row, divisor) for row in scores])
            slopes = (weights * (1 - weights)).sum(axis=-1)
            means[name].append([weights.max(axis=-1).mean(), slopes.mean()])
    data = {
        "title": "Width and saturation",
        "widths": list(widths),
        "dots": np.stack(dots, axis=1)[:n_shown].round(4).tolist(),
        "means": {name: np.round(pairs, 4).tolist() for name, pairs in means.items()},
        "n_queries": len(queries),
        "width": list(widths).index(width),
    }
    narrow, wide = dots[list(widths).index(width)][0], dots[-1][0]
    panels = {
        f"D = {width}": _softmax(narrow, 1),
        f"D = {widths[-1]}": _softmax(wide, 1),
        f"{widths[-1]}, with the root": _softmax(wide, roots[-1]),
    }
    picture = plots.bar_panels(panels, [f"key {n}" for n in range(len(keys))], xlabel="weight")
    return Interactive(picture, "saturation", data)


def entries(
    tokens: Sequence[str], query, key, value, *, looks: Sequence[str], hands: Sequence[str]
) -> Interactive:
    """Attention without the root, entry by entry: which row and which column make each.

    Args:
        query, key: (T, D) each.
        value: (T, E).
        looks: what the channels of queries and keys are called.
        hands: what those of the values are called.
    """
    query, key, value = (np.asarray(table, dtype=float) for table in (query, key, value))
    scores = query @ key.T
    weights = np.array([_softmax(row, 1) for row in scores])
    picture = plots.products(
        {
            "scores: q on the left, k.T above": (query, key.T, scores, tokens),
            "output: weights on the left, v above": (weights, value, weights @ value, hands),
        },
        tokens,
        row=len(tokens) - 1,
    )
    data = {
        "title": "One entry, looked into",
        "tokens": list(tokens),
        "looks": list(looks),
        "hands": list(hands),
        "query": query.tolist(),
        "key": key.tolist(),
        "value": value.tolist(),
    }
    return Interactive(picture, "entries", data)


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


def sentence(
    model,
    characters: str,
    text: str,
    odds: Mapping[str, Sequence[float]],
    *,
    block: int = 0,
    head: int = 0,
) -> Interactive:
    """A text of the reader's own on its way through a model, in the page itself.

    The model's numbers go along as the file that `course export` writes, so that the script needs
    to read one format only, and a reader can open such a file of theirs.

    Args:
        model: a `GPT` of lesson 7.
        characters: its vocabulary.
        text: what stands there at first.
        odds: for the picture, by the title of a panel, what each token has after `text`.
        block, head: whose weights the figure shows at first.
    """
    data = {
        "title": "Your own sentence",
        "text": text,
        "block": block,
        "head": head,
        "model": b64encode(_model_file(model, characters)).decode("ascii"),
    }
    by_token = np.array([np.asarray(panel, dtype=float) for panel in odds.values()])
    likeliest = np.argsort(-by_token.max(axis=0))[:6]
    tokens = [_visible(sorted(set(characters))[number]) for number in likeliest]
    panels = {title: row[likeliest] for title, row in zip(odds, by_token, strict=True)}
    picture = plots.bar_panels(panels, tokens, xlabel=f"probability after “{text}”")
    return Interactive(picture, "sentence", data)


def _turned(pairs: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """(n, 2) pairs, each turned by its angle."""
    (a, b), cos, sin = pairs.T, np.cos(angles), np.sin(angles)
    return np.stack([a * cos - b * sin, a * sin + b * cos], axis=-1)


def _model_file(model, characters: str) -> bytes:
    """A model of characters as `saved.py` of an export writes it: weights, sizes, vocabulary."""
    sizes = asdict(model.config)
    del sizes["vocab_size"]  # the vocabulary says it
    about = {"sizes": sizes, "tokenizer": {"kind": "characters", "characters": characters}}
    weights, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen:  # a tied head is the token embedding: once
            seen.add(tensor.data_ptr())
            weights[name] = tensor.detach().cpu().float().contiguous().numpy()
    metadata = {name: json.dumps(value) for name, value in about.items()}
    return safetensors.numpy.save(weights, metadata=metadata)


def _visible(token: str) -> str:
    return token.replace(" ", "␣").replace("\n", "↵")


def _up_to_the_last(row: np.ndarray) -> list[int]:
    return row[: np.flatnonzero(row).max(initial=-1) + 1].tolist()


def _softmax(logits: Sequence[float], temperature: float) -> np.ndarray:
    scaled = np.array(logits) / temperature
    raised = np.exp(scaled - scaled.max())
    return raised / raised.sum()
