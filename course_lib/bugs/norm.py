"""What goes wrong in lesson 5: normalising along the wrong axis, and losing the residual path."""

import torch
from torch import nn

from course_lib.transformer.norm import layer_norm

from . import bugs, whole_bug

bugs("""layer_norm:

adds_eps_to_the_deviation
    eps was added outside the root, to the standard deviation
    believed: eps keeps from dividing by 0, so it may stand anywhere below the line. But outside the
        root it is 300 times weaker: inside, it counts as sqrt(1e-5), which is 0.003.
    seen: Right to five digits on usual inputs; nearly constant vectors come out too large.
    reported: hkproj/pytorch-transformer#31, hyunwoongko/transformer#7, codertimo/BERT-pytorch#30
    - normed = centred / torch.sqrt(variance + eps) * weight
    + normed = centred / (torch.sqrt(variance) + eps) * weight

divides_by_one_less
    the variance divides by C - 1 instead of C
    believed: The variance divides by C - 1, as torch's var() does by default. That is for a sample;
        here the C channels are all there are.
    seen: Every output is too small by the factor sqrt((C - 1)/C): 0.8 % at C = 64.
    reported: harvardnlp/annotated-transformer#119, harvardnlp/annotated-transformer#122
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + variance = centred.square().sum(dim=-1, keepdim=True) / (
    +     x.shape[-1] - 1
    + )

leaves_eps_out
    eps is left out
    believed: The variance of real numbers is never 0. It is for a vector of zeros, such as an
        embedding of padding.
    seen: nan at the first constant vector; nearly constant ones come out too large.
    - normed = centred / torch.sqrt(variance + eps) * weight
    + normed = centred / torch.sqrt(variance) * weight

ignores_the_given_eps
    the given eps is ignored: it is always 1e-5
    believed: eps is a constant of the formula. But models differ in it, and their weights were
        trained with it.
    seen: Loaded weights of another model give slightly other logits.
    reported: keras-team/keras-hub#642
    - normed = centred / torch.sqrt(variance + eps) * weight
    + normed = centred / torch.sqrt(variance + 1e-5) * weight

has_a_smaller_default_eps
    the default eps is 1e-6, not 1e-5
    believed: Any tiny eps will do. But where the variance is as tiny, the result depends on it, and
        the signature says 1e-5.
    seen: Right on usual inputs; nearly constant vectors come out too large.
    - eps: float = 1e-5,
    + eps: float = 1e-6,

divides_by_the_variance
    divided by the variance, not by its root
    believed: Variance 1 is reached by dividing by the variance. But dividing x by a number divides
        its variance by the square of that number.
    seen: Vectors with a small spread explode, and those with a large one vanish.
    - normed = centred / torch.sqrt(variance + eps) * weight
    + normed = centred / (variance + eps) * weight

normalises_by_the_root_mean_square
    the mean is not subtracted: this is RMSNorm
    believed: Dividing by the root mean square is the newer form of the same thing. It leaves the
        mean in x, and layer norm takes it out.
    seen: Right where the mean is 0 already; an offset common to all channels comes through.
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    + centred = wide

forgets_to_centre
    the mean is not subtracted from x, only inside the variance
    believed: The variance takes care of the mean. It says how wide x spreads, not where: the mean
        must be subtracted from x itself.
    seen: The outputs have variance 1, but their mean is not 0.
    - normed = centred / torch.sqrt(variance + eps) * weight
    + normed = wide / torch.sqrt(variance + eps) * weight

normalises_over_the_positions
    mean and variance over the positions, not over the channels
    believed: Each channel is normalised, along the text. It is each position that is normalised,
        over its channels: it is a vector of its own.
    seen: Each output depends on the other positions, later ones included: a leak.
    reported: jadore801120/attention-is-all-you-need-pytorch#17
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + centred = wide - wide.mean(dim=-2, keepdim=True)
    + variance = centred.square().mean(dim=-2, keepdim=True)

normalises_each_text_as_a_whole
    one mean and variance for all positions of a text
    believed: x has the shape (T, C), so all of it is normalised at once. Each position is
        normalised by itself, over its channels.
    seen: Each output depends on the other positions, later ones included: a leak.
    reported: patrick-kidger/equinox#471
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + axes = (-2, -1) if x.dim() > 1 else -1
    + centred = wide - wide.mean(dim=axes, keepdim=True)
    + variance = centred.square().mean(dim=axes, keepdim=True)

normalises_all_axes_but_the_first
    all axes but the first share one mean and variance
    believed: The first axis counts examples, and the rest is one of them. But each position of a
        text is an example of its own.
    seen: Right for (T, C); with (B, T, C) each output depends on later positions: a leak.
    reported: tensorpack/tensorpack#1482
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + axes = tuple(range(1, x.dim())) if x.dim() > 1 else -1
    + centred = wide - wide.mean(dim=axes, keepdim=True)
    + variance = centred.square().mean(dim=axes, keepdim=True)

normalises_the_whole_batch
    one mean and variance for the whole batch
    believed: mean() without an axis is the mean of each vector. It is the mean of everything, all
        texts together.
    seen: A text gets other logits when another text stands beside it.
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + centred = wide - wide.mean()
    + variance = centred.square().mean()

normalises_over_the_first_axis
    mean and variance over the batch: this is batch norm
    believed: The mean is taken over the batch, as in many networks for images. Layer norm looks at
        one vector at a time: texts have nothing to do with each other.
    seen: A text alone gives nothing but the bias; with others beside it, other logits.
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + centred = wide - wide.mean(dim=0, keepdim=True)
    + variance = centred.square().mean(dim=0, keepdim=True)

swaps_weight_and_bias
    weight and bias are swapped
    believed: The bias comes before the weight. Both have one shape, so nothing complains: the
        weight multiplies, the bias is added.
    seen: With fresh parameters (1 and 0) every output is 1, whatever goes in.
    = ) -> Float[Tensor, "... C"]:
    +     if bias is not None:
    +         weight, bias = bias, weight

shifts_before_it_scales
    the bias was added before the weight multiplied
    believed: Scale and shift may come in either order. But a bias that is added first is multiplied
        by the weight too.
    seen: Right while the weights are near 1, so a fresh model shows nothing.
    - normed = centred / torch.sqrt(variance + eps) * weight
    + normed = centred / torch.sqrt(variance + eps)
    = if bias is not None:
    =     normed = normed + bias
    - return normed.to(x.dtype)
    + return (normed * weight).to(x.dtype)

forgets_the_bias
    the bias is never added
    believed: A normalised vector keeps the mean 0. It need not: the bias moves it again, as far as
        the layer has learned.
    seen: Right in a fresh model, where the bias is 0; loaded weights give other logits.
    - if bias is not None:
    -     normed = normed + bias
    = return normed.to(x.dtype)

ignores_weight_and_bias
    weight and bias are both left out
    believed: Normalising is all there is to it. The weight and the bias come after it: they let
        each channel be as loud as it needs.
    seen: Right in a fresh model; neither parameter ever gets a gradient.
    - normed = centred / torch.sqrt(variance + eps) * weight
    - if bias is not None:
    -     normed = normed + bias
    + normed = centred / torch.sqrt(variance + eps)

expects_a_bias
    bias=None is not expected
    believed: There is always a bias. Many models leave it out, and pass None.
    seen: TypeError in every model with bias=False.
    - if bias is not None:
    -     normed = normed + bias
    + normed = normed + bias

takes_statistics_in_half_precision
    the statistics of half precision were taken in half precision
    believed: torch's mean is exact enough in any dtype. But its result is rounded to the dtype of
        x: in bfloat16, 257 becomes 256 or 258.
    seen: Right in float32; in half precision wrong where the mean is far from 0, and 0 everywhere
        where a square passes 65,504.
    reported: pytorch/pytorch#66707, facebookresearch/fairseq#335, microsoft/onnxruntime#28442
    - wide = x.to(torch.promote_types(x.dtype, torch.float32))
    + wide = x

copies_the_annotated_formula
    x.std() + eps: C - 1, eps outside the root, statistics in x's own dtype
    believed: The formula has x.std() + eps, as in a well-known annotated paper. torch's own
        function, and so every checkpoint, has it otherwise: see the docstring.
    seen: Every output is a little too small; quiet vectors come out much too large.
    reported: codertimo/BERT-pytorch#30, harvardnlp/annotated-transformer#122
    - wide = x.to(torch.promote_types(x.dtype, torch.float32))
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    - normed = centred / torch.sqrt(variance + eps) * weight
    + mean, deviation = (
    +     x.mean(dim=-1, keepdim=True),
    +     x.std(dim=-1, keepdim=True),
    + )
    + normed = weight * (x - mean) / (deviation + eps)

takes_var_as_it_comes
    x.var() as it comes: it divides by C - 1, in x's own dtype
    believed: x.var() is the variance that is meant. By default it divides by C - 1, and it rounds
        to the dtype of x.
    seen: Every output is too small by the factor sqrt((C - 1)/C); half precision is off.
    reported: harvardnlp/annotated-transformer#119
    - wide = x.to(torch.promote_types(x.dtype, torch.float32))
    + wide = x
    = centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + variance = x.var(dim=-1, keepdim=True)

returns_float32_for_half_precision
    half precision comes back as float32
    believed: Computing in float32 is all there is to it. The result goes back to the dtype of x,
        which the next layer expects.
    seen: RuntimeError about dtypes in the next linear layer.
    - return normed.to(x.dtype)
    + return normed

squeezes_float64_through_float32
    float64 is computed in float32
    believed: float32 is always the wider dtype. float64 is wider still, and loses half of its
        digits.
    seen: float64 comes back rounded: gradient checks fail in the eighth digit.
    - wide = x.to(torch.promote_types(x.dtype, torch.float32))
    + wide = x.float()

centres_x_in_place
    x was changed in place
    believed: x -= … only saves memory. It writes into the caller's x, which in a block is the
        residual stream and still needed.
    seen: The residual sum adds normalised x; or RuntimeError about an in-place operation.
    = wide = x.to(torch.promote_types(x.dtype, torch.float32))
    + x -= x.mean(dim=-1, keepdim=True)
    = centred = wide - wide.mean(dim=-1, keepdim=True)

detaches_the_statistics
    mean and variance were cut off from the gradient
    believed: Mean and variance are numbers, not part of the network. They are made of x and change
        with it, so gradients flow through them.
    seen: Outputs are right, and gradients are too large along x itself; training drifts.
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + centred = wide - wide.mean(dim=-1, keepdim=True).detach()
    + variance = centred.square().mean(dim=-1, keepdim=True).detach()

takes_the_variance_in_one_pass
    the variance as mean of the squares minus square of the mean
    believed: E[x²] - E[x]² is the variance. On paper it is; where the mean is far above the spread,
        both are huge and alike, and float32 has no digit left for the difference.
    seen: Right on small numbers. On activations of deep models wrong by half, or nan.
    reported: pytorch/pytorch#51102
    - centred = wide - wide.mean(dim=-1, keepdim=True)
    - variance = centred.square().mean(dim=-1, keepdim=True)
    + mean = wide.mean(dim=-1, keepdim=True)
    + centred = wide - mean
    + variance = wide.square().mean(dim=-1, keepdim=True) - mean.square()
""")


