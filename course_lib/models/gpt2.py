"""A Hugging Face GPT-2 folder as a model and a tokenizer.

It holds `config.json`, `model.safetensors`, `vocab.json` and `merges.txt`.
"""

import json
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import regex
import safetensors
import safetensors.torch
from torch import nn

from . import ModelError
from .whose_model import Package

END_OF_TEXT = "<|endoftext|>"

# How GPT-2 cuts a text before it merges: contractions, words, numbers and signs, each with at
# most one space before it; of several spaces the last belongs to what follows.
_PIECES = regex.compile(r"'(?:s|t|re|ve|m|ll|d)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")


def read_gpt2(folder: Path, package: Package) -> tuple[nn.Module, "GPT2Tokenizer"]:
    """The model and the tokenizer in `folder`.

    Raises:
        ModelError: a file is missing or holds something else.
    """
    about = _read_json(folder / "config.json")
    activation = about.get("activation_function", "gelu_new")
    kinds = {"gelu_new": "tanh", "gelu_pytorch_tanh": "tanh", "gelu": "none"}
    if activation not in kinds:
        raise ModelError(f"{folder} uses the activation {activation!r}, which GPT-2 does not have.")
    if about.get("n_inner") not in (None, 4 * about.get("n_embd", 0)):
        raise ModelError(f"{folder} has an MLP of another width (n_inner={about['n_inner']}).")
    try:
        config = package.component("model", "GPTConfig")(
            vocab_size=about["vocab_size"],
            context_length=about.get("n_positions", about.get("n_ctx")),
            d_model=about["n_embd"],
            n_heads=about["n_head"],
            n_layers=about["n_layer"],
            tie_weights=about.get("tie_word_embeddings", True),
            gelu_approximate=kinds[activation],
        )
        weights = safetensors.torch.load_file(folder / "model.safetensors")
        model = package.component("model", "load_gpt2")(weights, config)
    except KeyError as missing:
        raise ModelError(f"{folder / 'config.json'} must say {missing}.") from None
    except FileNotFoundError:
        raise ModelError(f"{folder} must hold model.safetensors: save it in that format.") from None
    except (ValueError, TypeError, safetensors.SafetensorError) as error:
        raise ModelError(f"{folder} cannot be read as GPT-2: {error}") from None
    return model, GPT2Tokenizer.read(folder)


class GPT2Tokenizer:
    """Byte-pair encoding as GPT-2 does it: within words, the earliest learned merge first.

    Args:
        ids: the id of each token; a token's bytes are written as printable characters.
        merges: pairs of such tokens, in the order learned.

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners" (2019),
        section 2.2.
    """

    def __init__(self, ids: dict[str, int], merges: list[tuple[str, str]]):
        self.ids, self.tokens = ids, {number: token for token, number in ids.items()}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.character_of = _printable_bytes()
        self.byte_of = {character: byte for byte, character in self.character_of.items()}
        self.vocab_size = max(ids.values()) + 1
        self._merged = lru_cache(maxsize=50_000)(self._merge)

    @classmethod
    def read(cls, folder: Path) -> "GPT2Tokenizer":
        """The tokenizer of `vocab.json` and `merges.txt` in `folder`.

        Raises:
            ModelError: a file is missing or holds something else.
        """
        ids, path = _read_json(folder / "vocab.json"), folder / "merges.txt"
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path} cannot be read: {error}") from None
        merges = [
            tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")
        ]
        if not all(len(pair) == 2 for pair in merges):
            raise ModelError(f"{path} must hold two tokens a line.")
        return cls(ids, merges)

    def encode(self, text: str) -> list[int]:
        """The ids of `text`; `<|endoftext|>` in it is one token.

        Raises:
            ModelError: the vocabulary lacks a byte that the text needs.
        """
        found = []
        for number, part in enumerate(
            text.split(END_OF_TEXT) if END_OF_TEXT in self.ids else [text]
        ):
            if number:
                found.append(self.ids[END_OF_TEXT])
            for piece in _PIECES.findall(part):
                found += self._merged(piece)
        return found

    def decode(self, ids: list[int]) -> str:
        """The text of `ids`; bytes that are no UTF-8 become `�`."""
        content = bytearray()
        for number in ids:
            token = self.tokens.get(number, "")
            if token == END_OF_TEXT:
                content += token.encode()
            else:
                content += bytes(self.byte_of[character] for character in token)
        return content.decode("utf-8", errors="replace")

    def _merge(self, piece: str) -> tuple[int, ...]:
        parts = [self.character_of[byte] for byte in piece.encode("utf-8")]
        while len(parts) > 1:
            pairs = set(pairwise(parts))
            first = min(pairs, key=lambda pair: self.ranks.get(pair, len(self.ranks)))
            if first not in self.ranks:
                break
            parts = _merge_pair(parts, first)
        try:
            return tuple(self.ids[part] for part in parts)
        except KeyError as missing:
            raise ModelError(f"the vocabulary has no token for {missing}.") from None


def _merge_pair(parts: list[str], pair: tuple[str, str]) -> list[str]:
    merged, place = [], 0
    while place < len(parts):
        if tuple(parts[place : place + 2]) == pair:
            merged.append(pair[0] + pair[1])
            place += 2
        else:
            merged.append(parts[place])
            place += 1
    return merged


def _printable_bytes() -> dict[int, str]:
    """A visible character for every byte: itself where it is one, else the next from U+0100 on."""
    visible = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    visible += range(ord("®"), ord("ÿ") + 1)
    others = [byte for byte in range(256) if byte not in visible]
    return {
        **{byte: chr(byte) for byte in visible},
        **{byte: chr(256 + number) for number, byte in enumerate(others)},
    }


def _read_json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise ModelError(f"{path} must be JSON: {error}.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} must hold a JSON object.")
    return found
