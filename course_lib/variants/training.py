"""Right ways to write lesson 8 that differ from ours."""
