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

from . import bug

# --- init_weights -------------------------------------------------------------------------------


@bug(
    "init_weights",
    title="the residual projections get 0.02 like all others: not divided by sqrt(2L)",
    misconception="A matrix is a matrix. But the outputs of these two are summed up along the "
    "stream, 2L times.",
    symptom="The deeper the model, the larger the stream at its end, before any training.",
)
def starts_residual_projections_like_the_others(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="residual projections get 0.02 / sqrt(L): each block writes twice, so 2L",
    misconception="One block, one addition. There are two: that of attention and that of the MLP.",
    symptom="The stream of a fresh model grows somewhat too much; hardly anything tells.",
)
def counts_one_write_a_block(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="residual projections get 0.02 / 2L: the root is missing",
    misconception="2L additions make the sum 2L times as large. Of random numbers the variances "
    "add up, so it is only sqrt(2L) times.",
    symptom="Blocks of a deep model whisper: it starts as if it had none.",
)
def divides_without_the_root(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=0.02 / (2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="only attention.out is made smaller, and mlp.down is not",
    misconception="The projection of a block is the one that is called so. The MLP writes into the"
    " stream as well.",
    symptom="Half of what is added to the stream of a fresh model is too loud.",
)
def narrows_only_attention(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith("attention.out.weight"):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="all matrices of a block are made smaller, qkv and up as well",
    misconception="Everything in a block ends in the stream. Only what .out and .down give is "
    "added to it.",
    symptom="Blocks whisper, and the more so the deeper the model is.",
)
def narrows_every_layer_of_a_block(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.startswith("blocks."):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="each block divides by the root of its own number, not of the number of blocks",
    misconception="L is the layer. It is how many layers there are.",
    symptom="The first blocks are loud and the last ones quiet; with one block nothing tells.",
)
def narrows_by_the_place_of_the_block(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        else:
            nn.init.normal_(parameter, std=0.02)
    with torch.no_grad():
        for number, block in enumerate(model.blocks, start=1):
            block.attention.out.weight /= math.sqrt(2 * number)
            block.mlp.down.weight /= math.sqrt(2 * number)


@bug(
    "init_weights",
    title="0.02 was taken for the variance: the numbers are seven times too large",
    misconception="N(0, 0.02) names a variance, as in statistics. Code and papers on GPT mean the "
    "deviation.",
    symptom="The first loss is too high, and the first steps are lost on bringing it down.",
)
def takes_the_deviation_for_a_variance(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=math.sqrt(0.02 / (2 * len(model.blocks))))
        else:
            nn.init.normal_(parameter, std=math.sqrt(0.02))


@bug(
    "init_weights",
    title="the embeddings are left as they were: N(0, 1) in a fresh model",
    misconception="Only layers that multiply need small numbers. nn.Embedding starts at N(0, 1), "
    "and a tied head multiplies with it.",
    symptom="The first loss is tens or hundreds, where ln V is four or eleven.",
    threads=("jsboige/CoursIA#13279",),
)
def leaves_embeddings_alone(model):
    for module in model.modules():
        if isinstance(module, nn.Linear) and module is not model.head:
            nn.init.normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, LayerNorm):
            nn.init.ones_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    if not model.config.tie_weights:
        nn.init.normal_(model.head.weight, std=0.02)
    for block in model.blocks:
        for layer in (block.attention.out, block.mlp.down):
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(2 * len(model.blocks)))


@bug(
    "init_weights",
    title="the biases are left as they were",
    misconception="Biases start at 0 anyway. Those of nn.Linear start at random.",
    symptom="Every token has the same preferences before it has learned anything; the first loss "
    "hardly tells.",
)
def leaves_biases_alone(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            continue
        if parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="biases and norms are drawn like matrices",
    misconception="All parameters are alike. The weight of a norm multiplies the whole stream.",
    symptom="Every norm shrinks what it gives to a fiftieth: the model starts almost silent.",
)
def draws_everything(model):
    for name, parameter in model.named_parameters():
        if name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="the weights of the norms become 0, like biases",
    misconception="What has one axis is a bias. The weight of a norm has one, too, and 0 times "
    "anything is 0.",
    symptom="All logits are 0, the first loss is exactly ln V, and few gradients arrive.",
)
def silences_the_norms(model):
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2:
            nn.init.zeros_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="the norms are left as they were",
    misconception="Norms start at 1 and 0 by themselves. A model that was trained already has "
    "other norms.",
    symptom="A model that is started anew keeps part of what it had learned.",
)
def leaves_norms_alone(model):
    for name, parameter in model.named_parameters():
        if "norm" in name:
            continue
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)


