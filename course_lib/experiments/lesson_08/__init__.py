"""Lesson 8: the first loss, the size of a step, what decays, clipping, learning by heart."""
