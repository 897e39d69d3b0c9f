"""Build a transformer: the finished model, the checks that teach it, and the grader."""

__version__ = "0.1.0"
