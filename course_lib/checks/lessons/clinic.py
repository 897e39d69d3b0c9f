"""What must hold of lesson 10: tests that accept what is right and reject what is faulty.

Each test is tried on implementations that it can call and not look into, in an order drawn from
the seed. What it earns is the share of the faulty ones that it rejects, by an AssertionError; an
error that an implementation itself raises, and the test lets through, counts as one. It earns
nothing if it rejects a right one, or stumbles over it.
"""

from collections.abc import Iterator

from course_lib.bugs.patients import Patient, admit, patients_of

from ..cases.check import Case, ComponentCheck
from ..cases.draw import Draw
from ..cases.scoring import SHARE_OF_EDGE
from ..judges.expect import no_error
from ..judges.findings import Finding
from ..judges.seen import Malformed, Seen
from ..observe.probes import clinic

LESSON = "10_bug_clinic"

clinic.answer_with(admit)

test_attention = ComponentCheck(
    "test_attention", "clinic", LESSON, dtype="plain", scoring=SHARE_OF_EDGE
)
test_causality = ComponentCheck(
    "test_causality", "clinic", LESSON, dtype="plain", scoring=SHARE_OF_EDGE
)
test_layer_norm = ComponentCheck(
    "test_layer_norm", "clinic", LESSON, dtype="plain", scoring=SHARE_OF_EDGE
)
test_cached_generation = ComponentCheck(
    "test_cached_generation", "clinic", LESSON, dtype="plain", scoring=SHARE_OF_EDGE
)
GIVEN = {
    "test_attention": "masked_attention",
    "test_causality": "model",
    "test_layer_norm": "layer_norm",
    "test_cached_generation": "model, generate_cached",
}


# The models are the same in every run, weights and all: what a weak test happens to see would
# depend on the draw otherwise, and with it the grade. Only the order is drawn.
MODEL = {
    "vocab_size": 29,
    "context_length": 9,
    "d_model": 15,
    "n_heads": 3,
    "n_layers": 2,
    "tie_weights": False,
}
SEED = 2026


def _cases(check: ComponentCheck, *, right: bool) -> Iterator[Case]:
    """A case for each right, or each faulty, implementation."""
    config = MODEL if "model" in GIVEN[check.name] else None
    for patient in patients_of(check.name):
        if patient.is_right == right:
            call = {
                "probe": "clinic",
                "dtype": check.dtype,
                "test": check.name,
                "config": config,
                # Stays on the grader's side: it is taken out before a call enters a sandbox.
                "patient": {
                    "test": check.name,
                    "name": patient.name,
                    "config": config,
                    "seed": SEED,
                },
            }
            shown = f"{check.name}({GIVEN[check.name]})"
            yield Case(call, shown, _accepted if right else _rejected(patient))


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


@test_attention.core(
    "every right implementation is accepted",
    hint="leave room for rounding: right ones agree to 1e-6 in float64, and not to the last bit",
)
def attention_right(draw: Draw):
    yield from _cases(test_attention, right=True)


@test_attention.edge(
    "every faulty implementation is rejected, with an AssertionError",
    hint="compute the answer another way, on sizes that all differ; then masks, then huge scores",
)
def attention_faulty(draw: Draw):
    yield from _cases(test_attention, right=False)


@test_causality.core(
    "every causal model is accepted",
    hint="leave room for rounding: a text and its beginning are not added up in the same order",
)
def causality_right(draw: Draw):
    yield from _cases(test_causality, right=True)


@test_causality.edge(
    "every model that sees the future is rejected, with an AssertionError",
    hint="cut a text at every place: change what follows, then take it away; then one text alone",
)
def causality_faulty(draw: Draw):
    yield from _cases(test_causality, right=False)


@test_layer_norm.core(
    "every right implementation is accepted",
    hint="leave room for rounding, in gradients too: compare them with what they should be",
)
def layer_norm_right(draw: Draw):
    yield from _cases(test_layer_norm, right=True)


@test_layer_norm.edge(
    "every faulty implementation is rejected, with an AssertionError",
    hint="F.layer_norm is an oracle; vary shape, eps and bias, and compare gradients as well",
)
def layer_norm_faulty(draw: Draw):
    yield from _cases(test_layer_norm, right=False)


@test_cached_generation.core(
    "every right implementation is accepted",
    hint="the tokens must be those that the model finds likeliest; nothing else is promised",
)
def generation_right(draw: Draw):
    yield from _cases(test_cached_generation, right=True)


@test_cached_generation.edge(
    "every faulty implementation is rejected, with an AssertionError",
    hint="prompts of every length, several texts, up to the end of the context; then ask the model",
)
def generation_faulty(draw: Draw):
    yield from _cases(test_cached_generation, right=False)
