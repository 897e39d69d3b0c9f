"""Lines of a message: whatever they are made of, no word is taken apart."""

from hypothesis import example, given
from hypothesis import strategies as st

from course_lib.lines import LONGEST_LINE, fitted, wrapped

WORDS = st.lists(st.text("ab-+/.(_", min_size=1, max_size=30), max_size=30)


@given(WORDS, st.integers(40, LONGEST_LINE))
@example(["the", "end", "of", "the", "long", "and", "slow", "part", "called", "warm-up"], 40)
def test_words_stay_whole(words, width):
    lines = wrapped(" ".join(words), width, first="  ", rest="    ")
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)


@given(WORDS, st.integers(40, LONGEST_LINE), st.sampled_from(["", "  "]))
def test_a_terminal_gets_lines_that_fit_and_nothing_is_lost(words, width, indent):
    lines = fitted(f"a\n{indent}{' '.join(words)}\nb", width).split("\n")
    assert " ".join(lines[1:-1]).split() == words
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith(indent) for line in lines[1:-1])


def test_a_path_wider_than_the_terminal_can_be_copied_whole():
    line = f"is not there: /home/{'x' * 60}/course. To bring it back: course update"
    assert fitted(line, 60) == line
