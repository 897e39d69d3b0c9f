"""What goes wrong in lesson 5: normalising along the wrong axis, and losing the residual path."""

import torch
from torch import nn

from course_lib.transformer.norm import layer_norm

from . import bug

# --- layer_norm ------------------------------------------------------------------------------


@bug(
    "layer_norm",
    title="eps was added outside the root, to the standard deviation",
    misconception="eps keeps from dividing by 0, so it may stand anywhere in the denominator. "
    "Outside the root it is 300 times weaker: sqrt(1e-5) is 0.003.",
    symptom="Right to five digits on usual inputs; nearly constant vectors come out too large.",
    threads=(
        "hkproj/pytorch-transformer#31",
        "hyunwoongko/transformer#7",
        "codertimo/BERT-pytorch#30",
    ),
)
def adds_eps_to_the_deviation(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-1, keepdim=True)
    deviation = wide.var(dim=-1, keepdim=True, unbiased=False).sqrt()
    normed = centred / (deviation + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="the variance divides by C - 1 instead of C",
    misconception="var() is the variance. By default torch corrects it for a sample; here the "
    "C channels are all there are.",
    symptom="Every output is too small by the factor sqrt((C - 1)/C): 0.8 % at C = 64.",
    threads=("harvardnlp/annotated-transformer#119", "harvardnlp/annotated-transformer#122"),
)
def divides_by_one_less(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-1, keepdim=True)
    variance = centred.square().sum(dim=-1, keepdim=True) / (x.shape[-1] - 1)
    normed = centred / torch.sqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="eps is left out",
    misconception="The variance of real numbers is never 0. It is for a vector of zeros, such as "
    "an embedding of padding.",
    symptom="nan at the first constant vector; nearly constant ones come out too large.",
)
def leaves_eps_out(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-1, keepdim=True)
    normed = centred / centred.square().mean(dim=-1, keepdim=True).sqrt() * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="the given eps is ignored: it is always 1e-5",
    misconception="eps is a constant of the formula. Models differ in it, and their weights were "
    "trained with it.",
    symptom="Loaded weights of another model give slightly other logits.",
    threads=("keras-team/keras-hub#642",),
)
def ignores_the_given_eps(x, weight, bias, eps=1e-5):
    return layer_norm(x, weight, bias, 1e-5)


@bug(
    "layer_norm",
    title="the default eps is 1e-6, not 1e-5",
    misconception="All small numbers are alike. The variance of a quiet vector may be smaller.",
    symptom="Right on usual inputs; nearly constant vectors come out too large.",
)
def has_a_smaller_default_eps(x, weight, bias, eps=1e-6):
    return layer_norm(x, weight, bias, eps)


