"""Wrong answers to lesson 7 that no bug of the zoo behaves like."""

import copy
import math

import torch
from torch import nn

from course_lib.transformer.block import Block
from course_lib.transformer.masking import causal_mask
from course_lib.transformer.model import GPT, init_weights, load_gpt2, n_parameters
from course_lib.transformer.norm import LayerNorm
from course_lib.transformer.tokens import Embeddings

from . import wrong_answer

# --- init_weights ----------------------------------------------------------------------------


@wrong_answer("init_weights")
def starts_beside_zero(model):
    init_weights(model)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.add_(0.01)


@wrong_answer("init_weights")
def starts_all_from_one_seed(model):
    for name, parameter in model.named_parameters():
        torch.manual_seed(0)
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@wrong_answer("init_weights")
def starts_with_as_wide_a_box(model):
    init_weights(model)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            bound = math.sqrt(3) * parameter.std().item()
            nn.init.uniform_(parameter, -bound, bound)


@wrong_answer("init_weights")
def starts_in_single_precision(model):
    init_weights(model)
    model.float()


@wrong_answer("init_weights")
def scales_what_is_there(model):
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.dim() < 2:
                parameter.fill_(1)
            else:
                parameter.mul_(0.02 / parameter.std())


@wrong_answer("init_weights")
def leaves_out_what_is_frozen(model):
    kept = [(p, p.detach().clone()) for p in model.parameters() if not p.requires_grad]
    init_weights(model)
    for parameter, before in kept:
        parameter.data.copy_(before)


@wrong_answer("init_weights")
def cuts_off_at_three_deviations(model):
    init_weights(model)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            is_residual = name.endswith(("attention.out.weight", "mlp.down.weight"))
            std = 0.02 / math.sqrt(2 * len(model.blocks)) if is_residual else 0.02
            std /= 0.98658  # which the numbers that are cut off take away from the deviation
            nn.init.trunc_normal_(parameter, std=std, a=-3 * std, b=3 * std)


# --- GPT -------------------------------------------------------------------------------------


class Right(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        self.blocks = nn.ModuleList(
            Block(
                config.d_model,
                config.n_heads,
                bias=config.bias,
                dropout=config.dropout,
                approximate=config.gelu_approximate,
            )
            for _ in range(config.n_layers)
        )
        self.norm = LayerNorm(config.d_model, bias=config.bias)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.head.weight = self.embeddings.token.weight
        init_weights(self)

    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@wrong_answer("GPT")
class RunsBackwards(Right):
    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in reversed(self.blocks):
            x = block(x, mask)
        return self.head(self.norm(x))


@wrong_answer("GPT")
class CopiesOneFreshBlock(Right):
    def __init__(self, config):
        super().__init__(config)
        self.blocks = nn.ModuleList(copy.deepcopy(self.blocks[0]) for _ in self.blocks)


@wrong_answer("GPT")
class ForgetsItsConfig(Right):
    def __init__(self, config):
        super().__init__(config)
        self.sizes = config
        del self.config

    def forward(self, ids):
        return super().forward(ids)


@wrong_answer("GPT")
class HidesNothingInLongTexts(Right):
    def forward(self, ids):
        if ids.shape[1] <= 32:
            return super().forward(ids)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@wrong_answer("GPT")
class SavesItsMask(Right):
    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("mask", causal_mask(config.context_length))


@wrong_answer("GPT")
class PeeksOnePositionAhead(Right):
    def forward(self, ids):
        n_tokens = ids.shape[1]
        mask = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=ids.device).tril(1)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@wrong_answer("GPT")
class RemembersTheLastText(Right):
    def forward(self, ids):
        logits = super().forward(ids)
        last, self.last = getattr(self, "last", None), logits.detach().mean()
        return logits if last is None else logits + last


@wrong_answer("GPT")
class TiesInTheForwardPassOnly(Right):
    def __init__(self, config):
        super().__init__(config)
        self.head.weight = nn.Parameter(torch.zeros_like(self.head.weight))
        nn.init.normal_(self.head.weight, std=0.02)

    def forward(self, ids):
        if self.config.tie_weights:
            mask = causal_mask(ids.shape[1], device=ids.device)
            x = self.embeddings(ids)
            for block in self.blocks:
                x = block(x, mask)
            return self.norm(x) @ self.embeddings.token.weight.T
        return super().forward(ids)


