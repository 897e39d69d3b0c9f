"""What must hold of lesson 9's first half: two filters, one draw, and text that grows."""

from .generate import generate
from .keep_top_k import keep_top_k
from .keep_top_p import keep_top_p
from .sample import sample

CHECKS = (
    keep_top_k,
    keep_top_p,
    sample,
    generate,
)
