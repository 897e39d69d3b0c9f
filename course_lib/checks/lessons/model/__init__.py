"""What must hold of lesson 7: first weights, the whole model, its size, and GPT-2's weights."""

from .gpt import gpt
from .init_weights import init_weights
from .load_gpt2 import load_gpt2
from .n_parameters import n_parameters

CHECKS = (
    init_weights,
    gpt,
    n_parameters,
    load_gpt2,
)
