"""Lesson 6: blending and bending on a clock, how a block is put together, the other GELU."""
