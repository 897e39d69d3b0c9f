"""What is said when there is nothing to judge: the true reason, and no points."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from bugs_written_differently import all_second_forms

from course_lib.bugs import bugs_of, find_bug
from course_lib.checks import find, observe_here, run
from course_lib.checks.capstone import BEGINS_WITH
from course_lib.checks.capstone.parts import parts_used
from course_lib.checks.cases.shown import show
from course_lib.checks.judges.seen import Seen
from course_lib.checks.judges.steps import value_is
from course_lib.checks.observe.load.answer import run_cell
from course_lib.checks.observe.probes import whole
from course_lib.checks.verdict import diagnosis, matrix
from course_lib.transformer.generation import generate
from course_lib.transformer.masking import CausalSelfAttention, masked_attention
from course_lib.transformer.multihead import MultiHeadAttention, merge_heads, split_heads
from course_lib.transformer.norm import layer_norm
from course_lib.transformer.training import train_step


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


def test_a_call_as_printed_says_under_which_conditions_it_failed():
    def views(x, weight, bias, eps=1e-5):
        return layer_norm(x.view(-1, x.shape[-1]), weight, bias, eps).view(x.shape)

    failure = run(find("layer_norm"), observe_here(views), seed=0).failure
    assert failure.shown.endswith("with inputs transposed in memory, as x.mT is")
    bug = find_bug("DropsFromTheMLPInEvaluation")
    assert run(find("MLP"), observe_here(bug.implementation), seed=0).failure.shown.endswith(
        "evaluation"
    )
    bug = find_bug("zeroes_after_the_step")
    shown = run(find("train_step"), observe_here(bug.implementation), seed=0).failure.shown
    assert "a backward() of another loss before" in shown


def test_a_note_about_an_error_says_in_which_call():
    def words(model, ids, n_new, **sampling):
        if n_new < 0:
            raise ValueError("no")
        return generate(model, ids, n_new, **sampling)

    (note,) = run(find("generate"), observe_here(words), seed=0).notes
    assert note.startswith("generate(model, ids 2×3, n_new=-1")


def test_a_row_that_is_not_shown_whole_says_so_and_shows_its_wrong_place():
    for name in ("wraps_around_the_end", "does_not_shift_the_targets"):
        bug = find_bug(name)
        finding = run(find("get_batch"), observe_here(bug.implementation), seed=0).failure.finding
        assert "…" in finding.got
    assert value_is([1] * 9, "ids")(Seen({"value": [2] * 9})).got.endswith("2, …")


def test_of_dropout_all_that_is_right_is_expected():
    class DropsNothingUnderAMask(MultiHeadAttention):
        def forward(self, x, mask=None):
            if mask is None:
                return super().forward(x)
            q, k, v = (split_heads(a, self.n_heads) for a in self.qkv(x).chunk(3, dim=-1))
            output, _ = masked_attention(q, k, v, mask.unsqueeze(-3))
            return self.out(merge_heads(output))

    seen = run(find("MultiHeadAttention"), observe_here(DropsNothingUnderAMask), seed=0)
    assert seen.failure.finding.expected.startswith("0, or ")


def test_where_a_step_left_other_weights_the_next_loss_is_not_blamed():
    def steps_twice(model, optimizer, inputs, targets, **given):
        loss = train_step(model, optimizer, inputs, targets, **given)
        optimizer.step()
        return loss

    finding = run(find("train_step"), observe_here(steps_twice), seed=0).failure.finding
    assert "the loss" not in finding.what
    assert finding.how == "weights"


def test_of_two_mistakes_the_one_in_what_is_its_own_is_told():
    """What is asked of all components alike counts last for a name, so it is told last."""
    forms = (form for form in all_second_forms() if form.bug == "casts_the_model")
    lets_steep_gradients_through = next(forms).implementation
    failure = run(find("train_step"), observe_here(lets_steep_gradients_through), seed=0).failure
    assert "autocast" in failure.rule


def test_positions_are_shown_by_where_they_begin_and_end():
    assert show(np.arange(3001, 3023, 2), "positions") == "positions [3001, 3003, …, 3021]"


def test_a_line_of_code_that_goes_on_shows_that_it_does():
    cell = "def gelu(x, approximate='none'):\n    raise ValueError(\n        'no'\n    )\n"
    finding = run(find("gelu"), observe_here(run_cell(cell, "gelu", {})), seed=0).failure.finding
    assert finding.details == ("no (line 2: raise ValueError(…))",)
