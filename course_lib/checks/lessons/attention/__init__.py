"""What must hold of lesson 2: softmax, attention in NumPy and torch, one head of self-attention."""

from .attention import attention
from .attention_numpy import attention_numpy
from .self_attention import self_attention
from .softmax import softmax

CHECKS = (
    softmax,
    attention_numpy,
    attention,
    self_attention,
)
