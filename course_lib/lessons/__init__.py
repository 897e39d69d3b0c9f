"""Lesson text to notebooks and pages. Reads the model's code as text; imports no torch."""
