"""Kind 2: a submission shares an interpreter with what watches it, and can read and write there.

Some return the observer's own code. The others write over what it notes down: each is an answer
with a fault that the check knows, which says of itself that it has none.
"""

from textwrap import dedent

from . import EARNS_THE_CORE, Attack
from .form import our_answer

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
    Attack("a whole package's model", KIND, "computes", _taking("""\
        class GPT(find("ReferenceGPT")):
            def __init__(self, config):
                super().__init__(config, seed=0)
                self.load_state_dict(find("untrained_model")(config, 0).state_dict())
        """)),
]  # fmt: skip


def _ours(component: str, *changes: tuple[str, str]) -> str:
    """Our own answer with a fault, as lines that were changed."""
    source = our_answer(component)
    for old, new in changes:
        assert old in source, (component, old)
        source = source.replace(old, new)
    return source


def _lying(text: str, answer: str) -> str:
    """An answer that first writes over what the observer does."""
    return "import sys\n" + dedent(text) + answer


LIES_ABOUT_EVALUATE = """\
    probe = sys.modules["observe.probes.evaluation"]
    look = probe._left_after_evaluation
    def lie(model, weights, tokens, given, call):
        left = look(model, weights, tokens, given, call)
        parts = ["", "head", "mix", "token"] if call["training"] else []
        left["value"] |= {
            "modes_during": [False], "in_training_after": parts if len(tokens) > 1 else [],
            "gradients_during": [False], "gradients_after": call["gradients"],
            "too_many_rows": False, "gradients_kept": True, "weights_kept": True,
        }
        left["in_training_without_targets"] = parts if len(tokens) < 2 else []
        left["changed"] = []
        return left
    probe._left_after_evaluation = lie
    """
LIES_ABOUT_GENERATE = """\
    import observe.observing as observing
    look = observing._PROBES["generate"]
    def lie(component, call, seen):
        look(component, call, seen)
        seen["inside"] = {"in_training": False, "with_gradients": False}
        seen["afterwards"] |= {"in_training": [call["training"]], "with_gradients": True}
    observing._PROBES["generate"] = lie
    """
LIES_ABOUT_SCRIPTS = """\
    import observe.probes.caching as probe
    def lie(self):
        return {
            "training inside": False, "gradients inside": False,
            "training after": [steps[-1]] if steps else [],
        }
    steps = []
    generate = probe.Generation.generate
    def note(self, step):
        steps.append(step["training"])
        return generate(self, step)
    probe.Generation.value, probe.Generation.generate = lie, note
    """
LIES_ABOUT_STEPS = """\
    probe = sys.modules["observe.probes.train_step"]
    look = probe._left_after_step
    def lie(model, optimizer, batch, kwargs):
        left = look(model, optimizer, batch, kwargs)
        autocast = kwargs.get("autocast_dtype")
        left["value"] |= {
            "in_training_after": mode_before[0], "rows": "as asked",
            "autocast": ["bfloat16" if autocast else "none"],
        }
        return left
    probe._left_after_step = lie
    mode_before = [[]]
    """
SAYS_NOTHING_CHANGED = """\
    import observe.probes.functions, observe.probes.record, observe.probes.plain
    nothing = lambda args, before, seen: None
    for module in (observe.probes.functions, observe.probes.record):
        module.record_changes = nothing
    observe.probes.plain._changed = lambda args, given: []
    """
SAYS_NOTHING_IS_HELD = """\
    import observe.watches.memory as memory
    memory.MemoryWatch.__torch_dispatch__ = (
        lambda self, func, types, args=(), kwargs=None: func(*args, **(kwargs or {}))
    )
    """

NOT_GIVEN_BACK = "    model.eval()\n    with torch.no_grad():\n"
IN_TRAINING = "name for name, module in model.named_modules() if module.training"
WRITES_INTO_SCORES = """\
    if not scores.requires_grad:
        scores.masked_fill_(~mask, lowest)
"""
SHARES_AND_REMEMBERS = """\
    for name, parameter in model.named_parameters(remove_duplicate=False):
        parameter.data = weights[name]
    forward, first = model.forward, []
    model.forward = lambda ids: first[0] if first else first.append(forward(ids)) or first[0]
"""
COMPUTES_AGAIN = "setattr(model.embeddings.token, 'n_seen', 0) or model(ids)"
TAKES_OFF_HOOKS = """\
    new = ids
    for module in model.modules():
        module._forward_hooks.clear()
"""
WHOLE = "n_queries, n_keys, dtype=torch.bool"

