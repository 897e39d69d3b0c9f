"""The desk as a learner meets it: a browser goes through lesson 2, in JupyterLab and Notebook 7."""

import re

import nbformat
import pytest
from browsing import violations
from notebook_tab import Tab, jupyter

from course_lib.bugs import find_bug
from course_lib.checks import find, observe_here, run
from course_lib.lessons.exercises import read_exercises, read_notebook, require_exercise
from course_lib.lessons.source import component_source, to_learner
from course_lib.workspace.card import failure_card, success_card
from course_lib.workspace.start import start

pytestmark = pytest.mark.slow

LESSON = "02_self_attention"
BUG = find_bug("always_uses_the_last_axis")
COMPONENTS = [exercise.component for exercise in read_exercises(read_notebook(LESSON))]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A new desk, and the address that `course lab 2` opens in it."""
    folder = tmp_path_factory.mktemp("lab")
    desk = start(folder / "mine")
    home = folder / "home"
    with jupyter(["course_lib", "lab", "2"], desk=desk, home=home) as address:
        yield desk, address


def right(component: str) -> str:
    return to_learner(component_source("attention", component)).strip()


def answered(tab, component: str, source: str):
    """The card that an answer gets."""
    tab.run(component.replace("_", "-"), source)
    return tab.run(f"check-{component}".replace("_", "-")).locator(".course-card")


def from_wrong_to_right(tab, desk):
    """Go the way of the first exercise; the card at its end comes back."""
    tab.run("opening")
    tab.run("setup-attention")
    tab.run("softmax")
    unwritten = tab.run("check-softmax").locator(".course-card")
    assert "✗ softmax is not written yet" in unwritten.inner_text()

    card = answered(tab, "softmax", BUG.source)
    assert "✗ softmax is not right yet" in card.inner_text()
    assert BUG.title in card.inner_text()
    hints = require_exercise("softmax").hints
    inputs, first, second = (card.get_by_text(text[:40]) for text in ("check.inputs", *hints[:2]))
    assert [part.is_visible() for part in (inputs, first, second)] == [False] * 3
    for summary in ("The inputs of this call", "Hints", "Hint 1"):
        card.get_by_text(summary, exact=True).click()
    assert [part.is_visible() for part in (inputs, first, second)] == [True, True, False]

    card = answered(tab, "softmax", right("softmax"))
    assert "✓ softmax is right" in card.inner_text()
    assert "1 of 4 exercises" in card.inner_text()
    assert right("softmax") in (desk / "my_transformer" / "attention.py").read_text("utf-8")
    return card


def follow_to_exercise(tab, card, component: str) -> None:
    """Follow a card's link, to where the next exercise begins: there, and nowhere else."""
    cell = tab.cells.nth(tab.ids.index(f"exercise-{component}".replace("_", "-")))
    assert not is_at_the_top(cell)
    card.get_by_role("link", name=component, exact=True).click()
    tab.page.wait_for_timeout(500)  # a tab that it opened would be there by then
    assert is_at_the_top(cell)
    assert len(tab.context.pages) == 1


def is_at_the_top(cell) -> bool:
    """Whether a cell begins where what is seen of the notebook begins."""
    top = cell.page.locator(".jp-NotebookPanel:visible .jp-WindowedPanel-outer").bounding_box()["y"]
    return -20 < cell.bounding_box()["y"] - top < 100


def test_lesson_2_from_the_first_wrong_answer_to_the_next_lesson(browser, lab):
    desk, address = lab
    tab = Tab(browser, address, desk / f"{LESSON}.ipynb")
    assert tab.page.url.endswith(f"/lab/tree/{LESSON}.ipynb")
    card = from_wrong_to_right(tab, desk)
    for component in COMPONENTS[1:]:
        follow_to_exercise(tab, card, component)
        card = answered(tab, component, right(component))
        assert f"✓ {component} is right" in card.inner_text()
    card.get_by_role("link", name="lesson 03 causal masking").click()
    tab.shows(desk / "03_causal_masking.ipynb")
    assert tab.cells.first.get_by_role("heading", name="Causal masking").is_visible()
    assert len(tab.context.pages) == 1
    assert tab.foreign == []
    tab.close()


def test_notebook_7_goes_the_same_way(browser, tmp_path):
    desk = start(tmp_path / "mine")
    name = f"{LESSON}.ipynb"
    with jupyter(["notebook", name], desk=desk, home=tmp_path / "home") as address:
        tab = Tab(browser, address, desk / name)
        assert tab.page.url.endswith(f"/notebooks/{name}")
        card = from_wrong_to_right(tab, desk)
        follow_to_exercise(tab, card, COMPONENTS[1])
        assert tab.foreign == []
        tab.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 640)])
def test_cards_of_a_notebook_that_is_not_trusted_are_whole(browser, lab, scheme, width):
    """Such as one from another machine: JupyterLab then takes from them what it thinks unsafe."""
    desk, address = lab
    notebook = desk / f"{scheme}.ipynb"
    with_outputs(notebook, cards())
    address = re.sub(r"/lab/tree/\w+", f"/lab/workspaces/{scheme}/tree/{scheme}", address)
    tab = Tab(browser, address, notebook, scheme=scheme)
    tab.page.set_viewport_size({"width": width, "height": 900})
    for cell, card in zip(tab.cells.all(), cards(), strict=True):
        shown = cell.locator(".course-card")
        shown.evaluate(
            "card => { for (const fold of card.querySelectorAll('details')) fold.open = true }"
        )
        assert shown.evaluate("card => getComputedStyle(card).borderLeftWidth") == "4px"
        assert shown.locator("details").count() == card.html.count("<details>")
        assert shown.locator("a").count() == card.html.count("<a ")
        assert shown.evaluate("card => card.scrollWidth <= card.clientWidth")
        found = violations(tab.page, ".course-card")
        # With what is unsafe goes tabindex, by which a browser's keyboard reaches what scrolls.
        assert [one for one in found if not one.startswith("scrollable-region-focusable ")] == []
    assert tab.foreign == []
    tab.close()


def cards():
    """One of each kind."""
    verdict = run(find(BUG.component), observe_here(BUG.implementation), seed=0)
    hints = require_exercise(BUG.component).hints
    wrong = failure_card(
        BUG.component, verdict.failure, verdict.message, hints=hints, inputs="x = 1", again="again"
    )
    link = '<progress max="4" value="1" aria-hidden="true"></progress> <a href="#there">on</a>'
    return [wrong, success_card("softmax is right", [link])]


def with_outputs(path, cards) -> None:
    """Write a notebook in which these cards are shown, as if it had been run elsewhere."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    for card in cards:
        data = {"text/html": card.html, "text/plain": card.text}
        output = nbformat.v4.new_output("display_data", data=data)
        notebook.cells.append(nbformat.v4.new_code_cell("1", outputs=[output]))
    nbformat.write(notebook, path)
