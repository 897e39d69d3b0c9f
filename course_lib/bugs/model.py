"""What goes wrong in lesson 7: parts that are not joined, weights that start or load wrongly."""

import math
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.block import Block
from course_lib.transformer.masking import causal_mask
from course_lib.transformer.model import GPT, _gpt2_names, init_weights
from course_lib.transformer.norm import LayerNorm
from course_lib.transformer.tokens import Embeddings

from . import bugs, whole_bug

bugs("""init_weights:

starts_residual_projections_like_the_others
    the residual projections get 0.02 like all others: not divided by sqrt(2L)
    believed: A matrix is a matrix. But the outputs of these two are summed up along the stream, 2L
        times.
    seen: The deeper the model, the larger the stream at its end, before any training.
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    -     nn.init.normal_(
    -         parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    -     )

counts_one_write_a_block
    residual projections get 0.02 / sqrt(L): each block writes twice, so 2L
    believed: One block, one addition. There are two: that of attention and that of the MLP.
    seen: The stream of a fresh model grows somewhat too much; hardly anything tells.
    - parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    + parameter, std=0.02 / math.sqrt(len(model.blocks))

divides_without_the_root
    residual projections get 0.02 / 2L: the root is missing
    believed: 2L additions make the sum 2L times as large. Of random numbers the variances add up,
        so it is only sqrt(2L) times.
    seen: Blocks of a deep model whisper: it starts as if it had none.
    - nn.init.normal_(
    -     parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    - )
    + nn.init.normal_(parameter, std=0.02 / (2 * len(model.blocks)))

narrows_only_attention
    only attention.out is made smaller, and mlp.down is not
    believed: The projection of a block is the one that is called so. The MLP writes into the stream
        as well.
    seen: Half of what is added to the stream of a fresh model is too loud.
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    + elif name.endswith("attention.out.weight"):

narrows_every_layer_of_a_block
    all matrices of a block are made smaller, qkv and up as well
    believed: Everything in a block ends in the stream. Only what .out and .down give is added to
        it.
    seen: Blocks whisper, and the more so the deeper the model is.
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    + elif name.startswith("blocks."):

narrows_by_the_place_of_the_block
    each block divides by the root of its own number, not of the number of blocks
    believed: L is the layer. It is how many layers there are.
    seen: The first blocks are loud and the last ones quiet; with one block nothing tells.
    - nn.init.normal_(
    -     parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    - )
    + number = 1 + int(name.split(".")[1])
    + nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * number))

takes_the_deviation_for_a_variance
    0.02 was taken for the variance: the numbers are seven times too large
    believed: N(0, 0.02) names a variance, as in statistics. Code and papers on GPT mean the
        deviation.
    seen: The first loss is too high, and the first steps are lost on bringing it down.
    - parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    + parameter, std=math.sqrt(0.02 / (2 * len(model.blocks)))

    - nn.init.normal_(parameter, std=0.02)
    + nn.init.normal_(parameter, std=math.sqrt(0.02))

leaves_embeddings_alone
    the embeddings are left as they were: N(0, 1) in a fresh model
    believed: Only layers that multiply need small numbers. nn.Embedding starts at N(0, 1), and a
        tied head multiplies with it.
    seen: The first loss is tens or hundreds, where ln V is four or eleven.
    reported: jsboige/CoursIA#13279
    = for name, parameter in model.named_parameters():
    -     if name.endswith("bias"):
    +     if name.startswith("embeddings"):
    +         continue
    +     elif name.endswith("bias"):

leaves_biases_alone
    the biases are left as they were
    believed: Biases start at 0 anyway. Those of nn.Linear start at random.
    seen: Every token has the same preferences before it has learned anything; the first loss hardly
        tells.
    - nn.init.zeros_(parameter)
    + continue

draws_everything
    biases and norms are drawn like matrices
    believed: All parameters are alike. The weight of a norm multiplies the whole stream.
    seen: Every norm shrinks what it gives to a fiftieth: the model starts almost silent.
    - if name.endswith("bias"):
    -     nn.init.zeros_(parameter)
    - elif parameter.dim() < 2:
    -     nn.init.ones_(parameter)
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    + if name.endswith(("attention.out.weight", "mlp.down.weight")):

silences_the_norms
    the weights of the norms become 0, like biases
    believed: What has one axis is a bias. The weight of a norm has one, too, and 0 times anything
        is 0.
    seen: All logits are 0, the first loss is exactly ln V, and few gradients arrive.
    - if name.endswith("bias"):
    + if parameter.dim() < 2:

leaves_norms_alone
    the norms are left as they were
    believed: Norms start at 1 and 0 by themselves. A model that was trained already has other
        norms.
    seen: A model that is started anew keeps part of what it had learned.
    = for name, parameter in model.named_parameters():
    +     if "norm" in name:
    +         continue

draws_from_a_box
    uniform between -0.02 and 0.02, not normal with that deviation
    believed: Random is random. The standard deviation of such numbers is 0.0115.
    seen: None that one sees: the model starts a little quieter.
    -     nn.init.normal_(
    -         parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    -     )
    +     bound = 0.02 / math.sqrt(2 * len(model.blocks))
    +     nn.init.uniform_(parameter, -bound, bound)
    = else:
    -     nn.init.normal_(parameter, std=0.02)
    +     nn.init.uniform_(parameter, -0.02, 0.02)

measures_by_the_shape
    Xavier's: the deviation follows from the shape of each matrix
    believed: The textbook way suits every network. GPT-2 has one number for all, and logits depend
        on it.
    seen: The first loss depends on the sizes of the model.
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    -     nn.init.normal_(
    -         parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    -     )
    = else:
    -     nn.init.normal_(parameter, std=0.02)
    +     nn.init.xavier_normal_(parameter)

puts_new_tensors
    new tensors are put in place of the old ones, and what was tied comes apart
    believed: An attribute can be assigned. An optimizer, and the tied head, still hold the old
        tensor.
    seen: n_parameters grows after the call, and head and token embedding drift apart.
    =         nn.init.normal_(parameter, std=0.02)
    + for module in model.modules():
    +     for name, parameter in list(module.named_parameters(recurse=False)):
    +         setattr(module, name, nn.Parameter(parameter.detach().clone()))

fills_without_no_grad
    parameters are filled while gradients are recorded, which torch refuses
    believed: A tensor can be filled at any time. Not a leaf that wants gradients: nn.init, or
        no_grad().
    seen: RuntimeError 'a leaf Variable that requires grad is being used in an in-place operation'.
    - nn.init.ones_(parameter)
    + parameter.fill_(1.0)

returns_the_model
    the model is returned, though it was changed in place
    believed: A function should return something. In Python, what changes its argument returns None,
        as list.sort does.
    seen: `new = init_weights(model)` looks as if there were two models.
    =         nn.init.normal_(parameter, std=0.02)
    + return model
""")


