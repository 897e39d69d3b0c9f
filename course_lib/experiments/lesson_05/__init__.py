"""Lesson 5: how deep a stack learns, what makes it fail, what norms are good for, and where."""
