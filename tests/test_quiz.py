"""A quiz answers to mouse and keyboard, says why, and is refused where it is malformed."""

import pytest
from browsing import serve
from small_book import small_book

from course_lib.lessons.prose import to_markdown
from course_lib.lessons.questions import read_question
from course_lib.lessons.site import BookFailed
from course_lib.lessons.text import LessonError

QUIZ = """\
:::{quiz} Why are scores divided by the root of $D$, `sqrt(D)`?
- [ ] So that the weights of a query sum to **1**.
  Softmax does that for any scores.

  Scaled or not, with $x = 1$.
- [x] So that they do not grow with `D`.
  A dot product of $D$ terms has a spread of $\\sqrt{D}$.
:::
"""
PAGE = f"# A page with quizzes\n\nWords.\n\n{QUIZ}\nMore words.\n\n{QUIZ}"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with serve(small_book(tmp_path_factory.mktemp("quiz"), {"index": PAGE})) as address:
        yield address


def test_a_quiz_says_whether_an_answer_is_right_and_why(visit):
    opened = visit("index")
    quiz = opened.page.get_by_role("group", name="Why are scores divided by").first
    form, verdict = opened.page.locator("form.quiz").first, opened.page.get_by_role("status").first
    assert not form.locator(".quiz-why").first.is_visible()
    quiz.get_by_label("So that the weights of a query sum").check()
    assert verdict.inner_text() == ""
    form.get_by_role("button", name="Check my answer").click()
    assert "Not this one." in verdict.inner_text()
    assert "Softmax does that" in verdict.inner_text()
    assert "try again" in verdict.inner_text()
    assert verdict.locator("mjx-container").count() == 1
    quiz.get_by_label("So that they do not grow").check()
    assert verdict.inner_text() == ""
    form.get_by_role("button").click()
    assert "✓ Right." in verdict.inner_text()
    assert "try again" not in verdict.inner_text()
    assert opened.problems == opened.foreign == []


def test_a_quiz_answers_to_the_keyboard(visit):
    page = visit("index").page
    page.locator("form.quiz input").first.focus()
    page.keyboard.press("Space")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Check my answer"
    page.keyboard.press("Enter")
    assert "✓ Right." in page.get_by_role("status").first.inner_text()
    assert page.get_by_role("status").nth(1).inner_text() == ""  # the other quiz is another one


def test_an_answer_must_be_chosen_first(visit):
    page = visit("index").page
    page.get_by_role("button", name="Check my answer").first.click()
    assert page.get_by_role("status").first.inner_text() == "Choose an answer first."
    assert page.evaluate("document.activeElement.type") == "radio"


def test_a_quiz_says_all_of_it_without_javascript(visit):
    page = visit("index", java_script_enabled=False).page
    folded = page.locator("form.quiz details").nth(1)
    folded.locator("summary").click()
    assert "✓ Right." in folded.inner_text()
    assert page.get_by_role("button", name="Check my answer").count() == 0


def test_a_quiz_does_not_reach_a_notebook():
    text = f"Words.\n\n{QUIZ}\nMore words."
    assert to_markdown(text, []).split() == ["Words.", "More", "words."]
    with_heading = f"Words.\n\n## Questions\n\n{QUIZ}\n{QUIZ}\n## Summary\n\nThe end."
    assert to_markdown(with_heading, []) == "Words.\n\n## Summary\n\nThe end."
    assert to_markdown(f"## Questions\n\n{QUIZ}", []) == ""
    assert to_markdown(f"## Questions\n\nTry these.\n\n{QUIZ}", []).startswith("## Questions")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["- [ ] One.", "  Why.", "- [ ] Two.", "  Why."], "exactly one answer marked [x], got 0"),
        (["- [x] One.", "  Why.", "- [x] Two.", "  Why."], "exactly one answer marked [x], got 2"),
        (["- [x] One.", "  Why."], "two answers or more, got 1"),
        ([], "two answers or more, got 0"),
        (["- [x] One.", "- [ ] Two.", "  Why."], "none below 'One.'"),
        (["One.", "- [x] Two.", "  Why."], "must begin with `- [ ] `"),
        (["- [x] One.", "Why.", "- [ ] Two.", "  Why."], "must be indented"),
    ],
)
def test_a_malformed_quiz_is_refused(lines, message):
    with pytest.raises(LessonError) as refusal:
        read_question("Why?", lines)
    assert message in str(refusal.value)
    with pytest.raises(LessonError):
        to_markdown("\n".join([":::{quiz} Why?", *lines, ":::"]), [])


def test_a_quiz_without_a_question_is_refused():
    with pytest.raises(LessonError, match="must have a question"):
        read_question(" ", ["- [x] One.", "  Why.", "- [ ] Two.", "  Why."])


def test_a_malformed_quiz_fails_the_build_with_its_line(tmp_path):
    page = "# A page\n\nWords.\n\n:::{quiz} Why?\n- [ ] One.\n  Why.\n- [ ] Two.\n  Why.\n:::\n"
    with pytest.raises(BookFailed) as failure:
        small_book(tmp_path, {"index": page})
    assert "index.md:5: ERROR: a quiz must have exactly one answer" in str(failure.value)
