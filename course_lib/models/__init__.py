"""What one does with a whole model: train it, let it write, read GPT-2's weights, time it."""


class ModelError(Exception):
    """A run cannot start or go on; the text says, in one line, what is wrong and what to do."""
