"""Observe a whole package at work: it computes, trains, generates, and generates with a cache.

`run` names one of the functions below. `outputs` holds logits, losses or ids, as the run says, and
`initial` the model's weights at the end, by name.

Where the package's model cannot be used (`has_model` is False), a model of torch's own functions
stands in for it, so that the rest can still be seen.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ..calls import PackageCall
from ..given.config import ReferenceConfig
from ..load.answer import NotAsAsked
from ..load.lent import lent
from ..observations import Observation, blank
from .functions import require_module
from .record import DTYPES, type_name

WEIGHT_DECAY = 0.1


def observe_package(package, call: PackageCall, seen: Observation) -> None:
    """Do one run; write into `seen`."""
    torch.manual_seed(call["seed"])
    _RUNS[call["run"]](package, call, seen)


def _compute(package, call, seen) -> None:
    """Logits of `ids` and of `others`, gradients, and how many parameters the model counts."""
    model = _model(package, call, seen)
    ids, others = (_ids(call[name], call) for name in ("ids", "others"))
    model.eval()
    logits = model(ids)
    _put(seen, logits, model(others))
    if call["cotangent"] is not None:
        cotangent = torch.from_numpy(call["cotangent"]).to(logits)
        parameters = list(model.parameters())
        total = (logits * cotangent).sum()
        found = torch.autograd.grad(total, parameters, allow_unused=True)
        gradient_of = dict(zip(map(id, parameters), found, strict=True))
        seen["gradients"] = {  # a shared tensor's under each of its names
            name: None if gradient_of[id(parameter)] is None else _array(gradient_of[id(parameter)])
            for name, parameter in model.named_parameters(remove_duplicate=False)
        }
        count = package.part("model", "n_parameters")
        seen["counts"] = [int(count(model)), int(count(model, embeddings=False))]


def _fresh(package, call, seen) -> None:
    """The weights of a model nobody has trained."""
    _put_state(seen, _model(package, call, seen))


def _too_long(package, call, seen) -> None:
    """The model is given one token more than its context holds."""
    model = _model(package, call, seen)
    model(_ids(call["ids"], call))


def _take_steps(package, call, seen) -> None:
    """Train on the batches of the call, one step each."""
    model = _model(package, call, seen).train()
    batches = [tuple(_ids(part, call) for part in batch) for batch in call["batches"]]
    _put(seen, torch.tensor(_train(package, model, batches, call), dtype=torch.float64))
    _put_state(seen, model)


def _learn_text(package, call, seen) -> None:
    """Train on windows of a text, by chance, and say what the package thinks of another text."""
    model = _model(package, call, seen).train()
    tokens, other = (_ids(call[name], call) for name in ("tokens", "other"))
    get_batch = package.part("training", "get_batch")
    generator = torch.Generator().manual_seed(call["seed"])
    sizes = call["batch_size"], call["config"]["context_length"]
    batches = (get_batch(tokens, *sizes, generator=generator) for _ in range(call["n_steps"]))
    losses = _train(package, model, batches, call)
    evaluate = package.part("training", "evaluate")
    loss = evaluate(model, other, context_length=sizes[1])
    _put(seen, torch.tensor([*losses, loss], dtype=torch.float64))
    model.eval()
    with torch.no_grad():
        _put(seen, model(other[None, : sizes[1]]))
    _put_state(seen, model)


def _learn_batches(package, call, seen) -> None:
    """Train on one batch a step; then the trained model's logits of `ids`."""
    model = _model(package, call, seen).train()
    batches = ((part[:, :-1], part[:, 1:]) for part in _ids(call["batches"], call))
    _put(seen, torch.tensor(_train(package, model, batches, call), dtype=torch.float64))
    model.eval()
    with torch.no_grad():
        _put(seen, model(_ids(call["ids"], call)))
    _put_state(seen, model)


