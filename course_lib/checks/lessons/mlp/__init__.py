"""What must hold of lesson 6: the GELU, and the MLP that every position goes through by itself."""

from .gelu import gelu
from .mlp import mlp

CHECKS = (
    gelu,
    mlp,
)