bugs("""LayerNorm:

KeepsPlainGainAndShift
    weight and bias are plain tensors, not parameters
    believed: A tensor on self is part of the module. But only nn.Parameter is learned, saved and
        moved with it.
    seen: No name in state_dict(); on a GPU 'expected all tensors on the same device'.
    - self.weight = nn.Parameter(torch.ones(d_model))
    - self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
    + self.weight = torch.ones(d_model)
    + self.bias = torch.zeros(d_model) if bias else None

KeepsBuffers
    weight and bias are buffers, which are not trained
    believed: A registered buffer is learned like a parameter. It is saved and moved, but no
        optimizer sees it.
    seen: Saved and moved like parameters, and still 1 and 0 after a day of training.
    - self.weight = nn.Parameter(torch.ones(d_model))
    - self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
    + self.register_buffer("weight", torch.ones(d_model))
    + self.register_buffer("bias", torch.zeros(d_model) if bias else None)

CallsThemGammaAndBeta
    the parameters are called gamma and beta, not weight and bias
    believed: The paper's letters are the names. Checkpoints are found by name, and here they are
        weight and bias.
    seen: Missing and unexpected keys when a checkpoint is loaded.
    - self.weight = nn.Parameter(torch.ones(d_model))
    - self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
    + self.gamma = nn.Parameter(torch.ones(d_model))
    + self.beta = nn.Parameter(torch.zeros(d_model)) if bias else None

    - return layer_norm(x, self.weight, self.bias, self.eps)
    + return layer_norm(x, self.gamma, self.beta, self.eps)

StartsWithAWeightOfZero
    the weight starts at 0 instead of 1
    believed: A fresh layer should do nothing, so all parameters are 0. But a weight of 0 lets
        nothing through.
    seen: A fresh layer returns zeros whatever goes in, and nothing before it learns.
    - self.weight = nn.Parameter(torch.ones(d_model))
    + self.weight = nn.Parameter(torch.zeros(d_model))

StartsWithARandomWeight
    the weight starts at random numbers instead of 1
    believed: Parameters start at random, as in a linear layer. There they must differ; here the
        channels differ already.
    seen: A fresh layer mutes some channels and turns others over.
    - self.weight = nn.Parameter(torch.ones(d_model))
    + self.weight = nn.Parameter(torch.randn(d_model))

StartsWithABiasOfOne
    the bias starts at 1 instead of 0
    believed: Both parameters start at 1. What multiplies does; what is added starts at 0.
    seen: Every output of a fresh layer is 1 too high.
    - self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
    + self.bias = nn.Parameter(torch.ones(d_model)) if bias else None

AlwaysHasABias
    bias=False is ignored: there is a bias all the same
    believed: A bias of 0 is no bias. But it is trained like any parameter, and does not stay 0.
    seen: A missing key when a checkpoint without biases is loaded.
    - self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
    + self.bias = nn.Parameter(torch.zeros(d_model))

HasNoAttributeForTheBias
    with bias=False there is no attribute .bias at all
    believed: What does not exist needs no name. But code that goes over the layers asks whether
        .bias is None.
    seen: AttributeError 'no attribute bias' in forward, or in the code that asks.
    - self.bias = nn.Parameter(torch.zeros(d_model)) if bias else None
    + if bias:
    +     self.bias = nn.Parameter(torch.zeros(d_model))

    - return layer_norm(x, self.weight, self.bias, self.eps)
    + return layer_norm(
    +     x, self.weight, getattr(self, "bias", None), self.eps
    + )

KeepsEpsToItself
    the given eps is not passed on
    believed: layer_norm has a default, so it need not be told. But then it never hears of the eps
        that was asked for.
    seen: Loaded weights of a model with another eps give slightly other logits.
    reported: keras-team/keras-hub#642
    - return layer_norm(x, self.weight, self.bias, self.eps)
    + return layer_norm(x, self.weight, self.bias)

PassesTheBiasAsTheWeight
    weight and bias are passed in the wrong order
    believed: layer_norm takes the bias, then the weight. It takes the weight first; two vectors of
        one shape raise no error.
    seen: With fresh parameters (1 and 0) every output is 1, whatever goes in.
    - return layer_norm(x, self.weight, self.bias, self.eps)
    + return layer_norm(x, self.bias, self.weight, self.eps)

NormalisesWithoutItsParameters
    weight and bias never reach layer_norm
    believed: Weight and bias start at 1 and 0, so leaving them out changes nothing. That holds at
        the start only: both are learned.
    seen: Right in a fresh model; after training, or with loaded weights, wrong.
    - return layer_norm(x, self.weight, self.bias, self.eps)
    + return layer_norm(x, torch.ones_like(self.weight), None, self.eps)

DividesByTheSampleDeviation
    eps was added to the standard deviation, with the C - 1 variance
    believed: The formula has x.std() + eps, as in a well-known annotated paper. torch's own layer,
        and so every checkpoint, has it otherwise.
    seen: Every output is a little too small; quiet vectors come out much too large.
    reported: harvardnlp/annotated-transformer#119, codertimo/BERT-pytorch#30
    - return layer_norm(x, self.weight, self.bias, self.eps)
    + wide = x.to(torch.promote_types(x.dtype, torch.float32))
    + centred = wide - wide.mean(dim=-1, keepdim=True)
    + variance = centred.square().sum(dim=-1, keepdim=True) / (
    +     x.shape[-1] - 1
    + )
    + normed = centred / (variance.sqrt() + self.eps) * self.weight
    + return (normed if self.bias is None else normed + self.bias).to(
    +     x.dtype
    + )

CopiesTheAnnotatedLayer
    x.std() + eps: C - 1, eps outside the root, statistics in x's own dtype
    believed: The formula has x.std() + eps, as in a well-known annotated paper. torch's own layer,
        and so every checkpoint, has it otherwise.
    seen: Every output is a little too small; quiet vectors come out much too large.
    reported: codertimo/BERT-pytorch#30, harvardnlp/annotated-transformer#122
    - return layer_norm(x, self.weight, self.bias, self.eps)
    + mean, deviation = (
    +     x.mean(dim=-1, keepdim=True),
    +     x.std(dim=-1, keepdim=True),
    + )
    + normed = self.weight * (x - mean) / (deviation + self.eps)
    + return normed if self.bias is None else normed + self.bias

TakesStatisticsInItsOwnDtype
    the statistics of half precision were taken in half precision
    believed: The formula may as well be written out again in forward. But then half precision loses
        the digits that layer_norm keeps.
    seen: Right in float32; in half precision wrong where the mean is far from 0.
    reported: pytorch/pytorch#66707, facebookresearch/fairseq#335
    - return layer_norm(x, self.weight, self.bias, self.eps)
    + centred = x - x.mean(dim=-1, keepdim=True)
    + variance = centred.square().mean(dim=-1, keepdim=True)
    + normed = centred / torch.sqrt(variance + self.eps) * self.weight
    + return normed if self.bias is None else normed + self.bias

IsRMSNorm
    the mean is not subtracted: this is RMSNorm
    believed: Newer models do without the mean, so it makes no difference. It does: a layer norm
        subtracts it, and so do GPT-2's.
    seen: Weights of GPT-2 give nonsense.
    - return layer_norm(x, self.weight, self.bias, self.eps)
    + wide = x.to(torch.promote_types(x.dtype, torch.float32))
    + size = torch.sqrt(
    +     wide.square().mean(dim=-1, keepdim=True) + self.eps
    + )
    + normed = wide / size * self.weight
    + return (normed if self.bias is None else normed + self.bias).to(
    +     x.dtype
    + )

KeepsARunningMean
    the mean and variance of training are used in evaluation, as in batch norm
    believed: Evaluation uses the mean and variance seen in training. That is batch norm; here each
        vector brings its own, in both modes.
    seen: The loss jumps as soon as a trained model is put into eval mode.
    -     self.eps = eps
    +     self.eps, self.statistics = eps, None
    = def forward(self, x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
    -     return layer_norm(x, self.weight, self.bias, self.eps)
    +     if self.training:
    +         self.statistics = (
    +             x.detach().mean(),
    +             x.detach().var(unbiased=False),
    +         )
    +     if self.training or self.statistics is None:
    +         return layer_norm(x, self.weight, self.bias, self.eps)
    +     mean, variance = self.statistics
    +     normed = (x - mean) / torch.sqrt(variance + self.eps) * self.weight
    +     return normed if self.bias is None else normed + self.bias

NormalisesInTrainingOnly
    it normalises in training only
    believed: A norm behaves otherwise in evaluation, as batch norm does. Layer norm does not: it is
        the same in both modes.
    seen: The loss jumps as soon as the model is put into eval mode.
    - return layer_norm(x, self.weight, self.bias, self.eps)
    + if self.training:
    +     return layer_norm(x, self.weight, self.bias, self.eps)
    + scaled = x * self.weight
    + return scaled if self.bias is None else scaled + self.bias
""")


