"""What must hold of lesson 5: layer norm, and a residual connection, the norm on either side."""

from .layer_norm import layer_norm
from .layer_norm_module import layer_norm_module
from .residuals import post_norm, pre_norm

CHECKS = (
    layer_norm,
    layer_norm_module,
    pre_norm,
    post_norm,
)
