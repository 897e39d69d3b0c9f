"""What must hold of lesson 11: costs, positions that are turned, windows, blocks, shared keys."""

from .blockwise_attention import blockwise_attention
from .counters import attention_bytes, attention_flops, kv_cache_bytes
from .grouped_query_attention import grouped_query_attention
from .rotate import rotate
from .sinusoidal_positions import sinusoidal_positions
from .sliding_window_mask import sliding_window_mask

CHECKS = (
    attention_flops,
    attention_bytes,
    kv_cache_bytes,
    sinusoidal_positions,
    rotate,
    sliding_window_mask,
    blockwise_attention,
    grouped_query_attention,
)
