"""Kind 7: the library that is the answer, under as many names as it can be reached by.

All of these are right answers. Where a class is graded with `JudgeInSandbox.library = "no points"`,
those of `CALLED` earn nothing. `NAMED` hide from the watch, or never make the call, and are told to
the teacher by their text. Of `UNSEEN` nobody is told: they are what is not promised.
"""

from . import EARNS_ALL, EARNS_NOTHING, Attack

KIND = 7


def _norm(body: str, before: str = "") -> str:
    """An answer to `layer_norm`, with something above it."""
    lines = "\n    ".join(body.strip().splitlines())
    return f"{before}\n\ndef layer_norm(x, weight, bias, eps=1e-5):\n    {lines}\n".lstrip()


_CALL = "return norm(x, x.shape[-1:], weight, bias, eps)"
_HEAD = "def attention(q, k, v):\n    unit = torch.eye(k.shape[-2], dtype=k.dtype, device=k.device)"
_HEAD += ".expand(*k.shape[:-1], -1)\n    return "

_CALLED = {
    "by its usual name": _norm("return F.layer_norm(x, x.shape[-1:], weight, bias, eps)",
                               "import torch.nn.functional as F"),
    "another alias": _norm("return G.layer_norm(x, x.shape[-1:], weight, bias, eps)",
                           "import torch.nn.functional as G"),
    "the whole path": _norm(
        "return torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)"),
    "by way of nn": _norm("return nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)"),
    "imported under another name": _norm(
        _CALL, "from torch.nn.functional import layer_norm as norm"),
    "everything imported": _norm("return _given(x, x.shape[-1:], weight, bias, eps)",
                                 "from torch.nn.functional import *\n_given = layer_norm"),
    "put aside": _norm(_CALL, "import torch.nn.functional as F\nnorm = F.layer_norm"),
    "renamed twice": _norm(_CALL, "a = nn\nb = a.functional\nnorm = b.layer_norm"),
    "getattr in pieces": _norm(_CALL, "norm = getattr(nn.functional, 'layer' + '_norm')"),
    "getattr backwards": _norm(_CALL, "norm = getattr(nn.functional, 'mron_reyal'[::-1])"),
    "getattr by characters": _norm(
        _CALL,
        "norm = getattr(torch, bytes([108, 97, 121, 101, 114, 95, 110, 111, 114, 109]).decode())"),
    "out of a dict": _norm(_CALL, "norm = vars(nn.functional)['layer_norm']"),
    "found by looking": _norm(
        _CALL, "norm = next(getattr(torch, n) for n in dir(torch) if n.startswith('layer_n'))"),
    "import_module": _norm(_CALL, "import importlib\n"
                           "norm = importlib.import_module('torch.nn.functional').layer_norm"),
    "__import__": _norm(_CALL, "norm = __import__('torch').nn.functional.layer_norm"),
    "sys.modules": _norm(_CALL, "import sys\nnorm = sys.modules['torch.nn.functional'].layer_norm"),
    "attrgetter": _norm(
        _CALL, "from operator import attrgetter\nnorm = attrgetter('functional.layer_norm')(nn)"),
    "methodcaller": _norm(
        "return methodcaller('layer_norm', x, x.shape[-1:], weight, bias, eps)(nn.functional)",
        "from operator import methodcaller"),
    "partial": _norm("return norm(x, x.shape[-1:], weight=weight, bias=bias, eps=eps)",
                     "from functools import partial\nnorm = partial(nn.functional.layer_norm)"),
    "eval": _norm("return eval('nn.functional.layer_norm')(x, x.shape[-1:], weight, bias, eps)"),
    "exec": _norm("names = {}\nexec('from torch import layer_norm as norm', names)\n"
                  "return names['norm'](x, x.shape[-1:], weight, bias, eps)"),
    "a default": "def layer_norm(x, weight, bias, eps=1e-5, norm=nn.functional.layer_norm):\n"
                 "    return norm(x, x.shape[-1:], weight, bias, eps)",
    "the function below": _norm("return torch.layer_norm(x, x.shape[-1:], weight, bias, eps)"),
    "the kernel": _norm("return torch.native_layer_norm(x, x.shape[-1:], weight, bias, eps)[0]"),
    "torch.ops": _norm(
        "return torch.ops.aten.native_layer_norm(x, x.shape[-1:], weight, bias, eps)[0]"),
    "torch.ops, an overload": _norm(
        "return torch.ops.aten.layer_norm.default(x, x.shape[-1:], weight, bias, eps)"),
    "_VF": _norm("return torch._C._VariableFunctions.layer_norm("
                 "x, x.shape[-1:], weight, bias, eps)"),
    "scripted": _norm(
        "return _scripted(x, weight, bias, eps)",
        "_scripted = torch.jit.CompilationUnit('''\n"
        "def f(x, weight, bias: Optional[Tensor], eps: float):\n"
        "    return torch.layer_norm(x, [x.size(-1)], weight, bias, eps)\n''').f"),
    "the module": _norm(
        "module = nn.LayerNorm(x.shape[-1], eps=eps, elementwise_affine=False)\n"
        "normed = module(x.to(torch.promote_types(x.dtype, torch.float32))) * weight\n"
        "return (normed if bias is None else normed + bias).to(x.dtype)"),
    "a module of one's own": _norm(
        "wide = x.to(torch.promote_types(x.dtype, torch.float32))\n"
        "normed = Mine(x.shape[-1], eps=eps, elementwise_affine=False)(wide) * weight\n"
        "return (normed if bias is None else normed + bias).to(x.dtype)",
        "class Mine(nn.LayerNorm):\n    pass\n"),
    "another norm": _norm(
        "rows = x.reshape(-1, x.shape[-1])\n"
        "normed = torch.group_norm(rows, 1, weight, bias, eps)\n"
        "return normed.reshape(x.shape)"),
    "a loop around it": _norm(
        "rows = x.reshape(-1, x.shape[-1])\n"
        "normed = [torch.layer_norm(row, row.shape, weight, bias, eps) for row in rows]\n"
        "return torch.stack(normed).reshape(x.shape)"),
    "the profiler taken away": _norm(
        "sys.setprofile(None)\nreturn torch.layer_norm(x, x.shape[-1:], weight, bias, eps)",
        "import sys"),
    "torch's overrides switched off": _norm(
        "with torch._C.DisableTorchFunction():\n"
        "    return nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)"),
    "the modes switched off: its gradient tells": _norm(
        "with _disable_current_modes():\n"
        "    sys.setprofile(None)\n"
        "    return nn.functional.layer_norm(x, x.shape[-1:], weight, bias, eps)",
        "import sys\nfrom torch.utils._python_dispatch import _disable_current_modes"),
    "in a thread: its gradient tells": _norm(
        "with ThreadPoolExecutor(1) as pool:\n"
        "    work = pool.submit(nn.functional.layer_norm, x, x.shape[-1:], weight, bias, eps)\n"
        "    return work.result()",
        "from concurrent.futures import ThreadPoolExecutor"),
}  # fmt: skip

