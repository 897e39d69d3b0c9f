"""Lesson 7: whether the head that reads a word is the one that the prediction rests on."""
