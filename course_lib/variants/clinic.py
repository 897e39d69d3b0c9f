"""Right ways to write lesson 10 that differ from ours."""
