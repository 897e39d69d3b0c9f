"""Right ways to write lesson 7 that differ from ours."""

import re
from functools import reduce

import torch
import torch.nn.functional as F
from torch import nn

from course_lib.transformer.block import Block
from course_lib.transformer.masking import causal_mask
from course_lib.transformer.model import GPT, GPT2_BLOCK_NAMES, GPT2_NAMES, init_weights
from course_lib.transformer.norm import LayerNorm
from course_lib.transformer.tokens import Embeddings

from . import variant

# --- init_weights ----------------------------------------------------------------------------


@variant("init_weights", title="apply, by the classes of the layers; then the projections again")
def init_weights_by_class(model):
    def fill(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            torch.nn.init.normal_(module.weight, mean=0.0, std=0.02)
        elif isinstance(module, LayerNorm):
            torch.nn.init.ones_(module.weight)
        if getattr(module, "bias", None) is not None:
            torch.nn.init.zeros_(module.bias)

    model.apply(fill)
    for name, parameter in model.named_parameters():
        if name.endswith("out.weight") or name.endswith("down.weight"):
            torch.nn.init.normal_(parameter, mean=0.0, std=0.02 * (2 * len(model.blocks)) ** -0.5)


@variant("init_weights", title="part by part, from the embeddings to the head")
@torch.no_grad()
def init_weights_part_by_part(model):
    def layer(linear, std=0.02):
        linear.weight.normal_(0, std)
        if linear.bias is not None:
            linear.bias.zero_()

    def norm(one):
        one.weight.fill_(1.0)
        if one.bias is not None:
            one.bias.fill_(0.0)

    model.embeddings.token.weight.normal_(0, 0.02)
    model.embeddings.position.weight.normal_(0, 0.02)
    narrow = 0.02 / (2 * model.config.n_layers) ** 0.5
    for block in model.blocks:
        norm(block.norm1)
        layer(block.attention.qkv)
        layer(block.attention.out, narrow)
        norm(block.norm2)
        layer(block.mlp.up)
        layer(block.mlp.down, narrow)
    norm(model.norm)
    layer(model.head)


@variant("init_weights", title="numbers drawn elsewhere and copied in; the tied head is skipped")
def init_weights_by_copying(model):
    generator = torch.Generator().manual_seed(5)
    n_writes = 2 * sum(1 for name, _ in model.named_modules() if re.fullmatch(r"blocks\.\d+", name))
    done = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) in done:
            continue
        done.add(id(tensor))
        if tensor.ndim == 1:
            fresh = torch.full(tensor.shape, float(name.endswith("weight")))
        else:
            fresh = 0.02 * torch.randn(tensor.shape, generator=generator)
            if name.endswith(("attention.out.weight", "mlp.down.weight")):
                fresh = fresh / n_writes**0.5
        tensor.data.copy_(fresh)


@variant("init_weights", title="all is filled alike, then scaled and overwritten")
def init_weights_then_corrected(model):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.02)
        for block in model.blocks:
            for layer in (block.attention.out, block.mlp.down):
                layer.weight.div_((2 * len(model.blocks)) ** 0.5)
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.mul_(0.0)
            elif "norm" in name:
                parameter.copy_(torch.ones_like(parameter))


# --- GPT -------------------------------------------------------------------------------------


@variant("GPT", title="the mask is a buffer that is not saved; the length is looked at first")
class GPTWithABuffer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        mask = causal_mask(config.context_length)
        self.register_buffer("mask", mask, persistent=False)
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        self.blocks = nn.ModuleList()
        for _ in range(config.n_layers):
            block = Block(
                config.d_model,
                config.n_heads,
                bias=config.bias,
                dropout=config.dropout,
                approximate=config.gelu_approximate,
            )
            self.blocks.append(block)
        self.norm = LayerNorm(config.d_model, bias=config.bias)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.head.weight = self.embeddings.token.weight
        init_weights(self)

    def forward(self, ids):
        n_tokens = ids.size(1)
        if n_tokens > self.config.context_length:
            raise ValueError(
                f"ids may hold {self.config.context_length} tokens at most, got {n_tokens}"
            )
        mask = self.mask[:n_tokens, :n_tokens]
        x = reduce(lambda x, block: block(x, mask), self.blocks, self.embeddings(ids))
        return F.linear(self.norm(x), self.head.weight)


