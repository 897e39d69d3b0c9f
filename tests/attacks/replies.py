"""Kinds 1 and 6: what the judge, the page and the table read of a submission; what is foreseen."""

from textwrap import dedent

from . import NOTEBOOK, Attack

SAYS = {
    "a web page": "</pre><script>alert(1)</script>",
    "an image that runs": "<img src=x onerror=alert(1)>",
    "a template": "{{ 7 * 7 }}{% for x in y %}",
    "colours of a terminal": "\\x1b]0;title\\x07\\x1b[2J",
    "markup of the table": "[/][bold red]passed",
    "a formula": "=HYPERLINK(1)",
    "a verdict": "softmax: passed\\n1.0\\n1 of 1 points",
    "text backwards": "\\u202e\\u2066passed",
    "half a character": "\\ud800",
    "a megabyte": "x\\n' * 10**6 + '",
}
TOLD = [
    Attack(f"says {name}", 1, "softmax",
           f"def softmax(x, axis=-1):\n    raise ValueError('{text}')\n")
    for name, text in SAYS.items()
]  # fmt: skip

READ = [
    Attack(name, 1, "softmax", dedent(source))
    for name, source in {
        "a type with a page for a name": """
            def softmax(x, axis=-1):
                raise type("<script>alert(1)</script>", (Exception,), {})("x")
        """,
        "a type with a long name": """
            def softmax(x, axis=-1):
                raise type("x" * 10**6, (Exception,), {})("x")
        """,
        "a place that is not its own": """
            import linecache
            linecache.cache["<softmax>"] = (1, None, ["<script>" * 10**5] * 99, "<softmax>")
            def softmax(x, axis=-1): raise ValueError
        """,
        "an array of many dimensions": """
            import numpy as np
            def softmax(x, axis=-1): return np.ones((1,) * 32)
        """,
        "an array of nothing": """
            import numpy as np
            def softmax(x, axis=-1): return np.empty((0, 2**40, 2**20))
        """,
        "numbers just below the largest": """
            import numpy as np
            def softmax(x, axis=-1): return np.full(x.shape, np.finfo("float64").max)
        """,
        "brackets without end": "softmax = " + "(" * 50_000 + ")" * 50_000,
        "minus signs without end": "softmax = " + "-" * 90_000 + "1",
        "sums without end": "softmax = 1" + "+1" * 45_000,
        "strings without end": "softmax = " + "'%' " * 20_000,
        "attributes without end": "softmax = x" + ".x" * 45_000,
        "decorators without end": "@x\n" * 30_000 + "def softmax(): pass",
        "lambdas without end": "softmax = " + "lambda: " * 10_000 + "0",
        "one literal that a highlighter reads for minutes": 'x = "%' + "0" * 75_000 + '"',
        "a literal that never closes": "x = '''" + "{%" * 40_000,
        "a comment as long as can be": "#" + "!" * 99_000,
        "backslashes": "x = '" + "\\\\" * 45_000 + "'",
        "spaces": " " * 99_000 + "softmax = 1",
        "tabs and spaces": "if 1:\n\tsoftmax = 1\n        softmax = 1",
        "an encoding of its own": "# coding: utf-7\nsoftmax = 1",
        "letters that look alike": "ѕoftmax = 1",
        "new pages": "softmax = 1\f" * 5_000,
        "carriage returns": "softmax = 1\r" * 5_000,
    }.items()
]

FORESEEN = [
    Attack("a release that there never was", 6, NOTEBOOK,
           "notebook['metadata']['course']['release'] = '../../..'"),
    Attack("no release", 6, NOTEBOOK, "del notebook['metadata']['course']['release']"),
    Attack("a release that is a list", 6, NOTEBOOK,
           "notebook['metadata']['course']['release'] = [1, 2]"),
    Attack("a release without an end", 6, NOTEBOOK,
           "notebook['metadata']['course']['release'] = 'x' * 10**6"),
    Attack("the seed of a desk", 6, "softmax", dedent("""
        import numpy as np
        def softmax(x, axis=-1):
            draw = np.random.default_rng(0)
            return draw.random(x.shape)
    """)),
]  # fmt: skip

# softmax is blank: ours stands in for it, and what raises reads it out.
_READS = """
import sys
frame = sys._getframe()
while "job" not in frame.f_locals: frame = frame.f_back
ours = "".join(frame.f_locals["job"]["earlier"])
"""
OUT_LOUD = [
    Attack(f"reads our part out: {about}", 6, "attention", dedent(source).replace("READS", _READS))
    for about, source in {
        "when it is called": """
            READS
            def attention(*args, **kwargs): raise ValueError(ours[40:280])
        """,
        "before it is called": """
            READS
            def told(answer): raise ValueError(ours[40:280])
            @told
            def attention(*args, **kwargs): pass
        """,
        "in the name of an error": """
            READS
            class Named(Exception): pass
            Named.__name__ = ours[40:280]
            def attention(*args, **kwargs): raise Named
        """,
        "in the name of a type": """
            READS
            def attention(*args, **kwargs): return type(ours[40:280], (), {})()
        """,
        "in its own line": """
            READS
            import linecache
            linecache.cache["<attention>"] = (1, None, [ours[40:280].replace("\\n", ";")] * 99, "x")
            def attention(*args, **kwargs): raise ValueError
        """,
    }.items()
]