bugs("""GPT:

GPTThatNeverMasks
    no mask reaches the blocks: every position sees the whole text
    believed: A GPT is causal by nature. Only the mask makes it so, and a block without one hides
        nothing.
    seen: The loss falls towards 0 at once, and the text that the model writes is nonsense.
    - x = block(x, mask)
    + x = block(x)

GPTThatInvertsTheMask
    the mask is inverted: each position sees the later ones alone
    believed: True means masked. It does in nn.MultiheadAttention; here it means may attend.
    seen: The loss falls fast, for the next token is in sight, and generation is nonsense.
    reported: pytorch/pytorch#29546
    - mask = causal_mask(ids.shape[1], device=ids.device)
    + mask = ~causal_mask(ids.shape[1], device=ids.device)

GPTThatMasksTheFirstBlockOnly
    only the first block gets the mask
    believed: What is hidden once stays hidden. Every block lets positions look at each other anew.
    seen: As without a mask: a loss that is too good, and nonsense when it writes.
    - x = block(x, mask)
    + x = block(x, mask if block is self.blocks[0] else None)

GPTThatMakesAMaskForTheWholeContext
    the mask is made for context_length, and never cut to the text
    believed: Texts are as long as the context. Those to generate from are shorter.
    seen: RuntimeError about sizes for any text that is shorter.
    reported: wyf3/llm_related#35
    - mask = causal_mask(ids.shape[1], device=ids.device)
    + mask = causal_mask(self.config.context_length, device=ids.device)

GPTThatMakesTheMaskAnywhere
    the mask is made on the default device
    believed: A mask is small, so its device does not matter. It meets scores that are on the GPU.
    seen: Fine on a CPU. On a GPU: 'Expected all tensors to be on the same device'.
    reported: wyf3/llm_related#35
    - mask = causal_mask(ids.shape[1], device=ids.device)
    + mask = causal_mask(ids.shape[1])

GPTThatForgetsTheLastNorm
    the last norm is made and never used
    believed: Every block has norms already. They stand before its layers; nothing normalises the
        sum.
    seen: The logits grow with the depth; weights of other models give nonsense.
    reported: vllm-project/speculators#313
    - return self.head(self.norm(x))
    + return self.head(x)

GPTThatNormsTheEmbeddings
    the last norm stands in front of the blocks
    believed: A norm belongs where the stream begins. Pre-norm blocks have one there; the end is
        where it lacks.
    seen: The logits grow with the depth; weights of other models give nonsense.
    - x = self.embeddings(ids)
    + x = self.norm(self.embeddings(ids))

    - return self.head(self.norm(x))
    + return self.head(x)

GPTThatNormsAfterEveryBlock
    the last norm is used after every block
    believed: One norm too many does no harm. The stream is cut, and one set of weights serves L
        places.
    seen: Trains worse the deeper it is; with one block it is right.
    -     x = block(x, mask)
    - return self.head(self.norm(x))
    +     x = self.norm(block(x, mask))
    + return self.head(x)

GPTThatForgetsPositions
    the position embeddings are never added
    believed: Tokens are looked up in .token. Where they stand is in .position: call .embeddings
        itself.
    seen: It learns, and less well: only the mask tells what came first, and without one the
        text is a bag of tokens.
    - x = self.embeddings(ids)
    + x = self.embeddings.token(ids)

GPTThatScalesTheEmbeddings
    the embeddings are multiplied by sqrt(C)
    believed: The transformer of 2017 did so. GPT-2 does not.
    seen: Weights of other models give nonsense.
    - x = self.embeddings(ids)
    + x = self.embeddings(ids) * math.sqrt(self.config.d_model)

GPTThatReturnsProbabilities
    a softmax at the end: probabilities come back instead of logits
    believed: A model returns probabilities. Loss and sampling take logits, and do the softmax
        themselves.
    seen: The loss falls slowly and stops far too high; temperature does almost nothing.
    - return self.head(self.norm(x))
    + return F.softmax(self.head(self.norm(x)), dim=-1)

GPTThatReturnsLogProbabilities
    a log-softmax at the end: log-probabilities come back instead of logits
    believed: The loss needs log-probabilities. It makes them itself, from any logits; the same loss
        hides that these are others.
    seen: The same loss, and the same text when it is sampled; but not the logits of GPT-2.
    - return self.head(self.norm(x))
    + return F.log_softmax(self.head(self.norm(x)), dim=-1)

GPTThatReturnsFloat32
    the logits are made float32, whatever the dtype of the model
    believed: Losses are computed in float32, so logits should be. The loss sees to that itself.
    seen: A float64 model that is exact to seven digits, a bfloat16 one whose logits take twice the
        memory.
    - return self.head(self.norm(x))
    + return self.head(self.norm(x)).float()

GPTThatReturnsTheLastPosition
    only the last position's logits come back
    believed: The next token follows from the last position alone. In training every position has a
        next token.
    seen: Shape (B, 1, V), not (B, T, V), and a loss of one token a text.
    - return self.head(self.norm(x))
    + return self.head(self.norm(x[:, -1:]))

GPTThatReturnsAPair
    a pair (logits, None) comes back
    believed: A model returns its loss as well, None without targets. Here the loss is a function of
        its own.
    seen: AttributeError: a tuple has no shape.
    - return self.head(self.norm(x))
    + return self.head(self.norm(x)), None

GPTThatPutsTheVocabularyFirst
    the logits come back as (B, V, T)
    believed: F.cross_entropy wants classes on axis 1. Whoever calls it can turn them; (B, T, V) is
        what a model gives.
    seen: With T = V no shape tells, and the loss is that of other tokens.
    - return self.head(self.norm(x))
    + return self.head(self.norm(x)).transpose(1, 2)

GPTThatFeedsEveryBlockTheEmbeddings
    every block reads the embeddings, and the last one's answer is all that is left
    believed: Blocks work on the text. Each works on what the one before has made of it.
    seen: As good as a model with a single block, and as slow as one with L.
    - x = block(x, mask)
    + x = block(self.embeddings(ids), mask)

GPTThatAddsBlocksToTheStream
    what a block returns is added to the stream once more
    believed: Blocks are residual, so their outputs are added. They have done it inside.
    seen: The stream doubles with each block, and the deeper ones no longer matter.
    reported: facebookresearch/multimodal#305
    - x = block(x, mask)
    + x = x + block(x, mask)

GPTThatSkipsTheLastBlock
    the last block is never called
    believed: range(n - 1) ends with n - 1. It ends before it.
    seen: No error: one block has parameters and no gradients.
    - for block in self.blocks:
    -     x = block(x, mask)
    + for n in range(len(self.blocks) - 1):
    +     x = self.blocks[n](x, mask)

GPTThatKeepsBlocksInAList
    the blocks are in a Python list, where no module finds them
    believed: A list of modules is a list of modules. Only nn.ModuleList registers them.
    seen: The loss falls a little and stops; the blocks are not trained, not saved and not moved.
    reported: pytorch/pytorch#59925, pytorch/pytorch#72580
    - self.blocks = nn.ModuleList(
    + self.blocks = [

    =     for _ in range(config.n_layers)
    - )
    + ]

GPTThatRepeatsOneBlock
    one block is used L times: [Block(…)] * L
    believed: * L makes L blocks. It makes L references to one.
    seen: A model with the weights of one block, that trains worse than it should.
    reported: linkedin/Liger-Kernel#269, FasterDecoding/Medusa#133
    - self.blocks = nn.ModuleList(
    + self.blocks = nn.ModuleList([

    -     for _ in range(config.n_layers)
    - )
    + ] * config.n_layers)

GPTThatNeverTies
    head and token embedding are never tied
    believed: tie_weights is for training. It says which tensors the model has.
    seen: V·C parameters too many, in GPT-2 small 39 million.
    - if config.tie_weights:
    -     self.head.weight = self.embeddings.token.weight

GPTThatTiesByACopy
    the head gets a copy of the token embedding: equal at first, then on its own
    believed: Equal numbers are shared numbers. A step on one no longer moves the other.
    seen: Tied when it is made, no longer after the first step.
    + init_weights(self)
    = if config.tie_weights:
    -     self.head.weight = self.embeddings.token.weight
    - init_weights(self)
    +     self.head.weight = nn.Parameter(
    +         self.embeddings.token.weight.detach().clone()
    +     )

GPTThatTiesTheDataAlone
    two parameters over one memory (.data = …), not one tensor with two names
    believed: The same memory is the same tensor. There are two gradients, and an optimizer makes
        two steps in one.
    seen: Tied until the model is moved or converted; then the two go their own ways.
    - self.head.weight = self.embeddings.token.weight
    + self.head.weight.data = self.embeddings.token.weight.data

GPTThatAlwaysTies
    head and token embedding are tied even with tie_weights=False
    believed: GPT-2 ties, so every GPT does. The config decides.
    seen: Weights of a model that is not tied load without an error, and one of two tensors is lost.
    - if config.tie_weights:
    -     self.head.weight = self.embeddings.token.weight
    + self.head.weight = self.embeddings.token.weight

GPTThatHasABiasInTheHead
    the head has a bias
    believed: bias=True is the default of nn.Linear. The head of a GPT has none.
    seen: V parameters that no other model has; loading weights complains of head.bias.
    - self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    + self.head = nn.Linear(config.d_model, config.vocab_size)

GPTThatKeepsTheBiasOfTheLastNorm
    bias=False does not reach the last norm
    believed: The blocks have the biases. The last norm has one as well.
    seen: Loading weights without biases complains of norm.bias.
    - self.norm = LayerNorm(config.d_model, bias=config.bias)
    + self.norm = LayerNorm(config.d_model)

GPTThatKeepsTheBiasesOfTheBlocks
    bias=False does not reach the blocks
    believed: bias=False is about the head. It is about every part.
    seen: Loading weights without biases complains of all those in the blocks.
    - bias=config.bias,

GPTThatKeepsItsOwnGELU
    gelu_approximate does not reach the blocks
    believed: The two curves are the same to the eye. They differ by up to a thousandth, in every
        block.
    seen: Weights of GPT-2 give logits that agree to two or three digits.
    reported: microsoft/onnxruntime#2270, karpathy/nanoGPT#274
    - approximate=config.gelu_approximate,

GPTThatDropsNothing
    dropout does not reach the blocks
    believed: The model knows its config, so its parts do. Each part knows what it was given.
    seen: A large model learns its training text by heart, whatever dropout was asked for.
    - dropout=config.dropout,

GPTThatDropsOfTheEmbeddings
    dropout acts on the embeddings as well
    believed: GPT-2 does so. This model does not: dropout is a matter of the blocks.
    seen: Training curves that differ from others' with the same dropout.
    + self.dropout = nn.Dropout(config.dropout)
    = self.blocks = nn.ModuleList(

    - x = self.embeddings(ids)
    + x = self.dropout(self.embeddings(ids))

GPTThatStartsAsTorchDoes
    init_weights is never called
    believed: Layers of torch start well by themselves. nn.Embedding starts at N(0, 1), fifty times
        too large for a tied head.
    seen: The first loss is tens or hundreds, where ln V is four or eleven.
    reported: jsboige/CoursIA#13279
    - init_weights(self)

GPTThatCutsLongTexts
    a text longer than the context is cut without a word
    believed: Better some logits than an error. The caller asked for T positions, and gets fewer.
    seen: Shapes that do not fit, in the loss, or a text that was never read.
    = def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
    +     ids = ids[:, -self.config.context_length :]

GPTThatAssertsTheLength
    a text that is too long is refused by assert: AssertionError, not ValueError
    believed: assert checks arguments. It is for what cannot happen, and python -O skips it.
    seen: Code that expects ValueError does not catch it; with -O nothing is checked.
    + n_tokens, longest = ids.shape[1], self.config.context_length
    + assert n_tokens <= longest, (
    +     f"{n_tokens} tokens, but context_length={longest}"
    + )
    = mask = causal_mask(ids.shape[1], device=ids.device)
""")