def _train(package, model, batches, call) -> list[float]:
    """Steps with AdamW, the package's parameter groups, its schedule and its step."""
    parts = ("decay_groups", "learning_rate", "train_step")
    decay_groups, learning_rate, train_step = (package.part("training", name) for name in parts)
    groups = decay_groups(model, WEIGHT_DECAY)
    optimizer = torch.optim.AdamW(groups, lr=call["schedule"]["max_lr"], eps=call["eps"])
    dtype = None if call["autocast"] is None else DTYPES[call["autocast"]]
    losses = []
    for step, (inputs, targets) in enumerate(batches):
        rate = learning_rate(step, **call["schedule"])
        for group in optimizer.param_groups:
            group["lr"] = rate
        options = {"max_grad_norm": call["max_grad_norm"], "n_chunks": call["n_chunks"]}
        losses.append(
            float(train_step(model, optimizer, inputs, targets, autocast_dtype=dtype, **options))
        )
    return losses


def _generate(package, call, seen) -> None:
    """Prompts go on, one row each, with the function of the package that the call names."""
    model = _model(package, call, seen)
    model.train(call["training"])
    generate = package.part(*call["function"])
    counted = _count_positions(model, seen)
    prompt, sampling = _ids(call["ids"], call), dict(call["sampling"])
    if call["draws"]:
        sampling["generator"] = torch.Generator(call["device"]).manual_seed(call["seed"])
    _put(seen, generate(model, prompt, call["n_new"], **sampling))
    counted.remove()
    seen["still_training"] = all(part.training == call["training"] for part in model.modules())
    if call["training"]:
        looked = blank()
        with torch.no_grad():
            _put(looked, *(model(prompt) for _ in range(2)))
        seen["steps"] = [looked]


def _write_text(package, call, seen) -> None:
    """A prompt in characters goes on in characters."""
    model = _model(package, call, seen).eval()
    tokenizer = package.part("tokens", "CharTokenizer")(call["text"])
    seen["steps"] = []
    for module, name in call["functions"]:
        ids = torch.tensor([tokenizer.encode(call["prompt"])], device=call["device"])
        ids = package.part(module, name)(model, ids, call["n_new"], temperature=0.0)
        text = tokenizer.decode([int(i) for i in ids[0]])
        seen["steps"].append(blank() | {"value": str(text)[:2000]})


def _count_positions(model: nn.Module, seen):
    """Count what goes through the token embedding; a cache sends each position once."""
    seen["positions"] = 0

    def count(module, args, output):
        seen["positions"] += args[0].shape[-1]

    return model.embeddings.token.register_forward_hook(count)


def _model(package, call, seen) -> nn.Module:
    """The package's GPT, or what stands in for it, with the call's weights."""
    config = call["config"]
    if package.has_model:
        make, configure = (package.part("model", name) for name in ("GPT", "GPTConfig"))
        model = make(configure(**config))
    else:
        model = lent("untrained").untrained_model(ReferenceConfig(**config), call["seed"])
    require_module(model)
    state = model.state_dict()
    seen["parameters"] = {name: list(tensor.shape) for name, tensor in state.items()}
    named = model.named_parameters(remove_duplicate=False)
    seen["trainable"] = sorted(name for name, parameter in named if parameter.requires_grad)
    model.to(dtype=DTYPES[call["dtype"]], device=call["device"])
    if call["weights"] is not None:
        model.load_state_dict({name: torch.from_numpy(a) for name, a in call["weights"].items()})
    return model


_RUNS = {
    "compute": _compute,
    "fresh": _fresh,
    "too long": _too_long,
    "steps": _take_steps,
    "text": _learn_text,
    "batches": _learn_batches,
    "generate": _generate,
    "write": _write_text,
}


def _ids(array: np.ndarray, call) -> Tensor:
    """Token ids, which cross in as few bytes as they need."""
    return torch.from_numpy(array.astype(np.int64)).to(call["device"])


def _put(seen, *tensors) -> None:
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise NotAsAsked(f"a tensor was to come back, not a {type_name(tensor)}")
        seen["outputs"].append(
            {
                "kind": "tensor",
                "array": _array(tensor),
                "dtype": str(tensor.dtype).removeprefix("torch."),
                "device": tensor.device.type,
                "requires_grad": tensor.requires_grad,
            }
        )


def _put_state(seen, model: nn.Module) -> None:
    seen["initial"] = {name: _array(tensor) for name, tensor in model.state_dict().items()}


def _array(tensor: Tensor) -> np.ndarray:
    tensor = tensor.detach().cpu().contiguous()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy().copy()
