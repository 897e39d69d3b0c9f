"""What must hold of lesson 4: channels dealt out to heads and back, and attention by all heads."""

from .merge_heads import merge_heads
from .multi_head_attention import multi_head_attention
from .split_heads import split_heads

CHECKS = (
    split_heads,
    merge_heads,
    multi_head_attention,
)
