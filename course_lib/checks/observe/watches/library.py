"""Which functions of torch and NumPy an answer calls while it is observed.

Some exercises ask for what a library has ready. The watch notes what is called under whatever
name it was reached: Python's profiler sees functions, of C too, and a dispatch mode the kernels
below them. An answer that attacks the watch can hide from it, and `load/names.py` reads its text.
"""

import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from torch.utils._python_dispatch import TorchDispatchMode

from ..calls import Call
from ..observations import Observation

_TRANSFORMER = (
    r"Transformer((En|De)coder(Layer)?)?"
    r"|_transformer_encoder_layer_fwd|modules\.transformer\.forward"
)

# What is to be written is named once, in the docstring of its component, as one knows it. These
# are the names under which the library has it: of functions, classes, files and kernels.
NAMES = {
    "np.average": "average",
    "F.linear": "(bi)?linear",
    "nn.Linear": "(Lazy|Bi)?Linear|linear",
    "torch.softmax": r"_?(log_)?softm(ax|in)|(Log)?Softm(ax|in)(2d)?",
    "torch.masked.softmax": r"masked(\._ops)?\.softmax|_masked_softmax|_safe_softmax",
    "nn.Transformer.generate_square_subsequent_mask": "_?generate_square_subsequent_mask",
    "F.scaled_dot_product_attention": r"_?scaled_dot_product_\w+|_safe_softmax"
    r"|(_?flex|_?flash|_?efficient)_attention\w*",
    "nn.MultiheadAttention": "MultiheadAttention|multi_head_attention_forward"
    "|_(native|triton)_multi_head_attention",
    "F.layer_norm": r"(native_|_?fused_)?(layer|group|instance|batch|rms)_norm\w*",
    "nn.LayerNorm": r"(Layer|Group|RMS|(Lazy)?(Instance|Batch))Norm(\dd)?"
    r"|modules\.(normalization|batchnorm|instancenorm)\.forward",
    "F.gelu": "gelu_?",
    "nn.GELU": "GELU",
    "nn.TransformerEncoderLayer": _TRANSFORMER,
    "nn.TransformerEncoder": _TRANSFORMER,
    "torch.optim.lr_scheduler": r"lr_scheduler(\.\w+)?",
}


def is_called(name: str, functions: Collection[str]) -> bool:
    """Whether one of these functions, by their full names, is what `name` stands for."""
    return any(re.search(rf"(^|\.)({NAMES[name]})$", function) for function in functions)


def is_named(name: str, words: Collection[str]) -> bool:
    """Whether one of these dotted names, as they stand in a text, leads to or through `name`."""
    return any(re.search(rf"(^|\.)({NAMES[name]})(\.|$)", word) for word in words)


@contextmanager
def watching_library(call: Call, seen: Observation) -> Iterator[None]:
    """Write down which of the functions that the call asks about are called meanwhile."""
    if not call.get("library"):
        yield
        return
    watch, profile = _Kernels(), sys.getprofile()
    try:
        with watch:
            sys.setprofile(watch.note)
            yield
    finally:
        sys.setprofile(profile)
        functions = watch.functions()
        seen["library"] = [name for name in call["library"] if is_called(name, functions)]


class _Kernels(TorchDispatchMode):
    """Notes every function that is called, and as a mode every kernel."""

    def __init__(self):
        super().__init__()
        self._files, self._names = set(), set()

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first use loads torch's compiler, which takes seconds

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self._names.add(func.name().rpartition("::")[2].partition(".")[0])
        return func(*args, **(kwargs or {}))

    def note(self, frame, event: str, function) -> None:
        """Python calls this at every call, of its own functions and of those in C."""
        if event == "call":
            self._files.add((frame.f_code.co_filename, frame.f_code.co_name))
        elif event == "c_call":
            self._names.add(function.__name__)

    def functions(self) -> set[str]:
        """Their names; a function of an installed package with the file that it stands in."""
        found = set(self._names)
        for file, name in self._files:
            _, installed, place = file.rpartition("-packages/")
            if installed:
                found.add(f"{place.removesuffix('.py').replace('/', '.')}.{name}")
        return found
