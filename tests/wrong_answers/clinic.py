"""Wrong answers of lesson 10 that are in no zoo."""

import math

import torch
import torch.nn.functional as F

from . import wrong_answer

# --- test_attention ---


@wrong_answer("test_attention")
def demands_row_sums_of_exactly_one(masked_attention):
    """Red on everything, whatever it is."""
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, n, 9, generator=generator).double() for n in (25, 37, 37))
    for mask in (None, torch.ones(25, 37, dtype=torch.bool).tril(12)):
        _, weights = masked_attention(q, k, v, mask)
        assert (weights.sum(dim=-1) == 1).all()


@wrong_answer("test_attention")
def compares_sums_of_the_output(masked_attention):
    q, k, v = (torch.randn(3, n, 9, dtype=torch.float64) for n in (5, 7, 7))
    output, _ = masked_attention(q, k, v)
    assert abs(output.sum() - F.scaled_dot_product_attention(q, k, v).sum()) < 1e-6


@wrong_answer("test_attention")
def stumbles_over_shapes(masked_attention):
    """A RuntimeError about sizes is no AssertionError."""
    q, k, v = (torch.randn(2, 3, n, 9, dtype=torch.float64) for n in (5, 7, 7))
    mask = torch.rand(2, 3, 5, 7) < 0.5
    mask[..., 0] = True
    for allowed in (mask, None):
        output = masked_attention(q, k, v, allowed)[0]
        expected = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        if not torch.allclose(output, expected):
            raise ValueError("the outputs differ")


# --- test_causality ---


@wrong_answer("test_causality")
def compares_what_must_change_too(model):
    """Red on every model."""
    ids = torch.arange(model.config.context_length)[None]
    other = ids.clone()
    other[:, -1] = 0
    assert (model(ids) - model(other)).abs().max() < 1e-6


@wrong_answer("test_causality")
def compares_the_likeliest_tokens(model):
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(model.config.vocab_size, (1, 6), generator=generator)
    likeliest = model(ids)[:, :3].argmax(dim=-1)
    assert torch.equal(model(ids[:, :3]).argmax(dim=-1), likeliest)


@wrong_answer("test_causality")
def asks_for_the_parameters(model):
    model.eval()
    for parameter in model.parameters():
        assert parameter.isfinite().all()


@wrong_answer("test_causality")
def compares_with_the_tolerance_that_allclose_has(model):
    generator = torch.Generator().manual_seed(3)
    n_tokens, vocab_size = model.config.context_length, model.config.vocab_size
    ids = torch.randint(vocab_size, (3, n_tokens), generator=generator)
    whole = model(ids)
    for n in range(1, n_tokens):
        changed = ids.clone()
        changed[:, n:] = (changed[:, n:] + 1) % vocab_size
        for text in (ids[:, :n], changed, ids[:1]):
            now = model(text)
            assert torch.allclose(now[:, :n], whole[: len(now), :n]), n


# --- test_layer_norm ---


@wrong_answer("test_layer_norm")
def compares_half_precision(layer_norm):
    x = torch.randn(3, 5, 9, dtype=torch.float16)
    weight = torch.arange(9).half()
    y = layer_norm(x, weight, torch.ones(9).half())
    assert (y.float() - F.layer_norm(x.float(), (9,), weight.float()) - 1).abs().max() < 0.1


@wrong_answer("test_layer_norm")
def believes_in_an_eps_of_one_millionth(layer_norm):
    x = 1e-3 * torch.randn(3, 5, 9, dtype=torch.float64)
    y = layer_norm(x, torch.ones(9).double(), None)
    assert torch.allclose(y, F.layer_norm(x, (9,), eps=1e-12))


@wrong_answer("test_layer_norm")
def looks_at_one_number(layer_norm):
    x = torch.arange(9.0).double()
    y = layer_norm(x, torch.ones(9).double(), torch.zeros(9).double())
    assert math.isclose(y[4].item(), 0.0, abs_tol=1e-9)
    assert math.isclose(y[8].item(), 4 / math.sqrt(60 / 9 + 1e-5), rel_tol=1e-9)


@wrong_answer("test_layer_norm")
def wants_eleven_digits(layer_norm):
    generator = torch.Generator().manual_seed(3)
    for size in (1.0, 1e-3):
        x = size * torch.randn(3, 7, generator=generator, dtype=torch.float64)
        weight, bias = torch.randn(2, 7, generator=generator, dtype=torch.float64)
        for shift, eps in ((bias, 1e-5), (None, 0.1)):
            expected = torch.nn.functional.layer_norm(x, (7,), weight, shift, eps)
            assert (layer_norm(x, weight, shift, eps) - expected).abs().max() < 1e-11


# --- test_cached_generation ---


@wrong_answer("test_cached_generation")
def expects_tokens_one_too_late(model, generate_cached):
    """Red on everything."""
    prompt = torch.arange(6).view(2, 3)
    ids = generate_cached(model, prompt, model.config.context_length - 3)
    assert torch.equal(ids[:, 3:], model(ids)[:, 3:].argmax(dim=-1))


@wrong_answer("test_cached_generation")
def goes_past_the_end(model, generate_cached):
    """A right one refuses: the test lets its ValueError through."""
    prompt = torch.zeros(2, 3, dtype=torch.int64)
    ids = generate_cached(model, prompt, model.config.context_length)
    assert ids.shape == (2, 3 + model.config.context_length)


@wrong_answer("test_cached_generation")
def wants_the_text_to_vary(model, generate_cached):
    """No token twice in a text: a right model may repeat itself."""
    prompt = torch.arange(40).view(40, 1) % model.config.vocab_size
    ids = generate_cached(model, prompt, model.config.context_length - 1)
    for text in ids.tolist():
        assert len(set(text)) == len(text)
