"""The logits that follow a text, however long it grows.

As long as the text fits the model's context, each position is computed once, and its keys and
values are kept. Then the model sees the last `context_length` tokens and no longer the beginning.
In that window every token stands at another position than before, so nothing that was kept still
holds: the whole window is computed again for each new token, as `generate` of lesson 9 does it.
"""

from collections.abc import Callable

from torch import Tensor, nn

from .whose_model import Package


def next_logits(
    model: nn.Module, package: Package, n_rows: int, n_positions: int, use_cache: bool
) -> Callable[[Tensor], Tensor]:
    """What gives the logits that follow the ids of a growing text.

    Args:
        n_positions: how long the text may become.
        use_cache: False computes everything again at each step from the start.
    """
    context = model.config.context_length
    n_kept = min(n_positions, context)
    if package.is_fused(model):
        decoder = package.decoder(model, n_rows, n_kept)
        again = _Recomputed(decoder, context)
        return _Cached(decoder, context, again) if use_cache else again
    again = _Uncached(model, context)
    return _Cached(package.decoder(model, n_rows, n_kept), context, again) if use_cache else again


class _Cached:
    """The next logits from the new tokens alone, while all fit the context; then by `again`."""

    def __init__(self, decoder, context_length: int, again: Callable[[Tensor], Tensor]):
        self.decoder, self.n_fed = decoder, 0
        self.context_length, self.again = context_length, again

    def __call__(self, ids: Tensor) -> Tensor:
        if ids.shape[1] > self.context_length:
            return self.again(ids)
        new, self.n_fed = ids[:, self.n_fed :], ids.shape[1]
        return self.decoder.feed(new)


class _Recomputed:
    """The next logits from as much of the end as the context holds, with a head for the last."""

    def __init__(self, decoder, context_length: int):
        self.decoder, self.context_length = decoder, context_length

    def __call__(self, ids: Tensor) -> Tensor:
        self.decoder.reset()
        return self.decoder.feed(ids[:, -self.context_length :])


class _Uncached:
    """The same from the model itself, step by step as it was written."""

    def __init__(self, model: nn.Module, context_length: int):
        self.model, self.context_length = model, context_length

    def __call__(self, ids: Tensor) -> Tensor:
        return self.model(ids[:, -self.context_length :])[:, -1]