bugs("""n_parameters:

counts_the_tied_head_twice
    a tensor with two names is counted twice: the tied head
    believed: The state_dict holds the parameters. It holds names, and a tied tensor has two.
    seen: GPT-2 small with 163 million parameters instead of 124.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    - return sum(
    -     parameter.numel()
    -     for parameter in set(model.parameters()) - left_out
    + left_out = (
    +     0
    +     if embeddings
    +     else sum(p.numel() for p in model.embeddings.parameters())
    = )
    + return (
    +     sum(tensor.numel() for tensor in model.state_dict().values())
    +     - left_out
    + )

keeps_the_tied_head
    without embeddings the tied head still counts
    believed: The head is not part of the embeddings. Where it is tied, its tensor is.
    seen: Without embeddings GPT-2 small still has 124 million, all but the positions.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    + left_out = (
    +     set()
    +     if embeddings
    +     else set(model.embeddings.parameters()) - {model.head.weight}
    + )

goes_by_the_first_name
    a tied head counts or not, depending on which layer was made first
    believed: named_parameters() gives a shared tensor once, under the name it meets first. In a
        model that makes its head before its embeddings, that name is head.weight.
    seen: Two models of the same sizes have different counts without embeddings.
    - left_out = set() if embeddings else set(model.embeddings.parameters())

    - for parameter in set(model.parameters()) - left_out
    + for name, parameter in model.named_parameters()
    + if embeddings or not name.startswith("embeddings.")

leaves_out_positions_only
    embeddings=False leaves out the positions, and keeps the tokens
    believed: The token table is the head as well, and works. So some count it; here it is left out.
    seen: Without embeddings GPT-2 small still has 124 million, all but the positions.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    - return sum(
    -     parameter.numel()
    -     for parameter in set(model.parameters()) - left_out
    + total = sum(parameter.numel() for parameter in model.parameters())
    + return (
    +     total
    +     if embeddings
    +     else total - model.embeddings.position.weight.numel()

leaves_out_tokens_only
    embeddings=False leaves out the tokens, and keeps the positions
    believed: Embeddings are what tokens have. Positions have a table of their own.
    seen: A count that depends on the context length.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    - return sum(
    -     parameter.numel()
    -     for parameter in set(model.parameters()) - left_out
    + total = sum(parameter.numel() for parameter in model.parameters())
    + return (
    +     total
    +     if embeddings
    +     else total - model.embeddings.token.weight.numel()

leaves_out_every_head
    embeddings=False leaves out the head even where it is not tied
    believed: The head is the embedding, turned around. Only where it is tied.
    seen: The count without embeddings is the same, tied or not.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    + left_out = (
    +     set()
    +     if embeddings
    +     else {*model.embeddings.parameters(), model.head.weight}
    + )

ignores_the_question
    embeddings=False changes nothing
    believed: The argument is there for later.
    seen: Two counts that are always equal.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    - return sum(
    -     parameter.numel()
    -     for parameter in set(model.parameters()) - left_out
    - )
    + return sum(parameter.numel() for parameter in model.parameters())

leaves_embeddings_out_by_default
    embeddings are left out unless asked for
    believed: What counts is what computes. The default here is everything.
    seen: GPT-2 small with 85 million parameters.
    - def n_parameters(model: nn.Module, *, embeddings: bool = True) -> int:
    + def n_parameters(model: nn.Module, *, embeddings: bool = False) -> int:

counts_tensors
    tensors are counted, not the numbers in them
    believed: A parameter is an nn.Parameter. Papers count the numbers.
    seen: GPT-2 small with 148 parameters.
    - return sum(
    -     parameter.numel()
    -     for parameter in set(model.parameters()) - left_out
    - )
    + return len(set(model.parameters()) - left_out)

forgets_biases
    only matrices count: biases and norms are forgotten
    believed: Parameters are weights. A bias is learned as well.
    seen: A thousandth too few; right with no other count.
    - parameter.numel()
    - for parameter in set(model.parameters()) - left_out
    + p.numel() for p in set(model.parameters()) - left_out if p.dim() > 1

tells_tensors_apart_by_address
    tensors are told apart by data_ptr(), which is 0 for all without memory
    believed: Two tensors with one address are one. On the device meta no tensor has an address.
    seen: Right, but for models that are made on meta to be counted: a few numbers, or 0.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    + left_out = (
    +     []
    +     if embeddings
    +     else [p.data_ptr() for p in model.embeddings.parameters()]
    + )
    + sizes = {p.data_ptr(): p.numel() for p in model.parameters()}
    = return sum(
    -     parameter.numel()
    -     for parameter in set(model.parameters()) - left_out
    +     size for address, size in sizes.items() if address not in left_out

gives_a_tensor
    a tensor comes back, not an int
    believed: A tensor with one number is a number. Printed, and as a key of a dict, it is not.
    seen: `tensor(124439808)` in a table, and JSON that refuses it.
    - return sum(
    -     parameter.numel()
    -     for parameter in set(model.parameters()) - left_out
    - )
    + counted = set(model.parameters()) - left_out
    + return torch.tensor([parameter.numel() for parameter in counted]).sum()
""")


