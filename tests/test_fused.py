"""The fused model is the plain one: same weights, same logits, same gradients."""

import copy

import pytest
import torch

from course_lib.models.ours.fused import SHORT, causal_attention, fuse
from course_lib.transformer.model import GPT, GPTConfig
from course_lib.transformer.training import next_token_loss

CONFIGS = [
    GPTConfig(vocab_size=37, context_length=19, d_model=20, n_heads=5, n_layers=3),
    GPTConfig(
        vocab_size=11, context_length=7, d_model=9, n_heads=1, n_layers=1,
        bias=False, tie_weights=False, gelu_approximate="tanh",
    ),
]  # fmt: skip


def plain_and_fused(config):
    torch.manual_seed(0)
    plain = GPT(config).double()
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return plain, fuse(copy.deepcopy(plain))


@pytest.mark.parametrize("config", CONFIGS)
def test_logits_and_gradients_are_those_of_the_plain_model(config):
    plain, fused = plain_and_fused(config)
    ids = torch.randint(config.vocab_size, (3, config.context_length))
    assert torch.allclose(plain(ids), fused(ids), rtol=1e-10, atol=1e-12)
    for model in (plain, fused):
        next_token_loss(model(ids[:, :-1]), ids[:, 1:]).backward()
    for one, other in zip(plain.parameters(), fused.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-8, atol=1e-10)


def test_names_weights_and_ties_stay():
    plain, fused = plain_and_fused(CONFIGS[0])
    assert list(plain.state_dict()) == list(fused.state_dict())
    assert fused.head.weight is fused.embeddings.token.weight
    assert isinstance(fused, GPT)


def test_a_mask_is_obeyed_and_none_means_causal():
    _, fused = plain_and_fused(CONFIGS[0])
    x, attention = torch.randn(2, 6, 20, dtype=torch.float64), fused.blocks[0].attention
    causal = torch.ones(6, 6, dtype=torch.bool).tril()
    assert torch.allclose(attention(x), attention(x, causal))
    window = causal & torch.ones(6, 6, dtype=torch.bool).triu(-1)
    assert not torch.allclose(attention(x), attention(x, window))


def test_dropout_falls_in_training_only():
    config = GPTConfig(
        vocab_size=37, context_length=19, d_model=20, n_heads=5, n_layers=2, dropout=0.5
    )
    model = fuse(GPT(config))
    ids = torch.randint(37, (2, 9))
    assert not torch.equal(model(ids), model(ids))
    model.eval()
    assert torch.equal(model(ids), model(ids))


@pytest.mark.parametrize("n", [1, 7, SHORT, SHORT + 1])
@pytest.mark.parametrize("is_cast", [False, True])
def test_attention_in_bfloat16_is_that_of_float64_both_ways_it_is_computed(n, is_cast):
    torch.manual_seed(n)
    exact = [torch.randn(2, 3, n, 8).bfloat16().double().requires_grad_() for _ in range(3)]
    rough = [part.detach().bfloat16().requires_grad_() for part in exact]
    weights = (exact[0] @ exact[1].mT / 8**0.5).masked_fill(
        torch.ones(n, n, dtype=torch.bool).triu(1), float("-inf")
    )
    expected = weights.softmax(-1) @ exact[2]
    with torch.autocast("cpu", torch.bfloat16, enabled=is_cast):
        found = causal_attention(*rough)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.double(), expected, atol=0.04)
    cotangent = torch.randn_like(expected).bfloat16()
    gradients = torch.autograd.grad(found, rough, cotangent)
    wanted = torch.autograd.grad(expected, exact, cotangent.double())
    for one, other in zip(gradients, wanted, strict=True):
        assert (one.double() - other).abs().max() < 0.03 * max(1.0, other.abs().max())


def test_attention_in_bfloat16_drops_weights_and_keeps_their_mean():
    v = torch.ones(4, 5, 64, 3, dtype=torch.bfloat16)
    found = causal_attention(torch.zeros_like(v), torch.zeros_like(v), v, 0.5)
    assert len(found[..., -1, :].unique()) > 3
    assert abs(found.float().mean() - 1.0) < 0.1
