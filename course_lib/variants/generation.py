"""Right ways to write lesson 9 that differ from ours."""
