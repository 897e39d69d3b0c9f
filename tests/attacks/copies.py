"""Kind 3: another copy of the course is there to read, and its answers with it."""

from textwrap import dedent

from . import Attack

KIND = 3

SEARCH = dedent("""\
    import os, sys
    def files(ending):
        for root in [*sys.path, "/course", "/usr/share"]:
            for folder, below, names in os.walk(root):
                below[:] = [name for name in below if name not in ("torch", "numpy", "scipy")]
                yield from (os.path.join(folder, name) for name in names if name.endswith(ending))
    """)

ATTACKS = [
    Attack("import", KIND, "attention", dedent("""\
        from course_lib.transformer.attention import attention
        """)),
    Attack("a file of that name, anywhere", KIND, "attention", SEARCH + dedent("""\
        for path in files("attention.py"):
            if path.endswith("transformer/attention.py"):
                lines = [line for line in open(path) if "shapes import" not in line]
                exec("from __future__ import annotations\\n" + "".join(lines))
        """)),
    Attack("any text with its definition", KIND, "attention", SEARCH + dedent("""\
        import ast
        for path in files(".py"):
            text = open(path, errors="ignore").read()
            if "course" in text + path and "def attention(" in text:
                for node in ast.parse(text).body:
                    if getattr(node, "name", "") == "attention":
                        node.returns = None
                        for arg in node.args.args:
                            arg.annotation = None
                        exec(compile(ast.Module([node], []), path, "exec"))
        """)),
    Attack("what Python keeps of it, compiled", KIND, "attention", SEARCH + dedent("""\
        import marshal, math, types
        for path in files(".pyc"):
            if os.path.basename(path).startswith("attention.cpython"):
                code = marshal.loads(open(path, "rb").read()[16:])
                for one in code.co_consts:
                    if isinstance(one, types.CodeType) and one.co_name == "attention":
                        attention = types.FunctionType(one, globals())
        """)),
    Attack("a solved notebook", KIND, "attention", SEARCH + dedent("""\
        import json
        for path in files("02_self_attention.ipynb"):
            for cell in json.load(open(path))["cells"]:
                source = "".join(cell["source"])
                if "def attention(" in source and "softmax" in source:
                    exec(source)
        """)),
]  # fmt: skip
