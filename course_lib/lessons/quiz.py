"""A quiz on the page: a question, its answers, and what is to be said about each of them.

The page is complete without JavaScript: every answer then has its explanation folded below it.
`_static/quiz.js` makes a form of it that answers.
"""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

from .questions import read_question
from .text import LessonError

RIGHT, WRONG = "✓ Right.", "✗ Not this one."


class element(nodes.General, nodes.Element):
    """An HTML element of the quiz: its `tag`, and `attributes` as they are to be written."""


class QuizDirective(SphinxDirective):
    """`{quiz}`: see `questions.py` for how it is written."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            question = read_question(self.arguments[0], list(self.content))
        except LessonError as error:
            raise self.error(str(error)) from None
        name = f"quiz-{self.env.new_serialno('quiz') + 1}"
        fieldset = _element("fieldset", {}, _element("legend", {}, *self._inline(question.text)))
        for number, answer in enumerate(question.answers, start=1):
            fieldset += self._answer(answer, f"{name}-{number}", name)
        return [_element("form", {"class": "quiz", "id": name}, fieldset)]

    def _answer(self, answer, identifier: str, group: str) -> nodes.Node:
        choice = {"type": "radio", "id": identifier, "name": group, "autocomplete": "off"}
        if answer.is_right:
            choice["data-right"] = ""
        label = _element("label", {"for": identifier}, *self._inline(answer.text))
        verdict = nodes.paragraph("", "", nodes.strong("", RIGHT if answer.is_right else WRONG))
        why = _element("div", {"class": "quiz-why"}, verdict)
        lines = StringList(answer.explanation.splitlines(), self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset + answer.line, why)
        folded = _element("details", {}, _element("summary", {}, nodes.Text("Is it this?")), why)
        line = _element("div", {"class": "quiz-line"}, _element("input", choice), label)
        return _element("div", {"class": "quiz-answer"}, line, folded)

    def _inline(self, text: str) -> list[nodes.Node]:
        parsed, messages = self.state.inline_text(text, self.lineno)
        return parsed + messages


def _element(tag: str, attributes: dict, *children: nodes.Node) -> element:
    made = element("", tag=tag, attributes=attributes)
    made.extend(children)
    return made


def visit_element(translator, node) -> None:
    attributes = "".join(
        f' {name}="{translator.attval(value)}"' for name, value in node["attributes"].items()
    )
    translator.body.append(f"<{node['tag']}{attributes}>")


def depart_element(translator, node) -> None:
    if node["tag"] != "input":  # the one element here that has no end
        translator.body.append(f"</{node['tag']}>\n")


def setup_quiz(app) -> None:
    """Make `{quiz}` known to Sphinx."""
    app.add_node(element, html=(visit_element, depart_element))
    app.add_directive("quiz", QuizDirective)
