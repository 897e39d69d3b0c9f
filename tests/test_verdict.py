"""What is said when there is nothing to judge: the true reason, and no points."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from course_lib.bugs import bugs_of, find_bug
from course_lib.checks import find, observe_here, run
from course_lib.checks.capstone import BEGINS_WITH
from course_lib.checks.capstone.parts import parts_used
from course_lib.checks.observe.probes import whole
from course_lib.checks.verdict import diagnosis, matrix
from course_lib.transformer.masking import CausalSelfAttention


class KeepsItsMask(CausalSelfAttention):
    """Right, but that its state holds one tensor more."""

    def __init__(self, d_model, d_head):
        super().__init__(d_model, d_head)
        self.register_buffer("mask", torch.ones(3, 3))


def test_a_module_that_cannot_be_filled_is_told_its_names_whatever_rule_comes_first():
    verdict = run(find("CausalSelfAttention"), observe_here(KeepsItsMask), seed=0)
    assert "wrong names in state_dict()" in verdict.message
    assert "mask (3, 3)" in verdict.message
    assert verdict.share == 0


@pytest.mark.parametrize("record", [3, {}, {"error": 3}, {"error": None, "outputs": [7]}])
@pytest.mark.parametrize("component", ["softmax", "Affine", "merge_pair", "KVCache"])
def test_a_record_that_was_written_over_earns_nothing(component, record):
    verdict = run(find(component), lambda calls: {"observations": [record] * len(calls)}, seed=0)
    assert verdict.share == 0
    assert verdict.message


def test_a_part_is_blamed_only_if_the_check_uses_it():
    assert {"MultiHeadAttention", "masked_softmax", "gelu", "Embeddings"} <= parts_used("computes")
    assert not {"softmax", "attention", "BPETokenizer", "CharTokenizer"} & parts_used("computes")
    assert {"sample", "keep_top_p", "CharTokenizer"} <= parts_used("generates")
    assert "KVCache" in parts_used("caches") - parts_used("generates")
    assert "next_token_loss" in parts_used("trains")


def test_a_package_check_names_every_part_that_it_asks_a_package_for():
    source = Path(whole.__file__).read_text(encoding="utf-8")
    asked = set(re.findall(r'part\("\w+", "(\w+)"\)', source)) - {"GPTConfig"}
    assert asked <= {name for names in BEGINS_WITH.values() for name in names}


def test_a_bug_whose_title_holds_a_slash_is_named_in_the_matrix(monkeypatch):
    bug = find_bug("WidensTheKeyHeads")
    assert " / " in bug.title
    monkeypatch.setattr(matrix, "bugs_of", lambda component: [bug])
    (row,) = matrix.matrix(bug.component)
    assert row.is_named
    assert row.shares_name_with == ()


def test_what_is_remembered_of_bugs_is_bounded_by_its_bytes():
    """It grew to 23 GB once, when a few calls of real size had been added to each check."""
    memory = diagnosis._Memory(1_000_000)
    for n in range(50):
        seen = {"outputs": [{"array": np.zeros(50_000), "kind": "tensor"}], "error": None}
        memory.put(("bug", n), seen)
        assert memory.get(("bug", n)) is seen
        assert sum(map(diagnosis.bytes_of, memory._found.values())) <= 1_000_000
    assert memory.get(("bug", 0)) is None


def test_the_whole_zoo_of_a_check_takes_no_more_than_is_remembered():
    check, seed = find("padding_mask"), 0
    for bug in bugs_of("padding_mask"):
        run(check, observe_here(bug.implementation), seed=seed)
    held = sum(map(diagnosis.bytes_of, diagnosis._remembered._found.values()))
    assert 0 < held <= diagnosis.MOST_REMEMBERED
