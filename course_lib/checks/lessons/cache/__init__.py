"""What must hold of lesson 9: a cache of keys and values, and generation that uses it.

Whatever is given a cache here is given one of the observer's, and a model of the observer's too.
"""

from .cached_attention import cached_attention
from .cached_logits import cached_logits
from .generate_cached import generate_cached
from .kv_cache import kv_cache

CHECKS = (
    kv_cache,
    cached_attention,
    cached_logits,
    generate_cached,
)