@bug(
    "init_weights",
    title="uniform between -0.02 and 0.02, not normal with that deviation",
    misconception="Random is random. The standard deviation of such numbers is 0.0115.",
    symptom="None that one sees: the model starts a little quieter.",
)
def draws_from_a_box(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            bound = 0.02 / math.sqrt(2 * len(model.blocks))
            nn.init.uniform_(parameter, -bound, bound)
        else:
            nn.init.uniform_(parameter, -0.02, 0.02)


@bug(
    "init_weights",
    title="Xavier's: the deviation follows from the shape of each matrix",
    misconception="The textbook way suits every network. GPT-2 has one number for all, and logits "
    "depend on it.",
    symptom="The first loss depends on the sizes of the model.",
)
def measures_by_the_shape(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        else:
            nn.init.xavier_normal_(parameter)


@bug(
    "init_weights",
    title="new tensors are put in place of the old ones, and what was tied comes apart",
    misconception="An attribute can be assigned. An optimizer, and the tied head, still hold the "
    "old tensor.",
    symptom="n_parameters grows after the call, and head and token embedding drift apart.",
)
def puts_new_tensors(model):
    for module in model.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            if name == "bias":
                fresh = torch.zeros_like(parameter)
            elif parameter.dim() < 2:
                fresh = torch.ones_like(parameter)
            else:
                fresh = 0.02 * torch.randn_like(parameter)
            setattr(module, name, nn.Parameter(fresh))
    with torch.no_grad():
        for block in model.blocks:
            block.attention.out.weight /= math.sqrt(2 * len(model.blocks))
            block.mlp.down.weight /= math.sqrt(2 * len(model.blocks))


@bug(
    "init_weights",
    title="parameters are filled while gradients are recorded, which torch refuses",
    misconception="A tensor can be filled at any time. Not a leaf that wants gradients: nn.init, "
    "or no_grad().",
    symptom="RuntimeError 'a leaf Variable that requires grad is being used in an in-place "
    "operation'.",
)
def fills_without_no_grad(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
        elif parameter.dim() < 2:
            parameter.fill_(1.0)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            parameter.normal_(0.0, 0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            parameter.normal_(0.0, 0.02)


@bug(
    "init_weights",
    title="the model is returned, though it was changed in place",
    misconception="A function should return something. In Python, what changes its argument "
    "returns None, as list.sort does.",
    symptom="`new = init_weights(model)` looks as if there were two models.",
)
def returns_the_model(model):
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            nn.init.zeros_(parameter)
        elif parameter.dim() < 2:
            nn.init.ones_(parameter)
        elif name.endswith(("attention.out.weight", "mlp.down.weight")):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * len(model.blocks)))
        else:
            nn.init.normal_(parameter, std=0.02)
    return model


# --- GPT ----------------------------------------------------------------------------------------


@bug(
    "GPT",
    title="no mask reaches the blocks: every position sees the whole text",
    misconception="A GPT is causal by nature. Only the mask makes it so, and a block without one "
    "hides nothing.",
    symptom="The loss falls towards 0 at once, and the text that the model writes is nonsense.",
)
class GPTThatNeverMasks(nn.Module):
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
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the mask is inverted: each position sees the later ones alone",
    misconception="True means masked. It does in nn.MultiheadAttention; here it means may attend.",
    symptom="The loss falls fast, for the next token is in sight, and generation is nonsense.",
    threads=("pytorch/pytorch#29546",),
)
class GPTThatInvertsTheMask(nn.Module):
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
        mask = ~causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="only the first block gets the mask",
    misconception="What is hidden once stays hidden. Every block lets positions look at each other"
    " anew.",
    symptom="As without a mask: a loss that is too good, and nonsense when it writes.",
)
class GPTThatMasksTheFirstBlockOnly(nn.Module):
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
        x = self.blocks[0](self.embeddings(ids), causal_mask(ids.shape[1], device=ids.device))
        for block in self.blocks[1:]:
            x = block(x)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the mask is made for context_length, and never cut to the text",
    misconception="Texts are as long as the context. Those to generate from are shorter.",
    symptom="RuntimeError about sizes for any text that is shorter.",
    threads=("wyf3/llm_related#35",),
)
class GPTThatMakesAMaskForTheWholeContext(nn.Module):
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
        mask = causal_mask(self.config.context_length, device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the mask is made on the default device",
    misconception="A mask is small, so its device does not matter. It meets scores that are on the"
    " GPU.",
    symptom="Fine on a CPU. On a GPU: 'Expected all tensors to be on the same device'.",
    threads=("wyf3/llm_related#35",),
)
class GPTThatMakesTheMaskAnywhere(nn.Module):
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
        mask = causal_mask(ids.shape[1])
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the last norm is made and never used",
    misconception="Every block has norms already. They stand before its layers; nothing normalises"
    " the sum.",
    symptom="The logits grow with the depth; weights of other models give nonsense.",
    threads=("vllm-project/speculators#313",),
)
class GPTThatForgetsTheLastNorm(nn.Module):
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
        return self.head(x)