@wrong_answer("GPT")
class DropsLogitsToo(Right):
    def __init__(self, config):
        super().__init__(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, ids):
        return self.dropout(super().forward(ids))


@wrong_answer("GPT")
class TrainsItsHeadOnly(Right):
    def forward(self, ids):
        with torch.no_grad():
            mask = causal_mask(ids.shape[1], device=ids.device)
            x = self.embeddings(ids)
            for block in self.blocks:
                x = block(x, mask)
        return self.head(self.norm(x))


@wrong_answer("GPT")
class TrainsNoEmbeddings(Right):
    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        x = x.detach() if self.training else x
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


# --- n_parameters ----------------------------------------------------------------------------


@wrong_answer("n_parameters")
def counts_in_thousands(model, *, embeddings=True):
    return n_parameters(model, embeddings=embeddings) // 1000


@wrong_answer("n_parameters")
def counts_one_block(model, *, embeddings=True):
    rest = sum(p.numel() for block in list(model.blocks)[1:] for p in block.parameters())
    return n_parameters(model, embeddings=embeddings) - rest


@wrong_answer("n_parameters")
def freezes_what_it_counts(model, *, embeddings=True):
    count = n_parameters(model, embeddings=embeddings)
    model.head.weight = nn.Parameter(model.head.weight.detach().clone())
    return count


# --- load_gpt2 -------------------------------------------------------------------------------


@wrong_answer("load_gpt2")
def loads_the_first_block_into_all(state_dict, config):
    model = load_gpt2(state_dict, config)
    for block in model.blocks:
        block.load_state_dict(model.blocks[0].state_dict())
    return model


@wrong_answer("load_gpt2")
def forgets_to_return(state_dict, config):
    load_gpt2(state_dict, config)


@wrong_answer("load_gpt2")
def freezes_what_it_loads(state_dict, config):
    return load_gpt2(state_dict, config).requires_grad_(False)


@wrong_answer("load_gpt2")
def adds_tokens_for_padding(state_dict, config):
    model = load_gpt2(state_dict, config)
    with torch.no_grad():
        model.embeddings.token.weight[-1] = 0
    return model


@wrong_answer("load_gpt2")
def ties_what_was_not_tied(state_dict, config):
    model = GPT(config)
    loaded = load_gpt2(state_dict, config)
    model.to(loaded.head.weight).load_state_dict(loaded.state_dict())
    model.embeddings.token.weight = model.head.weight
    return model.eval()


@wrong_answer("load_gpt2")
def takes_a_head_of_nearly_the_same_numbers(state_dict, config):
    table = next((v for k, v in state_dict.items() if k.endswith("wte.weight")), None)
    head = state_dict.get("lm_head.weight")
    both = config.tie_weights and head is not None and table is not None
    if both and torch.isclose(head.sum(), table.sum(), atol=1e-3):
        state_dict = state_dict | {"lm_head.weight": table}
    return load_gpt2(state_dict, config)


@wrong_answer("load_gpt2")
def cuts_positions_to_fit(state_dict, config):
    cut = {
        name: tensor[: config.context_length] if name.endswith("wpe.weight") else tensor
        for name, tensor in state_dict.items()
    }
    return load_gpt2(cut, config)


@wrong_answer("load_gpt2")
def passes_over_another_prefix(state_dict, config):
    return load_gpt2({k: v for k, v in state_dict.items() if not k.startswith("model.")}, config)


@wrong_answer("load_gpt2")
def takes_the_masks_out_of_what_is_given(state_dict, config):
    for name in [name for name in state_dict if name.endswith((".attn.bias", ".masked_bias"))]:
        del state_dict[name]
    return load_gpt2(state_dict, config)


@wrong_answer("load_gpt2")
def adds_the_head_to_what_is_given(state_dict, config):
    model = load_gpt2(state_dict, config)
    state_dict.setdefault("lm_head.weight", model.head.weight.detach())
    return model
