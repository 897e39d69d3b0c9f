"""The skeletons themselves: what each file gets, for a function and for a class.

`{to:…}` is a place that only the author can fill; it becomes `TO WRITE for RMSNorm: …`.
"""

import re

from .to_write import to_write


def filled_in(template: str, **names: str) -> str:
    """A template with names in place of `<name>` and what is to be written in place of `{to:…}`."""
    for key, value in names.items():
        template = template.replace(f"<{key}>", value)
    return re.sub(r"\{to:([^}]+)\}", lambda found: to_write(names["name"], found[1]), template)


COMPONENT = {
    "function": '''
def <name>(x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
    """{to:what comes out, as a sentence; the formula; every edge}

    Args:
        x: {to:what name and type do not say; or take Args out}

    Raises:
        ValueError: {to:when; or take Raises out}

    Source: {to:author, title, year, section}
    """
    raise NotImplementedError
''',
    "class": '''
class <name>(nn.Module):
    """{to:what comes out, as a sentence; each part with parameters}

    Args:
        d_model: {to:what name and type do not say; or take Args out}

    Raises:
        ValueError: {to:when; or take Raises out}

    Source: {to:author, title, year, section}
    """

    def __init__(self, d_model: int):
        super().__init__()

    def forward(self, x: Float[Tensor, "... C"]) -> Float[Tensor, "... C"]:
        """{to:what comes out, as a sentence}"""
        raise NotImplementedError
''',
}
COMPONENT_IMPORTS = {
    "function": ["from torch import Tensor", "from .shapes import Float"],
    "class": ["from torch import Tensor, nn", "from .shapes import Float"],
}

ORACLE = {
    "function": '''
def <oracle>(x) -> np.ndarray:
    """{to:where what is right comes from}"""
    raise NotImplementedError(
        "{to:what is right, by torch's own functions, NumPy or by hand}"
    )
''',
    "class": '''
def <oracle>(parameters: dict, x) -> torch.Tensor:
    """{to:where what is right comes from}"""
    raise NotImplementedError(
        "{to:what is right, by torch's own functions, NumPy or by hand}"
    )
''',
}
ORACLE_IMPORTS = {"function": ["import numpy as np"], "class": ["import torch"]}

CHECK = {
    "function": """
<check> = ComponentCheck("<name>", "<module>", LESSON)


def _<check>_case(x, *, dtype="float64", judge=None, **options):
    case = <check>.call(x, dtype=dtype, names=["x"], **options)
    return case.expect(judge or returns(right_<check>(x), dtype=dtype))


@<check>.core(
    "{to:the rule that says what comes out}",
    hint="{to:where to look first}",
)
def <check>_values(draw: Draw):
    n_texts, n_tokens, width = draw.sizes(3)
    for shape in ((n_tokens, width), (n_texts, n_tokens, width), (width, width, width)):
        yield _<check>_case(draw.normal(*shape))


@<check>.edge(
    "{to:the rule of an edge, such as half precision}",
    hint="{to:where to look first}",
)
def <check>_half(draw: Draw):
    n_tokens, width = draw.sizes(2)
    for dtype in ("bfloat16", "float16"):
        yield _<check>_case(draw.normal(2, n_tokens, width, dtype=dtype), dtype=dtype)
""",
    "class": '''
<check> = ComponentCheck("<name>", "<module>", LESSON)


def _filled(draw: Draw, shape, dtype: str = "float64", **options) -> Filled:
    """{to:its arguments, and weights by the names of state_dict}"""
    weights = {"weight": exact_in(1 + 0.5 * draw.normal(shape[-1]), dtype)}
    x, earlier = (draw.normal(*shape, dtype=dtype) for _ in range(2))
    return Filled([shape[-1]], weights, [x], [earlier], **options)


def _any_<check>(draw: Draw, dtype: str):
    """{to:each way to build it}"""
    n_tokens, width = draw.sizes(2)
    yield _filled(draw, (2, n_tokens, width), dtype)


@<check>.core(
    "{to:the rule that says what comes out}",
    hint="{to:where to look first}",
)
def <check>_values(draw: Draw):
    n_texts, n_tokens, width = draw.sizes(3)
    for shape in ((n_tokens, width), (n_texts, n_tokens, width), (width, width, width)):
        yield value_case(<check>, _filled(draw, shape), right_<check>)


@<check>.edge(
    "{to:the rule of an edge of its own, such as an argument}",
    hint="{to:where to look first}",
)
def <check>_edge(draw: Draw):
    n_tokens, width = draw.sizes(2)
    options = {"init_kwargs": {}, "settings": {}}
    yield value_case(<check>, _filled(draw, (n_tokens, width), **options), right_<check>)


module_properties(
    <check>,
    _any_<check>,
    oracle=right_<check>,
    parameters=Rule(
        "{to:the rule that names its parameters and their shapes}",
        hint="{to:how they are made}",
    ),
)
''',
}
CHECK_IMPORTS = {
    "function": [
        "from <up>cases.check import ComponentCheck",
        "from <up>cases.draw import Draw",
        "from <up>judges.expect import returns",
        "from <up>oracles.<module> import <oracle> as right_<check>",
    ],
    "class": [
        "from <up>cases.check import ComponentCheck",
        "from <up>cases.draw import Draw, exact_in",
        "from <up>cases.module_properties import Filled, Rule, module_properties, value_case",
        "from <up>oracles.<module> import <oracle> as right_<check>",
    ],
}

BUGS = '''
bugs("""<name>:

<first_bug>
    {to:its title, which completes: agrees with …}
    believed: {to:what the writer believed, and then what is so}
    seen: {to:what one sees of it}
    - raise NotImplementedError
    + return x

<second_bug>
    {to:its title, which completes: agrees with …}
    believed: {to:what the writer believed, and then what is so}
    seen: {to:what one sees of it}
    - raise NotImplementedError
    + return x + x
""")
'''

# A callable of the tests that is still to be written: name, decorator, what it is.
_ANSWER = {
    "function": """
@<decorator>
def <answer>(x):
    raise NotImplementedError  # {to:<what>}
""",
    "class": """
@<decorator>
class <answer>(nn.Module):
    def __init__(self, d_model):
        super().__init__()

    def forward(self, x):
        raise NotImplementedError  # {to:<what>}
""",
}


def answer(kind: str, *, decorator: str, answer: str, what: str) -> str:
    """An implementation for the tests, with the decorator that registers it."""
    filled = _ANSWER[kind].replace("<decorator>", decorator).replace("<answer>", answer)
    return filled.replace("<what>", what)


CELLS = """
{to:why <name> is needed, and an example by hand}

```{code-cell} python
---
solve: <name>
sentence: "{to:one line that says what to do}"
minutes: 10
difficulty: 2
importance: 3
hints:
  - "{to:a nudge}"
  - "{to:nearly the answer}"
---
from course_lib.transformer.<module> import <name>
```

```{code-cell} python
:points: 1
check(<name>)
```
"""
