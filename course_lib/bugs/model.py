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
    believed: All matrices may start alike. But what these two return is added up along the stream,
        2L times.
    seen: The deeper the model, the larger the stream at its end, before any training.
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    -     nn.init.normal_(
    -         parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    -     )

counts_one_write_a_block
    residual projections get 0.02 / sqrt(L): each block writes twice, so 2L
    believed: A block adds to the stream once. It does so twice: attention and the MLP each write
        into it.
    seen: The stream of a fresh model grows somewhat too much; hardly anything tells.
    - parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    + parameter, std=0.02 / math.sqrt(len(model.blocks))

divides_without_the_root
    residual projections get 0.02 / 2L: the root is missing
    believed: 2L additions make the sum 2L times as large. With random numbers it is the variances
        that add up, so it is only sqrt(2L) times.
    seen: Blocks of a deep model whisper: it starts as if it had none.
    - nn.init.normal_(
    -     parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    - )
    + nn.init.normal_(parameter, std=0.02 / (2 * len(model.blocks)))

narrows_only_attention
    only attention.out is made smaller, and mlp.down is not
    believed: Only attention writes into the stream. The MLP does so as well, by its down.
    seen: Half of what is added to the stream of a fresh model is too loud.
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    + elif name.endswith("attention.out.weight"):

narrows_every_layer_of_a_block
    all matrices of a block are made smaller, qkv and up as well
    believed: Everything in a block ends in the stream. But only what .out and .down give is added
        to it.
    seen: Blocks whisper, and the more so the deeper the model is.
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    + elif name.startswith("blocks."):

narrows_by_the_place_of_the_block
    each block divides by the root of its own number, not of the number of blocks
    believed: L is the number of this block. It is how many blocks there are.
    seen: The first blocks are loud and the last ones quiet; with one block nothing tells.
    - nn.init.normal_(
    -     parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    - )
    + number = 1 + int(name.split(".")[1])
    + nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * number))

takes_the_deviation_for_a_variance
    0.02 was taken for the variance: the numbers are seven times too large
    believed: N(0, 0.02) names a variance, as in statistics. Here, as in code and papers on GPT, it
        is the standard deviation.
    seen: The first loss is too high, and the first steps are lost on bringing it down.
    - parameter, std=0.02 / math.sqrt(2 * len(model.blocks))
    + parameter, std=math.sqrt(0.02 / (2 * len(model.blocks)))

    - nn.init.normal_(parameter, std=0.02)
    + nn.init.normal_(parameter, std=math.sqrt(0.02))

leaves_embeddings_alone
    the embeddings are left as they were: N(0, 1) in a fresh model
    believed: Only layers that multiply need small numbers. But nn.Embedding starts at N(0, 1), and
        a tied head multiplies with it.
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
    believed: All parameters start at random. Biases do not, nor do norms: a norm's weight
        multiplies the whole stream.
    seen: Every norm shrinks what it gives to a fiftieth: the model starts almost silent.
    - if name.endswith("bias"):
    -     nn.init.zeros_(parameter)
    - elif parameter.dim() < 2:
    -     nn.init.ones_(parameter)
    - elif name.endswith(("attention.out.weight", "mlp.down.weight")):
    + if name.endswith(("attention.out.weight", "mlp.down.weight")):

silences_the_norms
    the weights of the norms become 0, like biases
    believed: What has one axis is a bias, and starts at 0. The weight of a norm has one axis too,
        and 0 times anything is 0.
    seen: All logits are 0, the first loss is exactly ln V, and few gradients arrive.
    - if name.endswith("bias"):
    + if parameter.dim() < 2:

leaves_norms_alone
    the norms are left as they were
    believed: Norms hold 1 and 0 by themselves. Fresh ones do; in a model that was trained they must
        be set back.
    seen: A model that is started anew keeps part of what it had learned.
    = for name, parameter in model.named_parameters():
    +     if "norm" in name:
    +         continue

