"""What a message says of the rule and what it ends with, by how a property failed.

A property's rule and hint are about a wrong *value*. Of most other ways to fail the property knows
nothing (an error, a wrong shape, a changed input), and to speak of its rule would be beside the
point: these have rules and hints of their own, here. Where the property's hint does speak of one of
them, the property says so: `fits=("shape",)`.

Where an answer does in all calls what one bug of the zoo does, what that bug's writer believed
says more than any hint to a rule could, and cannot be about another mistake.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from course_lib.bugs import Bug
from course_lib.bugs.reference import returned_by

from ..cases.check import Property
from ..judges.findings import Finding
from ..observe.calls import Call

GENERAL = {
    "not written": "put your code in the place of raise NotImplementedError",
    "name": "",  # the finding itself says what to do
    "raised": "make this call yourself: the traceback says how the code came there",
    "refused": "your own raise or assert refuses what the docstring allows: look at its condition",
    "written while recorded": "+=, x[…] = … and methods that end in _ write into a tensor: make a "
    "new one, or fill weights under torch.no_grad()",
    "written over": "write x + y in the place of x += y: what a function has returned may be "
    "needed for its gradient",
    "names": "the docstring says what the parts are called and what they are",
    "saved": "make it when it is needed, or say register_buffer(…, persistent=False)",
    "one tensor": "make each part by itself: two names for one module share its parameters",
    "not learned": "an nn.Parameter is learned while requires_grad is True, a buffer never is",
    "nothing": "does every way through the code end with a return?",
    "type": "the signature says, behind ->, what comes back",
    "shape": "print the shape after each line, and compare with the sizes in the signature",
    "dtype": "say dtype=… wherever you make a tensor, or end with .to() of the input's dtype",
    "not boolean": "comparisons give booleans; arithmetic with them, and .float(), does not",
    "not whole": "ids are int64, as arange, argmax and multinomial give them",
    "device": "say device=… of the input wherever you make a tensor",
    "changed": "x += …, x[…] = …, del x[…] and methods that end in _ write into what is given",
    "not finite": "which line is the first with nan or inf? 0 / 0, inf - inf and exp() make them",
    "no gradient": "detach(), item(), .data, numpy() and no_grad() cut the way back",
    "gradient": "a part of the formula was cut off by detach(), .data, item() or no_grad()",
    "weights": "zero_grad(), the loss, backward(), clip, step(): each once, in this order",
    "few digits": "most digits are right: is something float32 on the way, or a tiny number added?",
    "inference mode": "",  # the finding itself says what to do
    "cut short": "",  # by the time or the memory it took
    "unreadable": "",
}


class OwnRule(NamedTuple):
    """The rule that a way to fail breaks, whatever the property was about.

    Args:
        unless: words by which a property's own rule speaks of it.
        also_in_edge: edge properties are about a condition, and what fails there alone fails
            because of it; so most of these rules are for core properties.
    """

    rule: str
    unless: str = ""
    also_in_edge: bool = False


COMES_BACK = "the signature says what comes back: {what}"
NAMED_TENSORS = "state_dict() holds the parameters that the docstring names, and nothing else"
RECORDED = "what asks for a gradient is not written into while gradients are recorded"
RULES = {
    "raised": OwnRule("a call that the docstring allows raises no error", unless="error"),
    "refused": OwnRule("a call that the docstring allows raises no error", unless="error"),
    "written while recorded": OwnRule(RECORDED, also_in_edge=True),
    "written over": OwnRule(
        "what a gradient is computed from is not written over", also_in_edge=True
    ),
    "names": OwnRule(NAMED_TENSORS, unless=r"parameter|bias|its parts", also_in_edge=True),
    "saved": OwnRule(NAMED_TENSORS, also_in_edge=True),
    "not learned": OwnRule(NAMED_TENSORS, unless=r"parameter|bias|its parts", also_in_edge=True),
    "nothing": OwnRule(COMES_BACK),
    "type": OwnRule(COMES_BACK, unless="return|gives .* as one|Python float|is an int"),
    "shape": OwnRule(COMES_BACK),
    "not boolean": OwnRule(COMES_BACK),
    "not whole": OwnRule(COMES_BACK),
    "weights": OwnRule("weights after a call are those of one backward() and one step()"),
    "dtype": OwnRule(
        "what comes back has the dtype of the {source}",
        unless=r"dtype|precision in|float(32|64)|gives? half",
        also_in_edge=True,
    ),
    "not finite": OwnRule("finite numbers give finite results", unless="nan|finite|overflow"),
    "device": OwnRule("every tensor is made on the device of the inputs", "device", True),
    "changed": OwnRule(
        "nothing is written into what the caller gave", r"not changed|stays?\b|in place|kept", True
    ),
    "no gradient": OwnRule("gradients reach whatever asks for one", "gradient", True),
    "gradient": OwnRule("gradients reach whatever asks for one, whole", "gradient", True),
}


def broken_rule(
    prop: Property, finding: Finding, component: str, call: Call, *, is_first: bool
) -> str:
    """The rule that the failure breaks: the property's, or that of the way in which it failed.

    Args:
        is_first: no call before this one was right, but where parameters alone were looked at.
            An error that others did not have befell this call because of what the property is
            about; a refusal is its writer's own.
    """
    own = RULES.get(finding.how)
    if own is None or (own.unless and re.search(own.unless, prop.rule)):
        return prop.rule
    if prop.group == "edge" and not own.also_in_edge:
        return prop.rule
    if finding.how in prop.fits and finding.how not in ("shape", "type", "raised", "refused"):
        return prop.rule
    if finding.how == "raised" and not is_first:
        return prop.rule
    what = returned_by(component)
    if own.rule is COMES_BACK and not what:
        return prop.rule
    if finding.how == "dtype" and not _keeps_dtype(finding, call):
        return prop.rule
    is_model = call.get("of", call)["probe"] in ("module", "gpt")
    return own.rule.format(what=what, source="weights" if is_model else "inputs")


def _keeps_dtype(finding: Finding, call: Call) -> bool:
    return finding.expected == call.get("of", call).get("dtype")


def what_to_look_at(prop: Property, finding: Finding, bugs: Sequence[Bug]) -> str:
    """The message's last line: the thought behind the one bug it agrees with, or a hint."""
    if len(bugs) == 1:
        return f"perhaps you thought: {bugs[0].misconception}"
    hint = _hint_for(prop, finding)
    return f"hint: {hint}" if hint else ""


def _hint_for(prop: Property, finding: Finding) -> str:
    """What to look at when `prop` failed in the way that `finding` says."""
    fits = ("value", *prop.fits, *(("refused",) if "raised" in prop.fits else ()))
    return prop.hint if finding.how in fits else GENERAL[finding.how]