@bug(
    "GPT",
    title="the last norm stands in front of the blocks",
    misconception="A norm belongs where the stream begins. Pre-norm blocks have one there; the end"
    " is where it lacks.",
    symptom="The logits grow with the depth; weights of other models give nonsense.",
)
class GPTThatNormsTheEmbeddings(nn.Module):
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
        x = self.norm(self.embeddings(ids))
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x)


@bug(
    "GPT",
    title="the last norm is used after every block",
    misconception="One norm too many does no harm. The stream is cut, and one set of weights "
    "serves L places.",
    symptom="Trains worse the deeper it is; with one block it is right.",
)
class GPTThatNormsAfterEveryBlock(nn.Module):
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
            x = self.norm(block(x, mask))
        return self.head(x)


@bug(
    "GPT",
    title="the position embeddings are never added",
    misconception="Tokens are looked up in .token. Where they stand is in .position: call "
    ".embeddings itself.",
    symptom="The model sees a bag of tokens and learns little of their order.",
)
class GPTThatForgetsPositions(nn.Module):
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
        x = self.embeddings.token(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the embeddings are multiplied by sqrt(C)",
    misconception="The transformer of 2017 did so. GPT-2 does not.",
    symptom="Weights of other models give nonsense.",
)
class GPTThatScalesTheEmbeddings(nn.Module):
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
        x = self.embeddings(ids) * math.sqrt(self.config.d_model)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="a softmax at the end: probabilities come back instead of logits",
    misconception="A model returns probabilities. Loss and sampling take logits, and do the "
    "softmax themselves.",
    symptom="The loss falls slowly and stops far too high; temperature does almost nothing.",
)
class GPTThatReturnsProbabilities(nn.Module):
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
        return F.softmax(self.head(self.norm(x)), dim=-1)


@bug(
    "GPT",
    title="a log-softmax at the end: log-probabilities come back instead of logits",
    misconception="The loss needs log-probabilities. It makes them itself, from any logits; the "
    "same loss hides that these are others.",
    symptom="The same loss, and the same text when it is sampled; but not the logits of GPT-2.",
)
class GPTThatReturnsLogProbabilities(nn.Module):
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
        return F.log_softmax(self.head(self.norm(x)), dim=-1)


@bug(
    "GPT",
    title="the logits are made float32, whatever the dtype of the model",
    misconception="Losses are computed in float32, so logits should be. The loss sees to that "
    "itself.",
    symptom="A float64 model that is exact to seven digits, a bfloat16 one whose logits take twice"
    " the memory.",
)
class GPTThatReturnsFloat32(nn.Module):
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
        return self.head(self.norm(x)).float()


@bug(
    "GPT",
    title="only the last position's logits come back",
    misconception="The next token follows from the last position alone. In training every position"
    " has a next token.",
    symptom="Shape (B, 1, V), not (B, T, V), and a loss of one token a text.",
)
class GPTThatReturnsTheLastPosition(nn.Module):
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
        return self.head(self.norm(x[:, -1:]))


@bug(
    "GPT",
    title="a pair (logits, None) comes back",
    misconception="A model returns its loss as well, None without targets. Here the loss is a "
    "function of its own.",
    symptom="AttributeError: a tuple has no shape.",
)
class GPTThatReturnsAPair(nn.Module):
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
        return self.head(self.norm(x)), None


@bug(
    "GPT",
    title="the logits come back as (B, V, T)",
    misconception="F.cross_entropy wants classes on axis 1. Whoever calls it can turn them; (B, T,"
    " V) is what a model gives.",
    symptom="With T = V no shape tells, and the loss is that of other tokens.",
)
class GPTThatPutsTheVocabularyFirst(nn.Module):
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
        return self.head(self.norm(x)).transpose(1, 2)