draws_from_a_box
    uniform between -0.02 and 0.02, not normal with that deviation
    believed: Any random numbers of that size will do. Uniform ones within ±0.02 have a standard
        deviation of 0.0115; normal ones are asked for.
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
    believed: The deviation must fit the shape of each matrix, as in the textbook. GPT-2 takes 0.02
        whatever the shape, and the first loss depends on it.
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
    believed: A new parameter is as good as new numbers in the old one. But the tied head, and an
        optimizer, still hold the old one.
    seen: n_parameters grows after the call, and head and token embedding drift apart.
    =         nn.init.normal_(parameter, std=0.02)
    + for module in model.modules():
    +     for name, parameter in list(module.named_parameters(recurse=False)):
    +         setattr(module, name, nn.Parameter(parameter.detach().clone()))

fills_without_no_grad
    parameters are filled while gradients are recorded, which torch refuses
    believed: A parameter can be filled at any time. It cannot while gradients are recorded: nn.init
        and no_grad() are there for it.
    seen: RuntimeError 'a leaf Variable that requires grad is being used in an in-place operation'.
    - nn.init.ones_(parameter)
    + parameter.fill_(1.0)

returns_the_model
    the model is returned, though it was changed in place
    believed: A function should return something. But in Python, what changes its argument returns
        None, as list.sort does.
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
    believed: True is taken for 'hide this', as in nn.MultiheadAttention. Here True means may
        attend.
    seen: The loss falls fast, for the next token is in sight, and generation is nonsense.
    reported: pytorch/pytorch#29546
    - mask = causal_mask(ids.shape[1], device=ids.device)
    + mask = ~causal_mask(ids.shape[1], device=ids.device)

GPTThatMasksTheFirstBlockOnly
    only the first block gets the mask
    believed: What is hidden once stays hidden. But every block lets positions look at each other
        anew.
    seen: As without a mask: a loss that is too good, and nonsense when it writes.
    - x = block(x, mask)
    + x = block(x, mask if block is self.blocks[0] else None)

GPTThatMakesAMaskForTheWholeContext
    the mask is made for context_length, and never cut to the text
    believed: Every text is as long as the context. It may be shorter, as a prompt is.
    seen: RuntimeError about sizes for any text that is shorter.
    reported: wyf3/llm_related#35
    - mask = causal_mask(ids.shape[1], device=ids.device)
    + mask = causal_mask(self.config.context_length, device=ids.device)

GPTThatMakesTheMaskAnywhere
    the mask is made on the default device
    believed: A mask is small, so its device does not matter. But it meets the scores, and must be
        where they are.
    seen: Fine on a CPU. On a GPU: 'Expected all tensors to be on the same device'.
    reported: wyf3/llm_related#35
    - mask = causal_mask(ids.shape[1], device=ids.device)
    + mask = causal_mask(ids.shape[1])

GPTThatForgetsTheLastNorm
    the last norm is made and never used
    believed: Every block has norms already. But they stand before its layers; what the last block
        adds is not normalised yet.
    seen: The logits grow with the depth; weights of other models give nonsense.
    reported: vllm-project/speculators#313
    - return self.head(self.norm(x))
    + return self.head(x)

GPTThatNormsTheEmbeddings
    the last norm stands in front of the blocks
    believed: A norm belongs where the stream begins. The blocks bring one there; it is at the end
        that one is missing.
    seen: The logits grow with the depth; weights of other models give nonsense.
    - x = self.embeddings(ids)
    + x = self.norm(self.embeddings(ids))

    - return self.head(self.norm(x))
    + return self.head(x)

GPTThatNormsAfterEveryBlock
    the last norm is used after every block
    believed: One norm too many does no harm. But it cuts the straight path of the stream; this one
        comes once, at the end.
    seen: Trains worse the deeper it is; with one block it is right.
    -     x = block(x, mask)
    - return self.head(self.norm(x))
    +     x = self.norm(block(x, mask))
    + return self.head(x)

GPTThatForgetsPositions
    the position embeddings are never added
    believed: .embeddings.token is all of the embeddings. Where a token stands is in .position: call
        .embeddings itself.
    seen: It learns, and less well: only the mask tells what came first, and without one the
        text is a bag of tokens.
    - x = self.embeddings(ids)
    + x = self.embeddings.token(ids)

