"""The decoder gives the logits of the model, however the text is fed to it."""

import copy

import pytest
import torch

from course_lib.models.ours.decoding import Decoder
from course_lib.transformer.model import GPT, GPTConfig


def model_and_ids(batch_size, **options):
    torch.manual_seed(0)
    config = GPTConfig(37, context_length=19, d_model=20, n_heads=5, n_layers=3, **options)
    model = GPT(config).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model, torch.randint(37, (batch_size, 13))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("chunks", [[13], [1] * 13, [5, 1, 1, 4, 2], [1, 12]])
def test_logits_are_the_models_own_for_every_split(batch_size, bias, chunks):
    model, ids = model_and_ids(batch_size, bias=bias)
    decoder, end = Decoder(model, batch_size, 13), 0
    for part in ids.split(chunks, dim=1):
        end += part.shape[1]
        with torch.no_grad():
            expected = model(ids[:, :end])[:, -1]
        assert torch.allclose(decoder.feed(part), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-5), (torch.bfloat16, 0.05)])
def test_logits_agree_in_the_formats_whose_weights_are_ordered_anew(batch_size, bias, dtype, most):
    model, ids = model_and_ids(batch_size, bias=bias)
    rough = copy.deepcopy(model).to(dtype)
    exact, decoder, end = copy.deepcopy(rough).double(), Decoder(rough, batch_size, 13), 0
    for part in ids.split([5, 1, 1, 4, 2], dim=1):
        end += part.shape[1]
        with torch.no_grad():
            expected = exact(ids[:, :end])[:, -1]
        found = decoder.feed(part)
        assert found.dtype == dtype
        assert (found.double() - expected).abs().max() < most * expected.abs().max()


def test_without_the_operators_the_layers_themselves_decode(monkeypatch):
    model, ids = model_and_ids(2)
    model.float()
    fast = Decoder(model, 2, 13).feed(ids)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert torch.allclose(Decoder(model, 2, 13).feed(ids), fast, rtol=1e-4, atol=1e-4)


def test_after_a_reset_nothing_of_the_text_before_is_left():
    model, ids = model_and_ids(2)
    decoder = Decoder(model, 2, 13)
    first = decoder.feed(ids[:, :6])
    decoder.feed(ids[:, 6:])
    decoder.reset()
    assert torch.equal(decoder.feed(ids[:, :6]), first)


def test_more_than_the_context_is_refused():
    model, _ = model_and_ids(1)
    with pytest.raises(ValueError, match="capacity=20 and context_length=19"):
        Decoder(model, 1, 20)