@bug(
    "GPT",
    title="every block reads the embeddings, and the last one's answer is all that is left",
    misconception="Blocks work on the text. Each works on what the one before has made of it.",
    symptom="As good as a model with a single block, and as slow as one with L.",
)
class GPTThatFeedsEveryBlockTheEmbeddings(nn.Module):
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
        for block in self.blocks:
            x = block(self.embeddings(ids), mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="what a block returns is added to the stream once more",
    misconception="Blocks are residual, so their outputs are added. They have done it inside.",
    symptom="The stream doubles with each block, and the deeper ones no longer matter.",
    threads=("facebookresearch/multimodal#305",),
)
class GPTThatAddsBlocksToTheStream(nn.Module):
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
            x = x + block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the last block is never called",
    misconception="range(n - 1) ends with n - 1. It ends before it.",
    symptom="No error: one block has parameters and no gradients.",
)
class GPTThatSkipsTheLastBlock(nn.Module):
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
        for n in range(len(self.blocks) - 1):
            x = self.blocks[n](x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the blocks are in a Python list, where no module finds them",
    misconception="A list of modules is a list of modules. Only nn.ModuleList registers them.",
    symptom="The loss falls a little and stops; the blocks are not trained, not saved and not "
    "moved.",
    threads=(
        "pytorch/pytorch#59925",
        "pytorch/pytorch#72580",
    ),
)
class GPTThatKeepsBlocksInAList(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        self.blocks = [
            Block(
                config.d_model,
                config.n_heads,
                bias=config.bias,
                dropout=config.dropout,
                approximate=config.gelu_approximate,
            )
            for _ in range(config.n_layers)
        ]
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


@bug(
    "GPT",
    title="one block is used L times: [Block(…)] * L",
    misconception="* L makes L blocks. It makes L references to one.",
    symptom="A model with the weights of one block, that trains worse than it should.",
    threads=(
        "linkedin/Liger-Kernel#269",
        "FasterDecoding/Medusa#133",
    ),
)
class GPTThatRepeatsOneBlock(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        block = Block(
            config.d_model,
            config.n_heads,
            bias=config.bias,
            dropout=config.dropout,
            approximate=config.gelu_approximate,
        )
        self.blocks = nn.ModuleList([block] * config.n_layers)
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


@bug(
    "GPT",
    title="head and token embedding are never tied",
    misconception="tie_weights is for training. It says which tensors the model has.",
    symptom="V·C parameters too many, in GPT-2 small 39 million.",
)
class GPTThatNeverTies(nn.Module):
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
        init_weights(self)

    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the head gets a copy of the token embedding: equal at first, then on its own",
    misconception="Equal numbers are shared numbers. A step on one no longer moves the other.",
    symptom="Tied when it is made, no longer after the first step.",
)
class GPTThatTiesByACopy(nn.Module):
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
        init_weights(self)
        if config.tie_weights:
            self.head.weight = nn.Parameter(self.embeddings.token.weight.detach().clone())

    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="two parameters over one memory (.data = …), not one tensor with two names",
    misconception="The same memory is the same tensor. There are two gradients, and an optimizer "
    "makes two steps in one.",
    symptom="Tied until the model is moved or converted; then the two go their own ways.",
)
class GPTThatTiesTheDataAlone(nn.Module):
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
            self.head.weight.data = self.embeddings.token.weight.data
        init_weights(self)

    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="head and token embedding are tied even with tie_weights=False",
    misconception="GPT-2 ties, so every GPT does. The config decides.",
    symptom="Weights of a model that is not tied load without an error, and one of two tensors is "
    "lost.",
)
class GPTThatAlwaysTies(nn.Module):
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
        self.head.weight = self.embeddings.token.weight
        init_weights(self)

    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="the head has a bias",
    misconception="bias=True is the default of nn.Linear. The head of a GPT has none.",
    symptom="V parameters that no other model has; loading weights complains of head.bias.",
)
class GPTThatHasABiasInTheHead(nn.Module):
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
        self.head = nn.Linear(config.d_model, config.vocab_size)
        if config.tie_weights:
            self.head.weight = self.embeddings.token.weight
        init_weights(self)

    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="bias=False does not reach the last norm",
    misconception="The blocks have the biases. The last norm has one as well.",
    symptom="Loading weights without biases complains of norm.bias.",
)
class GPTThatKeepsTheBiasOfTheLastNorm(nn.Module):
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
        self.norm = LayerNorm(config.d_model)
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


