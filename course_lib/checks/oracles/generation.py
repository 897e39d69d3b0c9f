"""What a sampler may draw and a model must say, in NumPy float64. Nothing here is the course's."""

import numpy as np


def softmax(logits) -> np.ndarray:
    """Probabilities of each row."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def top_k(logits, k: int) -> np.ndarray:
    """Which entries of each row are among its `k` highest, all that tie with the last included."""
    k = min(k, logits.shape[-1])
    return logits >= np.sort(logits, axis=-1)[:, [-k]]


def top_p(logits, p: float) -> np.ndarray:
    """Which entries of each row make the smallest set with probability `p`."""
    probabilities = softmax(logits)
    sums = np.cumsum(-np.sort(-probabilities, axis=-1), axis=-1)
    n_kept = 1 + (sums < p).sum(axis=-1, keepdims=True)  # those that do not reach p, and one more
    ranks = np.argsort(np.argsort(-probabilities, axis=-1), axis=-1)
    return ranks < n_kept


def margin(logits, p: float) -> float:
    """How far `p` is from the nearest sum of the likeliest probabilities of a row."""
    sums = np.cumsum(-np.sort(-softmax(logits), axis=-1), axis=-1)
    return float(np.abs(sums - p).min())


def distribution(logits, *, temperature=1.0, top_k=None, top_p=None) -> np.ndarray:
    """With which probability each token of each row is drawn."""
    if temperature == 0:
        return np.eye(logits.shape[-1])[logits.argmax(axis=-1)]
    logits = logits / temperature
    if top_k is not None:
        logits = np.where(_top_k(logits, top_k), logits, -np.inf)
    if top_p is not None:
        logits = np.where(_top_p(logits, top_p), logits, -np.inf)
    return softmax(logits)


_top_k, _top_p = top_k, top_p  # their names are the names of options too


def rolling_logits(table, ids, context_length: int) -> np.ndarray:
    """What a `RollingModel` says about the next token of each row."""
    states = np.ones(len(ids), dtype=np.int64)
    for column in ids[:, -context_length:].T:
        states = (17 * states + column + 5) % len(table)
    return table[states]


def greedy_text(next_logits, ids, n_new: int) -> np.ndarray:
    """`ids` and the likeliest tokens after them, by a function from a text to its next logits."""
    for _ in range(n_new):
        ids = np.concatenate([ids, next_logits(ids).argmax(axis=-1)[:, None]], axis=1)
    return ids