_CALLED_ELSEWHERE = {
    "attention": _HEAD + "(nn.functional.scaled_dot_product_attention(q, k, v),\n"
    "            nn.functional.scaled_dot_product_attention(q, k, unit))",
    "attention, torch._C._nn": _HEAD + "(torch._C._nn.scaled_dot_product_attention(q, k, v),\n"
    "            torch._C._nn.scaled_dot_product_attention(q, k, unit))",
    "attention, half of it": _HEAD + "(torch.ops.aten.scaled_dot_product_attention(q, k, v),\n"
    "            (q @ k.mT / q.shape[-1] ** 0.5).softmax(dim=-1))",
}

_NAMED = {
    "behind a call that is never made": _norm(
        "if x.dim() > 99:\n    return nn.functional.layer_norm(x, x.shape[-1:])\n"
        "wide = x.to(torch.promote_types(x.dtype, torch.float32))\n"
        "centred = wide - wide.mean(dim=-1, keepdim=True)\n"
        "normed = centred / (centred.square().mean(dim=-1, keepdim=True) + eps).sqrt() * weight\n"
        "return (normed if bias is None else normed + bias).to(x.dtype)"),
    "compared with, above": _norm(
        "wide = x.to(torch.promote_types(x.dtype, torch.float32))\n"
        "centred = wide - wide.mean(dim=-1, keepdim=True)\n"
        "normed = centred / (centred.square().mean(dim=-1, keepdim=True) + eps).sqrt() * weight\n"
        "return (normed if bias is None else normed + bias).to(x.dtype)")
    + "\n\nx = torch.randn(3, 5)\n"
    "assert torch.allclose(layer_norm(x, torch.ones(5), None), nn.functional.layer_norm(x, (5,)), "
    "atol=1e-5)\n",
}  # fmt: skip

