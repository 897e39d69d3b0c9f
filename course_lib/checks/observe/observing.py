"""Call a component and write down what it did: arrays, numbers, and the error it raised.

A *call* says what to do, an *observation* what happened. Both are trees of dicts and lists with
NumPy arrays as leaves, so that they can cross a process boundary as they are.

    call         probe, dtype, device, args, kwargs          how to call a function
                 init, init_kwargs, weights, training        a module is built and filled first
                 warm_up, warm_up_training                   and called with these before
                 initial, attributes                         look at a fresh module's state, kinds
                 cotangents                                  ask for gradients as well
                 watch_devices                               look for tensors on another device
                 random                                      chance is part of what it does
    observation  error, outputs, structure, changed, gradients, mixed_devices, parameters, ...

The probes stand in `probes/`, what they share in `probes/record.py`.
"""

from collections.abc import Mapping

from .load.answer import describe_error
from .probes import caching, clinic, generation, gpt
from .probes.batches import observe_batches
from .probes.evaluation import observe_evaluation
from .probes.functions import observe_function, observe_influence, observe_module
from .probes.groups import observe_groups
from .probes.plain import observe_plain
from .probes.train_step import observe_steps
from .probes.whole import observe_package
from .watches.memory import watching_memory

_PROBES = {
    "function": observe_function,
    "module": observe_module,
    "influence": observe_influence,
    "plain": observe_plain,
    "package": observe_package,
    **gpt.PROBES,
    "steps": observe_steps,
    "evaluation": observe_evaluation,
    "batches": observe_batches,
    "groups": observe_groups,
    "caching": caching.observe_script,
    **generation.PROBES,
    "memory": watching_memory(observe_function),
    "clinic": clinic.observe_clinic,
    "consult": clinic.consult,
}


def observe(component, call: Mapping) -> dict:
    """What `component` does in this `call`. Never raises: an error is part of what it did."""
    seen = {"error": None, "outputs": [], "structure": "", "changed": []}
    try:
        _PROBES[call["probe"]](component, call, seen)
    except (Exception, SystemExit) as error:
        seen["error"] = describe_error(error)
    return seen