@variant("GPT", title="made from the end to the beginning; the token embedding gets the head's")
class GPTMadeBackwards(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.norm = LayerNorm(config.d_model, bias=config.bias)
        options = {
            "approximate": config.gelu_approximate,
            "dropout": config.dropout,
            "bias": config.bias,
        }
        blocks = [Block(config.d_model, config.n_heads, **options) for _ in range(config.n_layers)]
        self.blocks = nn.ModuleList(blocks)
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        if config.tie_weights:
            self.embeddings.token.weight = self.head.weight
        self.config = config
        init_weights(self)

    def forward(self, ids):
        n_texts, n_tokens = ids.shape
        mask = causal_mask(n_tokens, device=ids.device).expand(n_texts, n_tokens, n_tokens)
        stream = self.embeddings(ids)
        for n in range(self.config.n_layers):
            stream = self.blocks[n](stream, mask)
        logits = self.head(self.norm(stream))
        return logits


@variant("GPT", title="every part written out with torch's own layers, first weights included")
class GPTWrittenOut(nn.Module):
    class Tables(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.position = nn.Embedding(config.context_length, config.d_model)
            self.token = nn.Embedding(config.vocab_size, config.d_model)

        def forward(self, ids, offset=0):
            last, longest = offset + ids.shape[1], self.position.num_embeddings
            if last > longest:
                raise ValueError(f"context_length={longest} is exceeded by {last} tokens")
            return self.token(ids) + self.position.weight[offset:last]

    class Attention(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.n_heads, self.p = config.n_heads, config.dropout
            self.out = nn.Linear(config.d_model, config.d_model, bias=config.bias)
            self.qkv = nn.Linear(config.d_model, 3 * config.d_model, bias=config.bias)

        def forward(self, x):
            n_texts, n_tokens, d_model = x.shape
            shape = (n_texts, n_tokens, self.n_heads, d_model // self.n_heads)
            q, k, v = (a.view(shape).transpose(1, 2) for a in self.qkv(x).split(d_model, dim=2))
            p = self.p if self.training else 0.0
            found = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=True)
            out = self.out(found.transpose(1, 2).reshape(n_texts, n_tokens, d_model))
            return F.dropout(out, self.p, self.training)

    class MLP(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.up = nn.Linear(config.d_model, 4 * config.d_model, bias=config.bias)
            self.gelu = nn.GELU(approximate=config.gelu_approximate)
            self.down = nn.Linear(4 * config.d_model, config.d_model, bias=config.bias)
            self.drop = nn.Dropout(config.dropout)

        def forward(self, x):
            return self.drop(self.down(self.gelu(self.up(x))))

    class Layer(nn.Module):
        def __init__(self, config, attention, mlp):
            super().__init__()
            self.norm1 = nn.LayerNorm(config.d_model, bias=config.bias)
            self.norm2 = nn.LayerNorm(config.d_model, bias=config.bias)
            self.attention = attention
            self.mlp = mlp

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embeddings = self.Tables(config)
        self.blocks = nn.ModuleList(
            self.Layer(config, self.Attention(config), self.MLP(config))
            for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(config.d_model, bias=config.bias)
        self.head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tie_weights:
            self.head.weight = self.embeddings.token.weight
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                module.weight.data.normal_(0, 0.02)
                if getattr(module, "bias", None) is not None:
                    module.bias.data.zero_()
        for block in self.blocks:
            for layer in (block.attention.out, block.mlp.down):
                layer.weight.data.normal_(0, 0.02 / (2 * config.n_layers) ** 0.5)

    def forward(self, ids):
        x = self.embeddings(ids)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@variant("GPT", title="a mask of zeros and ones, made from ids; blocks in a subclass of ModuleList")
class GPTWithItsOwnStack(nn.Module):
    def __init__(self, config):
        super().__init__()

        class Stack(nn.ModuleList):
            def forward(self, x, mask):
                for block in self:
                    x = block(x, mask)
                return x

        self.config = config
        self.embeddings = Embeddings(config.vocab_size, config.context_length, config.d_model)
        self.blocks = Stack(
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
            self.head.weight = self.embeddings.token.weight

    def forward(self, ids):
        n_tokens = ids.shape[1]
        mask = torch.ones_like(ids[:1]).new_ones((n_tokens, n_tokens)).tril() == 1
        return self.head(self.norm(self.blocks(self.embeddings(ids), mask)))


# --- n_parameters ----------------------------------------------------------------------------


@variant("n_parameters", title="all of them, minus those of the embeddings")
def n_parameters_by_difference(model, *, embeddings=True):
    total = sum(p.numel() for p in model.parameters())
    if not embeddings:
        total -= sum(p.numel() for p in model.embeddings.parameters())
    return total


@variant("n_parameters", title="module by module, with a set of what was seen")
def n_parameters_by_module(model, *, embeddings=True):
    seen = set()
    if not embeddings:
        seen |= {id(p) for p in model.embeddings.parameters()}
    count = 0
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                size = 1
                for length in parameter.shape:
                    size *= length
                count += size
    return count


@variant("n_parameters", title="a dict from tensor to size")
def n_parameters_in_a_dict(model, **options):
    sizes = {p: p.numel() for _, p in model.named_parameters(remove_duplicate=False)}
    if options.get("embeddings", True) is False:
        for p in model.embeddings.parameters():
            sizes.pop(p, None)
    return sum(sizes.values())


# --- load_gpt2 -------------------------------------------------------------------------------


@variant("load_gpt2", title="the names translated by replacing words; load_state_dict at the end")
def load_gpt2_by_replacing_words(state_dict, config):
    words = [
        ("transformer.", ""),
        ("h.", "blocks."),
        ("wte", "embeddings.token"),
        ("wpe", "embeddings.position"),
        ("ln_f", "norm"),
        ("ln_1", "norm1"),
        ("ln_2", "norm2"),
        ("attn.c_attn", "attention.qkv"),
        ("attn.c_proj", "attention.out"),
        ("mlp.c_fc", "mlp.up"),
        ("mlp.c_proj", "mlp.down"),
        ("lm_head", "head"),
    ]

    def translated(name):
        for theirs, ours in words:
            start = theirs in ("transformer.", "h.")
            if name.startswith(theirs) if start else theirs in name:
                name = name.replace(theirs, ours, 1)
        return name

    model = GPT(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    loaded, complaints = {}, []
    for name, tensor in state_dict.items():
        if re.search(r"\.attn\.(masked_)?bias$", name):
            continue
        ours = translated(name)
        if ours not in shapes:
            complaints.append(f"surplus: {name}")
            continue
        if "attn.c_" in name or "mlp.c_" in name:
            tensor = tensor.t() if tensor.ndim == 2 else tensor
        if tensor.shape != shapes[ours]:
            complaints.append(f"shape: {name} {tuple(tensor.shape)} is not {tuple(shapes[ours])}")
        loaded[ours] = tensor
    if config.tie_weights:
        token = loaded.get("embeddings.token.weight")
        head = loaded.setdefault("head.weight", token)
        if token is not None and (head.shape != token.shape or (head != token).any()):
            complaints.append("lm_head.weight differs from wte.weight")
    names = [f"h.{n}.{name}" for n in range(config.n_layers) for name in GPT2_BLOCK_NAMES]
    known = {translated(name): name for name in [*GPT2_NAMES, *names]}
    complaints += [f"missing: {known[ours]}" for ours in shapes.keys() - loaded.keys()]
    if "wte.weight" not in {name.removeprefix("transformer.") for name in state_dict}:
        complaints.append("missing: wte.weight")
    if complaints:
        raise ValueError("; ".join(sorted(complaints)))
    model = model.to(loaded["embeddings.token.weight"].dtype)
    model = model.to(loaded["embeddings.token.weight"].device)
    model.load_state_dict(loaded, strict=True)
    model.eval()
    return model


@variant("load_gpt2", title="the model asks for what it needs, parameter by parameter")
@torch.no_grad()
def load_gpt2_by_asking(state_dict, config):
    left = {}
    for name, tensor in state_dict.items():
        short = name[len("transformer.") :] if name.startswith("transformer.") else name
        if not (short.endswith("attn.bias") and "c_attn" not in short) and (
            not short.endswith("masked_bias")
        ):
            left[short] = tensor
    table = {ours: (theirs, turned) for theirs, (ours, turned) in GPT2_NAMES.items()}
    for n in range(config.n_layers):
        for theirs, (ours, turned) in GPT2_BLOCK_NAMES.items():
            table[f"blocks.{n}.{ours}"] = (f"h.{n}.{theirs}", turned)
    model = GPT(config).eval()
    for ours, parameter in model.named_parameters():
        theirs, turned = table[ours]
        if theirs not in left:
            raise ValueError(f"the tensor {theirs} is missing")
        tensor = left.pop(theirs)
        wanted = tuple(parameter.shape)[::-1] if turned else tuple(parameter.shape)
        if tuple(tensor.shape) != wanted:
            raise ValueError(f"the shape of {theirs} is {tuple(tensor.shape)} and not {wanted}")
        copied = (tensor.t() if turned else tensor).clone(memory_format=torch.contiguous_format)
        parameter.data = copied
    if config.tie_weights and "lm_head.weight" in left:
        head = left.pop("lm_head.weight")
        if not torch.equal(head, model.embeddings.token.weight):
            raise ValueError("lm_head.weight is another one than wte.weight")
    if left:
        raise ValueError(f"nobody needs {', '.join(left)}")
    return model


@variant("load_gpt2", title="first complete the names, then look at them, then copy one by one")
def load_gpt2_in_three_passes(state_dict, config):
    tensors = {}
    for name in state_dict:
        parts = name.split(".")
        if parts[0] == "transformer":
            parts = parts[1:]
        if parts[-1] == "masked_bias" or parts[-2:] == ["attn", "bias"]:
            continue
        tensors[".".join(parts)] = state_dict[name].detach()
    head, token = tensors.pop("lm_head.weight", None), tensors.get("wte.weight")
    if head is None and not config.tie_weights:
        raise ValueError("no lm_head.weight, and the config does not tie")
    if config.tie_weights and None not in (head, token) and not torch.equal(head, token):
        raise ValueError("lm_head.weight is not wte.weight, and the config ties them")

    model = GPT(config)
    places = {}
    for theirs, (ours, turned) in GPT2_NAMES.items():
        places[theirs] = (ours, turned)
    for theirs, (ours, turned) in GPT2_BLOCK_NAMES.items():
        for n in range(config.n_layers):
            places[f"h.{n}.{theirs}"] = (f"blocks.{n}.{ours}", turned)
    places.pop("lm_head.weight")
    if not config.bias:
        places = {theirs: place for theirs, place in places.items() if not theirs.endswith("bias")}
    wrong = sorted(set(places) ^ set(tensors))
    if wrong:
        raise ValueError(f"missing or surplus: {wrong}")

    if head is not None and not config.tie_weights:
        places["lm_head.weight"], tensors["lm_head.weight"] = ("head.weight", False), head
    for theirs, (ours, turned) in places.items():
        target = model.get_parameter(ours)
        given = tensors[theirs].transpose(0, 1) if turned else tensors[theirs]
        if given.size() != target.size():
            raise ValueError(f"{theirs}: {list(given.size())} instead of {list(target.size())}")
    model = model.to(device=token.device, dtype=token.dtype)
    with torch.no_grad():
        for theirs, (ours, turned) in places.items():
            given = tensors[theirs].transpose(0, 1) if turned else tensors[theirs]
            model.get_parameter(ours)[...] = given
    return model.train(False)
