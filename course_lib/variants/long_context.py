"""Right ways to write lesson 11 that differ from ours."""