GPTThatScalesTheEmbeddings
    the embeddings are multiplied by sqrt(C)
    believed: Embeddings are multiplied by sqrt(C), as in the transformer of 2017. Here, as in
        GPT-2, they are not.
    seen: Weights of other models give nonsense.
    - x = self.embeddings(ids)
    + x = self.embeddings(ids) * math.sqrt(self.config.d_model)

GPTThatReturnsProbabilities
    a softmax at the end: probabilities come back instead of logits
    believed: A model returns probabilities. Here it returns logits: loss and sampling do the
        softmax themselves.
    seen: The loss falls slowly and stops far too high; temperature does almost nothing.
    - return self.head(self.norm(x))
    + return F.softmax(self.head(self.norm(x)), dim=-1)

GPTThatReturnsLogProbabilities
    a log-softmax at the end: log-probabilities come back instead of logits
    believed: The loss needs log-probabilities. It makes them itself, so a model returns the logits
        as they are.
    seen: The same loss, and the same text when it is sampled; but not the logits of GPT-2.
    - return self.head(self.norm(x))
    + return F.log_softmax(self.head(self.norm(x)), dim=-1)

GPTThatReturnsFloat32
    the logits are made float32, whatever the dtype of the model
    believed: Losses are computed in float32, so logits should be. But the loss sees to that itself.
    seen: A float64 model that is exact to seven digits, a bfloat16 one whose logits take twice the
        memory.
    - return self.head(self.norm(x))
    + return self.head(self.norm(x)).float()

GPTThatReturnsTheLastPosition
    only the last position's logits come back
    believed: The next token follows from the last position alone. But in training every position
        has a next token.
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
    believed: F.cross_entropy wants the classes on axis 1. Whoever calls it can turn them; a model
        gives (B, T, V).
    seen: With T = V no shape tells, and the loss is that of other tokens.
    - return self.head(self.norm(x))
    + return self.head(self.norm(x)).transpose(1, 2)

GPTThatFeedsEveryBlockTheEmbeddings
    every block reads the embeddings, and the last one's answer is all that is left
    believed: Every block works on the text. It works on what the block before has made of it.
    seen: As good as a model with a single block, and as slow as one with L.
    - x = block(x, mask)
    + x = block(self.embeddings(ids), mask)

GPTThatAddsBlocksToTheStream
    what a block returns is added to the stream once more
    believed: Blocks are residual, so what they return is added. They have added it themselves.
    seen: The stream doubles with each block, and the deeper ones no longer matter.
    reported: facebookresearch/multimodal#305
    - x = block(x, mask)
    + x = x + block(x, mask)

GPTThatSkipsTheLastBlock
    the last block is never called
    believed: range(n - 1) ends with n - 1. It ends with n - 2, and one block is never called.
    seen: No error: one block has parameters and no gradients.
    - for block in self.blocks:
    -     x = block(x, mask)
    + for n in range(len(self.blocks) - 1):
    +     x = self.blocks[n](x, mask)

GPTThatKeepsBlocksInAList
    the blocks are in a Python list, where no module finds them
    believed: A list of modules on self belongs to the model. Only what is in an nn.ModuleList is
        trained, saved and moved with it.
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
    believed: tie_weights is a matter of training. It says which tensors the model has: one for
        both, from the start.
    seen: V·C parameters too many, in GPT-2 small 39 million.
    - if config.tie_weights:
    -     self.head.weight = self.embeddings.token.weight

GPTThatTiesByACopy
    the head gets a copy of the token embedding: equal at first, then on its own
    believed: Equal numbers are shared numbers. But a step on one of two tensors does not move the
        other.
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
    believed: The same memory is the same tensor. But these are still two parameters with two
        gradients, and an optimizer moves the memory twice.
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
    believed: The head is a plain nn.Linear. That has a bias unless told otherwise, and the head of
        a GPT has none.
    seen: V parameters that no other model has; loading weights complains of head.bias.
    - self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
    + self.head = nn.Linear(config.d_model, config.vocab_size)

