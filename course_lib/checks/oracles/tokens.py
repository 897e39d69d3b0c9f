"""What the right answers of lesson 1 are, by other ways than the lesson's: slow, and by hand."""

import numpy as np


def merge_pair(ids: list[int], pair: tuple[int, int], new_id: int) -> list[int]:
    """As a replacement in a string with one character for each id: Python's is left to right."""
    known = sorted({*ids, *pair, new_id})
    letters = {one: chr(0xE000 + n) for n, one in enumerate(known)}
    text = "".join(letters[one] for one in ids)
    text = text.replace(letters[pair[0]] + letters[pair[1]], letters[new_id])
    return [known[ord(letter) - 0xE000] for letter in text]


def train_bpe(ids: list[int], n_merges: int, first_new_id: int = 256) -> list[tuple[int, int]]:
    """Round by round: all pairs counted one by one, then sorted."""
    merges = []
    for new_id in range(first_new_id, first_new_id + n_merges):
        pairs = [(ids[n], ids[n + 1]) for n in range(len(ids) - 1)]
        ranked = sorted((-pairs.count(pair), pair) for pair in set(pairs))
        if not ranked or ranked[0][0] > -2:
            break
        merges.append(ranked[0][1])
        ids = merge_pair(ids, ranked[0][1], new_id)
    return merges


def encode(text: str, merges: list[tuple[int, int]], first_new_id: int = 256) -> list[int]:
    """The bytes, and each merge in turn."""
    ids = list(text.encode("utf-8"))
    for n, pair in enumerate(merges):
        ids = merge_pair(ids, pair, first_new_id + n)
    return ids


def embeddings(ids: np.ndarray, weights: dict, offset: int = 0) -> np.ndarray:
    """Rows of both tables, added by NumPy."""
    positions = weights["position.weight"][offset : offset + ids.shape[1]]
    return weights["token.weight"][ids] + positions


def embeddings_gradients(ids, weights: dict, cotangent, offset: int = 0) -> dict[str, np.ndarray]:
    """Each entry of the cotangent, added to the rows it came from."""
    found = {name: np.zeros_like(table) for name, table in weights.items()}
    for text, row in enumerate(ids):
        for t, one in enumerate(row):
            found["token.weight"][one] += cotangent[text, t]
            found["position.weight"][offset + t] += cotangent[text, t]
    return found