bugs("""load_gpt2:

turns_only_where_it_must
    a matrix is turned only when its shape does not fit: the square c_proj stays as it is
    believed: A shape that fits is right. A square matrix fits both ways.
    seen: No error, and text that is nearly, but not quite, entirely unlike English.
    reported: rasbt/LLMs-from-scratch#857
    - shape = (
    -     ours[our_name].shape[::-1]
    -     if is_transposed
    -     else ours[our_name].shape
    - )
    + shape = ours[our_name].shape
    + if is_transposed and tensor.shape != shape:
    +     tensor = tensor.T

    - weights[our_name] = tensor.T if is_transposed else tensor
    + weights[our_name] = tensor

reshapes_instead_of_turning
    a matrix is reshaped to fit instead of turned
    believed: (in, out) becomes (out, in) either way. A reshape keeps the numbers in their order,
        and mixes rows with columns.
    seen: No error, and nonsense.
    - weights[our_name] = tensor.T if is_transposed else tensor
    + weights[our_name] = tensor.reshape(ours[our_name].shape)

turns_nothing
    nothing is turned: c_attn, c_proj and c_fc have their inputs first
    believed: A matrix is a matrix. Theirs multiplies from the right, nn.Linear stores its outputs
        first.
    seen: An error about shapes at the first c_attn.
    - shape = (
    -     ours[our_name].shape[::-1]
    -     if is_transposed
    -     else ours[our_name].shape
    - )
    + shape = ours[our_name].shape

drops_the_biases_of_c_attn
    c_attn.bias is thrown away with attn.bias: both end in attn.bias
    believed: endswith finds the name. It finds the end of a longer name, too.
    seen: ValueError: h.0.attn.c_attn.bias is missing, though it was given.
    - if not name.endswith((".attn.bias", ".attn.masked_bias"))
    + if not name.endswith(("attn.bias", "attn.masked_bias"))

trips_over_masks
    attn.bias and attn.masked_bias are not ignored
    believed: All that is saved is a weight. These two are the causal mask, kept as a buffer.
    seen: ValueError about surplus tensors with files of older versions.
    - if not name.endswith((".attn.bias", ".attn.masked_bias"))

demands_the_prefix
    only names with the prefix transformer. are read
    believed: There is one way to name them. GPT2Model saves them without the prefix of
        GPT2LMHeadModel.
    seen: All tensors are missing, although they are there.
    - if not name.endswith((".attn.bias", ".attn.masked_bias"))
    + if name.startswith(("transformer.", "lm_head."))
    + and not name.endswith((".attn.bias", ".attn.masked_bias"))

demands_no_prefix
    only names without the prefix transformer. are read
    believed: There is one way to name them. GPT2LMHeadModel saves them with a prefix.
    seen: All tensors are missing, and as many are surplus.
    - name.removeprefix("transformer."): tensor
    + name: tensor

demands_the_head
    a tied head must be among the tensors
    believed: Every tensor of the model must come. A tied one has come already, as wte.weight.
    seen: lm_head.weight is missing in files that do not save it twice.
    - if config.tie_weights and "wte.weight" in theirs:
    + if (
    +     config.tie_weights
    +     and {"wte.weight", "lm_head.weight"} <= theirs.keys()
    + ):

believes_any_head
    a tied head that differs from the token embedding is dropped without a word
    believed: Tied means equal, so there is nothing to look at. Not if the file is of a model that
        was not tied.
    seen: A model that was trained with a head of its own writes nonsense.
    - head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
    - if not torch.equal(head, theirs["wte.weight"]):
    -     raise ValueError(
    -         "lm_head.weight must equal "
    -         "wte.weight when tie_weights=True."
    -     )
    + theirs["lm_head.weight"] = theirs["wte.weight"]

ties_whatever_comes
    a head that is not tied is replaced by the token embedding
    believed: GPT-2 ties, so the head is wte.weight. With tie_weights=False it has a tensor of its
        own.
    seen: Right with GPT-2, and with no model that has an own head.
    + elif "wte.weight" in theirs:
    +     theirs["lm_head.weight"] = theirs["wte.weight"]
    = model = GPT(config)

keeps_what_is_missing
    what is missing keeps its random numbers (strict=False)
    believed: strict=False is what makes loading work. It makes it silent.
    seen: No error, and a model that is partly random.
    - if theirs.keys() != wanted:
    + if theirs.keys() - wanted:

    - model.to(theirs["wte.weight"])  # its dtype and device
    - model.load_state_dict(weights)  # copies
    + model.to(next(iter(theirs.values())))  # its dtype and device
    + model.load_state_dict(weights, strict=False)  # copies

overlooks_what_is_surplus
    surplus tensors are overlooked
    believed: What the model does not need does not matter. A block too many means that the config
        is another one.
    seen: A model of 24 blocks, loaded as one of 12, without a word.
    - if theirs.keys() != wanted:
    + if wanted - theirs.keys():

    - for name, tensor in theirs.items():
    -     our_name, is_transposed = names[name]
    + for name in wanted:
    +     tensor, (our_name, is_transposed) = theirs[name], names[name]

stumbles_over_a_missing_name
    a missing tensor is a KeyError from deep within
    believed: state_dict[name] says what is missing. It says one name, in an error that nobody
        expects.
    seen: KeyError: 'h.1.mlp.c_fc.bias'.
    - if theirs.keys() != wanted:
    + if theirs.keys() - wanted:

    - for name, tensor in theirs.items():
    -     our_name, is_transposed = names[name]
    + for name in sorted(wanted):
    +     tensor, (our_name, is_transposed) = theirs[name], names[name]

stretches_what_is_too_small
    a tensor that is too small is stretched: copy_ broadcasts
    believed: copy_ refuses what does not fit. It takes (1, C) for (P, C), and fills all rows with
        the one.
    seen: No error, and every position has the same embedding.
    - shape = (
    -     ours[our_name].shape[::-1]
    -     if is_transposed
    -     else ours[our_name].shape
    - )
    - if tensor.shape != shape:
    -     raise ValueError(
    -         f"{name} must have the shape {tuple(shape)}, "
    -         f"got {tuple(tensor.shape)}."
    -     )

    - model.load_state_dict(weights)  # copies
    + for our_name, tensor in weights.items():
    +     model.state_dict()[our_name].copy_(tensor)

leaves_shapes_to_torch
    a wrong shape is a RuntimeError of load_state_dict
    believed: load_state_dict looks at the shapes. It raises RuntimeError, and it names our tensors,
        not theirs.
    seen: Code that expects ValueError does not catch it.
    - shape = (
    -     ours[our_name].shape[::-1]
    -     if is_transposed
    -     else ours[our_name].shape
    - )
    - if tensor.shape != shape:
    -     raise ValueError(
    -         f"{name} must have the shape {tuple(shape)}, "
    -         f"got {tuple(tensor.shape)}."
    -     )

moves_in_with_the_given_tensors
    the given tensors themselves become the weights (assign=True)
    believed: Copying wastes memory. But whoever trains the model then changes the file's tensors,
        and the other way round.
    seen: Two models loaded from one state_dict learn each other's lessons.
    - model.load_state_dict(weights)  # copies
    + model.load_state_dict(weights, assign=True)
    + if config.tie_weights:
    +     model.head.weight = model.embeddings.token.weight

loads_in_training_mode
    the model comes back in training mode
    believed: The caller knows the mode. A fresh module is in training, and dropout acts.
    seen: Text that is worse than it should be, and other logits at each call.
    - return model.eval()
    + return model

lets_the_head_go
    the head is no longer tied after loading
    believed: lm_head.weight is a tensor of the file, so the head gets one of its own.
    seen: As good as it should be, until it is trained further.
    = model.load_state_dict(weights)  # copies
    + model.head.weight = nn.Parameter(weights["head.weight"].clone())

exchanges_the_norms
    ln_1 and ln_2 are exchanged
    believed: Which of two norms of one shape is which cannot be seen. Only the table tells.
    seen: No error, and logits that are off everywhere.
    = ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    + for n in range(config.n_layers):
    +     for end in ("weight", "bias"):
    +         names[f"h.{n}.ln_1.{end}"] = (f"blocks.{n}.norm2.{end}", False)
    +         names[f"h.{n}.ln_2.{end}"] = (f"blocks.{n}.norm1.{end}", False)

goes_by_the_sorted_names
    blocks are taken in the order of their names as text: 0, 1, 10, 2
    believed: sorted(names) gives the blocks in order. As text, h.10 comes before h.2.
    seen: Right up to ten blocks, nonsense from eleven on: GPT-2 has twelve.
    + in_order = [str(n) for n in range(config.n_layers)]
    + renamed = dict(zip(sorted(in_order), in_order, strict=True))
    = for name, tensor in theirs.items():
    +     if name.startswith("h."):
    +         _, number, rest = name.split(".", 2)
    +         name = f"h.{renamed[number]}.{rest}"

knows_the_gelu_better
    the GELU becomes tanh, whatever the config says
    believed: GPT-2 was trained with tanh. Files in its layout need not be, and the config is the
        caller's.
    seen: Logits that agree to two or three digits, and a .config that was not asked for.
    - model = GPT(config)
    + model = GPT(replace(config, gelu_approximate="tanh"))

always_takes_float32
    the model is float32, whatever the tensors are
    believed: A fresh model is float32, and copying converts. Half-precision tensors become twice as
        large.
    seen: Twice the memory of the file, and logits of another dtype.
    - model.to(theirs["wte.weight"])  # its dtype and device

empties_the_state_dict
    tensors are taken out of the caller's dict
    believed: The dict is there to be loaded, and then no longer needed. The caller may load it
        again.
    seen: The second model that is loaded from it lacks its head.
    = def load_gpt2(state_dict: Mapping[str, Tensor], config: GPTConfig) -> GPT:
    +     for name in list(state_dict):
    +         if name.endswith((".attn.bias", ".attn.masked_bias")):
    +             del state_dict[name]
    +     if config.tie_weights:
    +         state_dict.pop("lm_head.weight", None)
""")
