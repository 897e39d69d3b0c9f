"""Lesson 7: the whole model, its first weights, its size, and the weights of GPT-2."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import torch
from torch import Tensor, nn

from .block import Block
from .masking import causal_mask
from .norm import LayerNorm
from .shapes import Float, Int
from .tokens import Embeddings


@dataclass(frozen=True)
class GPTConfig:
    """The sizes of a model, and what it is made of.

    With `bias`, norms and linear layers have one, the head aside. With
    `tie_weights` the head is the token embedding. `gelu_approximate` says
    which GELU, as in `gelu`.

    Raises:
        ValueError: a size that cannot work; the message names it.
    """

    vocab_size: int
    context_length: int
    d_model: int
    n_heads: int
    n_layers: int
    dropout: float = 0.0
    bias: bool = True
    tie_weights: bool = True
    gelu_approximate: str = "none"

    def __post_init__(self):
        for name in (
            "vocab_size",
            "context_length",
            "d_model",
            "n_heads",
            "n_layers",
        ):
            size = getattr(self, name)
            if not isinstance(size, Integral) or size < 1:
                raise ValueError(
                    f"{name} must be a whole number of at least 1, "
                    f"got {name}={size}."
                )
        if self.d_model % self.n_heads != 0:
            raise ValueError(
                f"n_heads must divide d_model, got n_heads={self.n_heads} "
                f"and d_model={self.d_model}."
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(
                "dropout must be 0 or more and below 1, "
                f"got dropout={self.dropout}."
            )
        if self.gelu_approximate not in ("none", "tanh"):
            raise ValueError(
                'gelu_approximate must be "none" or "tanh", '
                f"got gelu_approximate={self.gelu_approximate!r}."
            )


def init_weights(model: nn.Module) -> None:
    """Give a model the weights that training starts from, in place,
    whatever it held before.

    Matrices and embeddings are normal with mean 0 and standard deviation
    0.02; the projections that write into the residual stream
    (`.attention.out`, `.mlp.down`) are smaller by sqrt(2L), L blocks
    writing twice each. Biases are 0, norms 1 and 0; a norm is a `LayerNorm`
    of lesson 5, which is no `nn.LayerNorm`. `GPT` calls it, and so its
    first loss is near ln V.

    Source: Radford et al., "Language Models are Unsupervised Multitask
        Learners" (2019), section 2.3.
    """
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(
                parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
            )
        else:
            nn.init.normal_(parameter, std=0.02)


class GPT(nn.Module):
    """A decoder-only transformer: from token ids to a score for every
    possible next token.

    Its parts are `.config`, `.embeddings`, `.blocks` (an `nn.ModuleList`),
    `.norm`, and `.head` (an `nn.Linear` from C to V, without bias). With
    `tie_weights` the head's weight is the very tensor of
    `.embeddings.token`. There is no dropout on the embeddings. The first
    weights are those of `init_weights`. No position sees a later one. Each
    part works as in its own lesson, by itself too.

    Write it from the parts you have: `nn.TransformerEncoder` is what you
    are building.

    Source: Radford et al., "Language Models are Unsupervised Multitask
        Learners" (2019), section 2.3.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(
            config.vocab_size, config.context_length, config.d_model
        )
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

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """The logits: at each position, a score for every token that might
        come next.

        Raises:
            ValueError: more tokens than `context_length`.
        """
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


def n_parameters(model: nn.Module, *, embeddings: bool = True) -> int:
    """How many numbers the model learns, shared ones counted once.

    On any device, `meta` too.

    Args:
        embeddings: False leaves out the tensors of `model.embeddings`, and
            with them a tied head.
    """
    left_out = set() if embeddings else set(model.embeddings.parameters())
    return sum(
        parameter.numel()
        for parameter in set(model.parameters()) - left_out
    )


# What a tensor of Hugging Face's GPT-2 is called here, and whether it is stored transposed
# (inputs first). The names of a block stand behind `h.<number>.` there, `blocks.<number>.` here.
GPT2_NAMES = {
    "wte.weight": ("embeddings.token.weight", False),
    "wpe.weight": ("embeddings.position.weight", False),
    "ln_f.weight": ("norm.weight", False),
    "ln_f.bias": ("norm.bias", False),
    "lm_head.weight": ("head.weight", False),
}
GPT2_BLOCK_NAMES = {
    "ln_1.weight": ("norm1.weight", False),
    "ln_1.bias": ("norm1.bias", False),
    "attn.c_attn.weight": ("attention.qkv.weight", True),
    "attn.c_attn.bias": ("attention.qkv.bias", False),
    "attn.c_proj.weight": ("attention.out.weight", True),
    "attn.c_proj.bias": ("attention.out.bias", False),
    "ln_2.weight": ("norm2.weight", False),
    "ln_2.bias": ("norm2.bias", False),
    "mlp.c_fc.weight": ("mlp.up.weight", True),
    "mlp.c_fc.bias": ("mlp.up.bias", False),
    "mlp.c_proj.weight": ("mlp.down.weight", True),
    "mlp.c_proj.bias": ("mlp.down.bias", False),
}


def _gpt2_names(n_layers: int) -> dict[str, tuple[str, bool]]:
    """The table for a model of `n_layers` blocks: their name to `(our name,
    is transposed)`.
    """
    names = dict(GPT2_NAMES)
    for n in range(n_layers):
        for theirs, (ours, is_transposed) in GPT2_BLOCK_NAMES.items():
            names[f"h.{n}.{theirs}"] = (f"blocks.{n}.{ours}", is_transposed)
    return names


def load_gpt2(state_dict: Mapping[str, Tensor], config: GPTConfig) -> GPT:
    """A model with the weights of a Hugging Face `GPT2LMHeadModel`, in
    evaluation mode.

    The tensors are copied; the model has their dtype and device.
    `attn.bias` and `attn.masked_bias` are masks, not weights, and ignored.

    Args:
        state_dict: with or without the prefix `transformer.`; a tied head
            may be missing.
        config: of the same sizes; GPT-2 itself needs
            `gelu_approximate="tanh"`, and then the logits agree.

    Raises:
        ValueError: tensors are missing, surplus or of a wrong shape, or the
            head of a tied model differs from its token embedding; the
            message names them.
    """
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError(
                "lm_head.weight must equal "
                "wte.weight when tie_weights=True."
            )
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {
        name for name, (our_name, _) in names.items() if our_name in ours
    }
    if theirs.keys() != wanted:
        missing, surplus = (
            sorted(wanted - theirs.keys()),
            sorted(theirs.keys() - wanted),
        )
        raise ValueError(
            "the tensors must fit the config, "
            f"missing {missing}, surplus {surplus}."
        )
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = (
            ours[our_name].shape[::-1]
            if is_transposed
            else ours[our_name].shape
        )
        if tensor.shape != shape:
            raise ValueError(
                f"{name} must have the shape {tuple(shape)}, "
                f"got {tuple(tensor.shape)}."
            )
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])  # its dtype and device
    model.load_state_dict(weights)  # copies
    return model.eval()
