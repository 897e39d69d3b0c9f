"""What must hold of lesson 3: masks, a softmax that obeys them, a head that looks back only."""

from .causal_mask import causal_mask
from .causal_self_attention import causal_self_attention
from .future_influence import future_influence
from .masked_attention import masked_attention
from .masked_softmax import masked_softmax
from .padding_mask import padding_mask

CHECKS = (
    causal_mask,
    padding_mask,
    masked_softmax,
    masked_attention,
    causal_self_attention,
    future_influence,
)