_HIDDEN = {  # where there are no gradients, a call can be made out of sight
    "in a thread": (
        "from concurrent.futures import ThreadPoolExecutor",
        "with ThreadPoolExecutor(1) as pool:\n"
        "        return pool.submit({call}, torch.tensor(x.copy()), axis).result().numpy()"),
    "the modes switched off": (
        "import sys\nfrom torch.utils._python_dispatch import _disable_current_modes",
        "with _disable_current_modes():\n        sys.setprofile(None)\n"
        "        return {call}(torch.tensor(x.copy()), axis).numpy()"),
}  # fmt: skip


def _hidden(call: str) -> list[tuple[str, str]]:
    return [
        (
            name,
            f"{before}\n\nimport torch\n\ndef softmax(x, axis=-1):\n    " + body.format(call=call),
        )
        for name, (before, body) in _HIDDEN.items()
    ]


CALLED = [
    *(Attack(f"library: {n}", KIND, "layer_norm", s, EARNS_NOTHING) for n, s in _CALLED.items()),
    *(
        Attack(f"library: {n}", KIND, "attention", s, EARNS_NOTHING)
        for n, s in _CALLED_ELSEWHERE.items()
    ),
    Attack(
        "library: softmax of torch",
        KIND,
        "softmax",
        "import torch\n\ndef softmax(x, axis=-1):\n"
        "    return torch.tensor(x.copy()).softmax(axis).numpy()",
        EARNS_NOTHING,
    ),
    Attack(
        "library: GELU",
        KIND,
        "gelu",
        "def gelu(x, approximate='none'):\n"
        "    if approximate not in ('none', 'tanh'):\n"
        "        raise ValueError(f'approximate={approximate!r}')\n"
        "    return nn.GELU(approximate)(x)",
        EARNS_NOTHING,
    ),
    Attack(
        "library: Linear as a base",
        KIND,
        "Affine",
        "class Affine(nn.Linear):\n"
        "    def __init__(self, d_in, d_out):\n        super().__init__(d_in, d_out)",
        EARNS_NOTHING,
    ),
    Attack(
        "library: LayerNorm as a base",
        KIND,
        "LayerNorm",
        "class LayerNorm(nn.LayerNorm):\n"
        "    def __init__(self, d_model, *, bias=True, eps=1e-5):\n"
        "        super().__init__(d_model, eps=eps, bias=bias)",
        EARNS_NOTHING,
    ),
]
NAMED = [
    *(Attack(f"library: {n}", KIND, "layer_norm", s, EARNS_ALL) for n, s in _NAMED.items()),
    *(Attack(f"library: {n}", KIND, "softmax", s, EARNS_ALL) for n, s in _hidden("torch.softmax")),
]
UNSEEN = [
    Attack(f"library: {n}, by a name in pieces", KIND, "softmax", s, EARNS_ALL)
    for n, s in _hidden("getattr(torch, 'xamtfos'[::-1])")
]
