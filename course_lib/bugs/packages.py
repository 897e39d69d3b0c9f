"""What goes wrong in a whole package: one part has a bug, all shapes are right, and text comes out.

Each of these is caught by the checks of its part as well. Here they are kept for the capstone:
a package with one of them inside must fail, in the check that `caught_by` names.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.block import Block
from course_lib.transformer.cache import KVCache, cached_logits
from course_lib.transformer.generation import generate, sample
from course_lib.transformer.model import GPT
from course_lib.transformer.tokens import Embeddings
from course_lib.transformer.training import next_token_loss


@dataclass(frozen=True)
class PackageBug:
    """One part of a package that is wrong; the fields are those of a `Bug`, and who catches it."""

    name: str
    component: str
    title: str
    misconception: str
    symptom: str
    caught_by: str
    implementation: Callable


_package_bugs: list[PackageBug] = []


def package_bug(component: str, *, caught_by: str, title: str, misconception: str, symptom: str):
    """A decorator that registers a faulty part of a package and returns it unchanged."""

    def register(implementation: Callable) -> Callable:
        _package_bugs.append(
            PackageBug(
                implementation.__name__, component, title, misconception, symptom, caught_by,
                implementation,
            )
        )  # fmt: skip
        return implementation

    return register


def all_package_bugs() -> list[PackageBug]:
    """Every bug of this module, in the order of the lessons."""
    return list(_package_bugs)


# --- computes: the model is another function of its weights ----------------------------------


@package_bug(
    "Embeddings",
    caught_by="computes",
    title="the positions are made and never added",
    misconception="The mask already tells the positions apart.",
    symptom="A loss that falls and stays too high; no copying.",
)
class ForgetsThePositions(Embeddings):
    def forward(self, ids, offset=0):
        if offset + ids.shape[1] > self.position.num_embeddings:
            raise ValueError(f"ids must fit context_length, got {ids.shape[1]} from {offset}.")
        return self.token(ids)


@package_bug(
    "causal_mask",
    caught_by="computes",
    title="the mask lets every position see all others",
    misconception="Masking is for generation; in training the targets hide the future.",
    symptom="The training loss falls to nearly 0 and the text is noise.",
)
def hides_nothing(n_queries, n_keys=None, *, device=None):
    n_keys = n_queries if n_keys is None else n_keys
    if n_keys < n_queries:
        raise ValueError(f"n_keys must be at least n_queries, got {n_keys=} and {n_queries=}.")
    return torch.ones(n_queries, n_keys, dtype=torch.bool, device=device)


@package_bug(
    "Block",
    caught_by="computes",
    title="a block has no attention",
    misconception="The MLP is where the thinking happens.",
    symptom="A model of pairs of characters: no word longer than two letters is right.",
)
class NeverAttends(Block):
    def forward(self, x, mask=None):
        return x + self.mlp(self.norm2(x))


@package_bug(
    "Block",
    caught_by="computes",
    title="a block has no MLP",
    misconception="Attention is all you need.",
    symptom="It trains, and ends a little higher.",
)
class NeverThinks(Block):
    def forward(self, x, mask=None):
        return x + self.attention(self.norm1(x), mask)


@package_bug(
    "Block",
    caught_by="computes",
    title="the norm stands after the sum",
    misconception="The first paper has it there.",
    symptom="It trains at small rates; deep stacks do not.",
)
class NormsAfterwards(Block):
    def forward(self, x, mask=None):
        x = self.norm1(x + self.attention(x, mask))
        return self.norm2(x + self.mlp(x))


@package_bug(
    "GPT",
    caught_by="computes",
    title="all blocks are one and the same",
    misconception="A list times n makes n of them.",
    symptom="As many names and shapes as there should be, and the parameters of one block.",
)
class StacksOneBlock(GPT):
    def __init__(self, config):
        super().__init__(config)
        self.blocks = nn.ModuleList([self.blocks[0]] * config.n_layers)


@package_bug(
    "GPT",
    caught_by="computes",
    title="the last norm is not used",
    misconception="Every block has its norms already.",
    symptom="A first loss that is too large in deep models.",
)
class SkipsTheLastNorm(GPT):
    def forward(self, ids):
        n_tokens = ids.shape[1]
        mask = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=ids.device).tril()
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x, mask)
        return self.head(x)


@package_bug(
    "GPT",
    caught_by="computes",
    title="the tied head is a copy",
    misconception="Equal weights are the same weights.",
    symptom="Head and embedding drift apart; one V×C matrix too many is counted.",
)
class TiesACopy(GPT):
    def __init__(self, config):
        super().__init__(config)
        if config.tie_weights:
            self.head.weight = nn.Parameter(self.embeddings.token.weight.detach().clone())


@package_bug(
    "GPT",
    caught_by="computes",
    title="the embeddings get no gradient",
    misconception="detach() keeps a value; it also cuts the graph.",
    symptom="It trains, with embeddings that stay as they were drawn.",
)
class CutsTheGraph(GPT):
    def forward(self, ids):
        n_tokens = ids.shape[1]
        mask = torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=ids.device).tril()
        x = self.embeddings(ids).detach()
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x))


@package_bug(
    "init_weights",
    caught_by="computes",
    title="weights stay as torch makes them",
    misconception="torch's defaults are good enough. For an embedding that is N(0, 1).",
    symptom="A first loss many times ln V.",
)
def leaves_the_weights_alone(model):
    return None


# --- trains: the loop learns something else ---------------------------------------------------


@package_bug(
    "next_token_loss",
    caught_by="trains",
    title="the targets are shifted a second time",
    misconception="The loss shifts; the loader has done so already.",
    symptom="The model learns to say every second character.",
)
def shifts_again(logits, targets, ignore_index=-100):
    wide = logits[:, :-1].to(torch.promote_types(logits.dtype, torch.float32))
    return F.cross_entropy(wide.flatten(0, 1), targets[:, 1:].flatten(), ignore_index=ignore_index)


@package_bug(
    "get_batch",
    caught_by="trains",
    title="the targets are the inputs",
    misconception="The model predicts its text.",
    symptom="A loss of 0 within a hundred steps; the text repeats one character.",
)
def gives_the_inputs_as_targets(tokens, batch_size, context_length, *, generator):
    n_starts = len(tokens) - context_length
    if n_starts < 1:
        raise ValueError(f"tokens must hold {context_length + 1} tokens, got {len(tokens)}.")
    starts = torch.randint(n_starts, (batch_size, 1), generator=generator)
    places = (starts + torch.arange(context_length)).to(tokens.device)
    return tokens[places], tokens[places]


@package_bug(
    "learning_rate",
    caught_by="trains",
    title="the rate never falls",
    misconception="Warm-up is the schedule.",
    symptom="A loss that ends on a noisy plateau.",
)
def stays_at_the_top(step, *, max_lr, min_lr, warmup_steps, total_steps):
    return max_lr * min(1.0, (step + 1) / (warmup_steps + 1))


@package_bug(
    "decay_groups",
    caught_by="trains",
    title="everything decays",
    misconception="Weight decay is for weights, and all parameters are weights.",
    symptom="Norms shrink slowly; hard to see in a curve.",
)
def decays_everything(model, weight_decay):
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [
        {"params": trained, "weight_decay": weight_decay},
        {"params": [nn.Parameter(torch.zeros(1))], "weight_decay": 0.0},
    ]


@package_bug(
    "train_step",
    caught_by="trains",
    title="gradients are never zeroed",
    misconception="backward() writes the gradient; it adds it.",
    symptom="Steps that grow; a loss that falls late and then rises.",
)
def keeps_old_gradients(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    loss = next_token_loss(model(inputs), targets)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    optimizer.step()
    return loss.item()


@package_bug(
    "train_step",
    caught_by="trains",
    title="the optimizer never steps",
    misconception="backward() trains the model.",
    symptom="A loss that stays where it was.",
)
def never_steps(
    model, optimizer, inputs, targets, *, max_grad_norm=1.0, n_chunks=1, autocast_dtype=None
):
    optimizer.zero_grad()
    loss = next_token_loss(model(inputs), targets)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_grad_norm)
    return loss.item()


@package_bug(
    "evaluate",
    caught_by="trains",
    title="windows count alike, however short",
    misconception="The mean of the windows' means is the mean.",
    symptom="A loss that depends on where the text ends.",
)
def averages_the_windows(model, tokens, *, context_length, batch_size=8):
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    losses = []
    with torch.no_grad():
        for start in range(0, len(tokens) - 1, context_length):
            window = tokens[None, start : start + context_length + 1]
            losses.append(next_token_loss(model(window[:, :-1]), window[:, 1:]).item())
    for module, was_training in modes:
        module.training = was_training
    return sum(losses) / len(losses)


# --- generates, caches ------------------------------------------------------------------------


@package_bug(
    "generate",
    caught_by="generates",
    title="a long text loses its end instead of its beginning",
    misconception="The first context_length tokens are the context.",
    symptom="Past the context the same token comes for ever.",
)
def keeps_the_beginning(model, ids, n_new, **sampling):
    if ids.shape[1] == 0 or n_new < 0:
        raise ValueError(f"ids must not be empty and n_new not negative, got {n_new}.")
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    with torch.no_grad():
        for _ in range(n_new):
            logits = model(ids[:, : model.config.context_length])
            ids = torch.cat([ids, sample(logits[:, -1], **sampling)[:, None]], dim=1)
    for module, was_training in modes:
        module.training = was_training
    return ids


@package_bug(
    "sample",
    caught_by="generates",
    title="one draw serves all rows",
    misconception="The rows have the same prompt, so one draw will do.",
    symptom="All texts of a batch are alike.",
)
def draws_once_for_all(logits, *, temperature=1.0, top_k=None, top_p=None, generator=None):
    if temperature == 0:
        return logits.argmax(dim=-1)
    wide = logits / temperature
    if top_k is not None:
        lowest = wide.topk(min(top_k, wide.shape[-1]), dim=-1).values[:, -1:]
        wide = wide.masked_fill(wide < lowest, -math.inf)
    drawn = torch.multinomial(wide[:1].softmax(dim=-1), 1, generator=generator)
    return drawn.squeeze(-1).expand(len(logits)).clone()


@package_bug(
    "generate_cached",
    caught_by="caches",
    title="every new token stands at position 0",
    misconception="The cache knows the positions.",
    symptom="The first new token is right, then the text goes astray.",
)
def starts_each_token_at_position_zero(model, ids, n_new, **sampling):
    config = model.config
    if ids.shape[1] + n_new > config.context_length:
        raise ValueError(f"the text must fit the context, got {ids.shape[1]} + {n_new}.")
    weight = model.head.weight
    sizes = (len(ids), config.n_heads, ids.shape[1] + n_new, config.d_model // config.n_heads)
    caches = [KVCache(*sizes, dtype=weight.dtype, device=weight.device) for _ in model.blocks]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    new, forward = ids, model.embeddings.forward
    model.embeddings.forward = lambda ids, offset=0: forward(ids, 0)
    try:
        with torch.no_grad():
            for _ in range(n_new):
                logits = cached_logits(model, new, caches)
                new = sample(logits[:, -1], **sampling)[:, None]
                ids = torch.cat([ids, new], dim=1)
    finally:
        del model.embeddings.forward
        for module, was_training in modes:
            module.training = was_training
    return ids


@package_bug(
    "generate_cached",
    caught_by="caches",
    title="the cache is never used",
    misconception="The text is the same, so it must be working.",
    symptom="As slow as without.",
)
def computes_everything_again(model, ids, n_new, **sampling):
    if ids.shape[1] + n_new > model.config.context_length:
        raise ValueError(f"the text must fit the context, got {ids.shape[1]} + {n_new}.")
    return generate(model, ids, n_new, **sampling)
