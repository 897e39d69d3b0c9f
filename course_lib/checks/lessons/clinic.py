"""What must hold of lesson 10: tests that accept what is right and reject what is faulty.

Each test is tried on implementations that it can call and not look into, in an order drawn from
the seed. What it earns is the share of the faulty ones that it rejects, by an AssertionError; an
error that an implementation itself raises, and the test lets through, counts as one. It earns
nothing if it rejects a right one, or stumbles over it.
"""

from collections.abc import Iterator
from itertools import repeat

from course_lib.bugs.patients import Patient, admit, patients_of
from course_lib.bugs.patients.vetting import first_that_fits

from ..cases.check import Case, ComponentCheck
from ..cases.draw import Draw
from ..cases.scoring import SHARE_OF_EDGE
from ..judges.expect import no_error
from ..judges.findings import Finding
from ..judges.seen import Malformed, Seen
from ..observe.probes import clinic

LESSON = "10_bug_clinic"

clinic.answer_with(admit)

# The sizes of the models are known; their weights, and with them all that they answer, are drawn.
MODEL = {
    "vocab_size": 29,
    "context_length": 9,
    "d_model": 15,
    "n_heads": 3,
    "n_layers": 2,
    "tie_weights": False,
}


def _tried_on_patients(
    name: str, *, given: str, accepts: tuple[str, str], rejects: tuple[str, str]
) -> ComponentCheck:
    """The check of one test.

    Args:
        given: what the test is called with.
        accepts: the rule about right implementations, and the hint that goes with it.
        rejects: the same of faulty ones.
    """
    check = ComponentCheck(name, "clinic", LESSON, dtype="plain", scoring=SHARE_OF_EDGE)
    config = MODEL if "model" in given else None

    def cases(draw: Draw, *, right: bool) -> Iterator[Case]:
        seed = 0  # of nothing, where there is no model
        if config:
            seed = first_that_fits(name, config, (draw.seed() for _ in repeat(None)))
        for patient in patients_of(name):
            if patient.is_right == right:
                call = {"probe": "clinic", "dtype": check.dtype, "test": name, "config": config}
                # Stays on the grader's side: it is taken out before a call enters a sandbox.
                which = {"test": name, "name": patient.name, "config": config, "seed": seed}
                judge = _accepted if right else _rejected(patient)
                yield Case({**call, "patient": which}, f"{name}({given})", judge)

    rule, hint = accepts
    check.core(rule, hint=hint)(lambda draw: cases(draw, right=True))
    rule, hint = rejects
    check.edge(rule, hint=hint)(lambda draw: cases(draw, right=False))
    return check


def _accepted(seen: Seen) -> Finding | None:
    finding = no_error(seen)
    if finding or _verdict(seen) == "accepted":
        return finding
    reason = seen.flag("reason")
    reason = reason[:400] if isinstance(reason, str) else ""
    return Finding("a right one was rejected", expected="None", got=reason)


def _rejected(patient: Patient):
    def judge(seen: Seen) -> Finding | None:
        error = no_error(seen)
        if error:
            return Finding(error.what, expected=patient.symptom)
        if _verdict(seen) == "accepted":
            return Finding("missed", expected=patient.symptom)
        return None

    return judge


def _verdict(seen: Seen) -> str:
    if seen.value not in ("accepted", "rejected", "gave up"):
        raise Malformed("verdict")
    return seen.value


test_attention = _tried_on_patients(
    "test_attention",
    given="masked_attention",
    accepts=(
        "every right implementation is accepted",
        "leave room for rounding: right ones agree to 1e-6 in float64, and not to the last bit",
    ),
    rejects=(
        "every faulty implementation is rejected, with an AssertionError",
        "compute the answer another way, on sizes that all differ; then masks, then huge scores",
    ),
)

test_causality = _tried_on_patients(
    "test_causality",
    given="model",
    accepts=(
        "every causal model is accepted",
        "only what stands before the change stays as it was, and up to rounding: leave room for it",
    ),
    rejects=(
        "every model that sees the future is rejected, with an AssertionError",
        "cut a text at every place: change what follows, then take it away; then one text alone",
    ),
)

test_layer_norm = _tried_on_patients(
    "test_layer_norm",
    given="layer_norm",
    accepts=(
        "every right implementation is accepted",
        "leave room for rounding, in gradients too: compare them with what they should be",
    ),
    rejects=(
        "every faulty implementation is rejected, with an AssertionError",
        "F.layer_norm is an oracle; vary shape, eps and bias, and compare gradients as well",
    ),
)

test_cached_generation = _tried_on_patients(
    "test_cached_generation",
    given="model, generate_cached",
    accepts=(
        "every right implementation is accepted",
        "the tokens must be those that the model finds likeliest; nothing else is promised",
    ),
    rejects=(
        "every faulty implementation is rejected, with an AssertionError",
        "prompts of every length, several texts, up to the end of the context; then ask the model",
    ),
)
