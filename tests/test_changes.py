"""A bug is the change it makes: how one is written, what it refuses, and the zoo."""

import re

import pytest

from course_lib.bugs import ChangeError, all_bugs, misfits, read_bugs
from course_lib.bugs.capstone import all_package_bugs
from course_lib.bugs.changes import GOES, apply_change, marked
from course_lib.bugs.reference import reference_source

TEXT = """\
class Counter:
    def __init__(self):
        self.length = 0

    def grow(self, n):
        self.length += n
        return self.length

    def reset(self):
        self.length = 0
"""


def test_a_change_replaces_lines_whatever_their_indentation():
    changed = apply_change("- self.length += n\n+ self.length += 1", TEXT)
    assert "        self.length += 1\n        return" in changed
    assert "+= n" not in changed


def test_lines_that_come_keep_their_indentation_among_each_other():
    changed = apply_change("= self.length += n\n+ if n:\n+     print(n)", TEXT)
    assert "        self.length += n\n        if n:\n            print(n)\n" in changed


def test_a_line_that_stands_twice_is_found_below_another():
    changed = apply_change("@ def reset\n- self.length = 0\n+ self.length = 1", TEXT)
    assert changed.endswith("        self.length = 1")
    assert changed.count("self.length = 0") == 1


def test_hunks_may_come_in_any_order_and_span_blank_lines():
    change = "@ def reset\n- self.length = 0\n+ pass\n\n- return self.length\n= def reset(self):"
    changed = apply_change(change, TEXT)
    assert changed.endswith("self.length += n\n\n    def reset(self):\n        pass")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("- self.lenght += n\n+ pass", "exactly once, got 0 times: - self.lenght += n"),
        ("- self.length = 0\n+ pass", "got 2 times: - self.length = 0 Say with @"),
        ("@ def shrink\n- self.length = 0", "got 0 times: @ def shrink"),
        ("= self.length += n\n+ ", "changes nothing"),
        ("- self.length += n\n+ self.length += n", "changes nothing"),
        ("- self.length += n\n+ pass\n\n- self.length += n", "two hunks speak of one line"),
        ("+ pass", "must name a line that stands in the text"),
        ("self.length += n", "begins with one of"),
    ],
)
def test_a_change_that_does_not_fit_is_refused_with_its_line(change, said):
    with pytest.raises(ChangeError) as refused:
        apply_change(change, TEXT)
    assert said in str(refused.value)


def test_marks_show_the_whole_text_and_what_becomes_of_it():
    lines = marked("- self.length += n\n+ self.length += 1", TEXT)
    assert [line for mark, line in lines if mark != "+"] == TEXT.splitlines()
    assert ("-", "        self.length += n") in lines
    assert ("+", "        self.length += 1") in lines


BUG = """softmax:

never_shifts
    exp of the raw scores
    believed: It is decoration: exp
        is exp.
    seen: nan.
    reported: owner/repo#1, owner/repo#2
    - shifted = x - x.max(axis=axis, keepdims=True)
    + shifted = x
"""


def test_a_bug_is_read_from_its_text():
    (bug,) = read_bugs(BUG)
    assert (bug.name, bug.component, bug.module) == ("never_shifts", "softmax", "attention")
    assert bug.misconception == "It is decoration: exp is exp."
    assert bug.threads == ("owner/repo#1", "owner/repo#2")
    assert bug.implementation([0.0, 0.0]).tolist() == [0.5, 0.5]
    assert "shifted = x\n" in bug.source


def test_bugs_of_one_component_follow_each_other_and_may_have_several_hunks():
    second = BUG.replace("never_shifts", "shifts_late").replace("softmax:\n", "")
    first, second = read_bugs(f"{BUG}\n    = exponentials = np.exp(shifted)\n{second}")
    assert (first.name, second.name) == ("never_shifts", "shifts_late")
    assert first.change == second.change + "\n\n= exponentials = np.exp(shifted)"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("softmax:", "softmaxx:", "begin with `component:`, got 'softmaxx:"),
        ("softmax:\n", "", "begin with `component:`, got 'never_shifts"),
        ("never_shifts", "never shifts", "begins with its name, got 'never shifts'"),
        ("    seen: nan.\n", "", "must say what is seen"),
        ("    + shifted = x\n", "    + shifted = x\n    and so on\n", "begins with one of"),
    ],
)
def test_a_text_that_is_no_bug_is_refused(old, new, said):
    with pytest.raises(ChangeError, match=said):
        read_bugs(BUG.replace(old, new))


def test_who_edits_a_component_is_told_which_bugs_speak_of_the_line():
    (bug,) = read_bugs(BUG.replace("- shifted = x - x.max", "- shifted = x - x.amax"))
    with pytest.raises(ChangeError, match=r"bug never_shifts of softmax: .*once.*amax"):
        bug.source  # noqa: B018 (the property raises)


def test_every_bug_of_the_zoo_fits_its_component_and_is_python():
    assert misfits() == []


def test_a_bug_differs_from_its_component_in_its_change_alone():
    for bug in all_bugs():
        if not bug.change:
            continue
        reference = reference_source(bug.component).splitlines()
        assert [line for mark, line in bug.marked_source if mark != "+"] == reference, bug
        assert 1 <= sum(mark != "=" for mark, _ in bug.marked_source) <= 20, bug


def test_a_bug_is_written_out_only_where_it_shares_little_with_its_component():
    whole = [bug for bug in all_bugs() if not bug.change]
    assert len(whole) <= 0.06 * len(all_bugs()), len(whole)
    for bug in whole:
        right = {line.strip() for line in reference_source(bug.component).splitlines()}
        own = [line.strip() for line in bug.source.splitlines() if line.strip()]
        shared = sum(line in right for line in own) / len(own)
        assert shared < 0.5, f"{bug} shares {shared:.0%} of its lines: write it as a change"


def test_a_page_shows_no_line_as_going_that_the_component_lacks():
    for bug in all_bugs():
        lines = {line.strip() for line in reference_source(bug.component).splitlines()}
        gone = [line.strip() for mark, line in bug.marked_source if mark == GOES]
        assert set(gone) <= lines, bug


def test_what_was_believed_is_one_short_thought_and_then_what_is_so():
    """A learner reads it under a failed check: alone, a false belief would look like a fact."""
    for bug in [*all_bugs(), *(one.bug for one in all_package_bugs())]:
        sentences = re.split(r"(?<=[.?!]) ", bug.misconception)
        assert 2 <= len(sentences) <= 3, f"{bug}: a belief, then what is so, got {sentences}"
        assert len(bug.misconception) <= 200, f"{bug}: at most 200 characters"
        assert bug.misconception.endswith("."), bug
        assert sentences[0].rstrip(".") != bug.title, f"{bug}: the title says this already"