@bug(
    "GPT",
    title="bias=False does not reach the blocks",
    misconception="bias=False is about the head. It is about every part.",
    symptom="Loading weights without biases complains of all those in the blocks.",
)
class GPTThatKeepsTheBiasesOfTheBlocks(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        self.blocks = nn.ModuleList(
            Block(
                config.d_model,
                config.n_heads,
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


@bug(
    "GPT",
    title="gelu_approximate does not reach the blocks",
    misconception="The two curves are the same to the eye. They differ by up to a thousandth, in "
    "every block.",
    symptom="Weights of GPT-2 give logits that agree to two or three digits.",
    threads=(
        "microsoft/onnxruntime#2270",
        "karpathy/nanoGPT#274",
    ),
)
class GPTThatKeepsItsOwnGELU(nn.Module):
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


@bug(
    "GPT",
    title="dropout does not reach the blocks",
    misconception="The model knows its config, so its parts do. Each part knows what it was given.",
    symptom="A large model learns its training text by heart, whatever dropout was asked for.",
)
class GPTThatDropsNothing(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        self.blocks = nn.ModuleList(
            Block(
                config.d_model,
                config.n_heads,
                bias=config.bias,
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


@bug(
    "GPT",
    title="dropout acts on the embeddings as well",
    misconception="GPT-2 does so. This model does not: dropout is a matter of the blocks.",
    symptom="Training curves that differ from others' with the same dropout.",
)
class GPTThatDropsOfTheEmbeddings(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        self.dropout = nn.Dropout(config.dropout)
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
        x = self.dropout(self.embeddings(ids))
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="init_weights is never called",
    misconception="Layers of torch start well by themselves. nn.Embedding starts at N(0, 1), fifty"
    " times too large for a tied head.",
    symptom="The first loss is tens or hundreds, where ln V is four or eleven.",
    threads=("jsboige/CoursIA#13279",),
)
class GPTThatStartsAsTorchDoes(nn.Module):
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

    def forward(self, ids):
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="a text longer than the context is cut without a word",
    misconception="Better some logits than an error. The caller asked for T positions, and gets "
    "fewer.",
    symptom="Shapes that do not fit, in the loss, or a text that was never read.",
)
class GPTThatCutsLongTexts(nn.Module):
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
        ids = ids[:, -self.config.context_length :]
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@bug(
    "GPT",
    title="a text that is too long is refused by assert: AssertionError, not ValueError",
    misconception="assert checks arguments. It is for what cannot happen, and python -O skips it.",
    symptom="Code that expects ValueError does not catch it; with -O nothing is checked.",
)
class GPTThatAssertsTheLength(nn.Module):
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
        n_tokens, longest = ids.shape[1], self.config.context_length
        assert n_tokens <= longest, f"{n_tokens} tokens, but context_length={longest}"
        mask = causal_mask(ids.shape[1], device=ids.device)
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


# --- n_parameters -------------------------------------------------------------------------------


@bug(
    "n_parameters",
    title="a tensor with two names is counted twice: the tied head",
    misconception="The state_dict holds the parameters. It holds names, and a tied tensor has two.",
    symptom="GPT-2 small with 163 million parameters instead of 124.",
)
def counts_the_tied_head_twice(model, *, embeddings=True):
    left_out = 0 if embeddings else sum(p.numel() for p in model.embeddings.parameters())
    return sum(tensor.numel() for tensor in model.state_dict().values()) - left_out


@bug(
    "n_parameters",
    title="without embeddings the tied head still counts",
    misconception="The head is not part of the embeddings. Where it is tied, its tensor is.",
    symptom="Without embeddings GPT-2 small still has 124 million, all but the positions.",
)
def keeps_the_tied_head(model, *, embeddings=True):
    counted = {
        id(parameter): parameter.numel()
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if embeddings or not name.startswith("embeddings.")
    }
    return sum(counted.values())


@bug(
    "n_parameters",
    title="a tied head counts or not, depending on which layer was made first",
    misconception="named_parameters() gives a shared tensor once, under the name it meets first. "
    "In a model that makes its head before its embeddings, that name is head.weight.",
    symptom="Two models of the same sizes have different counts without embeddings.",
)
def goes_by_the_first_name(model, *, embeddings=True):
    return sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if embeddings or not name.startswith("embeddings.")
    )


@bug(
    "n_parameters",
    title="embeddings=False leaves out the positions, and keeps the tokens",
    misconception="The token table is the head as well, and works. So some count it; here it is "
    "left out.",
    symptom="Without embeddings GPT-2 small still has 124 million, all but the positions.",
)
def leaves_out_positions_only(model, *, embeddings=True):
    total = sum(parameter.numel() for parameter in model.parameters())
    return total if embeddings else total - model.embeddings.position.weight.numel()


@bug(
    "n_parameters",
    title="embeddings=False leaves out the tokens, and keeps the positions",
    misconception="Embeddings are what tokens have. Positions have a table of their own.",
    symptom="A count that depends on the context length.",
)
def leaves_out_tokens_only(model, *, embeddings=True):
    total = sum(parameter.numel() for parameter in model.parameters())
    return total if embeddings else total - model.embeddings.token.weight.numel()


@bug(
    "n_parameters",
    title="embeddings=False leaves out the head even where it is not tied",
    misconception="The head is the embedding, turned around. Only where it is tied.",
    symptom="The count without embeddings is the same, tied or not.",
)
def leaves_out_every_head(model, *, embeddings=True):
    left_out = [] if embeddings else [*model.embeddings.parameters(), *model.head.parameters()]
    seen = {id(parameter) for parameter in left_out}
    return sum(p.numel() for p in model.parameters() if id(p) not in seen)


@bug(
    "n_parameters",
    title="embeddings=False changes nothing",
    misconception="The argument is there for later.",
    symptom="Two counts that are always equal.",
)
def ignores_the_question(model, *, embeddings=True):
    return sum(parameter.numel() for parameter in model.parameters())


@bug(
    "n_parameters",
    title="embeddings are left out unless asked for",
    misconception="What counts is what computes. The default here is everything.",
    symptom="GPT-2 small with 85 million parameters.",
)
def leaves_embeddings_out_by_default(model, *, embeddings=False):
    left_out = set() if embeddings else set(model.embeddings.parameters())
    return sum(parameter.numel() for parameter in set(model.parameters()) - left_out)


@bug(
    "n_parameters",
    title="tensors are counted, not the numbers in them",
    misconception="A parameter is an nn.Parameter. Papers count the numbers.",
    symptom="GPT-2 small with 148 parameters.",
)
def counts_tensors(model, *, embeddings=True):
    left_out = set() if embeddings else set(model.embeddings.parameters())
    return len(set(model.parameters()) - left_out)


@bug(
    "n_parameters",
    title="only matrices count: biases and norms are forgotten",
    misconception="Parameters are weights. A bias is learned as well.",
    symptom="A thousandth too few; right with no other count.",
)
def forgets_biases(model, *, embeddings=True):
    left_out = set() if embeddings else set(model.embeddings.parameters())
    return sum(p.numel() for p in set(model.parameters()) - left_out if p.dim() > 1)


@bug(
    "n_parameters",
    title="tensors are told apart by data_ptr(), which is 0 for all without memory",
    misconception="Two tensors with one address are one. On the device meta no tensor has an "
    "address.",
    symptom="Right, but for models that are made on meta to be counted: a few numbers, or 0.",
)
def tells_tensors_apart_by_address(model, *, embeddings=True):
    left_out = [] if embeddings else [p.data_ptr() for p in model.embeddings.parameters()]
    sizes = {p.data_ptr(): p.numel() for p in model.parameters()}
    return sum(size for address, size in sizes.items() if address not in left_out)


@bug(
    "n_parameters",
    title="a tensor comes back, not an int",
    misconception="A tensor with one number is a number. Printed, and as a key of a dict, it is "
    "not.",
    symptom="`tensor(124439808)` in a table, and JSON that refuses it.",
)
def gives_a_tensor(model, *, embeddings=True):
    left_out = set() if embeddings else set(model.embeddings.parameters())
    counted = set(model.parameters()) - left_out
    return torch.tensor([parameter.numel() for parameter in counted]).sum()


# --- load_gpt2 ----------------------------------------------------------------------------------


@bug(
    "load_gpt2",
    title="a matrix is turned only when its shape does not fit: the square c_proj stays as it is",
    misconception="A shape that fits is right. A square matrix fits both ways.",
    symptom="No error, and text that is nearly, but not quite, entirely unlike English.",
    threads=("rasbt/LLMs-from-scratch#857",),
)
def turns_only_where_it_must(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape
        if is_transposed and tensor.shape != shape:
            tensor = tensor.T
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="a matrix is reshaped to fit instead of turned",
    misconception="(in, out) becomes (out, in) either way. A reshape keeps the numbers in their "
    "order, and mixes rows with columns.",
    symptom="No error, and nonsense.",
)
def reshapes_instead_of_turning(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.reshape(ours[our_name].shape)
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="nothing is turned: c_attn, c_proj and c_fc have their inputs first",
    misconception="A matrix is a matrix. Theirs multiplies from the right, nn.Linear stores its "
    "outputs first.",
    symptom="An error about shapes at the first c_attn.",
)
def turns_nothing(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, _ = names[name]
        shape = ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="c_attn.bias is thrown away with attn.bias: both end in attn.bias",
    misconception="endswith finds the name. It finds the end of a longer name, too.",
    symptom="Queries, keys and values without their biases: text that loses its thread.",
)
def drops_the_biases_of_c_attn(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith(("attn.bias", "attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    missing = {name for name in wanted - theirs.keys() if not name.endswith("attn.bias")}
    if missing or theirs.keys() - wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = model.state_dict()
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="attn.bias and attn.masked_bias are not ignored",
    misconception="All that is saved is a weight. These two are the causal mask, kept as a buffer.",
    symptom="ValueError about surplus tensors with files of older versions.",
)
def trips_over_masks(state_dict, config):
    theirs = {name.removeprefix("transformer."): tensor for name, tensor in state_dict.items()}
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="only names with the prefix transformer. are read",
    misconception="There is one way to name them. GPT2Model saves them without the prefix of "
    "GPT2LMHeadModel.",
    symptom="All tensors are missing, although they are there.",
)
def demands_the_prefix(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if name.startswith(("transformer.", "lm_head."))
        and not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="only names without the prefix transformer. are read",
    misconception="There is one way to name them. GPT2LMHeadModel saves them with a prefix.",
    symptom="All tensors are missing, and as many are surplus.",
)
def demands_no_prefix(state_dict, config):
    theirs = {
        name: tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="a tied head must be among the tensors",
    misconception="Every tensor of the model must come. A tied one has come already, as "
    "wte.weight.",
    symptom="lm_head.weight is missing in files that do not save it twice.",
)
def demands_the_head(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and {"wte.weight", "lm_head.weight"} <= theirs.keys():
        head = theirs["lm_head.weight"]
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="a tied head that differs from the token embedding is dropped without a word",
    misconception="Tied means equal, so there is nothing to look at. Not if the file is of a model"
    " that was not tied.",
    symptom="A model that was trained with a head of its own writes nonsense.",
)
def believes_any_head(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        theirs["lm_head.weight"] = theirs["wte.weight"]
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="a head that is not tied is replaced by the token embedding",
    misconception="GPT-2 ties, so the head is wte.weight. With tie_weights=False it has a tensor "
    "of its own.",
    symptom="Right with GPT-2, and with no model that has an own head.",
)
def ties_whatever_comes(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    elif "wte.weight" in theirs:
        theirs["lm_head.weight"] = theirs["wte.weight"]
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="what is missing keeps its random numbers (strict=False)",
    misconception="strict=False is what makes loading work. It makes it silent.",
    symptom="No error, and a model that is partly random.",
)
def keeps_what_is_missing(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() - wanted:
        raise ValueError(f"surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(next(iter(theirs.values())))
    model.load_state_dict(weights, strict=False)
    return model.eval()


@bug(
    "load_gpt2",
    title="surplus tensors are overlooked",
    misconception="What the model does not need does not matter. A block too many means that the "
    "config is another one.",
    symptom="A model of 24 blocks, loaded as one of 12, without a word.",
)
def overlooks_what_is_surplus(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if wanted - theirs.keys():
        raise ValueError(f"missing {wanted - theirs.keys()}")
    weights = {}
    for name in wanted:
        tensor = theirs[name]
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="a missing tensor is a KeyError from deep within",
    misconception="state_dict[name] says what is missing. It says one name, in an error that "
    "nobody expects.",
    symptom="KeyError: 'h.1.mlp.c_fc.bias'.",
)
def stumbles_over_a_missing_name(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() - wanted:
        raise ValueError(f"surplus {theirs.keys() - wanted}")
    weights = {}
    for name in sorted(wanted):
        tensor = theirs[name]
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="a tensor that is too small is stretched: copy_ broadcasts",
    misconception="copy_ refuses what does not fit. It takes (1, C) for (P, C), and fills all rows"
    " with the one.",
    symptom="No error, and every position has the same embedding.",
)
def stretches_what_is_too_small(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    model.to(theirs.get("wte.weight", torch.empty(0)))
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        try:
            ours[our_name].copy_(tensor.T if is_transposed else tensor)
        except RuntimeError as error:
            raise ValueError(f"{name}: {error}") from None
    return model.eval()


@bug(
    "load_gpt2",
    title="a wrong shape is a RuntimeError of load_state_dict",
    misconception="load_state_dict looks at the shapes. It raises RuntimeError, and it names our "
    "tensors, not theirs.",
    symptom="Code that expects ValueError does not catch it.",
)
def leaves_shapes_to_torch(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="the given tensors themselves become the weights (assign=True)",
    misconception="Copying wastes memory. But whoever trains the model then changes the file's "
    "tensors, and the other way round.",
    symptom="Two models loaded from one state_dict learn each other's lessons.",
)
def moves_in_with_the_given_tensors(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights, assign=True)
    if config.tie_weights:
        model.head.weight = model.embeddings.token.weight
    return model.eval()


@bug(
    "load_gpt2",
    title="the model comes back in training mode",
    misconception="The caller knows the mode. A fresh module is in training, and dropout acts.",
    symptom="Text that is worse than it should be, and other logits at each call.",
)
def loads_in_training_mode(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model


@bug(
    "load_gpt2",
    title="the head is no longer tied after loading",
    misconception="lm_head.weight is a tensor of the file, so the head gets one of its own.",
    symptom="As good as it should be, until it is trained further.",
)
def lets_the_head_go(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    model.head.weight = nn.Parameter(weights["head.weight"].clone())
    return model.eval()


@bug(
    "load_gpt2",
    title="ln_1 and ln_2 are exchanged",
    misconception="Which of two norms of one shape is which cannot be seen. Only the table tells.",
    symptom="No error, and logits that are off everywhere.",
)
def exchanges_the_norms(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    for n in range(config.n_layers):
        for end in ("weight", "bias"):
            names[f"h.{n}.ln_1.{end}"] = (f"blocks.{n}.norm2.{end}", False)
            names[f"h.{n}.ln_2.{end}"] = (f"blocks.{n}.norm1.{end}", False)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="blocks are taken in the order of their names as text: 0, 1, 10, 2",
    misconception="sorted(names) gives the blocks in order. As text, h.10 comes before h.2.",
    symptom="Right up to ten blocks, nonsense from eleven on: GPT-2 has twelve.",
)
def goes_by_the_sorted_names(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    in_order = ["0", *map(str, range(1, config.n_layers))]
    renamed = dict(zip(sorted(in_order), in_order, strict=True))
    for name, tensor in theirs.items():
        if name.startswith("h."):
            _, number, rest = name.split(".", 2)
            name = f"h.{renamed[number]}.{rest}"
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="the GELU becomes tanh, whatever the config says",
    misconception="GPT-2 was trained with tanh. Files in its layout need not be, and the config is"
    " the caller's.",
    symptom="Logits that agree to two or three digits, and a .config that was not asked for.",
)
def knows_the_gelu_better(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(replace(config, gelu_approximate="tanh"))
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="the model is float32, whatever the tensors are",
    misconception="A fresh model is float32, and copying converts. Half-precision tensors become "
    "twice as large.",
    symptom="Twice the memory of the file, and logits of another dtype.",
)
def always_takes_float32(state_dict, config):
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.load_state_dict(weights)
    return model.eval()


@bug(
    "load_gpt2",
    title="tensors are taken out of the caller's dict",
    misconception="The dict is there to be loaded, and then no longer needed. The caller may load "
    "it again.",
    symptom="The second model that is loaded from it lacks its head.",
)
def empties_the_state_dict(state_dict, config):
    for name in list(state_dict):
        if name.endswith((".attn.bias", ".attn.masked_bias")):
            del state_dict[name]
    if config.tie_weights:
        state_dict.pop("lm_head.weight", None)
    theirs = {
        name.removeprefix("transformer."): tensor
        for name, tensor in state_dict.items()
        if not name.endswith((".attn.bias", ".attn.masked_bias"))
    }
    if config.tie_weights and "wte.weight" in theirs:
        head = theirs.setdefault("lm_head.weight", theirs["wte.weight"])
        if not torch.equal(head, theirs["wte.weight"]):
            raise ValueError("lm_head.weight must equal wte.weight when tied")
    model = GPT(config)
    ours, names = model.state_dict(), _gpt2_names(config.n_layers)
    wanted = {name for name, (our_name, _) in names.items() if our_name in ours}
    if theirs.keys() != wanted:
        raise ValueError(f"missing {wanted - theirs.keys()}, surplus {theirs.keys() - wanted}")
    weights = {}
    for name, tensor in theirs.items():
        our_name, is_transposed = names[name]
        shape = ours[our_name].shape[::-1] if is_transposed else ours[our_name].shape
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {tuple(shape)}, got {tuple(tensor.shape)}")
        weights[our_name] = tensor.T if is_transposed else tensor
    model.to(theirs["wte.weight"])
    model.load_state_dict(weights)
    return model.eval()
