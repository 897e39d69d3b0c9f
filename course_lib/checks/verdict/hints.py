"""What a message ends with: the thought behind the one bug named, else a hint, by how it failed.

Where an answer does in all calls what one bug of the zoo does, what that bug's writer believed
says more than any hint to a rule could, and cannot be about another mistake.

A property's own hint says where to look when a *value* is wrong. Of most other ways to fail the
property knows nothing (an error, a wrong shape, a changed input), and a hint about its rule would
be beside the point: these have hints of their own, here. Where the property's hint does speak of
one of them, the property says so: `fits=("shape",)`.
"""

from collections.abc import Sequence

from course_lib.bugs import Bug

from ..cases.check import Property
from ..judges.findings import Finding

GENERAL = {
    "not written": "put your code in the place of raise NotImplementedError",
    "name": "",  # the finding itself says what to do
    "raised": "make this call yourself: the traceback says how the code came there",
    "refused": "this call is in order: what makes your code refuse it stands before that raise",
    "names": "the docstring says what the parts are called and what they are",
    "not learned": "an nn.Parameter is learned while requires_grad is True, a buffer never is",
    "nothing": "does every way through the code end with a return?",
    "type": "the signature says, behind ->, what comes back",
    "shape": "print the shape after each line, and compare with the sizes in the signature",
    "dtype": "say dtype=… wherever you make a tensor, or end with .to() of the input's dtype",
    "not boolean": "comparisons give booleans; arithmetic with them, and .float(), does not",
    "not whole": "ids are int64, as arange, argmax and multinomial give them",
    "device": "say device=… of the input wherever you make a tensor",
    "changed": "x += …, x[…] = … and methods that end in _ write into what they are given",
    "not finite": "which line is the first with nan or inf? 0 / 0, inf - inf and exp() make them",
    "no gradient": "detach(), item(), .data, numpy() and no_grad() cut the way back",
    "gradient": "a part of the formula was cut off by detach(), .data, item() or no_grad()",
    "few digits": "most digits are right: is something float32 on the way, or a tiny number added?",
    "cut short": "",  # by the time or the memory it took
    "unreadable": "",
}


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
