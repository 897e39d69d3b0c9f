"""The bugs of lesson 7 in other words."""

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

from . import same_bug_as

# --- init_weights ----------------------------------------------------------------------------


def is_projection(name):
    return name.split(".")[-2] in ("out", "down")


def filled(model, deviation_of, *, vectors=True):
    """Walk over modules from the last to the first, and ask for each matrix's deviation."""
    with torch.no_grad():
        for name, tensor in reversed(list(model.named_parameters())):
            if tensor.ndim > 1:
                tensor.copy_(torch.randn(tensor.shape) * deviation_of(name, tensor))
            elif vectors:
                tensor.fill_(0.0 if name.endswith("bias") else 1.0)


def narrow_for(model):
    return 0.02 * (2 * len(model.blocks)) ** -0.5


@same_bug_as("starts_residual_projections_like_the_others")
def fills_by_module_class_and_stops(model):
    def fill(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            module.weight.data.normal_(std=0.02)
        elif hasattr(module, "weight"):
            module.weight.data.fill_(1)
        if getattr(module, "bias", None) is not None:
            module.bias.data.zero_()

    model.apply(fill)


@same_bug_as("counts_one_write_a_block")
def takes_the_root_of_the_depth(model):
    depth = len(model.blocks)
    filled(model, lambda name, _: 0.02 / depth**0.5 if is_projection(name) else 0.02)


@same_bug_as("divides_without_the_root")
def shares_among_all_writes(model):
    filled(model, lambda name, _: 0.02 / len(model.blocks) / 2 if is_projection(name) else 0.02)


@same_bug_as("narrows_only_attention")
def narrows_what_is_called_out(model):
    filled(model, lambda name, _: narrow_for(model) if ".out." in name else 0.02)


@same_bug_as("narrows_by_the_place_of_the_block")
def counts_the_blocks_so_far(model):
    def deviation(name, _):
        number = int(name.split(".")[1]) + 1 if name.startswith("blocks") else 0
        return 0.02 / (number * 2) ** 0.5 if is_projection(name) else 0.02

    filled(model, deviation)


@same_bug_as("takes_the_deviation_for_a_variance")
def draws_with_a_variance(model):
    writes = 2 * len(model.blocks)
    filled(model, lambda name, _: (0.02 / writes) ** 0.5 if is_projection(name) else 0.02**0.5)


@same_bug_as("leaves_biases_alone")
def skips_what_ends_in_bias(model):
    filled(model, lambda name, _: narrow_for(model) if is_projection(name) else 0.02, vectors=False)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.constant_(module.weight, 1.0)


@same_bug_as("silences_the_norms")
def zeroes_all_vectors(model):
    filled(model, lambda name, _: narrow_for(model) if is_projection(name) else 0.02)
    for tensor in model.parameters():
        if tensor.ndim == 1:
            tensor.data.zero_()


@same_bug_as("draws_from_a_box")
def between_minus_and_plus(model):
    filled(model, lambda name, _: narrow_for(model) if is_projection(name) else 0.02)
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if tensor.ndim == 2:
                width = narrow_for(model) if is_projection(name) else 0.02
                tensor.copy_((2 * torch.rand(tensor.shape) - 1) * width)


@same_bug_as("returns_the_model")
def hands_the_model_back(model):
    filled(model, lambda name, _: narrow_for(model) if is_projection(name) else 0.02)
    return model.train(model.training)


# --- GPT -------------------------------------------------------------------------------------


class Base(nn.Module):
    """A right GPT whose steps can be exchanged one by one."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        self.norm = self.make_norm(config)
        self.blocks = self.make_blocks(config)
        self.head = self.make_head(config)
        self.tie(config)
        self.start()

    def block_options(self, config):
        return {
            "bias": config.bias,
            "dropout": config.dropout,
            "approximate": config.gelu_approximate,
        }

    def make_block(self, config):
        return Block(config.d_model, config.n_heads, **self.block_options(config))

    def make_blocks(self, config):
        return nn.ModuleList([self.make_block(config) for _ in range(config.n_layers)])

    def make_norm(self, config):
        return nn.LayerNorm(config.d_model, bias=config.bias)

    def make_head(self, config):
        return nn.Linear(config.d_model, config.vocab_size, bias=False)

    def tie(self, config):
        if config.tie_weights:
            self.head.weight = self.embeddings.token.weight

    def start(self):
        filled(self, lambda name, _: narrow_for(self) if is_projection(name) else 0.02)

    def mask(self, ids):
        n_tokens = ids.shape[1]
        return torch.ones(n_tokens, n_tokens, dtype=torch.bool, device=ids.device).tril()

    def stream(self, ids):
        return self.embeddings(ids)

    def through(self, x, mask):
        for block in self.blocks:
            x = block(x, mask)
        return x

    def finish(self, x):
        return self.head(self.norm(x))

    def forward(self, ids):
        return self.finish(self.through(self.stream(ids), self.mask(ids)))


@same_bug_as("GPTThatNeverMasks")
class AllMayAttend(Base):
    def mask(self, ids):
        return torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool, device=ids.device)


@same_bug_as("GPTThatInvertsTheMask")
class UpperTriangle(Base):
    def mask(self, ids):
        return super().mask(ids).T.clone().fill_diagonal_(False)


@same_bug_as("GPTThatMakesTheMaskAnywhere")
class TriangleOnTheCPU(Base):
    def mask(self, ids):
        return torch.tril(torch.ones(ids.shape[1], ids.shape[1])) > 0


@same_bug_as("GPTThatForgetsTheLastNorm")
class HeadAtOnce(Base):
    def finish(self, x):
        return F.linear(x, self.head.weight)


@same_bug_as("GPTThatNormsTheEmbeddings")
class NormFirst(Base):
    def through(self, x, mask):
        return super().through(self.norm(x), mask)

    def finish(self, x):
        return self.head(x)


@same_bug_as("GPTThatForgetsPositions")
class TokensOnly(Base):
    def stream(self, ids):
        return self.embeddings.token.weight[ids]


@same_bug_as("GPTThatScalesTheEmbeddings")
class AsInTheFirstPaper(Base):
    def stream(self, ids):
        return self.embeddings(ids) * self.config.d_model**0.5


@same_bug_as("GPTThatReturnsProbabilities")
class Probabilities(Base):
    def finish(self, x):
        return super().finish(x).softmax(-1)


@same_bug_as("GPTThatFeedsEveryBlockTheEmbeddings")
class LastBlockOnly(Base):
    def through(self, x, mask):
        outputs = [block(x, mask) for block in self.blocks]
        return outputs[-1]


@same_bug_as("GPTThatAddsBlocksToTheStream")
class ResidualTwice(Base):
    def through(self, x, mask):
        for block in self.blocks:
            change = block(x, mask)
            x = torch.add(change, x)
        return x


@same_bug_as("GPTThatSkipsTheLastBlock")
class OneBlockShort(Base):
    def through(self, x, mask):
        for block in list(self.blocks)[:-1]:
            x = block(x, mask)
        return x


@same_bug_as("GPTThatRepeatsOneBlock")
class OneBlockManyNames(Base):
    def make_blocks(self, config):
        block = self.make_block(config)
        blocks = nn.ModuleList()
        for _ in range(config.n_layers):
            blocks.append(block)
        return blocks


@same_bug_as("GPTThatNeverTies")
class TwoTables(Base):
    def tie(self, config):
        pass


@same_bug_as("GPTThatAlwaysTies")
class OneTable(Base):
    def tie(self, config):
        self.embeddings.token.weight = self.head.weight


@same_bug_as("GPTThatHasABiasInTheHead")
class LinearHead(Base):
    def make_head(self, config):
        return nn.Linear(config.d_model, config.vocab_size)


@same_bug_as("GPTThatKeepsItsOwnGELU")
class ExactGELU(Base):
    def block_options(self, config):
        return super().block_options(config) | {"approximate": "none"}


@same_bug_as("GPTThatDropsNothing")
class WithoutDropout(Base):
    def block_options(self, config):
        return super().block_options(config) | {"dropout": 0.0}


@same_bug_as("GPTThatStartsAsTorchDoes")
class NoStart(Base):
    def start(self):
        pass


@same_bug_as("GPTThatReturnsTheLastPosition")
class NextTokenOnly(Base):
    def finish(self, x):
        return super().finish(x)[:, -1, :].unsqueeze(1)


@same_bug_as("GPTThatDropsOfTheEmbeddings")
class DroppedEmbeddings(Base):
    def stream(self, ids):
        return F.dropout(self.embeddings(ids), self.config.dropout, self.training)


# --- n_parameters ----------------------------------------------------------------------------


@same_bug_as("counts_the_tied_head_twice")
def every_name(model, *, embeddings=True):
    count = sum(tensor.numel() for _, tensor in model.named_parameters(remove_duplicate=False))
    if not embeddings:
        count -= model.embeddings.token.weight.numel() + model.embeddings.position.weight.numel()
    return count


@same_bug_as("leaves_out_positions_only")
def without_positions(model, *, embeddings=True):
    count = sum(p.numel() for p in model.parameters())
    if not embeddings:
        count -= model.config.context_length * model.config.d_model
    return count


@same_bug_as("leaves_out_tokens_only")
def without_the_vocabulary(model, *, embeddings=True):
    skipped = () if embeddings else (model.embeddings.token.weight,)
    return sum(p.numel() for p in model.parameters() if not any(p is s for s in skipped))


@same_bug_as("ignores_the_question")
def always_all(model, **_):
    return sum(tensor.numel() for tensor in set(model.parameters()))


@same_bug_as("counts_tensors")
def how_many_parameters(model, *, embeddings=True):
    names = [name for name, _ in model.named_parameters()]
    return len(names) if embeddings else len([n for n in names if "embeddings" not in n])


@same_bug_as("forgets_biases")
def matrices_only(model, *, embeddings=True):
    count = 0
    for name, p in model.named_parameters():
        if p.ndim == 2 and (embeddings or not name.startswith("embeddings")):
            count += p.shape[0] * p.shape[1]
    return count


@same_bug_as("tells_tensors_apart_by_address")
def by_address(model, *, embeddings=True):
    sizes = {}
    for p in model.parameters():
        sizes[p.data_ptr()] = p.numel()
    if not embeddings:
        for p in model.embeddings.parameters():
            sizes.pop(p.data_ptr(), None)
    return sum(sizes.values())


@same_bug_as("goes_by_the_first_name")
def subtracts_what_is_called_embeddings(model, *, embeddings=True):
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    tables = [n for name, n in sizes.items() if name.partition(".")[0] == "embeddings"]
    return sum(sizes.values()) - (0 if embeddings else sum(tables))


# --- load_gpt2 -------------------------------------------------------------------------------


def without_prefix_and_masks(state_dict):
    found = {}
    for name, tensor in state_dict.items():
        name = name.removeprefix("transformer.")
        if not name.endswith(".attn.bias") and not name.endswith(".attn.masked_bias"):
            found[name] = tensor
    return found


def look_at_the_head(tensors, config):
    if config.tie_weights:
        token = tensors.get("wte.weight")
        head = tensors.pop("lm_head.weight", None)
        if head is not None and token is not None and not torch.equal(head, token):
            raise ValueError("lm_head.weight is not wte.weight")


def table_for(model, config):
    """Their name to `(our parameter, turned?)`, a tied head left out."""
    named = dict(model.named_parameters())
    table = {}
    for theirs, (ours, turned) in _gpt2_names(config.n_layers).items():
        if ours in named:
            table[theirs] = (named[ours], turned)
    return table


def look_at_the_names(tensors, table):
    for name in table:
        if name not in tensors:
            raise ValueError(f"missing: {name}")
    for name in tensors:
        if name not in table:
            raise ValueError(f"surplus: {name}")


def look_at_the_shapes(tensors, table):
    for name, (parameter, turned) in table.items():
        wanted = parameter.T.shape if turned else parameter.shape
        if tensors[name].shape != wanted:
            raise ValueError(f"shape of {name}")


@torch.no_grad()
def copy_all(tensors, table):
    for name, (parameter, turned) in table.items():
        parameter.data = (tensors[name].t() if turned else tensors[name]).clone().contiguous()


def right(state_dict, config):
    tensors = without_prefix_and_masks(state_dict)
    look_at_the_head(tensors, config)
    model = GPT(config)
    table = table_for(model, config)
    look_at_the_names(tensors, table)
    look_at_the_shapes(tensors, table)
    copy_all(tensors, table)
    return model.eval()


@same_bug_as("turns_only_where_it_must")
def turns_by_shape(state_dict, config):
    tensors = without_prefix_and_masks(state_dict)
    look_at_the_head(tensors, config)
    model = GPT(config)
    table = table_for(model, config)
    look_at_the_names(tensors, table)
    for name, (parameter, turned) in table.items():
        if turned and tensors[name].shape == parameter.shape:
            tensors[name] = tensors[name].t()
    look_at_the_shapes(tensors, table)
    copy_all(tensors, table)
    return model.eval()


@same_bug_as("turns_nothing")
def loads_as_it_comes(state_dict, config):
    tensors = without_prefix_and_masks(state_dict)
    look_at_the_head(tensors, config)
    model = GPT(config)
    table = {name: (p, False) for name, (p, _) in table_for(model, config).items()}
    look_at_the_names(tensors, table)
    look_at_the_shapes(tensors, table)
    copy_all(tensors, table)
    return model.eval()


@same_bug_as("trips_over_masks")
def keeps_buffers(state_dict, config):
    tensors = {name.removeprefix("transformer."): t for name, t in state_dict.items()}
    look_at_the_head(tensors, config)
    model = GPT(config)
    table = table_for(model, config)
    look_at_the_names(tensors, table)
    look_at_the_shapes(tensors, table)
    copy_all(tensors, table)
    return model.eval()


@same_bug_as("demands_the_head")
def head_is_expected(state_dict, config):
    if "lm_head.weight" not in state_dict:
        raise ValueError("missing: lm_head.weight")
    return right(state_dict, config)


@same_bug_as("believes_any_head")
def head_is_ignored(state_dict, config):
    rest = dict(state_dict)
    if config.tie_weights:
        rest.pop("lm_head.weight", None)
    return right(rest, config)


@same_bug_as("overlooks_what_is_surplus")
def takes_what_it_knows(state_dict, config):
    tensors = without_prefix_and_masks(state_dict)
    look_at_the_head(tensors, config)
    model = GPT(config)
    table = table_for(model, config)
    known = {name: tensor for name, tensor in tensors.items() if name in table}
    look_at_the_names(known, table)
    look_at_the_shapes(known, table)
    copy_all(known, table)
    return model.eval()


@same_bug_as("moves_in_with_the_given_tensors")
def same_memory(state_dict, config):
    tensors = without_prefix_and_masks(state_dict)
    look_at_the_head(tensors, config)
    model = GPT(config)
    table = table_for(model, config)
    look_at_the_names(tensors, table)
    look_at_the_shapes(tensors, table)
    for name, (parameter, turned) in table.items():
        parameter.data = tensors[name].t() if turned else tensors[name]
    return model.eval()


@same_bug_as("loads_in_training_mode")
def still_learning(state_dict, config):
    return right(state_dict, config).train()


@same_bug_as("lets_the_head_go")
def head_of_its_own(state_dict, config):
    model = right(state_dict, config)
    model.head.weight = nn.Parameter(model.head.weight.detach().clone())
    return model


@same_bug_as("always_takes_float32")
def single_precision(state_dict, config):
    return right(state_dict, config).float()


@same_bug_as("leaves_shapes_to_torch")
def no_look_at_shapes(state_dict, config):
    tensors = without_prefix_and_masks(state_dict)
    look_at_the_head(tensors, config)
    model = GPT(config)
    table = table_for(model, config)
    look_at_the_names(tensors, table)
    turned = {name: t.t() if table[name][1] else t for name, t in tensors.items()}
    ours = {_gpt2_names(config.n_layers)[name][0]: t for name, t in turned.items()}
    if config.tie_weights:
        ours["head.weight"] = ours["embeddings.token.weight"]
    model = model.to(dtype=tensors["wte.weight"].dtype)
    model.load_state_dict(ours)
    return model.eval()


# --- as they stood in the zoo before it held changes ----------------------------------------


@same_bug_as("leaves_embeddings_alone")
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


@same_bug_as("leaves_norms_alone")
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


@same_bug_as("puts_new_tensors")
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


@same_bug_as("fills_without_no_grad")
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


@same_bug_as("GPTThatMasksTheFirstBlockOnly")
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


@same_bug_as("keeps_the_tied_head")
def keeps_the_tied_head(model, *, embeddings=True):
    counted = {
        id(parameter): parameter.numel()
        for name, parameter in model.named_parameters(remove_duplicate=False)
        if embeddings or not name.startswith("embeddings.")
    }
    return sum(counted.values())


@same_bug_as("reshapes_instead_of_turning")
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


@same_bug_as("drops_the_biases_of_c_attn")
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
    if theirs.keys() != wanted:
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


@same_bug_as("demands_the_prefix")
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


@same_bug_as("demands_no_prefix")
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


@same_bug_as("ties_whatever_comes")
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


@same_bug_as("keeps_what_is_missing")
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


@same_bug_as("stumbles_over_a_missing_name")
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


@same_bug_as("stretches_what_is_too_small")
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
        ours[our_name].copy_(tensor.T if is_transposed else tensor)
    return model.eval()


@same_bug_as("exchanges_the_norms")
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


@same_bug_as("goes_by_the_sorted_names")
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


@same_bug_as("knows_the_gelu_better")
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


@same_bug_as("empties_the_state_dict")
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
