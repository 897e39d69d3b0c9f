"""CPU and card compute the same: logits, loss and gradient, and the tokens that are written.

All is compared with the model step by step in float64 on the CPU, by ‖a − b‖ / ‖b‖: both forms of
ours, in float64, in float32 without tf32, and in bfloat16 as training (float32 weights, bfloat16
products) and generation (all in bfloat16) use it.
"""

import contextlib
import copy
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from course_lib.models.bench.peers import Shape
from course_lib.models.ours.fused import fuse
from course_lib.transformer.cache import generate_cached
from course_lib.transformer.generation import generate
from course_lib.transformer.model import GPT
from course_lib.transformer.training import next_token_loss

from .attempts import attempt
from .forms import FUSED, PACKAGE, STEP_BY_STEP, config_of, random_ids, shape_for
from .sections import Run

# How far rounding may bring them apart: far more than it does through twelve blocks, and far less
# than a wrong mask or scale would. Products in tf32, which has 11 bits, would not pass as float32.
TOLERANCES = {"float64": 1e-10, "float32": 1e-4, "bfloat16, mixed": 0.05, "bfloat16": 0.05}
BESIDE = ("float64", "float32")  # what the CPU computes beside the card
WRITER = Shape(vocab_size=513, context_length=192, d_model=96, n_heads=6, n_layers=4)
LONGEST = 30  # seconds for one comparison


def rows(run: Run) -> Iterator[dict]:
    torch.set_float32_matmul_precision("highest")  # no tf32
    yield from _computing(run)
    yield from _writing(run)


def _computing(run: Run) -> Iterator[dict]:
    shape, n_tokens = shape_for(run.is_small), 33 if run.is_small else 128
    ids = random_ids(shape, 2, n_tokens + 1)
    models = _both(shape)
    reference = _computed(models[STEP_BY_STEP], ids, "cpu", "float64")
    for form, model in models.items():
        for device in dict.fromkeys(("cpu", run.device)):
            for kind in TOLERANCES if device == run.device else BESIDE:
                about = {"name": f"{form}, {device}, {kind}", "form": form, "device": device}
                about |= {"kind": kind, "tolerance": TOLERANCES[kind]}
                what = (model, ids, device, kind)
                yield attempt(about, lambda what=what: _compared(what, reference), LONGEST)


def _both(shape: Shape, **more) -> dict[str, nn.Module]:
    """Our two forms, with the same weights."""
    torch.manual_seed(0)
    model = GPT(config_of(shape, **more)).eval()
    return {STEP_BY_STEP: model, FUSED: fuse(copy.deepcopy(model))}


def _computed(model: nn.Module, ids: Tensor, device: str, kind: str) -> dict[str, Tensor]:
    """Logits, loss and gradient, brought to the CPU in float64."""
    number_format, is_mixed = getattr(torch, kind.removesuffix(", mixed")), kind.endswith("mixed")
    model = copy.deepcopy(model).to(device, torch.float32 if is_mixed else number_format)
    inputs, targets = ids[:, :-1].to(device), ids[:, 1:].to(device)
    cast = torch.autocast(device, number_format) if is_mixed else contextlib.nullcontext()
    with cast:
        logits = model(inputs)
    loss = next_token_loss(logits, targets)
    found = {"logits": logits, "loss": loss}
    if kind != "bfloat16":  # in which nobody keeps weights that learn
        loss.backward()
        found["gradient"] = torch.cat([p.grad.flatten() for p in model.parameters()])
    return {name: tensor.detach().cpu().double() for name, tensor in found.items()}


def _compared(what: tuple, reference: dict[str, Tensor]) -> dict:
    found, tolerance = _computed(*what), TOLERANCES[what[-1]]
    apart = {
        name: float((tensor - reference[name]).norm() / reference[name].norm())
        for name, tensor in found.items()
    }
    return {"apart": apart, "agrees": all(far <= tolerance for far in apart.values())}


def _writing(run: Run) -> Iterator[dict]:
    """The likeliest tokens after a prompt, with and without a cache, against the CPU's."""
    models = _both(WRITER, tie_weights=False)  # with tied ones a fresh model repeats its prompt
    n_new = 40 if run.is_small else 160
    prompt = random_ids(WRITER, 3, 7)
    wanted = generate(models[STEP_BY_STEP], prompt, n_new, temperature=0)
    ways: dict[str, tuple[str, Callable]] = {
        "without a cache": (STEP_BY_STEP, generate),
        "with a cache": (STEP_BY_STEP, generate_cached),
        "with our decoder": (FUSED, _decoded),
    }
    for way, (form, function) in ways.items():
        about = {"name": f"tokens, {form}, {way}", "form": form, "way": way, "n_new": n_new}
        yield attempt(
            about | {"device": run.device, "kind": "float32"},
            lambda f=function, m=models[form]: _same(f, m, prompt, n_new, wanted, run.device),
            LONGEST,
        )


def _same(function, model, prompt: Tensor, n_new: int, wanted: Tensor, device: str) -> dict:
    model = copy.deepcopy(model).to(device)
    found = function(model, prompt.to(device), n_new, temperature=0).cpu()
    is_same = (found == wanted)[:, prompt.shape[1] :]
    return {
        "n_tokens": is_same.numel(),
        "n_same": int(is_same.sum()),
        "n_different_tokens": len(wanted[:, prompt.shape[1] :].unique()),
        "agrees": bool(is_same.all()),
    }


def _decoded(model: nn.Module, ids: Tensor, n_new: int, *, temperature: float) -> Tensor:
    """`generate` by the decoder of `course generate`, which takes the likeliest token here."""
    decoder, new = PACKAGE.decoder(model, len(ids), ids.shape[1] + n_new), ids
    for _ in range(n_new):
        new = decoder.feed(new).argmax(dim=-1, keepdim=True)
        ids = torch.cat([ids, new], dim=1)
    return ids
