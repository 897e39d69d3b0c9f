"""Lesson 3: dice that a leak predicts, a rhyme, and a wall that is too low."""
