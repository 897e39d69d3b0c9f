"""Lesson 12: which head finds the subject, and whether the verb depends on it."""
