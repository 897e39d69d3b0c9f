"""Kind 2: a submission shares an interpreter with what watches it, and can read and write there.

Some return the observer's own code. The others write over what it notes down: each is an answer
with a fault that the check knows, which says of itself that it has none.
"""

from textwrap import dedent

from .form import Attack

KIND = 2

# Whatever is called NAME in a module that the interpreter has, can import, or remembers.
FIND = dedent("""\
    import gc, importlib, pkgutil, sys
    def find(name):
        root = importlib.import_module("observe")
        seen = pkgutil.walk_packages(root.__path__, "observe.", onerror=lambda _: None)
        lent = ["models", "caches", "growing", "untrained"]
        for place in [*(one.name for one in seen), *("observe.lent." + name for name in lent)]:
            try:
                importlib.import_module(place)
            except BaseException:
                pass
        for module in list(sys.modules.values()):
            if name in getattr(module, "__dict__", {}):
                return vars(module)[name]
        for thing in gc.get_objects():
            if getattr(thing, "__name__", None) == name:
                return thing
        raise LookupError(name)
    """)


def _taking(text: str) -> str:
    return FIND + dedent(text)


BORROWED = [
    Attack("its GPT", KIND, "GPT", _taking("""\
        class GPT(find("ReferenceGPT")):
            def __init__(self, config):
                super().__init__(config, seed=0)
                self.load_state_dict(find("untrained_model")(config, 0).state_dict())
        """)),
    Attack("its attention", KIND, "MultiHeadAttention", _taking("""\
        from types import SimpleNamespace
        class MultiHeadAttention(find("ReferenceAttention")):
            def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0):
                if d_model % n_heads:
                    raise ValueError(f"n_heads={n_heads} must divide d_model={d_model}")
                super().__init__(SimpleNamespace(
                    d_model=d_model, n_heads=n_heads, bias=bias, dropout=dropout
                ))
        """)),
    Attack("its MLP", KIND, "MLP", _taking("""\
        from types import SimpleNamespace
        class MLP(find("ReferenceMLP")):
            def __init__(self, d_model, d_mlp=None, *, bias=True, dropout=0.0, approximate="none"):
                super().__init__(SimpleNamespace(
                    d_model=d_model, bias=bias, dropout=dropout, gelu_approximate=approximate
                ))
                d_mlp = d_mlp or 4 * d_model
                self.up = torch.nn.Linear(d_model, d_mlp, bias=bias)
                self.down = torch.nn.Linear(d_mlp, d_model, bias=bias)
        """)),
    Attack("its block", KIND, "Block", _taking("""\
        from types import SimpleNamespace
        class Block(find("ReferenceBlock")):
            def __init__(self, d_model, n_heads, *, bias=True, dropout=0.0, approximate="none"):
                super().__init__(SimpleNamespace(
                    d_model=d_model, n_heads=n_heads, bias=bias, dropout=dropout,
                    gelu_approximate=approximate,
                ))
        """)),
    Attack("its embeddings", KIND, "Embeddings", _taking("""\
        from types import SimpleNamespace
        class Embeddings(find("ReferenceEmbeddings")):
            def __init__(self, vocab_size, context_length, d_model):
                super().__init__(SimpleNamespace(
                    vocab_size=vocab_size, context_length=context_length, d_model=d_model
                ))
        """)),
    Attack("its first weights", KIND, "init_weights", _taking("""\
        def init_weights(model):
            model.load_state_dict(find("untrained_model")(model.config, 0).state_dict())
        """)),
    Attack("its cache", KIND, "KVCache", _taking("""\
        KVCache = find("ReferenceCache")
        """)),
    Attack("a whole package's model", KIND, "computes", FIND + dedent("""\
        from course_lib.workspace.borrow import borrow
        borrow(__name__)
        class GPT(find("ReferenceGPT")):
            def __init__(self, config):
                super().__init__(config, seed=0)
                self.load_state_dict(find("untrained_model")(config, 0).state_dict())
        def n_parameters(model, *, embeddings=True):
            unique = {id(p): p for p in model.parameters()}
            left = set() if embeddings else {id(p) for p in model.embeddings.parameters()}
            return sum(p.numel() for key, p in unique.items() if key not in left)
        """)),
]  # fmt: skip

ATTACKS = [*BORROWED]