bugs("""pre_norm:

adds_the_normalised_x
    the normalised x was added, not x itself
    believed: The norm of x may take the place of x. The straight path must carry x as it came in;
        only the sublayer reads its norm.
    seen: A stack of these is post-norm by another name: a deep one learns with small steps or a
        warm-up, and may not at a learning rate at which pre-norm does.
    reported: lbcb-sci/RiNALMo#9, pytorch/pytorch#61165, tracel-ai/burn#1054
    - return x + sublayer(norm(x))
    + x = norm(x)
    + return x + sublayer(x)

forgets_to_add_x
    x is not added: the residual connection is missing
    believed: What the sublayer returns goes on to the next. It is a correction to x, not a
        replacement for it.
    seen: A shallow model trains; one of 24 layers guesses to the end, though gradients arrive.
    reported: znxlwm/UGATIT-pytorch#32
    - return x + sublayer(norm(x))
    + return sublayer(norm(x))

normalises_the_sum
    this is post-norm: the sum was normalised
    believed: The norm comes after the sum, as in the figure of 2017. In pre-norm, as since GPT-2,
        it stands before the sublayer.
    seen: Loaded weights give nonsense; at a bold learning rate a deep model may not learn without
        a warm-up.
    - return x + sublayer(norm(x))
    + return norm(x + sublayer(x))

leaves_the_norm_out
    nothing is normalised
    believed: The norm is applied somewhere else. It is passed in to be applied here, to what the
        sublayer reads.
    seen: The residual stream grows with depth. Layers that start quiet learn all the same; with
        loud ones the loss begins in the hundreds or thousands.
    - return x + sublayer(norm(x))
    + return x + sublayer(x)

normalises_what_the_sublayer_returns
    the norm stands after the sublayer, not before it
    believed: x + norm(…) leaves x alone just as well. But the sublayer then reads the stream as it
        is, however large.
    seen: Loaded weights give nonsense; the sublayer's inputs grow with depth.
    - return x + sublayer(norm(x))
    + return x + norm(sublayer(x))

doubles_what_the_sublayer_returns
    the sublayer's output was added to itself, not to x
    believed: x + x is the residual sum. It is not once x has been overwritten: add to the x that
        came in.
    seen: Trains like a model without residual connections: a deep one does not learn.
    reported: kyegomez/BitNet#32, facebookresearch/multimodal#305
    - return x + sublayer(norm(x))
    + x = sublayer(norm(x))
    + return x + x

adds_into_x
    x was changed in place by +=
    believed: x += y is short for x = x + y. But it writes into the tensor that the caller still
        holds, and so does every method that ends in _.
    seen: The caller's x is another one after the call; in training a RuntimeError.
    - return x + sublayer(norm(x))
    + x += sublayer(norm(x))
    + return x

adds_into_what_the_sublayer_returns
    the sum was written into what the sublayer returned
    believed: What the sublayer returns is free to be written into. It may be needed for its
        gradient, as that of tanh is, or be the caller's x, as that of nn.Identity: write x + y.
    seen: Right with most layers; with nn.Identity the caller's x changes.
    - return x + sublayer(norm(x))
    + y = sublayer(norm(x))
    + y += x
    + return y

applies_the_sublayer_twice
    the sublayer was called twice, one call on the other
    believed: Calling the sublayer once more does no harm. Each call changes the result, and takes
        as long: it is called once.
    seen: Twice the time, and logits that no checkpoint agrees with.
    - return x + sublayer(norm(x))
    + return x + sublayer(sublayer(norm(x)))

normalises_before_and_after
    the sum was normalised as well
    believed: Norm before and norm after is twice as safe. But a norm after the sum breaks the
        straight path.
    seen: Loaded weights give nonsense; as with post-norm, nothing goes through unchanged.
    - return x + sublayer(norm(x))
    + return norm(x + sublayer(norm(x)))
""")


