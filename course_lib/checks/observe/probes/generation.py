"""Observe what chance decides, and text that grows: two probes.

What is drawn differs from one right answer to another, so `outputs` holds how often each token
was drawn by rows of each kind; the ids themselves are in `draws`. `inside` and `afterwards` say
in which state the model was, and whether one state of the generator gave the same ids twice.
"""

import numpy as np
import torch
from torch import Tensor

from ..calls import DrawsCall, GenerateCall
from ..given.rolling import build_model
from ..given.trained import set_in_evaluation
from ..observations import Observation, blank
from . import record


def observe_draws(component, call: DrawsCall, seen: Observation) -> None:
    """`sample`, by what it draws for many rows at once."""
    kinds = record.tensor_of(call["args"][0], call)
    logits = record.laid_out(kinds.repeat(call["n_rows"], 1), call)
    before = logits.clone()
    with record.watching(call) as watch:
        results = _in_turn(call, seen, lambda **more: component(logits, **call["kwargs"], **more))
    record.record_result(results[0], seen)
    some = len(kinds)  # of so many rows, alike but for chance
    record.record_changes([logits[:some]], [before[:some]], seen)
    record.record_devices(watch, results[0], call, seen)
    _record_draws(results, [ids for ids in results if _are_whole(ids, 1, 2)], kinds, call, seen)


def observe_generate(component, call: GenerateCall, seen: Observation) -> None:
    """`generate`, with a model that says in which state it was."""
    model = build_model(call["model"], record.DTYPES[call["dtype"]]).to(call["device"])
    model.train(call["training"])
    set_in_evaluation(model, call["in_evaluation"])
    prompts, n_new = record.tensor_of(call["args"][0], call), call["args"][1]
    ids = record.laid_out(prompts.repeat(call["n_rows"], 1), call)
    before = ids.clone()
    gradients_before = torch.is_grad_enabled()
    raised, results = None, []
    if call["learns"]:
        right = model.table.detach().clone()
        model.table.data.copy_(right.roll(1, dims=0))
        component(model, ids.clone(), n_new, **call["kwargs"])
        model.table.data.copy_(right)
    try:
        with record.watching(call) as watch:
            results = _in_turn(
                call, seen, lambda **more: component(model, ids, n_new, **call["kwargs"], **more)
            )
    except RuntimeError as error:
        if str(error) != "the model failed":
            raise
        raised = type(error).__name__
    finally:
        inside = {
            "in_training": bool(getattr(model, "was_training", False)),
            "with_gradients": bool(getattr(model, "had_gradients", False)),
        }
        seen["steps"] = [_look_at(model, prompts)]
        seen["afterwards"] = {
            "raised": raised,
            "in_training": [module.training for module in model.modules()],
            "with_gradients": torch.is_grad_enabled(),
        }
        torch.set_grad_enabled(gradients_before)
    seen["inside"] = inside
    if raised:
        return
    record.record_result(results[0], seen)
    some = len(prompts)
    record.record_changes([ids[:some]], [before[:some]], seen)
    record.record_devices(watch, results[0], call, seen)
    if call["n_rows"] > 1:
        tails = [text[:, ids.shape[1] :] for text in results if _are_whole(text, 2)]
        _record_draws(results, tails, model.table[:1].expand(len(prompts), -1), call, seen)


def _look_at(model, prompts: Tensor) -> Observation:
    """What the model says now, in the mode in which it was left; a larger one is not asked."""
    looked = blank()
    if hasattr(model, "table") and prompts.shape[1] > 0:
        model.fails_at = None
        record.record_result(model(prompts[:1, -model.config.context_length :]), looked)
    return looked


def _in_turn(call, seen, draw) -> list:
    """What `draw` returns: once, or from the same state of the generator twice, others between.

    The state of torch's own generator is another each time.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)  # torch.manual_seed takes 2 ms, for other devices
        if call["seed"] is None:
            results = [draw()]
            if call["compare"]:
                results.append(draw())
                torch.default_generator.manual_seed(0)
                results.append(draw())
            return results
        generator = torch.Generator(call["device"]).manual_seed(call["seed"])
        results = [draw(generator=generator)]
        if call["compare"]:
            torch.default_generator.manual_seed(1)
            own = torch.get_rng_state()
            results.append(draw(generator=generator))
            seen["torchs_own_kept"] = torch.equal(own, torch.get_rng_state())
            torch.default_generator.manual_seed(2)
            results.append(draw(generator=generator.manual_seed(call["seed"])))
    return results


def _record_draws(results, tails, kinds, call, seen) -> None:
    """All that was drawn in `draws`, and in `outputs` only how often."""
    seen["draws"] = [record.part_of(result) for result in results]
    if len(tails) < len(results):
        return  # not what was asked for: the judge says so
    if len(tails) == 3:
        first, after, again = tails
        seen["afterwards"] = seen.get("afterwards", {}) | {
            "same_state_same_ids": torch.equal(first, again),
            "moved_on": not torch.equal(first, after),
        }
    counted = _frequencies(tails[0], len(kinds), kinds.shape[-1])
    if counted is not None:
        seen["outputs"][0]["array"] = counted


def _frequencies(ids: Tensor, n_kinds: int, vocab_size: int) -> np.ndarray | None:
    """For each token, kind of row and place: the share of these rows that have it there."""
    if ids.numel() == 0 or ids.min() < 0 or ids.max() >= vocab_size or len(ids) % n_kinds:
        return None
    rows = ids.reshape(-1, n_kinds, *ids.shape[1:])
    return np.stack([(rows == token).double().mean(dim=0).numpy() for token in range(vocab_size)])


def _are_whole(value, *n_axes: int) -> bool:
    if not isinstance(value, Tensor) or value.dim() not in n_axes:
        return False
    return not value.is_floating_point() and record.array_or_none(value) is not None


PROBES = {"draws": observe_draws, "generate": observe_generate}
