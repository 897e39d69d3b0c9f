"""What is timed. Each workload first shows that both sides compute the same."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from .. import ModelError
from ..hardware import choose_dtype
from ..whose_model import Package
from .peers import GPT2_SMALL, Shape, difference, make_pair

SMALL = Shape(vocab_size=65, context_length=128, d_model=128, n_heads=4, n_layers=4)
MEDIUM = Shape(vocab_size=65, context_length=256, d_model=384, n_heads=6, n_layers=6)
LENGTHS = (64, 256, 1000)  # of the texts after which one more token is written
AGREE = {torch.float32: 1e-3, torch.bfloat16: 0.15}  # of the logits' spread: rounding, no more


@dataclass(frozen=True)
class Prepared:
    """Both sides, ready to run.

    Args:
        n_tokens: tokens that one run of either side handles.
        limit: what bounds it, "products" or "memory", and how many operations or bytes it needs.
    """

    ours: Callable[[], object]
    theirs: Callable[[], object]
    n_tokens: int
    difference: float
    limit: tuple[str, float]


@dataclass(frozen=True)
class Workload:
    """Something to time, by name.

    Args:
        point: where it lies in the picture of growth: the name of its curve, and a length.
    """

    name: str
    about: str
    dtype: str
    prepare: Callable[[torch.device], Prepared]
    point: tuple[str, int] | None = None


def workloads(device: torch.device, package: Package) -> Iterator[Workload]:
    """All workloads that make sense on this device, with the model of `package` as ours."""
    default = str(choose_dtype("auto", device)).removeprefix("torch.")
    sizes = {"4 × 128": (SMALL, 32), "6 × 384": (MEDIUM, 16)}
    for title, (shape, batch_size) in sizes.items():
        about = f"training step, {title}"
        name = f"train-{shape.n_layers}x{shape.d_model}"
        for dtype in dict.fromkeys(("float32", default)):
            yield _training(package, f"{name}-{dtype}", about, dtype, dtype, shape, batch_size)
        if default != "float32":
            about = f"{about}, our default against its float32"
            yield _training(
                package, f"{name}-default", about, default, "float32", shape, batch_size
            )
    if device.type == "cuda":
        yield _training(
            package, "train-124M", "training step, 124M, T = 1024", default, default, GPT2_SMALL, 16
        )
    for dtype in dict.fromkeys(("float32", default)):
        yield _prefill(package, f"prefill-{dtype}", dtype)
        for batch_size in (1, 8):
            yield _decode(package, f"decode-{batch_size}-{dtype}", dtype, batch_size)
    for use_cache in (True, False):
        for n_before in LENGTHS:
            yield _one_more(package, n_before, use_cache)


def _training(
    package, name, about, our_dtype, their_dtype, shape: Shape, batch_size: int
) -> Workload:
    def prepare(device: torch.device) -> Prepared:
        ours, theirs = (model.to(device).train() for model in make_pair(shape, package))
        ids = torch.randint(shape.vocab_size, (batch_size, shape.context_length + 1), device=device)
        inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].contiguous()
        with torch.no_grad():
            apart = difference(ours(inputs[:2]), theirs(inputs[:2]).logits)
        _must_agree(name, apart, torch.float32)
        our_optimizer, their_optimizer = (_optimizer(each, package) for each in (ours, theirs))
        train_step = package.component("training", "train_step")
        casts = _autocast(our_dtype), _autocast(their_dtype)

        def our_step():
            train_step(ours, our_optimizer, inputs, targets, autocast_dtype=casts[0])

        def their_step():
            their_optimizer.zero_grad()
            with torch.autocast(device.type, casts[1], enabled=casts[1] is not None):
                # Its own loss shifts the labels; ours are shifted already.
                logits = theirs(inputs).logits
            loss = nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten())
            loss.backward()
            nn.utils.clip_grad_norm_(theirs.parameters(), 1.0)
            their_optimizer.step()
            return loss.item()

        n_tokens = batch_size * shape.context_length
        operations = 3 * n_tokens * forward_operations(shape, shape.context_length)
        return Prepared(our_step, their_step, n_tokens, apart, ("products", operations))

    dtype = our_dtype if our_dtype == their_dtype else f"{our_dtype} / {their_dtype}"
    return Workload(name, about, dtype, prepare)


def _prefill(package: Package, name: str, dtype: str, n_tokens: int = 512) -> Workload:
    def prepare(device: torch.device) -> Prepared:
        ours, theirs = _cast_pair(package, dtype, device)
        ids = torch.randint(GPT2_SMALL.vocab_size, (1, n_tokens), device=device)
        decoder = package.decoder(ours, 1, n_tokens)

        def our_prefill():
            decoder.reset()
            return decoder.feed(ids)

        @torch.inference_mode()
        def their_prefill():
            return theirs(ids, use_cache=True, logits_to_keep=1).logits[:, -1]

        apart = difference(our_prefill(), their_prefill())
        _must_agree(name, apart, getattr(torch, dtype))
        operations = n_tokens * forward_operations(GPT2_SMALL, n_tokens, head=1 / n_tokens)
        limit = ("products", operations)
        return Prepared(our_prefill, their_prefill, n_tokens, apart, limit)

    return Workload(name, f"prefill of {n_tokens}, 124M", dtype, prepare)


def _decode(
    package: Package, name: str, dtype: str, batch_size: int, n_prompt: int = 64, n_new: int = 16
) -> Workload:
    def prepare(device: torch.device) -> Prepared:
        ours, theirs = _cast_pair(package, dtype, device)
        from transformers import DynamicCache  # here, because the peer need not be installed

        prompt = torch.randint(GPT2_SMALL.vocab_size, (batch_size, n_prompt), device=device)
        tokens = torch.randint(GPT2_SMALL.vocab_size, (n_new, batch_size, 1), device=device)
        decoder = package.decoder(ours, batch_size, n_prompt + n_new)
        decoder.feed(prompt)
        cache = DynamicCache()
        with torch.inference_mode():
            theirs(prompt, cache=cache, use_cache=True, logits_to_keep=1)

        def our_decode():
            _go_back(decoder, n_prompt)
            for new in tokens:
                logits = decoder.feed(new)
                logits.argmax(dim=-1)
            return logits

        @torch.inference_mode()
        def their_decode():
            for new in tokens:
                logits = theirs(new, cache=cache, use_cache=True).logits[:, -1]
                logits.argmax(dim=-1)
            cache.crop(-n_new)  # back to the end of the prompt
            return logits

        apart = difference(our_decode(), their_decode())
        _must_agree(name, apart, getattr(torch, dtype))
        size = {"float32": 4, "bfloat16": 2}[dtype]
        limit = ("memory", float(n_new * n_read(ours) * size))
        return Prepared(our_decode, their_decode, n_new * batch_size, apart, limit)

    return Workload(name, f"decode, 124M, batch {batch_size}", dtype, prepare)


def _one_more(package: Package, n_before: int, use_cache: bool) -> Workload:
    """The logits of one more token: from the caches, or from everything again."""
    dtype = "float32"
    curve = "with a cache" if use_cache else "without a cache"
    name = f"after-{n_before}-{'cached' if use_cache else 'uncached'}"

    def prepare(device: torch.device) -> Prepared:
        ours, theirs = _cast_pair(package, dtype, device)
        from transformers import DynamicCache  # here, because the peer need not be installed

        ids = torch.randint(GPT2_SMALL.vocab_size, (1, n_before + 1), device=device)
        text, new = ids[:, :-1], ids[:, -1:]
        decoder, cache = package.decoder(ours, 1, n_before + 1), DynamicCache()
        if use_cache:
            decoder.feed(text)
            with torch.inference_mode():
                theirs(text, cache=cache, use_cache=True, logits_to_keep=1)

        def our_token():
            if not use_cache:
                decoder.reset()
                return decoder.feed(ids)
            _go_back(decoder, n_before)
            return decoder.feed(new)

        @torch.inference_mode()
        def their_token():
            if not use_cache:
                return theirs(ids, use_cache=False, logits_to_keep=1).logits[:, -1]
            logits = theirs(new, cache=cache, use_cache=True).logits[:, -1]
            cache.crop(-1)
            return logits

        apart = difference(our_token(), their_token())
        _must_agree(name, apart, getattr(torch, dtype))
        if use_cache:
            kept = 2 * GPT2_SMALL.n_layers * n_before * GPT2_SMALL.d_model
            limit = ("memory", 4.0 * (n_read(ours) + kept))
        else:
            n_tokens = n_before + 1
            operations = forward_operations(GPT2_SMALL, n_tokens, head=1 / n_tokens)
            limit = ("products", n_tokens * operations)
        return Prepared(our_token, their_token, 1, apart, limit)

    return Workload(
        name, f"one token after {n_before:,}, 124M, {curve}", dtype, prepare, (curve, n_before)
    )


def _go_back(decoder, length: int) -> None:
    """Make the decoder forget all that came after the first `length` tokens."""
    for cache in decoder.caches:
        cache.length = length


def n_read(model: nn.Module) -> int:
    """Weights that one token needs: all but the other positions' and, tied, none twice."""
    return sum(p.numel() for p in model.parameters()) - model.embeddings.position.weight.numel()


def _cast_pair(package: Package, dtype: str, device: torch.device):
    return tuple(
        model.to(device, getattr(torch, dtype)) for model in make_pair(GPT2_SMALL, package)
    )


def _optimizer(model: nn.Module, package: Package) -> torch.optim.Optimizer:
    decay_groups = package.component("training", "decay_groups")
    return torch.optim.AdamW(decay_groups(model, 0.1), lr=1e-4, fused=True)


def _autocast(dtype: str) -> torch.dtype | None:
    return None if dtype == "float32" else getattr(torch, dtype)


def forward_operations(shape: Shape, n_keys: int, head: float = 1.0) -> float:
    """Operations of one token's forward pass: two for each weight it meets, and attention's."""
    blocks = 24 * shape.n_layers * shape.d_model**2
    attention = 4 * shape.n_layers * (n_keys / 2) * shape.d_model  # half of all pairs are causal
    return blocks + attention + head * 2 * shape.d_model * shape.vocab_size


def _must_agree(name: str, apart: float, dtype: torch.dtype) -> None:
    if not apart <= AGREE[dtype]:
        raise ModelError(
            f"{name}: the two models do not agree, their logits are {apart:.2g} apart."
        )
