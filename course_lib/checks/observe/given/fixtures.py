"""Callables that a call needs as an argument, built from a name and a seed on either side."""

import torch
from torch import Tensor, nn


class Mixer(nn.Module):
    """Positions mixed by a fixed matrix, then bent: a `fn` whose Jacobian is known to be full.

    `reach` says how far ahead a position sees: 0 is causal, 1 leaks the next position, None
    sees all.
    """

    def __init__(self, n_positions: int, width: int, reach: int | None, seed: int, dtype):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        mix = torch.randn(n_positions, n_positions, generator=generator, dtype=torch.float64)
        if reach is not None:
            mix = mix.tril(reach)
        across = torch.randn(width, width, generator=generator, dtype=torch.float64)
        self.mix = nn.Parameter(mix.to(dtype))
        self.across = nn.Parameter(across.to(dtype))

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix @ x @ self.across) + 0.5 * self.mix @ x.square()


class Widening(Mixer):
    """A `fn` whose output has another width, and one axis more, than its input."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return torch.stack([y, y.sin(), 2 * y], dim=-1)[:, 1:]


class Counting(nn.Module):
    """A callable that keeps the shape of its argument and counts its calls."""

    def __init__(self, n_positions: int, width: int, reach: int | None, seed: int, dtype):
        super().__init__()
        self.calls = 0
        generator = torch.Generator().manual_seed(seed)

        def weights(*shape):
            drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
            return nn.Parameter((drawn / shape[0] ** 0.5).to(dtype))

        self.mix = weights(n_positions, n_positions)
        self.across = weights(width, width)
        self.shift = weights(width)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.answer(x)


class Stretching(Counting):
    """A `norm` of its own kind, position by position: twice is not once, and 0 does not stay 0."""

    def answer(self, x: Tensor) -> Tensor:
        return 2 * x / (1 + x.square().mean(dim=-1, keepdim=True)).sqrt() + self.shift


class Blending(Counting):
    """A `sublayer`: positions and channels mixed, and bent."""

    def answer(self, x: Tensor) -> Tensor:
        return torch.tanh(self.mix @ x @ self.across)


class Passing(Counting):
    """A callable that returns its argument itself: what is written into the answer changes it."""

    def answer(self, x: Tensor) -> Tensor:
        return x


def build(spec: dict, dtype) -> nn.Module:
    """The fixture that `spec` names, with parameters that hold a gradient of their own."""
    kinds = {
        "mixer": Mixer,
        "widening": Widening,
        "stretching": Stretching,
        "blending": Blending,
        "passing": Passing,
    }
    fn = kinds[spec["fixture"]](
        spec["n_positions"], spec["width"], spec["reach"], spec["seed"], dtype
    )
    for number, parameter in enumerate(fn.parameters()):
        parameter.grad = torch.full_like(parameter, float(number + 1))
    return fn
