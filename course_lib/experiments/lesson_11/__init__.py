"""Lesson 11: positions past the trained length, layouts of a rotation, shared heads of keys."""
