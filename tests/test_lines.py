"""Lines of a message: whatever they are made of, no word is taken apart."""

from hypothesis import example, given
from hypothesis import strategies as st

from course_lib.lines import LONGEST_LINE, wrapped

WORDS = st.lists(st.text("ab-+/.(_", min_size=1, max_size=30), max_size=30)


@given(WORDS, st.integers(40, LONGEST_LINE))
@example(["the", "end", "of", "the", "long", "and", "slow", "part", "called", "warm-up"], 40)
def test_words_stay_whole(words, width):
    lines = wrapped(" ".join(words), width, first="  ", rest="    ")
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)
