"""Lesson 4: two questions, the number of heads, and layers that are faulty without a sign."""
