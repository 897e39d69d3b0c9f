"""Right ways to write lesson 7 that differ from ours."""
