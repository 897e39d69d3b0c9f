"""The model beside Hugging Face's GPT-2, and what its config refuses."""

import dataclasses

import numpy as np
import pytest
import torch

from course_lib.checks.observe.given.config import ReferenceConfig
from course_lib.checks.observe.lent.models import ReferenceGPT
from course_lib.transformer.model import GPT, GPTConfig, init_weights, load_gpt2, n_parameters

SIZES = {"vocab_size": 17, "context_length": 11, "d_model": 20, "n_heads": 5, "n_layers": 3}


def config_with(**changes) -> GPTConfig:
    return GPTConfig(**({**SIZES, "gelu_approximate": "tanh"} | changes))


def hugging_face(config: GPTConfig, seed: int = 0):
    """Hugging Face's model with random weights, biases and norms included."""
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    model = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=config.vocab_size,
            n_positions=config.context_length,
            n_embd=config.d_model,
            n_head=config.n_heads,
            n_layer=config.n_layers,
            activation_function="gelu_new" if config.gelu_approximate == "tanh" else "gelu",
            tie_word_embeddings=config.tie_weights,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"n_layers": 1, "n_heads": 1},
        {"tie_weights": False},
        {"gelu_approximate": "none"},
        {"d_model": 12, "n_heads": 3, "n_layers": 11},
    ],
    ids=str,
)
def test_loaded_weights_give_the_logits_of_hugging_face(changes):
    config = config_with(**changes)
    theirs = hugging_face(config).double()
    ours = load_gpt2(theirs.state_dict(), config)
    ids = torch.randint(config.vocab_size, (3, 11), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.allclose(ours(ids), theirs(ids).logits, rtol=1e-9, atol=1e-9)


def test_the_model_without_its_head_saves_no_prefix_and_is_loaded_too():
    config = config_with()
    theirs = hugging_face(config)
    state = theirs.transformer.state_dict()
    assert "wte.weight" in state
    ids = torch.arange(11)[None]
    with torch.no_grad():
        assert torch.allclose(load_gpt2(state, config)(ids), theirs(ids).logits, atol=1e-4)


def test_gpt2_small_has_124_million_parameters():
    with torch.device("meta"):
        model = GPT(GPTConfig(50257, 1024, 768, 12, 12))
    assert n_parameters(model) == 124_439_808
    assert n_parameters(model, embeddings=False) == 85_056_000


@pytest.mark.parametrize("name", ["vocab_size", "context_length", "d_model", "n_heads", "n_layers"])
@pytest.mark.parametrize("size", [0, -3, 2.5, "4", None])
def test_sizes_that_cannot_work_are_refused_with_name_and_value(name, size):
    with pytest.raises(ValueError, match=f"{name}={size}"):
        config_with(**{name: size})


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_heads": 3}, "n_heads=3 and d_model=20"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dropout": -0.1}, "dropout=-0.1"),
        ({"gelu_approximate": "relu"}, "gelu_approximate='relu'"),
    ],
    ids=str,
)
def test_what_else_cannot_work_is_refused_with_name_and_value(changes, said):
    with pytest.raises(ValueError, match=said):
        config_with(**changes)


def test_whole_numbers_of_other_types_are_sizes_too():
    assert config_with(vocab_size=np.int64(5)).vocab_size == 5


def test_a_config_can_be_replaced_but_not_changed():
    config = config_with()
    assert dataclasses.replace(config, n_layers=1).n_layers == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.n_layers = 1


def test_the_reference_of_the_checks_has_the_same_fields_and_defaults():
    ours, reference = dataclasses.fields(GPTConfig), dataclasses.fields(ReferenceConfig)
    assert [(f.name, f.default) for f in ours] == [(f.name, f.default) for f in reference]


def test_the_reference_of_the_checks_agrees_with_hugging_face_as_well():
    config = config_with()
    theirs = hugging_face(config).double()
    reference = ReferenceGPT(config, seed=0).double().eval()
    reference.load_state_dict(load_gpt2(theirs.state_dict(), config).state_dict())
    ids = torch.arange(11)[None]
    with torch.no_grad():
        assert torch.allclose(reference(ids), theirs(ids).logits, rtol=1e-9, atol=1e-9)


def test_a_step_on_a_tied_tensor_moves_both_and_a_step_on_another_one_alone():
    ids = torch.arange(11)[None]
    for tie_weights in (True, False):
        model = GPT(config_with(tie_weights=tie_weights))
        optimizer = torch.optim.SGD([model.head.weight], lr=1.0)
        before = model.embeddings.token.weight.detach().clone()
        model(ids).square().sum().backward()
        optimizer.step()
        assert torch.equal(model.embeddings.token.weight, before) != tie_weights
        assert {"head.weight", "embeddings.token.weight"} <= model.state_dict().keys()


def test_weights_that_were_loaded_can_be_given_new_first_weights():
    model = load_gpt2(hugging_face(config_with()).state_dict(), config_with())
    init_weights(model)
    assert model.norm.weight.eq(1).all()
    assert model.head.weight is model.embeddings.token.weight
