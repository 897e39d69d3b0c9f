"""Lesson 10: tests that catch what others got wrong."""