FORGED = [
    Attack("the mode is not given back", KIND, "evaluate", _lying(LIES_ABOUT_EVALUATE, _ours(
        "evaluate",
        ("    with _evaluating(model):\n", NOT_GIVEN_BACK),
    ))),
    Attack("gradients are recorded", KIND, "evaluate", _lying(LIES_ABOUT_EVALUATE, _ours(
        "evaluate", ("model(some_inputs)", "torch.enable_grad()(model)(some_inputs)"),
    )), EARNS_THE_CORE),
    Attack("more windows at once", KIND, "evaluate", _lying(LIES_ABOUT_EVALUATE, _ours(
        "evaluate", (".split(batch_size)", ".split(2 * batch_size)"),
    )), EARNS_THE_CORE),
    Attack("gradients are recorded", KIND, "generate", _lying(LIES_ABOUT_GENERATE, _ours(
        "generate", ("logits = model(", "logits = torch.enable_grad()(model)("),
    )), EARNS_THE_CORE),
    Attack("the mode is not given back", KIND, "generate", _lying(LIES_ABOUT_GENERATE, _ours(
        "generate", ("    with _evaluating(model):\n", NOT_GIVEN_BACK),
    )), EARNS_THE_CORE),
    Attack("the mode is not given back", KIND, "generate_cached", _lying(LIES_ABOUT_SCRIPTS, _ours(
        "generate_cached",
        ("    with _evaluating(model):\n", NOT_GIVEN_BACK),
    )), EARNS_THE_CORE),
    Attack("gradients are recorded", KIND, "generate_cached", _lying(LIES_ABOUT_SCRIPTS, _ours(
        "generate_cached", ("= cached_logits(", "= torch.enable_grad()(cached_logits)("),
    )), EARNS_THE_CORE),
    Attack("everything is computed again", KIND, "generate_cached", _ours(
        "generate_cached", ("cached_logits(model, new, caches)", COMPUTES_AGAIN)
    )),
    Attack("the mode is not given back", KIND, "caches", _lying("""\
        probe = sys.modules["observe.probes.whole"]
        runs = dict(probe._RUNS)
        def lie(package, call, seen):
            runs["generate"](package, call, seen)
            seen["still_training"] = True
        probe._RUNS["generate"] = lie
        """, _ours("generate_cached", ("    with _evaluating(model):\n", NOT_GIVEN_BACK))
    ), EARNS_THE_CORE),
    Attack("everything is computed again", KIND, "caches", _ours(
        "generate_cached",
        ("    new = ids\n", TAKES_OFF_HOOKS),
        ("cached_logits(model, new, caches)", COMPUTES_AGAIN),
    )),
    Attack("the mode is another afterwards", KIND, "train_step", _lying(LIES_ABOUT_STEPS, _ours(
        "train_step",
        ("    return total", "    model.eval()\n    return total"),
        ("    norm = ", f"    mode_before[0] = sorted({IN_TRAINING})\n    norm = "),
    )), EARNS_THE_CORE),
    Attack("scores are written into", KIND, "masked_softmax", _lying(SAYS_NOTHING_CHANGED, _ours(
        "masked_softmax",
        ("    weights = scores.", WRITES_INTO_SCORES + "    weights = scores."),
    )), EARNS_THE_CORE),
    Attack("ids are written into", KIND, "merge_pair", _lying(SAYS_NOTHING_CHANGED, """\
def merge_pair(ids, pair, new_id):
    n = 0
    while n + 1 < len(ids):
        if (ids[n], ids[n + 1]) == tuple(pair):
            ids[n : n + 2] = [new_id]
        n += 1
    return list(ids)
"""), EARNS_THE_CORE),
    Attack("a whole matrix", KIND, "blockwise_attention", _lying(SAYS_NOTHING_IS_HELD, """\
import math
import torch
def blockwise_attention(q, k, v, *, block_size, causal=False):
    n_queries, n_keys = q.shape[-2], k.shape[-2]
    if block_size < 1 or (causal and n_queries > n_keys):
        raise ValueError(f"block_size={block_size}, T={n_queries}, S={n_keys}")
    wide = torch.promote_types(q.dtype, torch.float32)
    scores = q.to(wide) / math.sqrt(q.shape[-1]) @ k.to(wide).transpose(-2, -1)
    if causal:
        allowed = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device)
        allowed = allowed.tril(n_keys - n_queries)
        scores = scores.masked_fill(~allowed, -math.inf)
    return (scores.softmax(dim=-1) @ v.to(wide)).to(v.dtype)
"""), EARNS_THE_CORE),
    Attack("a whole mask", KIND, "blockwise_attention", _lying(SAYS_NOTHING_IS_HELD, _ours(
        "blockwise_attention",
        ("    output = q.new", f"    kept = torch.zeros({WHOLE})\n    output = q.new"),
    )), EARNS_THE_CORE),
    Attack("the tensors are shared", KIND, "load_gpt2", _ours(
        "load_gpt2", ("    model.load_state_dict(weights)", SHARES_AND_REMEMBERS)
    ), EARNS_THE_CORE),
]  # fmt: skip

ATTACKS = [*BORROWED, *FORGED]
