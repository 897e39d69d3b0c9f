"""Lesson 2: looking things up, riddles of two nouns, the wrong axis, the forgotten scale."""