GPTThatKeepsTheBiasOfTheLastNorm
    bias=False does not reach the last norm
    believed: bias=False is about the blocks. It is about every part, and the last norm has a bias
        too.
    seen: Loading weights without biases complains of norm.bias.
    - self.norm = LayerNorm(config.d_model, bias=config.bias)
    + self.norm = LayerNorm(config.d_model)

GPTThatKeepsTheBiasesOfTheBlocks
    bias=False does not reach the blocks
    believed: bias=False is about the parts outside the blocks. It must be passed on to the blocks
        as well.
    seen: Loading weights without biases complains of all those in the blocks.
    - bias=config.bias,

GPTThatKeepsItsOwnGELU
    gelu_approximate does not reach the blocks
    believed: The two curves look the same, so one will do. They differ in the fourth decimal, in
        every block, and the config says which one is meant.
    seen: Weights of GPT-2 give logits that agree to two or three digits.
    reported: microsoft/onnxruntime#2270, karpathy/nanoGPT#274
    - approximate=config.gelu_approximate,

GPTThatDropsNothing
    dropout does not reach the blocks
    believed: The model knows its config, so its parts do. Each part knows only what it was given:
        pass dropout on.
    seen: A large model learns its training text by heart, whatever dropout was asked for.
    - dropout=config.dropout,