@bug(
    "layer_norm",
    title="divided by the variance, not by its root",
    misconception="Variance 1 is reached by dividing by the variance. Dividing x by a number "
    "divides its variance by the square of it.",
    symptom="Vectors with a small spread explode, and those with a large one vanish.",
)
def divides_by_the_variance(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    normed = centred / (variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="the mean is not subtracted: this is RMSNorm",
    misconception="Dividing by the root mean square is the newer form, so it is the same thing. "
    "It keeps the mean.",
    symptom="Right where the mean is 0 already; an offset common to all channels comes through.",
)
def normalises_by_the_root_mean_square(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    normed = wide / torch.sqrt(wide.square().mean(dim=-1, keepdim=True) + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="the mean is not subtracted from x, only inside the variance",
    misconception="The variance knows the mean already. It says how wide x spreads, not where.",
    symptom="The outputs have variance 1, but their mean is not 0.",
)
def forgets_to_centre(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    variance = wide.var(dim=-1, keepdim=True, unbiased=False)
    normed = wide / torch.sqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="mean and variance over the positions, not over the channels",
    misconception="dim=-2 and dim=-1 were confused. Each position is a vector of its own, whose "
    "channels are compared with each other.",
    symptom="Each output depends on the other positions, later ones included: a leak.",
    threads=("jadore801120/attention-is-all-you-need-pytorch#17",),
)
def normalises_over_the_positions(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-2, keepdim=True)
    variance = centred.square().mean(dim=-2, keepdim=True)
    normed = centred / torch.sqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="one mean and variance for all positions of a text",
    misconception="A layer has the shape (T, C), so that is what is normalised. In a language "
    "model each position is normalised by itself.",
    symptom="Each output depends on the other positions, later ones included: a leak.",
    threads=("patrick-kidger/equinox#471",),
)
def normalises_each_text_as_a_whole(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    axes = (-2, -1) if x.dim() > 1 else -1
    centred = wide - wide.mean(dim=axes, keepdim=True)
    variance = centred.square().mean(dim=axes, keepdim=True)
    normed = centred / torch.sqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="all axes but the first share one mean and variance",
    misconception="The first axis counts examples, and the rest is one of them. Each position of "
    "a text is an example of its own.",
    symptom="Right for (T, C); with (B, T, C) each output depends on later positions: a leak.",
    threads=("tensorpack/tensorpack#1482",),
)
def normalises_all_axes_but_the_first(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    axes = tuple(range(1, x.dim())) if x.dim() > 1 else -1
    centred = wide - wide.mean(dim=axes, keepdim=True)
    variance = centred.square().mean(dim=axes, keepdim=True)
    normed = centred / torch.sqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="one mean and variance for the whole batch",
    misconception="mean() without an axis is the mean. It is the mean of everything.",
    symptom="A text gets other logits when another text stands beside it.",
)
def normalises_the_whole_batch(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean()
    normed = centred / torch.sqrt(centred.square().mean() + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="mean and variance over the batch: this is batch norm",
    misconception="Normalising is over the first axis, as in networks for images. Texts of a "
    "batch have nothing to do with each other.",
    symptom="A text alone gives nothing but the bias; with others beside it, other logits.",
)
def normalises_over_the_first_axis(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=0, keepdim=True)
    variance = centred.square().mean(dim=0, keepdim=True)
    normed = centred / torch.sqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


@bug(
    "layer_norm",
    title="weight and bias are swapped",
    misconception="Two vectors of the same shape, and the order is easy to lose. Papers call "
    "them gamma, which multiplies, and beta, which is added.",
    symptom="With fresh parameters (1 and 0) every output is 1, whatever goes in.",
)
def swaps_weight_and_bias(x, weight, bias, eps=1e-5):
    if bias is None:
        return layer_norm(x, weight, None, eps)
    return layer_norm(x, bias, weight, eps)


@bug(
    "layer_norm",
    title="the bias was added before the weight multiplied",
    misconception="Scale and shift may come in any order. (n + b)·w is n·w + b·w.",
    symptom="Right while the weights are near 1, so a fresh model shows nothing.",
)
def shifts_before_it_scales(x, weight, bias, eps=1e-5):
    normed = layer_norm(x, torch.ones_like(weight), None, eps)
    return normed * weight if bias is None else (normed + bias) * weight


@bug(
    "layer_norm",
    title="the bias is never added",
    misconception="Normalised means mean 0. The layer learns how far from 0 to put it again.",
    symptom="Right in a fresh model, where the bias is 0; loaded weights give other logits.",
)
def forgets_the_bias(x, weight, bias, eps=1e-5):
    return layer_norm(x, weight, None, eps)


@bug(
    "layer_norm",
    title="weight and bias are both left out",
    misconception="Normalising is all there is to it. The two parameters let each channel be as "
    "loud as it needs.",
    symptom="Right in a fresh model; neither parameter ever gets a gradient.",
)
def ignores_weight_and_bias(x, weight, bias, eps=1e-5):
    return layer_norm(x, torch.ones_like(weight), None, eps)


@bug(
    "layer_norm",
    title="bias=None is not expected",
    misconception="There is always a bias. Many models leave it out, and pass None.",
    symptom="TypeError in every model with bias=False.",
)
def expects_a_bias(x, weight, bias, eps=1e-5):
    return layer_norm(x, weight, None, eps) + bias


@bug(
    "layer_norm",
    title="the statistics of half precision were taken in half precision",
    misconception="torch's mean is exact enough in any dtype. Its result is rounded to the dtype "
    "of x: in bfloat16, 257 becomes 256 or 258.",
    symptom="Right in float32; in half precision wrong where the mean is far from 0, and 0 "
    "everywhere where a square passes 65,504.",
    threads=(
        "pytorch/pytorch#66707",
        "facebookresearch/fairseq#335",
        "microsoft/onnxruntime#28442",
    ),
)
def takes_statistics_in_half_precision(x, weight, bias, eps=1e-5):
    mean = x.mean(dim=-1, keepdim=True)
    variance = x.var(dim=-1, keepdim=True, unbiased=False)
    normed = (x - mean) / torch.sqrt(variance + eps) * weight
    return normed if bias is None else normed + bias


@bug(
    "layer_norm",
    title="x.std() + eps: C - 1, eps outside the root, statistics in x's own dtype",
    misconception="This is the formula of a well-known annotated paper. torch's own function, "
    "and so every checkpoint, has it otherwise.",
    symptom="Every output is a little too small; quiet vectors come out much too large.",
    threads=("codertimo/BERT-pytorch#30", "harvardnlp/annotated-transformer#122"),
)
def copies_the_annotated_formula(x, weight, bias, eps=1e-5):
    mean, deviation = x.mean(dim=-1, keepdim=True), x.std(dim=-1, keepdim=True)
    normed = weight * (x - mean) / (deviation + eps)
    return normed if bias is None else normed + bias


@bug(
    "layer_norm",
    title="x.var() as it comes: it divides by C - 1, in x's own dtype",
    misconception="var() is the variance. By default torch corrects it for a sample, and rounds "
    "it to the dtype of x.",
    symptom="Every output is too small by the factor sqrt((C - 1)/C); half precision is off.",
    threads=("harvardnlp/annotated-transformer#119",),
)
def takes_var_as_it_comes(x, weight, bias, eps=1e-5):
    mean, variance = x.mean(dim=-1, keepdim=True), x.var(dim=-1, keepdim=True)
    normed = (x - mean) / torch.sqrt(variance + eps) * weight
    return normed if bias is None else normed + bias


@bug(
    "layer_norm",
    title="half precision comes back as float32",
    misconception="Taking the statistics in float32 is all. The next layer still holds weights "
    "in half precision.",
    symptom="RuntimeError about dtypes in the next linear layer.",
)
def returns_float32_for_half_precision(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(dim=-1, keepdim=True)
    variance = centred.square().mean(dim=-1, keepdim=True)
    normed = centred / torch.sqrt(variance + eps) * weight
    return normed if bias is None else normed + bias


@bug(
    "layer_norm",
    title="float64 is computed in float32",
    misconception="float32 is the wider type. Of float64 it keeps half the digits.",
    symptom="float64 comes back rounded: gradient checks fail in the eighth digit.",
)
def squeezes_float64_through_float32(x, weight, bias, eps=1e-5):
    narrow = [None if t is None else t.float() for t in (x, weight, bias)]
    return layer_norm(*narrow, eps).to(x.dtype)


@bug(
    "layer_norm",
    title="x was changed in place",
    misconception="x -= mean saves memory. In a block, x is the residual stream, and it is still "
    "needed.",
    symptom="The residual sum adds normalised x; or RuntimeError about an in-place operation.",
)
def centres_x_in_place(x, weight, bias, eps=1e-5):
    x -= x.mean(dim=-1, keepdim=True)
    return layer_norm(x, weight, bias, eps)


@bug(
    "layer_norm",
    title="mean and variance were cut off from the gradient",
    misconception="Statistics are numbers, not part of the network. They are made of x, and "
    "change with it.",
    symptom="Outputs are right, and gradients are too large along x itself; training drifts.",
)
def detaches_the_statistics(x, weight, bias, eps=1e-5):
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    mean = wide.mean(dim=-1, keepdim=True).detach()
    variance = wide.var(dim=-1, keepdim=True, unbiased=False).detach()
    normed = (wide - mean) / torch.sqrt(variance + eps) * weight
    return (normed if bias is None else normed + bias).to(x.dtype)


# --- LayerNorm -------------------------------------------------------------------------------


@bug(
    "LayerNorm",
    title="weight and bias are plain tensors, not parameters",
    misconception="A tensor on self is part of the module. Only nn.Parameter is learned, saved "
    "and moved with it.",
    symptom="No name in state_dict(); on a GPU 'expected all tensors on the same device'.",
)
class KeepsPlainGainAndShift(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = torch.ones(d_model)
        self.bias = torch.zeros(d_model) if bias else None
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.weight, self.bias, self.eps)


@bug(
    "LayerNorm",
    title="weight and bias are buffers, which are not trained",
    misconception="register_buffer puts a tensor into the module. Into its state, but not before "
    "the optimizer.",
    symptom="Saved and moved like parameters, and still 1 and 0 after a day of training.",
)
class KeepsBuffers(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.register_buffer("weight", torch.ones(d_model))
        self.register_buffer("bias", torch.zeros(d_model) if bias else None)
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.weight, self.bias, self.eps)


@bug(
    "LayerNorm",
    title="the parameters are called gamma and beta, not weight and bias",
    misconception="The paper's letters are the names. Checkpoints are found by name, and here "
    "they are weight and bias.",
    symptom="Missing and unexpected keys when a checkpoint is loaded.",
)
class CallsThemGammaAndBeta(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(d_model))
        self.beta = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.gamma, self.beta, self.eps)


@bug(
    "LayerNorm",
    title="the weight starts at 0 instead of 1",
    misconception="A fresh layer should do nothing, so all parameters are 0. A weight of 0 lets "
    "nothing through.",
    symptom="A fresh layer returns zeros whatever goes in, and nothing before it learns.",
)
class StartsWithAWeightOfZero(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.weight, self.bias, self.eps)


@bug(
    "LayerNorm",
    title="the weight starts at random numbers instead of 1",
    misconception="Parameters start at random, as in a linear layer. There they must differ; "
    "here the channels differ already.",
    symptom="A fresh layer mutes some channels and turns others over.",
)
class StartsWithARandomWeight(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.weight, self.bias, self.eps)


@bug(
    "LayerNorm",
    title="the bias starts at 1 instead of 0",
    misconception="Both parameters start at 1. What multiplies does; what is added starts at 0.",
    symptom="Every output of a fresh layer is 1 too high.",
)
class StartsWithABiasOfOne(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.ones(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.weight, self.bias, self.eps)


@bug(
    "LayerNorm",
    title="bias=False is ignored: there is a bias all the same",
    misconception="A bias of 0 is no bias. It is trained like any parameter, and does not stay 0.",
    symptom="A missing key when a checkpoint without biases is loaded.",
)
class AlwaysHasABias(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.weight, self.bias, self.eps)


@bug(
    "LayerNorm",
    title="with bias=False there is no attribute .bias at all",
    misconception="What does not exist needs no name. Code that goes over the layers asks "
    "whether .bias is None.",
    symptom="AttributeError 'no attribute bias' in forward, or in the code that asks.",
)
class HasNoAttributeForTheBias(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        if bias:
            self.bias = nn.Parameter(torch.zeros(d_model))
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.weight, getattr(self, "bias", None), self.eps)


@bug(
    "LayerNorm",
    title="the given eps is not passed on",
    misconception="layer_norm has a default, so it need not be told. It then never learns what "
    "was asked for.",
    symptom="Loaded weights of a model with another eps give slightly other logits.",
    threads=("keras-team/keras-hub#642",),
)
class KeepsEpsToItself(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, self.weight, self.bias)


@bug(
    "LayerNorm",
    title="weight and bias are passed in the wrong order",
    misconception="Bias, then weight, as they come to mind. Two vectors of one shape raise no "
    "error.",
    symptom="With fresh parameters (1 and 0) every output is 1, whatever goes in.",
)
class PassesTheBiasAsTheWeight(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        if self.bias is None:
            return layer_norm(x, self.weight, None, self.eps)
        return layer_norm(x, self.bias, self.weight, self.eps)


@bug(
    "LayerNorm",
    title="weight and bias never reach layer_norm",
    misconception="They start at 1 and 0, so leaving them out changes nothing. Not at the start.",
    symptom="Right in a fresh model; after training, or with loaded weights, wrong.",
)
class NormalisesWithoutItsParameters(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        return layer_norm(x, torch.ones_like(self.weight), None, self.eps)


@bug(
    "LayerNorm",
    title="eps was added to the standard deviation, with the C - 1 variance",
    misconception="x.std() + eps is the formula of a well-known annotated paper. torch's own "
    "layer, and so every checkpoint, has it otherwise.",
    symptom="Every output is a little too small; quiet vectors come out much too large.",
    threads=("harvardnlp/annotated-transformer#119", "codertimo/BERT-pytorch#30"),
)
class DividesByTheSampleDeviation(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        centred = wide - wide.mean(dim=-1, keepdim=True)
        variance = centred.square().sum(dim=-1, keepdim=True) / (x.shape[-1] - 1)
        normed = centred / (variance.sqrt() + self.eps) * self.weight
        return (normed if self.bias is None else normed + self.bias).to(x.dtype)


@bug(
    "LayerNorm",
    title="x.std() + eps: C - 1, eps outside the root, statistics in x's own dtype",
    misconception="This is the formula of a well-known annotated paper. torch's own layer, and "
    "so every checkpoint, has it otherwise.",
    symptom="Every output is a little too small; quiet vectors come out much too large.",
    threads=("codertimo/BERT-pytorch#30", "harvardnlp/annotated-transformer#122"),
)
class CopiesTheAnnotatedLayer(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        mean, deviation = x.mean(dim=-1, keepdim=True), x.std(dim=-1, keepdim=True)
        normed = self.weight * (x - mean) / (deviation + self.eps)
        return normed if self.bias is None else normed + self.bias


@bug(
    "LayerNorm",
    title="the statistics of half precision were taken in half precision",
    misconception="The formula was written out again in forward. layer_norm knows about half "
    "precision already.",
    symptom="Right in float32; in half precision wrong where the mean is far from 0.",
    threads=("pytorch/pytorch#66707", "facebookresearch/fairseq#335"),
)
class TakesStatisticsInItsOwnDtype(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        centred = x - x.mean(dim=-1, keepdim=True)
        variance = centred.square().mean(dim=-1, keepdim=True)
        normed = centred / torch.sqrt(variance + self.eps) * self.weight
        return normed if self.bias is None else normed + self.bias


@bug(
    "LayerNorm",
    title="the mean is not subtracted: this is RMSNorm",
    misconception="Newer models do without the mean, so it is the same thing. GPT-2 has it.",
    symptom="Weights of GPT-2 give nonsense.",
)
class IsRMSNorm(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        size = torch.sqrt(wide.square().mean(dim=-1, keepdim=True) + self.eps)
        normed = wide / size * self.weight
        return (normed if self.bias is None else normed + self.bias).to(x.dtype)


@bug(
    "LayerNorm",
    title="a running mean and variance are used in evaluation, as in batch norm",
    misconception="What was seen in training is needed later. Each vector brings its own mean.",
    symptom="The loss jumps as soon as a trained model is put into eval mode.",
)
class KeepsARunningMean(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps
        self.statistics = None

    def forward(self, x):
        if self.training:
            self.statistics = x.detach().mean(), x.detach().var(unbiased=False)
        if self.training or self.statistics is None:
            return layer_norm(x, self.weight, self.bias, self.eps)
        mean, variance = self.statistics
        normed = (x - mean) / torch.sqrt(variance + self.eps) * self.weight
        return normed if self.bias is None else normed + self.bias


@bug(
    "LayerNorm",
    title="it normalises in training only",
    misconception="Norms behave differently in evaluation, as dropout and batch norm do. Layer "
    "norm does not.",
    symptom="The loss jumps as soon as the model is put into eval mode.",
)
class NormalisesInTrainingOnly(nn.Module):
    def __init__(self, d_model, *, bias=True, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
        self.eps = eps

    def forward(self, x):
        if self.training:
            return layer_norm(x, self.weight, self.bias, self.eps)
        scaled = x * self.weight
        return scaled if self.bias is None else scaled + self.bias


# --- pre_norm --------------------------------------------------------------------------------


@bug(
    "pre_norm",
    title="the normalised x was added, not x itself",
    misconception="x was overwritten by its norm, which is then taken for x. The straight path "
    "carries what came in, untouched.",
    symptom="Trains, but worse with every layer: no path goes through the stack unchanged.",
    threads=("lbcb-sci/RiNALMo#9", "pytorch/pytorch#61165", "tracel-ai/burn#1054"),
)
def adds_the_normalised_x(x, norm, sublayer):
    x = norm(x)
    return x + sublayer(x)


@bug(
    "pre_norm",
    title="x is not added: the residual connection is missing",
    misconception="The sublayer's output goes on to the next. It is a correction to x, not a "
    "replacement for it.",
    symptom="A shallow model trains; a deep one starts with gradients near 0 and stays there.",
    threads=("znxlwm/UGATIT-pytorch#32",),
)
def forgets_to_add_x(x, norm, sublayer):
    return sublayer(norm(x))


@bug(
    "pre_norm",
    title="this is post-norm: the sum was normalised",
    misconception="The figure of 2017 shows the norm after the sum. Since GPT-2 it stands before "
    "the sublayer.",
    symptom="Loaded weights give nonsense; a deep model does not train without warm-up.",
)
def normalises_the_sum(x, norm, sublayer):
    return norm(x + sublayer(x))


@bug(
    "pre_norm",
    title="nothing is normalised",
    misconception="The norm is applied somewhere else. Here is the place.",
    symptom="The residual stream grows with depth, and the loss becomes nan.",
)
def leaves_the_norm_out(x, norm, sublayer):
    return x + sublayer(x)


@bug(
    "pre_norm",
    title="the norm stands after the sublayer, not before it",
    misconception="x + norm(sublayer(x)) also leaves x alone. But the sublayer then reads the "
    "stream as it is, however large.",
    symptom="Loaded weights give nonsense; the sublayer's inputs grow with depth.",
)
def normalises_what_the_sublayer_returns(x, norm, sublayer):
    return x + norm(sublayer(x))


@bug(
    "pre_norm",
    title="the sublayer's output was added to itself, not to x",
    misconception="x was overwritten by the sublayer, and x + x then looks like the residual sum.",
    symptom="Trains like a model without residual connections, its values doubled.",
    threads=("kyegomez/BitNet#32", "facebookresearch/multimodal#305"),
)
def doubles_what_the_sublayer_returns(x, norm, sublayer):
    x = sublayer(norm(x))
    return x + x


@bug(
    "pre_norm",
    title="x was changed in place by +=",
    misconception="x += y is short for x = x + y. It writes into the tensor that the caller "
    "still holds.",
    symptom="The caller's x is another one after the call; in training a RuntimeError.",
)
def adds_into_x(x, norm, sublayer):
    x += sublayer(norm(x))
    return x


@bug(
    "pre_norm",
    title="the sum was written into what the sublayer returned",
    misconception="The sublayer's output is fresh memory. An identity returns its argument, and "
    "a norm that does nothing does too.",
    symptom="Right with most layers; with nn.Identity the caller's x changes.",
)
def adds_into_what_the_sublayer_returns(x, norm, sublayer):
    y = sublayer(norm(x))
    y += x
    return y


@bug(
    "pre_norm",
    title="the sublayer was called twice, one call on the other",
    misconception="norm and sublayer are called to see their shapes, or one line was repeated.",
    symptom="Twice the time, and logits that no checkpoint agrees with.",
)
def applies_the_sublayer_twice(x, norm, sublayer):
    return x + sublayer(sublayer(norm(x)))


@bug(
    "pre_norm",
    title="the sum was normalised as well",
    misconception="Norm before and norm after is twice as safe. After the sum it breaks the "
    "straight path.",
    symptom="Loaded weights give nonsense; gradients shrink from layer to layer.",
)
def normalises_before_and_after(x, norm, sublayer):
    return norm(x + sublayer(norm(x)))


# --- post_norm -------------------------------------------------------------------------------


@bug(
    "post_norm",
    title="this is pre-norm: x was normalised before the sublayer",
    misconception="Pre-norm is the better one, so it is the one that is meant. BERT and the "
    "transformer of 2017 have the other.",
    symptom="Weights of BERT give nonsense.",
)
def normalises_what_the_sublayer_reads(x, norm, sublayer):
    return x + sublayer(norm(x))


@bug(
    "post_norm",
    title="x is not added: the residual connection is missing",
    misconception="The norm follows the sublayer. Between them x is added.",
    symptom="A shallow model trains; a deep one hardly moves.",
)
def normalises_the_sublayer_alone(x, norm, sublayer):
    return norm(sublayer(x))


@bug(
    "post_norm",
    title="x was added after the norm",
    misconception="The residual connection goes around everything, the norm included. In "
    "post-norm it goes around the sublayer.",
    symptom="The outputs grow with depth, though every layer ends in a norm.",
)
def adds_x_after_the_norm(x, norm, sublayer):
    return x + norm(sublayer(x))


@bug(
    "post_norm",
    title="nothing is normalised",
    misconception="The norm is applied somewhere else. Here is the place.",
    symptom="The outputs grow with depth, and the loss becomes nan.",
)
def adds_without_a_norm(x, norm, sublayer):
    return x + sublayer(x)


@bug(
    "post_norm",
    title="x and the sublayer's output were normalised one by one",
    misconception="The norm of a sum is the sum of the norms. It is not, and the sum then has "
    "twice the variance.",
    symptom="The outputs have a variance near 2 instead of 1.",
)
def normalises_both_summands(x, norm, sublayer):
    return norm(x) + norm(sublayer(x))


@bug(
    "post_norm",
    title="the sublayer's output was added to itself, not to x",
    misconception="x was overwritten by the sublayer, and x + x then looks like the residual sum.",
    symptom="Trains like a model without residual connections.",
    threads=("kyegomez/BitNet#32", "facebookresearch/multimodal#305"),
)
def normalises_twice_the_sublayer(x, norm, sublayer):
    x = sublayer(x)
    return norm(x + x)


@bug(
    "post_norm",
    title="x was changed in place by +=",
    misconception="x += y is short for x = x + y. It writes into the tensor that the caller "
    "still holds.",
    symptom="The caller's x is another one after the call; in training a RuntimeError.",
)
def adds_into_x_before_the_norm(x, norm, sublayer):
    x += sublayer(x)
    return norm(x)


@bug(
    "post_norm",
    title="the sum was written into what the sublayer returned",
    misconception="The sublayer's output is fresh memory. An identity returns its argument, "
    "which is the caller's x.",
    symptom="Right with most layers; with nn.Identity the caller's x changes.",
)
def adds_into_the_answer_before_the_norm(x, norm, sublayer):
    y = sublayer(x)
    y += x
    return norm(y)


@bug(
    "post_norm",
    title="x was normalised before the sublayer as well",
    misconception="Norm before and norm after is twice as safe. It is another model.",
    symptom="Weights of BERT give nonsense.",
)
def normalises_on_either_side(x, norm, sublayer):
    return norm(x + sublayer(norm(x)))
