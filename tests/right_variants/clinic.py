"""Right ways to write lesson 10 that differ from ours."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from . import variant

# --- test_attention --------------------------------------------------------------------------


@variant(
    "test_attention", title="against fused attention, its weights by unit vectors; assert_close"
)
def test_attention_by_the_fused_kernel(masked_attention):
    generator = torch.Generator().manual_seed(1)
    for leading in [(4,), (3, 2), ()]:
        for far in (0.0, 2000.0):
            for n in (6, 8):
                q = torch.randn(*leading, n, 5, generator=generator, dtype=torch.float64) - far
                k = torch.randn(*leading, 8, 5, generator=generator, dtype=torch.float64) + far
                v = torch.randn(*leading, 8, 3, generator=generator, dtype=torch.float64)
                unit = torch.eye(8, dtype=torch.float64).expand(*leading, 8, 8)
                masks = [None, torch.rand(*leading, n, 8, generator=generator) > 0.6]
                for mask in masks:
                    got = masked_attention(q, k, v, mask)
                    assert isinstance(got, tuple)
                    assert len(got) == 2
                    for result, values in zip(got, (v, unit), strict=True):
                        if mask is None:
                            wanted = F.scaled_dot_product_attention(q, k, values)
                        else:
                            empty = ~mask.any(-1, keepdim=True)
                            wanted = F.scaled_dot_product_attention(
                                q, k, values, attn_mask=mask | empty
                            ).masked_fill(empty, 0.0)
                        torch.testing.assert_close(result, wanted, rtol=1e-6, atol=1e-6)
                    if mask is not None:
                        assert (got[1][~mask] == 0).all()


@variant("test_attention", title="number by number in NumPy")
def test_attention_number_by_number(masked_attention):
    rng = np.random.default_rng(2)
    for n_queries, far in ((3, 0.0), (5, 0.0), (3, 4000.0)):
        q = rng.normal(size=(3, 2, n_queries, 7)) + far
        k = rng.normal(size=(3, 2, 5, 7)) - far
        v = rng.normal(size=(3, 2, 5, 4))
        mask = rng.random((3, 2, n_queries, 5)) < 0.6
        mask[1, 0, 0] = False
        for allowed in (np.ones_like(mask), mask):
            weights = np.zeros(mask.shape)
            for place in np.ndindex(mask.shape[:-1]):
                seen = [s for s in range(5) if allowed[(*place, s)]]
                scores = [q[place] @ k[(*place[:-1], s)] / math.sqrt(7) for s in seen]
                exponentials = [math.exp(score - max(scores)) for score in scores]
                for s, number in zip(seen, exponentials, strict=True):
                    weights[(*place, s)] = number / sum(exponentials)
            for one in (slice(None), (slice(None), 0), (0, 0)):  # with heads, without, one matrix
                given = None if allowed.all() else torch.tensor(allowed[one])
                tensors = [torch.tensor(array[one]) for array in (q, k, v)]
                output, got = masked_attention(*tensors, given)
                assert got.dtype == output.dtype == torch.float64
                assert got.shape == weights[one].shape
                assert output.shape == (*weights[one].shape[:-1], 4)
                assert np.allclose(got, weights[one], rtol=0, atol=1e-6)
                assert np.allclose(output, weights[one] @ v[one], rtol=0, atol=1e-6)


@variant("test_attention", title="laws only: what must stay, what must not count, one case by hand")
def test_attention_by_its_laws(masked_attention):
    generator = torch.Generator().manual_seed(3)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def near(one, other):
        assert one.shape == other.shape
        assert one.dtype == other.dtype
        assert torch.isfinite(one).all()
        assert (one - other).abs().max() < 1e-6

    for leading in ((), (3,), (3, 2)):
        for n_queries in (5, 9):
            q, k, v = draw(*leading, n_queries, 4), draw(*leading, 9, 4), draw(*leading, 9, 6)
            mask = draw(*leading, n_queries, 9) > 0
            mask[..., 1, :] = False
            mask[..., 0, 3] = True
            for allowed in (None, mask):
                seen = torch.ones_like(mask) if allowed is None else mask
                for turn in (1.0, 50.0):
                    output, weights = masked_attention(turn * q, k, v, allowed)
                    near(weights.sum(-1), seen.any(-1).double())
                    near(weights * ~seen, torch.zeros_like(weights))
                    near(output, weights @ v)
                    # Two visible keys: the ratio of their weights is e to the difference of scores.
                    scores = turn * q @ k.mT / 2
                    logs = (weights + ~seen).clamp(min=1e-300).log()
                    large = seen & (weights > 1e-9)
                    best = scores.masked_fill(~seen, -math.inf).amax(-1, keepdim=True)
                    top = logs.masked_fill(~seen, -math.inf).amax(-1, keepdim=True)
                    off = ((logs - top) - (scores - best))[large]
                    near(off, torch.zeros_like(off))
                # A hidden key may be as loud as it likes, and all scores as low as they like.
                far = k.clone()
                far[..., 3, :] += 1e4 * q[..., 2:3, :].squeeze(-2)
                hidden = seen.clone()
                hidden[..., 3] = False
                near(
                    masked_attention(q, far, v, hidden)[0],
                    masked_attention(q, k, v, hidden)[0],
                )
            low = torch.cat([q, torch.ones_like(q[..., :1])], -1)
            lowered = torch.cat([k, torch.full_like(k[..., :1], -1e6)], -1)
            same = torch.cat([k, torch.zeros_like(k[..., :1])], -1)
            for one, other in zip(
                masked_attention(low, lowered, v, mask),
                masked_attention(low, same, v, mask),
                strict=True,
            ):
                near(one, other)


# --- test_causality --------------------------------------------------------------------------


@variant("test_causality", title="every beginning by itself, in batches and alone")
def test_causality_by_beginnings(model):
    n_tokens = model.config.context_length
    rng = np.random.default_rng(5)
    texts = rng.integers(0, model.config.vocab_size, (4, n_tokens))
    for some in (texts, texts[1:2]):
        whole = np.asarray(model(torch.tensor(some)))
        for n in range(1, n_tokens):
            beginning = np.asarray(model(torch.tensor(some[:, :n])))
            assert np.allclose(beginning, whole[:, :n], rtol=0, atol=1e-6), n


@variant(
    "test_causality", title="one token at a time is added, and each must leave the others alone"
)
def test_causality_token_by_token(model):
    generator = torch.Generator().manual_seed(7)
    for n_texts in (1, 2):
        shape = (n_texts, model.config.context_length)
        ids = torch.randint(model.config.vocab_size, shape, generator=generator)
        before = model(ids[:, :1].tolist())
        for n in range(2, shape[1] + 1):
            now = model(ids[:, :n].tolist())
            torch.testing.assert_close(now[:, :-1], before, rtol=0, atol=1e-7)
            before = now


@variant("test_causality", title="relative error, all futures of a text in one batch")
def test_causality_with_all_futures_at_once(model):
    n, vocab = model.config.context_length, model.config.vocab_size
    generator = torch.Generator().manual_seed(8)
    for t in range(n - 1):
        past = torch.randint(vocab, (1, t + 1), generator=generator)
        futures = torch.randint(vocab, (6, n - t - 1), generator=generator)
        texts = torch.cat([past.expand(6, -1), futures], dim=1)
        logits = model(texts)[:, : t + 1]
        spread = (logits - logits[:1]).abs().max() / logits.abs().max()
        assert spread < 1e-6
        for alone in (model(past), model(texts[3:4])[:, : t + 1]):
            assert not ((alone - logits[:1]).abs() >= 1e-6).any()
            assert not alone.isnan().any()


# --- test_layer_norm -------------------------------------------------------------------------


@variant("test_layer_norm", title="against nn.LayerNorm, gradients by backward()")
def test_layer_norm_by_the_module(layer_norm):
    torch.manual_seed(4)
    for shape in [(6,), (6, 6), (4, 6), (2, 4, 6), (2, 1, 3, 6)]:
        for scale in (1.0, 0.002):
            for has_bias, eps in ((True, 1e-5), (False, 1e-5), (True, 0.3)):
                module = nn.LayerNorm(6, eps=eps, bias=has_bias).double()
                for parameter in module.parameters():
                    nn.init.normal_(parameter, 1.5)
                x = (1 + scale * torch.randn(shape).double()).requires_grad_()
                inputs = [x, module.weight, *([module.bias] if has_bias else [])]
                copies = [t.detach().clone().requires_grad_() for t in inputs]
                got = layer_norm(
                    *copies, *([] if has_bias else [None]), *([] if eps == 1e-5 else [eps])
                )
                wanted = module(x)
                torch.testing.assert_close(got, wanted, rtol=1e-6, atol=1e-6)
                slopes = torch.randn(shape).double()
                (got * slopes).sum().backward()
                (wanted * slopes).sum().backward()
                for one, other in zip(copies, inputs, strict=True):
                    torch.testing.assert_close(one.grad, other.grad, rtol=1e-5, atol=1e-6)


@variant("test_layer_norm", title="values vector by vector in NumPy, gradients by gradcheck")
def test_layer_norm_by_gradcheck(layer_norm):
    rng = np.random.default_rng(6)
    for shape in ((5,), (2, 5), (2, 3, 5)):
        for scale in (1.0, 3e-3):
            x = scale * rng.normal(size=shape) + 1
            weight, bias = rng.normal(size=5) + 2, rng.normal(size=5)
            tensors = [torch.tensor(a, requires_grad=True) for a in (x, weight, bias)]
            for b, eps in ((bias, None), (None, None), (bias, 0.2)):
                flat = []
                for vector in x.reshape(-1, 5):
                    spread = math.sqrt(sum((vector - vector.mean()) ** 2) / 5 + (eps or 1e-5))
                    flat.append(
                        (vector - vector.mean()) / spread * weight + (0 if b is None else b)
                    )
                given = [*tensors[:2], None if b is None else tensors[2], *([eps] if eps else [])]
                got = layer_norm(*given)
                assert tuple(got.shape) == shape
                assert np.abs(got.detach().numpy().reshape(-1, 5) - np.array(flat)).max() < 1e-6
        if len(shape) == 2:
            near_enough = {"eps": 1e-7, "atol": 1e-3, "rtol": 1e-3, "raise_exception": False}
            assert torch.autograd.gradcheck(layer_norm, tensors, **near_enough)


@variant("test_layer_norm", title="the gradients' formulas, worked out on paper")
def test_layer_norm_by_formulas(layer_norm):
    generator = torch.Generator().manual_seed(9)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    for shape in ((4, 3, 11), (3, 11), (11, 11), (11,)):
        for scale in (2.0, 1e-3):
            for eps in (1e-5, 0.05):
                for has_bias in (True, False):
                    x = (scale * draw(*shape) - 3).requires_grad_()
                    w = (draw(11) * 2).requires_grad_()
                    b = draw(11).requires_grad_()
                    extra = {} if eps == 1e-5 else {"eps": eps}
                    y = layer_norm(x, w, b if has_bias else None, **extra)
                    with torch.no_grad():
                        centred = x - x.sum(-1, keepdim=True) / 11
                        root = ((centred**2).sum(-1, keepdim=True) / 11 + eps) ** 0.5
                        n = centred / root
                        g = draw(*shape)
                        h = g * w
                        dx = (
                            h - h.mean(-1, keepdim=True) - n * (h * n).mean(-1, keepdim=True)
                        ) / root
                        rows = (-1, 11)
                        expected = [dx, (g * n).reshape(rows).sum(0), g.reshape(rows).sum(0)]
                        value = n * w + (b if has_bias else 0)
                    assert y.shape == value.shape
                    assert torch.all((y - value).abs() < 1e-6)
                    wanted = [x, w, b] if has_bias else [x, w]
                    found = torch.autograd.grad((y * g).sum(), wanted)
                    for one, other in zip(found, expected, strict=False):
                        assert torch.all((one - other).abs() < 1e-6 * (1 + other.abs().max()))


# --- test_cached_generation ------------------------------------------------------------------


@variant("test_cached_generation", title="step by step beside generation without a cache")
def test_cached_generation_step_by_step(model, generate_cached):
    end = model.config.context_length
    torch.manual_seed(10)
    for n in (1, 2, 3, 5, end - 1):
        ids = torch.randint(model.config.vocab_size, (6, n))
        got = generate_cached(model, ids, end - n, temperature=0)
        while ids.shape[1] < end:
            ids = torch.cat([ids, model(ids)[:, -1].argmax(-1, keepdim=True)], 1)
        assert got.tolist() == ids.tolist()


@variant("test_cached_generation", title="in one go and in two, and each token the model's choice")
def test_cached_generation_in_two_goes(model, generate_cached):
    end, vocab = model.config.context_length, model.config.vocab_size
    rng = np.random.default_rng(11)
    for n in range(1, end - 1):
        prompt = torch.tensor(rng.integers(0, vocab, (4, n)))
        whole = generate_cached(model, prompt, end - n)
        assert whole.shape[1] == end
        half = generate_cached(model, prompt, (end - n) // 2)
        assert torch.equal(half, whole[:, : half.shape[1]])
        assert torch.equal(generate_cached(model, half, end - half.shape[1]), whole)
        assert torch.equal(generate_cached(model, prompt, 0), prompt)
        choice = model(whole).argmax(-1)
        assert torch.equal(whole, torch.cat([prompt, choice[:, n - 1 : -1]], 1))


@variant(
    "test_cached_generation", title="each new token has the highest logit, by a margin of 1e-9"
)
def test_cached_generation_by_logits(model, generate_cached):
    generator = torch.Generator().manual_seed(12)
    end = model.config.context_length
    for n in (end - 2, 4, 1, 2, 3, 4):
        prompt = torch.randint(model.config.vocab_size, (7, n), generator=generator)
        ids = generate_cached(model, prompt, end - n)
        if ids.shape != (7, end) or (ids[:, :n] != prompt).any():
            raise AssertionError(f"expected {7, end} tokens behind the prompt, got {ids.shape}")
        logits = model(ids)[:, n - 1 : -1]
        chosen = logits.gather(-1, ids[:, n:, None])
        if not (chosen >= logits.amax(-1, keepdim=True) - 1e-9).all():
            raise AssertionError("a token was chosen that is not the likeliest")