GPTThatDropsOfTheEmbeddings
    dropout acts on the embeddings as well
    believed: Dropout acts on the embeddings too, as in GPT-2. In this model it is a matter of the
        blocks alone.
    seen: Training curves that differ from others' with the same dropout.
    + self.dropout = nn.Dropout(config.dropout)
    = self.blocks = nn.ModuleList(

    - x = self.embeddings(ids)
    + x = self.dropout(self.embeddings(ids))

GPTThatStartsAsTorchDoes
    init_weights is never called
    believed: Layers of torch start well by themselves. But nn.Embedding starts at N(0, 1), fifty
        times too large for a tied head.
    seen: The first loss is tens or hundreds, where ln V is four or eleven.
    reported: jsboige/CoursIA#13279
    - init_weights(self)

GPTThatCutsLongTexts
    a text longer than the context is cut without a word
    believed: Some logits are better than an error. But the caller asked for T positions, and would
        get fewer without knowing it.
    seen: Shapes that do not fit, in the loss, or a text that was never read.
    = def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
    +     ids = ids[:, -self.config.context_length :]

GPTThatAssertsTheLength
    a text that is too long is refused by assert: AssertionError, not ValueError
    believed: assert is made for checking arguments. But python -O skips it, and callers wait for
        the ValueError of the docstring.
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
    believed: A list of names holds each parameter once. A tied tensor has two names: it stands
        there twice, in model.parameters() once.
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
    believed: A shared tensor goes by the name of its embedding. named_parameters() calls it by the
        name that it meets first, which may be head.weight.
    seen: Two models of the same sizes have different counts without embeddings.
    - left_out = set() if embeddings else set(model.embeddings.parameters())

    - for parameter in set(model.parameters()) - left_out
    + for name, parameter in model.named_parameters()
    + if embeddings or not name.startswith("embeddings.")

leaves_out_positions_only
    embeddings=False leaves out the positions, and keeps the tokens
    believed: The token table is at work as the head too, so it counts. Some count it so; here
        embeddings=False leaves it out.
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
    believed: Only tokens have embeddings. Positions have a table of their own, which is left out
        too.
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
    believed: The head is the token embedding, turned around. It is only where it is tied; otherwise
        it counts.
    seen: The count without embeddings is the same, tied or not.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    + left_out = (
    +     set()
    +     if embeddings
    +     else {*model.embeddings.parameters(), model.head.weight}
    + )

ignores_the_question
    embeddings=False changes nothing
    believed: The argument is there for later. With embeddings=False the embeddings, and a tied
        head, must not count.
    seen: Two counts that are always equal.
    - left_out = set() if embeddings else set(model.embeddings.parameters())
    - return sum(
    -     parameter.numel()
    -     for parameter in set(model.parameters()) - left_out
    - )
    + return sum(parameter.numel() for parameter in model.parameters())

leaves_embeddings_out_by_default
    embeddings are left out unless asked for
    believed: Only what computes counts, so embeddings do not. Whoever wants that asks for it: the
        default counts everything.
    seen: GPT-2 small with 85 million parameters.
    - def n_parameters(model: nn.Module, *, embeddings: bool = True) -> int:
    + def n_parameters(model: nn.Module, *, embeddings: bool = False) -> int:

counts_tensors
    tensors are counted, not the numbers in them
    believed: Each nn.Parameter is one parameter. What counts are the numbers in it.
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
    believed: Two tensors with one address are one. But on the device meta no tensor has an address.
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
    believed: A tensor with one number is a number. But printed, and as a key of a dict, it is not.
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
    believed: A matrix whose shape fits is the right way round. A square one fits both ways: turn
        all those that have their inputs first.
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
    believed: (in, out) becomes (out, in) either way. But a reshape keeps the numbers in their
        order, and so mixes rows with columns.
    seen: No error, and nonsense.
    - weights[our_name] = tensor.T if is_transposed else tensor
    + weights[our_name] = tensor.reshape(ours[our_name].shape)

turns_nothing
    nothing is turned: c_attn, c_proj and c_fc have their inputs first
    believed: Their matrices lie as ours do. Those of these three have their inputs first, and
        nn.Linear has its outputs first.
    seen: An error about shapes at the first c_attn.
    - shape = (
    -     ours[our_name].shape[::-1]
    -     if is_transposed
    -     else ours[our_name].shape
    - )
    + shape = ours[our_name].shape

drops_the_biases_of_c_attn
    c_attn.bias is thrown away with attn.bias: both end in attn.bias
    believed: Only the mask ends in attn.bias. c_attn.bias does too, and is a weight.
    seen: ValueError: h.0.attn.c_attn.bias is missing, though it was given.
    - if not name.endswith((".attn.bias", ".attn.masked_bias"))
    + if not name.endswith(("attn.bias", "attn.masked_bias"))

trips_over_masks
    attn.bias and attn.masked_bias are not ignored
    believed: All that is saved is a weight. These two are the causal mask, kept as a buffer: leave
        them aside.
    seen: ValueError about surplus tensors with files of older versions.
    - if not name.endswith((".attn.bias", ".attn.masked_bias"))

demands_the_prefix
    only names with the prefix transformer. are read
    believed: All names have the prefix. Those of a file saved without the head do not, and are the
        same tensors.
    seen: All tensors are missing, although they are there.
    - if not name.endswith((".attn.bias", ".attn.masked_bias"))
    + if name.startswith(("transformer.", "lm_head."))
    + and not name.endswith((".attn.bias", ".attn.masked_bias"))

demands_no_prefix
    only names without the prefix transformer. are read
    believed: No name has a prefix. Those of a file saved with the head do, and are the same
        tensors.
    seen: All tensors are missing, and as many are surplus.
    - name.removeprefix("transformer."): tensor
    + name: tensor

demands_the_head
    a tied head must be among the tensors
    believed: Every tensor of the model must come. A tied head has come already, as wte.weight.
    seen: lm_head.weight is missing in files that do not save it twice.
    - if config.tie_weights and "wte.weight" in theirs:
    + if (
    +     config.tie_weights
    +     and {"wte.weight", "lm_head.weight"} <= theirs.keys()
    + ):

believes_any_head
    a tied head that differs from the token embedding is dropped without a word
    believed: A tied head is always equal, so there is nothing to look at. It is not if the model
        was trained untied: refuse it.
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
    believed: strict=False makes loading work. It only makes it silent, and what is missing stays
        random: refuse it.
    seen: No error, and a model that is partly random.
    - if theirs.keys() != wanted:
    + if theirs.keys() - wanted:

    - model.to(theirs["wte.weight"])  # its dtype and device
    - model.load_state_dict(weights)  # copies
    + model.to(next(iter(theirs.values())))  # its dtype and device
    + model.load_state_dict(weights, strict=False)  # copies

overlooks_what_is_surplus
    surplus tensors are overlooked
    believed: What the model has no place for does not matter. But a block too many means that the
        config is of another model.
    seen: A model of 24 blocks, loaded as one of 12, without a word.
    - if theirs.keys() != wanted:
    + if wanted - theirs.keys():

    - for name, tensor in theirs.items():
    -     our_name, is_transposed = names[name]
    + for name in wanted:
    +     tensor, (our_name, is_transposed) = theirs[name], names[name]

stumbles_over_a_missing_name
    a missing tensor is a KeyError from deep within
    believed: A KeyError says what is missing. It names a single tensor; callers wait for the
        ValueError of the docstring.
    seen: KeyError: 'h.1.mlp.c_fc.bias'.
    - if theirs.keys() != wanted:
    + if theirs.keys() - wanted:

    - for name, tensor in theirs.items():
    -     our_name, is_transposed = names[name]
    + for name in sorted(wanted):
    +     tensor, (our_name, is_transposed) = theirs[name], names[name]

stretches_what_is_too_small
    a tensor that is too small is stretched: copy_ broadcasts
    believed: copy_ refuses what does not fit. But it takes (1, C) for (P, C), and fills all rows
        with the one.
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
    believed: load_state_dict looks at the shapes. But its RuntimeError names our tensors, not
        theirs; callers wait for a ValueError.
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
    believed: The mode is the caller's affair. A new module is in training mode; this one is to come
        back in evaluation mode.
    seen: Text that is worse than it should be, and other logits at each call.
    - return model.eval()
    + return model

lets_the_head_go
    the head is no longer tied after loading
    believed: lm_head.weight is a tensor of the file, so the head gets one of its own. A tied head
        must stay the token embedding itself.
    seen: As good as it should be, until it is trained further.
    = model.load_state_dict(weights)  # copies
    + model.head.weight = nn.Parameter(weights["head.weight"].clone())

exchanges_the_norms
    ln_1 and ln_2 are exchanged
    believed: ln_1 and ln_2 fit either place. Only by shape: ln_1 stands before attention, ln_2
        before the MLP.
    seen: No error, and logits that are off everywhere.
    = ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    + for n in range(config.n_layers):
    +     for end in ("weight", "bias"):
    +         names[f"h.{n}.ln_1.{end}"] = (f"blocks.{n}.norm2.{end}", False)
    +         names[f"h.{n}.ln_2.{end}"] = (f"blocks.{n}.norm1.{end}", False)

goes_by_the_sorted_names
    blocks are taken in the order of their names as text: 0, 1, 10, 2
    believed: Sorted names give the blocks in order. But as text, h.10 comes before h.2.
    seen: Right up to ten blocks, nonsense from eleven on: GPT-2 has twelve.
    + in_order = [str(n) for n in range(config.n_layers)]
    + renamed = dict(zip(sorted(in_order), in_order, strict=True))
    = for name, tensor in theirs.items():
    +     if name.startswith("h."):
    +         _, number, rest = name.split(".", 2)
    +         name = f"h.{renamed[number]}.{rest}"

knows_the_gelu_better
    the GELU becomes tanh, whatever the config says
    believed: GPT-2 was trained with tanh, so it must be tanh. Files in its layout need not be: the
        config decides.
    seen: Logits that agree to two or three digits, and a .config that was not asked for.
    - model = GPT(config)
    + model = GPT(replace(config, gelu_approximate="tanh"))

always_takes_float32
    the model is float32, whatever the tensors are
    believed: A fresh model is float32, and copying converts. The model is to have the dtype of the
        tensors it was given.
    seen: Twice the memory of the file, and logits of another dtype.
    - model.to(theirs["wte.weight"])  # its dtype and device

empties_the_state_dict
    tensors are taken out of the caller's dict
    believed: Once loaded, the dict is no longer needed. It is the caller's, who may load it again.
    seen: The second model that is loaded from it lacks its head.
    = def load_gpt2(state_dict: Mapping[str, Tensor], config: GPTConfig) -> GPT:
    +     for name in list(state_dict):
    +         if name.endswith((".attn.bias", ".attn.masked_bias")):
    +             del state_dict[name]
    +     if config.tie_weights:
    +         state_dict.pop("lm_head.weight", None)
""")
