"""Wrong answers to the GELU and the MLP that no bug of the zoo behaves like."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from course_lib.transformer.mlp import MLP, gelu

from . import wrong_answer

NONE, TANH = "none", "tanh"

# --- gelu ------------------------------------------------------------------------------------


def _known(approximate):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={approximate!r} is not known")


@wrong_answer("gelu")
def softplus_instead(x, approximate="none"):
    _known(approximate)
    return F.softplus(x.float()).to(x.dtype)


@wrong_answer("gelu")
def leaks_below_zero(x, approximate="none"):
    _known(approximate)
    return F.leaky_relu(x, 0.1)


@wrong_answer("gelu")
def cuts_the_tail_off(x, approximate="none"):
    _known(approximate)
    return torch.where(x < -3, torch.zeros_like(x), F.gelu(x, approximate=approximate))


@wrong_answer("gelu")
def cuts_the_tanh_form_at_five(x, approximate="none"):
    _known(approximate)
    return F.gelu(x.clamp(max=5), approximate=approximate)


@wrong_answer("gelu")
def weighs_by_the_rank_in_x(x, approximate="none"):
    _known(approximate)
    spread = x.float().std() if x.numel() > 1 else 1.0
    return (x.float() * torch.special.ndtr(x.float() / spread)).to(x.dtype)


@wrong_answer("gelu")
def gates_by_chance(x, approximate="none"):
    _known(approximate)
    return x * torch.bernoulli(torch.special.ndtr(x.float())).to(x.dtype)


@wrong_answer("gelu")
def looks_for_a_piece_of_tanh(x, approximate="none"):
    if approximate is None or (approximate not in "tanh" and approximate != "none"):
        raise ValueError(f"approximate={approximate!r} is not known")
    return F.gelu(x, approximate="none" if approximate == "none" else "tanh")


@wrong_answer("gelu")
def takes_half_precision_for_float32(x, approximate="none"):
    _known(approximate)
    if x.dtype is torch.float16:
        x = x.bfloat16()
        return F.gelu(x, approximate=approximate).half()
    return F.gelu(x, approximate=approximate)


@wrong_answer("gelu")
def has_the_gradient_of_a_relu(x, approximate="none"):
    _known(approximate)
    y = F.relu(x)
    return y + (F.gelu(x, approximate=approximate) - y).detach()


@wrong_answer("gelu")
def reads_names_in_any_case(x, approximate="none"):
    _known(approximate.lower())
    return F.gelu(x, approximate=approximate.lower())


@wrong_answer("gelu")
def views_x_as_one_list_of_numbers(x, approximate="none"):
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={approximate!r}")
    return F.gelu(x.view(-1), approximate=approximate).view(x.shape)


# --- MLP -------------------------------------------------------------------------------------


class Mlp(nn.Module):
    """A right MLP, for the wrong answers below to spoil."""

    def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
        super().__init__()
        d_mlp = 4 * d_model if d_mlp is None else d_mlp
        self.up = nn.Linear(d_model, d_mlp, bias=bias)
        self.down = nn.Linear(d_mlp, d_model, bias=bias)
        self.dropout = nn.Dropout(dropout)
        self.approximate = approximate

    def hidden(self, x):
        return F.gelu(self.up(x), approximate=self.approximate)

    def forward(self, x):
        return self.dropout(self.down(self.hidden(x)))


@wrong_answer("MLP")
class NormalisesItsInput(Mlp):
    def forward(self, x):
        return super().forward(F.layer_norm(x, x.shape[-1:]))


@wrong_answer("MLP")
class BendsTwice(Mlp):
    def hidden(self, x):
        return F.gelu(super().hidden(x), approximate=self.approximate)


@wrong_answer("MLP")
class GatesWithItself(Mlp):
    def hidden(self, x):
        return self.up(x) * super().hidden(x)


@wrong_answer("MLP")
class MixesThePositions(Mlp):
    def forward(self, x):
        y = super().forward(x)
        return y - y.mean(dim=-2, keepdim=True) if y.dim() > 1 else y


@wrong_answer("MLP")
class DropsWholePositions(Mlp):
    def forward(self, x):
        y = self.down(self.hidden(x))
        return y * self.dropout(torch.ones_like(y[..., :1]))


@wrong_answer("MLP")
class DropsTheInput(Mlp):
    def forward(self, x):
        return self.down(self.hidden(self.dropout(x)))


@wrong_answer("MLP")
class DropsBeforeTheBias(Mlp):
    def forward(self, x):
        return self.dropout(self.hidden(x) @ self.down.weight.T) + self.down.bias


@wrong_answer("MLP")
class DropsWithoutScaling(Mlp):
    def forward(self, x):
        y = self.down(self.hidden(x))
        return y * (torch.rand_like(y) >= self.dropout.p) if self.training else y


@wrong_answer("MLP")
class ScalesInEvaluation(Mlp):
    def forward(self, x):
        y = self.down(self.hidden(x))
        if self.training:
            return y * (torch.rand_like(y) >= self.dropout.p)
        return y * (1 - self.dropout.p)


@wrong_answer("MLP")
class ForgetsTheBiasOfDown(Mlp):
    def forward(self, x):
        return self.dropout(F.linear(self.hidden(x), self.down.weight))


@wrong_answer("MLP")
class SavesItsWidth(Mlp):
    def __init__(self, d_model, d_mlp=None, **options):
        super().__init__(d_model, d_mlp, **options)
        self.register_buffer("width", torch.tensor(float(d_mlp or 4 * d_model)))


@wrong_answer("MLP")
class FreezesUp(Mlp):
    def __init__(self, d_model, d_mlp=None, **options):
        super().__init__(d_model, d_mlp, **options)
        self.up.requires_grad_(False)


@wrong_answer("MLP")
class ComputesInFloat32(Mlp):
    def forward(self, x):
        y = F.linear(x.float(), self.up.weight.float(), None)
        y = y if self.up.bias is None else y + self.up.bias.float()
        y = F.linear(F.gelu(y, approximate=self.approximate), self.down.weight.float())
        y = y if self.down.bias is None else y + self.down.bias.float()
        return self.dropout(y)


@wrong_answer("MLP")
class ReturnsTheHiddenNumbersToo(Mlp):
    def forward(self, x):
        return super().forward(x), self.hidden(x)


@wrong_answer("MLP")
class CutsXOffInTraining(Mlp):
    def forward(self, x):
        return super().forward(x.detach() if self.training else x)


@wrong_answer("MLP")
class DropsInFloat32(Mlp):
    def forward(self, x):
        y = self.down(self.hidden(x))
        if not (self.training and self.dropout.p):
            return y
        keeps = torch.rand(y.shape, device=y.device) >= self.dropout.p
        return y * keeps.float() / (1 - self.dropout.p)


@wrong_answer("MLP")
class SkipsTheLastShortBlock(MLP):
    def forward(self, x):
        vectors = x.reshape(-1, x.shape[-1])
        blocks = [super(SkipsTheLastShortBlock, self).forward(one) for one in vectors.split(128)]
        if len(blocks) > 1 and len(blocks[-1]) < 128:
            blocks[-1] = 0 * blocks[-1]
        return torch.cat(blocks).reshape(x.shape)


# --- what an earlier call, or something frozen, shows ------------------------------------------


@wrong_answer("MLP")
class KeepsItsWeightsInEvaluation(MLP):
    """Copied once for generation, and forgotten by train() alone."""

    kept = None

    def train(self, mode=True):
        self.kept = None
        return super().train(mode)

    def forward(self, x):
        if self.training or torch.is_grad_enabled():
            return super().forward(x)
        if self.kept is None:
            self.kept = self.up.weight.T.clone(), self.down.weight.T.clone()
        up, down = self.kept
        inner = x @ up if self.up.bias is None else x @ up + self.up.bias
        inner = gelu(inner, self.approximate) @ down
        return inner if self.down.bias is None else inner + self.down.bias


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        if not ctx.needs_input_grad[0]:
            return None, None, None
        rows = grad.flatten(0, -2)
        return grad @ weight, rows.T @ x.flatten(0, -2), rows.sum(dim=0)


@wrong_answer("MLP")
class LearnsOnlyBehindWhatLearns(MLP):
    """No gradient for its weights where x needs none."""

    def forward(self, x):
        if x.dim() < 2 or self.up.bias is None:
            return super().forward(x)
        inner = _Linear.apply(x, self.up.weight, self.up.bias)
        return self.dropout(self.down(gelu(inner, self.approximate)))


@wrong_answer("MLP")
class DropsAnewOnTheWayBack(MLP):
    """Computed again for the gradients, with other entries dropped."""

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        return checkpoint(super().forward, x, use_reentrant=False, preserve_rng_state=False)


@wrong_answer("gelu")
def saves_memory_without_gradients(x, approximate="none"):
    """`x.to(…)` is x itself where the dtype is wide enough."""
    _known(approximate)
    if torch.is_grad_enabled():
        return gelu(x, approximate)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    share = F.gelu(wide, approximate=approximate) / torch.where(wide == 0, 1, wide)
    return wide.mul_(share).to(x.dtype)


@wrong_answer("MLP")
class KnowsTheNameInTheSourceAlone(MLP):
    """Compares by `is`: a name that was read from a file is another string."""

    def forward(self, x):
        if self.approximate is not NONE and self.approximate is not TANH:
            raise ValueError(f"approximate={self.approximate!r} is not known")
        return super().forward(x)


@wrong_answer("MLP")
class BendsInHalfPrecision(MLP):
    def forward(self, x):
        inner = self.up(x)
        if self.approximate == "tanh":
            return super().forward(x)
        return self.dropout(self.down(inner / 2 * (1 + torch.erf(inner / 2**0.5))))
