"""Every number in the prose comes from its page, is worked out in it, or has a reason here."""

from pathlib import Path

import pytest
from prose_numbers import accounts_for, computed, stated, worked_out

from course_lib.lessons.site import build_book
from course_lib.lessons.text import lesson_texts

BOOK = Path(__file__).resolve().parent.parent / "book"
LESSONS = lesson_texts(BOOK)

# What no cell can compute, and why it may stand there all the same.
ELSEWHERE = {
    "00_warm_up": {"70%": "points of the core: CORE_SHARE in course_lib/checks/cases/scoring.py"},
    "01_tokens_and_embeddings": {"50,000": "GPT-2's merges, Radford et al. (2019), section 2.2"},
    "02_self_attention": {"2.7": "e, to one digit"},
    "07_the_model": {"106.97": "quoted from the thread, jsboige/CoursIA#13279"},
    "10_bug_clinic": {"60,000": "6e4, what the reference asks of scores"},
    "12_capstone": {"90%": "a suggestion for the reader's own text"},
}


@pytest.fixture(scope="module")
def site() -> Path:
    return build_book(BOOK.parent, say=str).parent


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_every_number_in_the_prose_comes_from_the_page(lesson, site):
    known = computed(site / f"{lesson.stem}.html")
    by_hand = [value for _, _, value in worked_out(lesson)]
    operands = " ".join(left for left, _, _ in worked_out(lesson)).split()
    allowed = ELSEWHERE.get(lesson.stem, {})
    missing = [
        number
        for number in dict.fromkeys(stated(lesson))
        if number not in allowed
        and number not in operands
        and not any(accounts_for(value, number) for value in [*known, *by_hand])
    ]
    assert missing == [], "compute them in a cell, work them out, or give a reason in ELSEWHERE"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_what_the_prose_works_out_is_right(lesson):
    wrong = [
        f"{left} = {right}, but it is {value:g}"
        for left, right, value in worked_out(lesson)
        if not accounts_for(value, right)
    ]
    assert wrong == []


def test_every_exception_is_still_needed():
    for name, numbers in ELSEWHERE.items():
        written = stated(BOOK / f"{name}.md")
        assert [number for number in numbers if number not in written] == [], name


@pytest.mark.parametrize(
    ("value", "number", "is_it"),
    [(0.4743, "0.47", True), (0.4743, "0.48", False), (0.61, "61%", True), (50257, "50,257", True),
     (13.4, "13.40%", True), (0.0071, "0.01", True), (-0.31, "0.3", True)],
)  # fmt: skip
def test_a_number_is_found_when_it_is_the_rounded_one(value, number, is_it):
    assert accounts_for(value, number) == is_it
