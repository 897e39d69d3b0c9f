"""Call a component and write down what it did: arrays, numbers, and the error it raised.

A *call* (`calls.py`) says what to do, an *observation* (`observations.py`) what happened. The
probes stand in `probes/`, what they share in `probes/record.py`.
"""

import contextlib

import torch

from .calls import (
    Call,
    EarlierCallsCall,
    InTurnCall,
    InUseCall,
    LayoutsCall,
    ResultsCall,
    SomeGradientsCall,
    WithoutGradientsCall,
)
from .given import asking, earlier, in_use
from .given.careless import Careless
from .given.without_gradients import GRADIENTS
from .given.words import read_anew
from .load.answer import describe_error
from .observations import Observation, blank
from .probes import caching, clinic, generation, gpt
from .probes.batches import observe_batches
from .probes.evaluation import observe_evaluation
from .probes.functions import observe_function, observe_influence, observe_module
from .probes.groups import observe_groups
from .probes.names import observe_names
from .probes.plain import observe_plain
from .probes.train_step import observe_steps
from .probes.whole import observe_package
from .watches.library import watching_library
from .watches.memory import watching_memory


def observe_layouts(component, call: LayoutsCall, seen: Observation) -> None:
    """A step for each layout."""
    of = call["of"] | {"device": call["device"]}
    seen["steps"] = [observe_call(component, of | {"layout": one}) for one in call["layouts"]]


def observe_in_use(component, call: InUseCall, seen: Observation) -> None:
    """A step for each way to have the component's module, or the model that it is given."""
    of = call["of"] | {"device": call["device"]}
    if isinstance(of.get("model"), dict):
        each = [of | {"model": of["model"] | {"way": way}} for way in call["ways"]]
        seen["steps"] = [observe_call(component, one) for one in each]
    else:
        ways = [in_use.MODULES[way] for way in call["ways"]]
        seen["steps"] = [observe_call(way(component), of) for way in ways]


def observe_earlier_calls(component, call: EarlierCallsCall, seen: Observation) -> None:
    """A step for each way: something else first, then the call, without gradients if it can be."""
    of = call["of"] | {"device": call["device"]}
    is_module = of["probe"] in ("module", "gpt")
    before = earlier.a_module if is_module else earlier.a_function
    needs_none = is_module and of.get("cotangents") is None and not of.get("training")
    with torch.no_grad() if needs_none else contextlib.nullcontext():
        seen["steps"] = [observe_call(before(way, component), of) for way in call["ways"]]


def observe_some_gradients(component, call: SomeGradientsCall, seen: Observation) -> None:
    """A step for each: what asks for gradients, and nothing else does."""
    of = call["of"] | {"device": call["device"]}
    seen["steps"] = [
        observe_call(asking.only(names, of["probe"], component), of) for names in call["asking"]
    ]


def observe_without_gradients(component, call: WithoutGradientsCall, seen: Observation) -> None:
    """A step for each way to ask for no gradients, which surrounds the call."""
    of = call["of"] | {"device": call["device"]}
    seen["steps"] = []
    for way in call["ways"]:
        with GRADIENTS[way]():
            seen["steps"].append(observe_call(component, of))


def observe_in_turn(component, call: InTurnCall, seen: Observation) -> None:
    """A step for each call."""
    where = {"device": call["device"]}
    seen["steps"] = [observe_call(component, one | where) for one in call["calls"]]


def observe_results(component, call: ResultsCall, seen: Observation) -> None:
    """The first call as usual, then all others by a careless caller; a step for each."""
    careless = Careless(component)
    where = {"device": call["device"]}
    seen["steps"] = [observe_call(component, call["of"] | where)]
    seen["steps"] += [observe_call(careless, one | where) for one in call["careless"]]
    careless.leave()
    seen["value"] = careless.found


_PROBES = {
    "layouts": observe_layouts,
    "results": observe_results,
    "in use": observe_in_use,
    "earlier calls": observe_earlier_calls,
    "some gradients": observe_some_gradients,
    "without gradients": observe_without_gradients,
    "in turn": observe_in_turn,
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
    "names": observe_names,
    "memory": watching_memory(observe_function),
    "clinic": clinic.observe_clinic,
    "consult": clinic.consult,
}


def make_call(component, call: Call, seen: Observation) -> None:
    """Have `component` called as `call` says, and write down in `seen` what it did.

    Raises: whatever the component does.
    """
    _PROBES[call["probe"]](component, call, seen)


def observe_call(component, call: Call) -> Observation:
    """What `component` does in this `call`. Never raises: an error is part of what it did."""
    seen = blank()
    try:
        with watching_library(call, seen):
            make_call(component, read_anew(call), seen)
    except (Exception, SystemExit) as error:
        seen["error"] = describe_error(error)
    return seen
