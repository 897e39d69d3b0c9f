"""A component's docstring is its contract: all that a check asks for by name stands in it."""

import ast
import importlib
import inspect
import re
import textwrap
from pathlib import Path

import pytest
from answered import ANSWERS, BY_KIND, SHARED
from torch import nn

from course_lib.checks import all_checks, find
from course_lib.lessons.contract import in_words, read_contract, read_docstring
from course_lib.lessons.source import component_source
from course_lib.transformer.model import GPTConfig

ROOT = Path(__file__).resolve().parent.parent
CHECKS = all_checks()
PLAIN = [check for check in CHECKS if check.module != "clinic"]  # there the learner writes the test
NAMES = [check.name for check in CHECKS]
COMPONENTS = pytest.mark.parametrize("check", CHECKS, ids=[check.name for check in CHECKS])
# What the modules of all lessons are made from here.
CONFIG = GPTConfig(vocab_size=7, context_length=5, d_model=6, n_heads=2, n_layers=1)
SIZES = {"vocab_size": 7, "context_length": 5, "d_model": 6, "d_head": 3, "n_heads": 2}
SIZES |= {"n_kv_heads": 1, "d_in": 3, "d_out": 5, "config": CONFIG}


def component_of(check):
    return getattr(importlib.import_module(f"course_lib.transformer.{check.module}"), check.name)


def documented_errors(check) -> set[str]:
    contract = read_contract(check.module, check.name)
    return {kind for part in (contract, *contract.methods) for kind in part.docstring.errors}


def asked_errors(check) -> set[str]:
    """The errors that the check's rules name."""
    return {kind for one in check.properties for kind in re.findall(r"\b\w+Error\b", one.rule)}


@COMPONENTS
def test_every_error_that_a_check_asks_for_is_documented(check):
    unsaid = asked_errors(check) - documented_errors(check)
    assert not unsaid, f"a rule of {check.name} names {unsaid}, its docstring does not"


@COMPONENTS
def test_every_error_that_is_documented_is_raised_or_asked_for(check):
    tree = ast.parse(component_source(check.module, check.name))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call)
    }
    asserts = any(isinstance(node, ast.Assert) for node in ast.walk(tree))
    raised |= {"AssertionError"} if asserts else set()
    unsaid = raised - documented_errors(check)
    assert not unsaid, f"the docstring of {check.name} does not say that it raises {unsaid}"
    unheard = documented_errors(check) - raised - asked_errors(check)
    assert not unheard, f"{check.name} never raises {unheard}, which its docstring names"


@COMPONENTS
def test_every_part_that_holds_parameters_is_documented(check):
    component = component_of(check)
    if not (inspect.isclass(component) and issubclass(component, nn.Module)):
        return
    wanted = inspect.signature(component).parameters
    module = component(**{name: size for name, size in SIZES.items() if name in wanted})
    own = component.__mro__[: component.__mro__.index(nn.Module)]
    docs = "\n".join(kind.__doc__ for kind in own)
    for name in {name.partition(".")[0] for name in module.state_dict()}:
        assert re.search(rf"`\.{name}\b", docs), f"{check.name} does not say that it has .{name}"


def contract_text(name: str) -> str:
    """All that a component's docstrings and signatures say, on one line."""
    component = GPTConfig if name == "GPTConfig" else component_of(find(name))
    if not inspect.isclass(component):
        return " ".join(_said(component).split())
    kinds = [kind for kind in component.__mro__ if kind.__module__.startswith("course_lib")]
    texts = [kind.__doc__ or "" for kind in kinds]
    for kind in kinds:
        written = [one for one in vars(kind).values() if inspect.isfunction(one)]
        written = [one for one in written if one.__code__.co_filename == inspect.getfile(kind)]
        texts += map(_said, written)  # and not what a dataclass makes by itself
    return " ".join(" ".join(texts).split())


def _said(function) -> str:
    node = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    return f"{ast.unparse(node.args)}{returns} {function.__doc__ or ''}"


def shared_headings() -> list[str]:
    text = (ROOT / "book" / "reference.md").read_text(encoding="utf-8")
    return re.findall(r"^(\w[\w ]*)\n: ", text, re.MULTILINE)


