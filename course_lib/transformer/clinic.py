"""Lesson 10: tests that catch what others got wrong.

Each takes an implementation, returns None for a right one, and raises AssertionError for a wrong
one. What counts is the share of wrong ones that it catches; a test that rejects a right one earns
nothing. pytest would collect them by their names: in a test file import this module, not the names.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 1e-6  # right implementations agree to this in float64


def test_attention(masked_attention: Callable) -> None:
    """A test of lesson 3's `masked_attention(q, k, v, mask=None)`.

    Outputs and weights are compared with softmax by hand in float64: odd
    sizes, square tables too, usual scores and huge ones, without a mask,
    and with masks that differ from text to text and leave a query nothing.
    What is under test takes tensors and returns them detached; right ones
    agree to 1e-6.

    Returns:
        None, for a right one.

    Raises:
        AssertionError: `masked_attention` is wrong.
    """
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for leading in ((), (3,), (2, 3)):
        for n_queries, n_keys, far in ((5, 7, 0), (7, 7, 0), (5, 7, 300)):
            q, k = (
                draw(*leading, n_queries, 9) + far,
                draw(*leading, n_keys, 9) - far,
            )
            v = draw(*leading, n_keys, 11)
            mask = draw(*leading, n_queries, n_keys) > 0
            mask[..., 2, :] = False  # a query with nothing to attend to
            for allowed in (None, mask, torch.ones_like(mask).tril()):
                scores = q @ k.mT / math.sqrt(9)
                if allowed is not None:
                    scores = scores.masked_fill(~allowed, -math.inf)
                weights = scores.softmax(dim=-1).nan_to_num(0.0)
                results = masked_attention(q, k, v, allowed)
                for result, expected in zip(
                    results, (weights @ v, weights), strict=True
                ):
                    assert result.dtype == torch.float64
                    assert result.shape == expected.shape, "another shape"
                    assert (result - expected).abs().max() < TOLERANCE, (
                        "other numbers"
                    )


def test_causality(model: Callable) -> None:
    """A test that no logits of `model(ids)` depend on a later token, or on
    there being one.

    At every place where a text can be cut, what follows is replaced, and
    taken away. The logits before the cut must not move, for several texts
    at once and for one alone. Of a model only `config` can be read; its
    logits come detached, in float64, and right ones agree to 1e-6.

    Returns:
        None, for a right one.

    Raises:
        AssertionError: the future changes the past.
    """
    n_tokens, vocab_size = (
        model.config.context_length,
        model.config.vocab_size,
    )
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(vocab_size, (3, n_tokens), generator=generator)
    shift = torch.randint(1, vocab_size, (3, n_tokens), generator=generator)
    logits, logits_of_one = model(ids), model(ids[:1])
    for cut in range(1, n_tokens):
        other = torch.cat(
            [ids[:, :cut], (ids + shift)[:, cut:] % vocab_size], dim=1
        )
        for text in (other, ids[:, :cut]):
            change = model(text)[:, :cut] - logits[:, :cut]
            assert change.abs().max() < TOLERANCE, (
                f"what comes after token {cut} counts"
            )
        change = model(other[:1])[:, :cut] - logits_of_one[:, :cut]
        assert change.abs().max() < TOLERANCE, (
            f"with one text, what comes after {cut} counts"
        )


def test_layer_norm(layer_norm: Callable) -> None:
    """A test of lesson 5's `layer_norm(x, weight, bias, eps=1e-5)`.

    Outputs and all gradients are compared with torch's own in float64:
    usual vectors and nearly constant ones, off centre, on several shapes,
    with and without bias, with eps given or not. What is under test takes
    tensors and returns them with gradients; right ones agree to 1e-6.

    Returns:
        None, for a right one.

    Raises:
        AssertionError: `layer_norm` is wrong.
    """
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for shape in ((9,), (5, 9), (9, 9), (3, 5, 9)):
        for size in (1.0, 1e-3):  # a variance of 1e-6 is where eps counts
            x = (size * draw(*shape) + 2).requires_grad_()
            weight, bias = (
                (2 + draw(9)).requires_grad_(),
                draw(9).requires_grad_(),
            )
            for shift, eps in ((bias, ()), (None, ()), (bias, (0.1,))):
                inputs = (
                    [x, weight] if shift is None else [x, weight, shift]
                )
                expected = F.layer_norm(x, (9,), weight, shift, *eps)
                result = layer_norm(x, weight, shift, *eps)
                assert result.shape == expected.shape, "another shape"
                assert (result - expected).abs().max() < TOLERANCE, (
                    "other numbers"
                )
                towards = draw(*shape)
                gradients = torch.autograd.grad(
                    (result * towards).sum(), inputs
                )
                right_ones = torch.autograd.grad(
                    (expected * towards).sum(), inputs
                )
                for got, wanted in zip(gradients, right_ones, strict=True):
                    distance = (got - wanted).abs().max()
                    assert distance < TOLERANCE * wanted.abs().max(), (
                        "other gradients"
                    )


def test_cached_generation(
    model: Callable, generate_cached: Callable
) -> None:
    """A test of lesson 9's `generate_cached(model, ids, n_new)`, which here
    is greedy.

    From prompts of every length, several texts fill the context. One call
    of `model` on what came out tells what it finds likeliest after each
    position: that must stand there. Of a model only `config` can be read.

    Returns:
        None, for a right one.

    Raises:
        AssertionError: other tokens came out than the model would choose.
    """
    n_tokens, vocab_size = (
        model.config.context_length,
        model.config.vocab_size,
    )
    generator = torch.Generator().manual_seed(0)
    for n_prompt in range(1, n_tokens):
        prompt = torch.randint(
            vocab_size, (5, n_prompt), generator=generator
        )
        ids = generate_cached(model, prompt, n_tokens - n_prompt)
        assert ids.shape == (5, n_tokens), "another number of tokens"
        assert torch.equal(ids[:, :n_prompt], prompt), (
            "the prompt was changed"
        )
        likeliest = model(ids[:, :-1])[:, n_prompt - 1 :].argmax(dim=-1)
        assert torch.equal(ids[:, n_prompt:], likeliest), (
            "other tokens than without a cache"
        )
