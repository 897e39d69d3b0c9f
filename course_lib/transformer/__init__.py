"""The finished transformer, one module a lesson, in lesson order. Needs numpy and torch alone."""

# The modules with components, in the order of the lessons: the one list that a new one goes into.
MODULES = (
    "warmup",
    "tokens",
    "attention",
    "masking",
    "multihead",
    "norm",
    "mlp",
    "block",
    "model",
    "training",
    "generation",
    "cache",
    "clinic",
    "long_context",
)