def answer_to(rule: str, component: str) -> str:
    """The words that answer a rule: the component's own, or those that all have in common."""
    own = [words for start, words in ANSWERS.get(component, {}).items() if rule.startswith(start)]
    common = [words for pattern, words in SHARED.items() if re.search(pattern, rule)]
    assert own or common, f"{component}: where does its docstring answer {rule!r}?"
    return own[-1] if own else common[0]


@pytest.mark.parametrize("check", PLAIN, ids=[check.name for check in PLAIN])
def test_every_rule_is_answered_by_the_docstring_or_a_line_that_all_share(check):
    for prop in check.properties:
        words = BY_KIND[prop.kind] if prop.kind else answer_to(prop.rule, check.name)
        if words.startswith("all: "):
            assert words.removeprefix("all: ") in shared_headings(), words
            continue
        other, _, rest = words.partition(": ")
        is_other = other.isidentifier() and other in {*NAMES, "GPTConfig"}
        text = contract_text(other if is_other else check.name)
        assert (rest if is_other else words) in text, f"{check.name}, {prop.rule!r}: {words!r}"


def test_no_answer_is_to_a_rule_that_is_not_there():
    rules = {check.name: [prop.rule for prop in check.properties] for check in PLAIN}
    for component, answers in ANSWERS.items():
        for start in answers:
            assert any(rule.startswith(start) for rule in rules[component]), (component, start)


@COMPONENTS
def test_every_argument_that_is_documented_is_one(check):
    contract = read_contract(check.module, check.name)
    for part in (contract, *contract.methods):
        assert part.docstring.arguments.keys() <= part.parameters.keys(), part.name
        assert part.docstring.paragraphs, part.name


@COMPONENTS
def test_a_docstring_has_no_part_that_nobody_reads(check):
    contract = read_contract(check.module, check.name)
    for part in (contract, *contract.methods):
        first, *others = part.docstring.paragraphs
        assert first[0].isupper() or first[0] == "`", first
        assert not [text for text in others if re.match(r"\w+:\n", text)], part.name


def test_a_docstring_is_taken_apart():
    docstring = read_docstring(
        """What comes out.

        More of it,
        in two lines.

        Args:
            x: what goes in,
                and more about it.
            y: the rest.

        Returns:
            All of it,
            in one line.

        Raises:
            ValueError: it is too
                large.

        Source: somebody.
        """
    )
    assert docstring.paragraphs == (
        "What comes out.", "More of it,\nin two lines.", "Source: somebody."
    )  # fmt: skip
    assert docstring.arguments == {"x": "what goes in, and more about it.", "y": "the rest."}
    assert docstring.returns == "All of it, in one line."
    assert docstring.errors == {"ValueError": "it is too large."}


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        ('Float[Tensor, "... T D"]', "tensor of floats `(..., T, D)`"),
        ('Float[np.ndarray, "T D"]', "NumPy array of floats `(T, D)`"),
        ('Int[Tensor, " B"]', "tensor of integers `(B,)`"),
        ('Int[Tensor, "B T_plus_n_new"]', "tensor of integers `(B, T + n_new)`"),
        ('Float[Tensor, ""]', "tensor of floats `()`"),
        ('Bool[Tensor, "..."] | None', "tensor of booleans `(...)`, or None"),
        ("tuple[int, int]", "`tuple[int, int]`"),
        ('tuple[Int[Tensor, "B T"], Float[Tensor, "T"]]',
         "tensor of integers `(B, T)` and tensor of floats `(T,)`"),
        ("torch.Generator | None", "`torch.Generator`, or None"),
    ],
)  # fmt: skip
def test_an_annotation_is_told_in_words(annotation, words):
    assert in_words(ast.parse(annotation, mode="eval").body) == words


def test_a_class_without_its_own_init_is_made_as_its_base_is():
    contract = read_contract("masking", "CausalSelfAttention")
    assert contract.signature == "(d_model, d_head)"
    assert contract.base == "SelfAttention"
    config = read_contract("model", "GPTConfig")
    assert config.signature.startswith("(vocab_size, context_length, d_model, n_heads, n_layers, ")
    assert not config.methods
