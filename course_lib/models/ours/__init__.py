"""Our own model at full speed: the lessons' weights and logits, in less time."""
