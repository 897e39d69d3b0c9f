"""`course generate`: text from a trained model, streamed, for several prompts at once.

Rows of one batch stand at the same position. A row whose prompt is longer than another's takes
its next token from the prompt while the other already writes, so prompts of any lengths go
together, and no padding is ever attended to.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from . import ModelError
from .text import Tokenizer
from .whose_model import Package
from .window import next_logits


@dataclass(frozen=True)
class Sampling:
    """How tokens are chosen, as in `sample` of lesson 9."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None

    def __post_init__(self):
        if not self.temperature >= 0:  # nan is refused as well
            raise ModelError(f"temperature must be at least 0, got {self.temperature:g}.")
        if self.top_k is not None and self.top_k < 1:
            raise ModelError(f"top_k must be at least 1, got {self.top_k}.")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ModelError(f"top_p must be above 0 and at most 1, got {self.top_p:g}.")

    def options(self, generator: torch.Generator) -> dict:
        """What `sample` is called with."""
        chosen = {"temperature": self.temperature, "generator": generator}
        chosen |= {} if self.top_k is None else {"top_k": self.top_k}
        return chosen | ({} if self.top_p is None else {"top_p": self.top_p})


@dataclass(frozen=True)
class Piece:
    """A bit of text that row `row` has just written.

    Args:
        is_past_context: the model no longer saw the beginning of the text when it wrote this.
    """

    row: int
    text: str
    is_past_context: bool = False


def write(
    model: nn.Module,
    package: Package,
    tokenizer: Tokenizer,
    prompts: list[str],
    n_new: int,
    *,
    sampling: Sampling = Sampling(),
    stop: str | None = None,
    seed: int | None = None,
    use_cache: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> Iterator[Piece]:
    """The texts that follow the prompts, bit by bit as they are written.

    Args:
        n_new: tokens for each row, at most.
        stop: a row ends before this text.
        use_cache: False recomputes everything at each step, also while the text fits the context.
        say: hears, before the first piece, that the text may outgrow the context.

    Raises:
        ModelError: a prompt is empty or unknown to the tokenizer.
    """
    encoded = [tokenizer.encode(prompt) for prompt in prompts]
    for prompt, ids in zip(prompts, encoded, strict=True):
        if not ids:
            raise ModelError(f"a prompt must hold at least one token, got {prompt!r}.")
    if n_new < 0:
        raise ModelError(f"the number of new tokens must be at least 0, got {n_new}.")
    longest, context = max(map(len, encoded)) + n_new, model.config.context_length
    if n_new and longest > context + 1:  # the last token is never read again
        say(
            f"The model sees {context} tokens at once, and the text may grow to {longest}: past "
            f"{context} it goes on from the last {context}, all read again for every token."
        )
    return _pieces(model, package, tokenizer, encoded, n_new, sampling, stop, seed, use_cache)


def _pieces(
    model, package, tokenizer, encoded, n_new, sampling, stop, seed, use_cache
) -> Iterator[Piece]:
    spoken = [_Spoken(tokenizer, stop) for _ in encoded]
    last, place = [len(ids) + n_new for ids in encoded], 0
    for place, tokens in _grow(model, package, encoded, last, sampling, seed, use_cache, spoken):
        for row, token in enumerate(tokens):
            if len(encoded[row]) <= place < last[row] and not spoken[row].is_over:
                text = spoken[row].add(token)
                if text:
                    yield Piece(row, text, place > model.config.context_length)
    for row, voice in enumerate(spoken):
        rest = voice.finish()
        if rest:
            end = min(place, last[row] - 1)  # where its last token stands
            yield Piece(row, rest, end > model.config.context_length)


def _grow(model, package, encoded, last, sampling, seed, use_cache, spoken):
    """`(position, the tokens of all rows there)`, one position after the other."""
    device = model.head.weight.device
    generator = torch.Generator(device)
    generator.seed() if seed is None else generator.manual_seed(seed)
    options = sampling.options(generator)
    sample = package.component("generation", "sample")
    follow = next_logits(model, package, len(encoded), max(last), use_cache)
    n_given = min(map(len, encoded))
    ids = torch.tensor([row[:n_given] for row in encoded], device=device)
    was_training = model.training
    model.eval()
    try:
        for place in range(n_given, max(last)):
            if all(voice.is_over for voice in spoken):
                return
            with torch.no_grad():
                drawn = sample(follow(ids), **options).tolist()
            tokens = [
                row[place] if place < len(row) else token
                for row, token in zip(encoded, drawn, strict=True)
            ]
            ids = torch.cat([ids, torch.tensor(tokens, device=device)[:, None]], dim=1)
            yield place, tokens
    finally:
        model.train(was_training)


class _Spoken:
    """One row's text: whole characters only, and nothing of the stop text or behind it."""

    def __init__(self, tokenizer: Tokenizer, stop: str | None):
        self.tokenizer, self.stop = tokenizer, stop
        self.ids: list[int] = []
        self.text, self.n_said, self.is_over = "", 0, False

    def add(self, token: int) -> str:
        """The text that has become certain with this token."""
        self.ids.append(token)
        self.text = self.tokenizer.decode(self.ids)
        certain = len(self.text.rstrip("\N{REPLACEMENT CHARACTER}"))  # half a character so far
        if self.stop:
            found = self.text.find(self.stop)
            if found >= 0:
                self.is_over, certain = True, found
            else:
                certain = min(certain, len(self.text) - _overlap(self.text, self.stop))
        return self._say(certain)

    def finish(self) -> str:
        """What was held back and will not go on."""
        return "" if self.is_over else self._say(len(self.text))

    def _say(self, end: int) -> str:
        said = self.text[self.n_said : end]
        self.n_said = max(self.n_said, end)
        return said


def _overlap(text: str, stop: str) -> int:
    """How much of the end of `text` may be the beginning of `stop`."""
    return next((n for n in range(len(stop) - 1, 0, -1) if text.endswith(stop[:n])), 0)
