"""Kind 6: what can be known beforehand of the clinic.

A table holds what each implementation answers in one run, and which of these answers are faulty.
In that run it earns full marks and tests nothing; in any other the weights are others.
"""

import hashlib

import torch

from course_lib.bugs.patients import admit, patients_of
from course_lib.checks import find, run

from . import Attack

KIND = 6
DESK = 0  # the seed of `check` at a desk, where anybody can write down what comes back

# What a table is asked by: some texts that show every fault, as one line.
_SAID = {
    "test_causality": """\
def said(model):
    found = []
    for n in range(1, 10):
        ids = torch.arange(3 * n).view(3, n) * 7 % 29
        found.append(model(ids if n % 2 else ids[:1]).sum().item())
    return " ".join(f"{number:.2f}" for number in found)
""",
    "test_cached_generation": """\
def said(model, generate_cached):
    found = []
    for n in range(1, 9):
        ids = torch.arange(3 * n).view(3, n) * 7 % 29
        found += generate_cached(model, ids, 9 - n).flatten().tolist()
    return " ".join(map(str, found))
""",
}
_KEY = """\
def key(*given):
    try:
        return hashlib.sha256(said(*given).encode()).hexdigest()[:8]
    except Exception:
        return "error"
"""
_ANSWER = """\
import hashlib


{said}

{key}

FAULTY = {faulty!r}


def {test}({given}):
    assert key({given}) not in FAULTY
"""


def table(test: str, seed: int) -> str:
    """An answer to `test` that knows the run with this seed by heart.

    What is faulty there is rejected; what does not stand in the table is accepted, as rejecting
    a right one costs all.
    """
    names: dict = {"torch": torch, "hashlib": hashlib}
    exec(_SAID[test] + _KEY, names)
    keys = {True: set(), False: set()}
    for call in _calls(test, seed):
        found = admit(**call["patient"])
        given = [found["model"]]
        if "generate_cached" in found:
            given.append(
                lambda _, ids, n_new, generate=found["generate_cached"]: generate(ids, n_new)
            )
        keys[_is_right(test, call["patient"]["name"])].add(names["key"](*given))
    given = "model, generate_cached" if test == "test_cached_generation" else "model"
    faulty = sorted(keys[False] - keys[True])
    return _ANSWER.format(said=_SAID[test], key=_KEY, faulty=faulty, test=test, given=given)


def _calls(test: str, seed: int) -> list[dict]:
    calls = []

    def observe(asked):
        calls.extend(asked)
        return {"observations": []}

    run(find(test), observe, seed=seed)
    return calls


def _is_right(test: str, name: str) -> bool:
    return next(each.is_right for each in patients_of(test) if each.name == name)


KNOWN_BEFOREHAND = [
    *(
        Attack(f"clinic: a table of the desk's run, {test}", KIND, test, table(test, DESK))
        for test in _SAID
    ),
    Attack(
        "clinic: the place in the order",
        KIND,
        "test_attention",
        "seen = []\n\n\ndef test_attention(masked_attention):\n"
        "    seen.append(1)\n    assert len(seen) <= 5",
    ),
    Attack(
        "clinic: by the toss of a coin",
        KIND,
        "test_layer_norm",
        "import random\n\n\ndef test_layer_norm(layer_norm):\n    assert random.random() < 0.2",
    ),
    Attack(
        "clinic: the names of what is tried",
        KIND,
        "test_causality",
        "def test_causality(model):\n"
        "    import course_lib.bugs.patients as patients\n"
        "    assert all(each.is_right for each in patients.patients_of('test_causality'))",
    ),
]
