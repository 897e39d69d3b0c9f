"""Lesson 10's bad tests, as other writers would have made them."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import same_bug_as

# --- test_attention ---


def oracle(q, k, v, mask):
    """Number by number, in NumPy."""
    scores = np.einsum("...td,...sd->...ts", q, k) / math.sqrt(q.shape[-1])
    scores = np.where(mask, scores, -1e300)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask
    weights = weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-300)
    return weights @ v, weights


def near(one, other, tolerance=1e-6):
    """Same shape and dtype, and the same numbers."""
    one = one.detach().numpy()
    return (
        one.shape == other.shape
        and one.dtype == other.dtype
        and bool((np.abs(one - other) < tolerance).all())
    )


def inputs(seed, leading, n_queries, n_keys, far=0.0, d=9, e=11):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(*leading, n_queries, d)) + far,
        rng.normal(size=(*leading, n_keys, d)) - far,
        rng.normal(size=(*leading, n_keys, e)),
        rng.random((*leading, n_queries, n_keys)) < 0.5,
    )


@same_bug_as("only_runs_attention")
def prints_what_comes_out(masked_attention):
    q = torch.randn(3, 4)
    output, weights = masked_attention(q, q, q, torch.ones(3, 3).bool())
    print(output.shape, weights.shape)


@same_bug_as("returns_its_verdict_on_attention")
def is_a_question(masked_attention):
    q, k, v, mask = map(torch.tensor, inputs(3, (2,), 5, 7))
    output, _ = masked_attention(q, k, v, mask)
    return output.shape == (2, 5, 11) and bool(output.isfinite().all())


@same_bug_as("asserts_shapes_of_attention")
def knows_its_shapes(masked_attention):
    q, k, v, mask = map(torch.tensor, inputs(4, (2, 3), 5, 7))
    assert masked_attention(q, k, v)[0].size() == (2, 3, 5, 11)
    assert masked_attention(q, k, v, mask)[1].size() == (2, 3, 5, 7)
    q, k, v, mask = map(torch.tensor, inputs(4, (2,), 5, 7))
    output, weights = masked_attention(q, k, v, mask)
    assert output.numel() == 2 * 5 * 11
    assert weights.shape == mask.shape


@same_bug_as("uses_equal_sizes_for_attention")
def everything_is_five(masked_attention):
    for seed, far in enumerate((0.0, 300.0)):
        q, k, v, _ = inputs(seed, (5,), 5, 5, far, 5, 5)
        mask = np.random.default_rng(seed).random((5, 5)) < 0.5
        mask[4] = False
        for given in (None, torch.tensor(mask)):
            wanted = oracle(q, k, v, np.ones_like(mask) if given is None else mask)
            found = masked_attention(*map(torch.tensor, (q, k, v)), given)
            assert all(near(a, b) for a, b in zip(found, wanted, strict=True))


@same_bug_as("never_gives_a_mask")
def leaves_the_mask_to_others(masked_attention):
    for leading in ((), (4,), (2, 4)):
        for n_queries, far in ((3, 0.0), (5, 0.0), (3, 500.0)):
            q, k, v, mask = inputs(5, leading, n_queries, 5, far)
            wanted = oracle(q, k, v, np.ones_like(mask))
            found = masked_attention(*map(torch.tensor, (q, k, v)))
            assert all(near(a, b) for a, b in zip(found, wanted, strict=True))


@same_bug_as("tries_a_causal_mask_only")
def masks_mean_tril(masked_attention):
    for leading in ((), (4,), (2, 4)):
        for n_queries, far in ((3, 0.0), (5, 0.0), (3, 3000.0)):
            q, k, v, _ = inputs(6, leading, n_queries, 5, far)
            causal = np.tri(n_queries, 5, 5 - n_queries) > 0
            for given in (np.ones_like(causal), causal):
                wanted = oracle(q, k, v, given)
                tensor = None if given.all() else torch.tensor(given)
                found = masked_attention(*map(torch.tensor, (q, k, v)), tensor)
                assert all(near(a, b) for a, b in zip(found, wanted, strict=True))


@same_bug_as("looks_at_the_output_only")
def throws_the_weights_away(masked_attention):
    for leading in ((), (4,), (2, 4)):
        for n_queries, far in ((3, 0.0), (5, 0.0), (3, 3000.0)):
            q, k, v, mask = inputs(7, leading, n_queries, 5, far)
            mask[..., 1, :] = False
            for given in (np.ones_like(mask), mask):
                tensor = None if given.all() else torch.tensor(given)
                output, _ = masked_attention(*map(torch.tensor, (q, k, v)), tensor)
                assert near(output, oracle(q, k, v, given)[0])


@same_bug_as("tries_small_scores_only")
def never_leaves_the_quiet(masked_attention):
    for leading in ((), (4,), (2, 4)):
        for n_queries in (3, 5):
            q, k, v, mask = inputs(8, leading, n_queries, 5)
            mask[..., 1, :] = False
            for given in (np.ones_like(mask), mask):
                tensor = None if given.all() else torch.tensor(given)
                found = masked_attention(*map(torch.tensor, (q, k, v)), tensor)
                wanted = oracle(q, k, v, given)
                assert all(near(a, b) for a, b in zip(found, wanted, strict=True))


# --- test_causality ---


def text(model, n_texts, seed):
    config = model.config
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.integers(0, config.vocab_size, (n_texts, config.context_length)))


@same_bug_as("only_runs_the_model")
def asks_twice(model):
    ids = text(model, 2, 0)
    assert torch.allclose(model(ids), model(ids))


@same_bug_as("returns_its_verdict_on_causality")
def answers_a_question(model):
    ids = text(model, 2, 1)
    return torch.allclose(model(ids[:, :4]), model(ids)[:, :4])


@same_bug_as("tries_one_text_only")
def reads_alone(model):
    ids = text(model, 1, 2)
    whole = model(ids)
    for n in range(1, ids.shape[1]):
        assert torch.allclose(model(ids[:, :n]), whole[:, :n])


@same_bug_as("never_tries_one_text")
def reads_in_company(model):
    ids = text(model, 5, 3)
    whole = model(ids)
    for n in range(1, ids.shape[1]):
        torch.testing.assert_close(model(ids[:, :n]), whole[:, :n], rtol=0, atol=1e-6)


@same_bug_as("never_takes_the_future_away")
def turns_the_future_around(model):
    for n_texts in (1, 4):
        ids = text(model, n_texts, 4)
        whole = model(ids)
        for n in range(1, ids.shape[1]):
            other = ids.clone()
            other[:, n:] = model.config.vocab_size - 1 - other[:, n:]
            other[:, n] = (ids[:, n] + 5) % model.config.vocab_size
            assert ((model(other) - whole)[:, :n].abs() < 1e-6).all()


@same_bug_as("compares_the_first_position_only")
def watches_the_first_word(model):
    for n_texts in (1, 4):
        ids = text(model, n_texts, 5)
        first = model(ids)[:, 0]
        for n in range(1, ids.shape[1]):
            assert torch.allclose(model(ids[:, :n])[:, 0], first)


# --- test_layer_norm ---


def norm_and_gradients(norm, x, weight, bias, *eps):
    """The output, and the gradients of a weighted sum of it."""
    tensors = [t.clone().requires_grad_() for t in (x, weight) + (() if bias is None else (bias,))]
    y = norm(*tensors, *(() if bias is not None else (None,)), *eps)
    slopes = torch.linspace(-1, 2, y.numel(), dtype=torch.float64).sin().view(y.shape)
    (y * slopes).sum().backward()
    return [y.detach(), *[t.grad for t in tensors]]


def torchs(x, weight, bias, eps=1e-5):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


def all_close(ours, theirs, tolerance=1e-6):
    return all(
        a.shape == b.shape and (a - b).abs().max() <= tolerance * (1 + b.abs().max())
        for a, b in zip(ours, theirs, strict=True)
    )


def vectors(seed, shape, size=1.0):
    rng = np.random.default_rng(seed)
    return [
        torch.tensor(a)
        for a in (size * rng.normal(size=shape) + 3, rng.normal(size=7) + 2, rng.normal(size=7))
    ]


SHAPES = ((7,), (3, 7), (7, 7), (2, 3, 7))


@same_bug_as("only_runs_layer_norm")
def it_runs(layer_norm):
    y = layer_norm(*vectors(0, (3, 7)))
    assert y is not None


@same_bug_as("returns_its_verdict_on_layer_norm")
def it_agrees(layer_norm):
    given = vectors(0, (3, 7))
    return bool((layer_norm(*given) - torchs(*given)).abs().max() < 1e-6)


@same_bug_as("never_compares_gradients")
def values_are_all(layer_norm):
    for shape in SHAPES:
        for size in (1.0, 2e-3):
            x, weight, bias = vectors(1, shape, size)
            for given in ((x, weight, bias), (x, weight, None), (x, weight, bias, 0.5)):
                assert all_close([layer_norm(*given)], [torchs(*given)])


@same_bug_as("compares_the_gradient_of_x_only")
def parameters_are_left_out(layer_norm):
    for shape in SHAPES:
        for size in (1.0, 2e-3):
            x, weight, bias = vectors(2, shape, size)
            for given in ((x, weight, bias), (x, weight, None), (x, weight, bias, 0.5)):
                ours = norm_and_gradients(layer_norm, *given)
                assert all_close(ours[:2], norm_and_gradients(torchs, *given)[:2])


@same_bug_as("tries_layer_norm_on_one_matrix")
def a_table_will_do(layer_norm):
    for size in (1.0, 2e-3):
        x, weight, bias = vectors(3, (3, 7), size)
        for given in ((x, weight, bias), (x, weight, None), (x, weight, bias, 0.5)):
            assert all_close(
                norm_and_gradients(layer_norm, *given), norm_and_gradients(torchs, *given)
            )


@same_bug_as("always_gives_a_bias")
def with_all_it_has(layer_norm):
    for shape in SHAPES:
        for size in (1.0, 2e-3):
            x, weight, bias = vectors(4, shape, size)
            for given in ((x, weight, bias), (x, weight, bias, 0.5)):
                assert all_close(
                    norm_and_gradients(layer_norm, *given), norm_and_gradients(torchs, *given)
                )


@same_bug_as("tries_a_fresh_layer_only")
def straight_from_the_factory(layer_norm):
    for shape in SHAPES:
        for size in (1.0, 2e-3):
            x, _, _ = vectors(5, shape, size)
            fresh = nn.LayerNorm(7).double()
            weight, bias = fresh.weight.detach(), fresh.bias.detach()
            for given in ((x, weight, bias), (x, weight, None), (x, weight, bias, 0.5)):
                ours = norm_and_gradients(layer_norm, *given)
                assert all_close(ours, norm_and_gradients(torchs, *given))


# --- test_cached_generation ---


def prompts(model, n_texts, n_tokens, seed=0):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.integers(0, model.config.vocab_size, (n_texts, n_tokens)))


def slowly(model, ids, n_new):
    for _ in range(n_new):
        ids = torch.cat([ids, model(ids)[:, -1:].argmax(-1)], 1)
    return ids


@same_bug_as("only_generates")
def writes_something(model, generate_cached):
    ids = generate_cached(model, prompts(model, 3, 2), 3)
    assert len(ids) == 3


@same_bug_as("returns_its_verdict_on_generation")
def says_whether_it_agrees(model, generate_cached):
    ids = prompts(model, 3, 2)
    return torch.equal(generate_cached(model, ids, 3), slowly(model, ids, 3))


@same_bug_as("asserts_the_length_of_the_text")
def counts_tokens(model, generate_cached):
    ids = prompts(model, 3, 4)
    found = generate_cached(model, ids, 3)
    assert found.shape == (3, 7)
    assert (found[:, :4] == ids).all()


@same_bug_as("asks_for_one_token")
def one_word_more(model, generate_cached):
    for n in (3, 2, 5, 6):
        ids = prompts(model, 9, n, n)
        assert torch.equal(generate_cached(model, ids, 1), slowly(model, ids, 1))


@same_bug_as("tries_prompts_of_one_token")
def begins_with_one(model, generate_cached):
    for n_new in (6, model.config.context_length - 1):
        ids = prompts(model, 24, 1)
        assert torch.equal(generate_cached(model, ids, n_new), slowly(model, ids, n_new))


@same_bug_as("generates_once")
def tells_one_long_story(model, generate_cached):
    ids = prompts(model, 50, 3)
    n_new = model.config.context_length - 3
    assert torch.equal(generate_cached(model, ids, n_new), slowly(model, ids, n_new))