bugs("""post_norm:

normalises_what_the_sublayer_reads
    this is pre-norm: x was normalised before the sublayer
    believed: Pre-norm is the better one, so it is the one that is meant. Here it is post-norm, as
        in BERT and the transformer of 2017.
    seen: Weights of BERT give nonsense.
    - return norm(x + sublayer(x))
    + return x + sublayer(norm(x))

normalises_the_sublayer_alone
    x is not added: the residual connection is missing
    believed: The norm follows the sublayer at once. Between the two, x is added.
    seen: A shallow model trains; a deep one hardly moves.
    - return norm(x + sublayer(x))
    + return norm(sublayer(x))

adds_x_after_the_norm
    x was added after the norm
    believed: The residual connection goes around everything, the norm included. In post-norm it
        goes around the sublayer only.
    seen: The outputs grow with depth, though every layer ends in a norm.
    - return norm(x + sublayer(x))
    + return x + norm(sublayer(x))

adds_without_a_norm
    nothing is normalised
    believed: The norm is applied somewhere else. It is passed in to be applied here, to the sum.
    seen: The outputs grow with depth, the more the louder the layers are.
    - return norm(x + sublayer(x))
    + return x + sublayer(x)

normalises_both_summands
    x and the sublayer's output were normalised one by one
    believed: The norm of a sum is the sum of the norms. It is not: their sum has about twice the
        variance.
    seen: The outputs have a variance near 2 instead of 1.
    - return norm(x + sublayer(x))
    + return norm(x) + norm(sublayer(x))

normalises_twice_the_sublayer
    the sublayer's output was added to itself, not to x
    believed: x + x is the residual sum. It is not once x has been overwritten: add to the x that
        came in.
    seen: Trains like a model without residual connections.
    reported: kyegomez/BitNet#32, facebookresearch/multimodal#305
    - return norm(x + sublayer(x))
    + x = sublayer(x)
    + return norm(x + x)

adds_into_x_before_the_norm
    x was changed in place by +=
    believed: x += y is short for x = x + y. But it writes into the tensor that the caller still
        holds, and so does every method that ends in _.
    seen: The caller's x is another one after the call; in training a RuntimeError.
    - return norm(x + sublayer(x))
    + x += sublayer(x)
    + return norm(x)

adds_into_the_answer_before_the_norm
    the sum was written into what the sublayer returned
    believed: What the sublayer returns is free to be written into. It may be needed for its
        gradient, as that of tanh is, or be the caller's x, as that of nn.Identity: write x + y.
    seen: Right with most layers; with nn.Identity the caller's x changes.
    - return norm(x + sublayer(x))
    + y = sublayer(x)
    + y += x
    + return norm(y)

normalises_on_either_side
    x was normalised before the sublayer as well
    believed: Norm before and norm after is twice as safe. It is another model: post-norm has the
        norm after the sum only.
    seen: Weights of BERT give nonsense.
    - return norm(x + sublayer(x))
    + return norm(x + sublayer(norm(x)))
""")
