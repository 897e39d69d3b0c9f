"""Right ways to write lesson 6 that differ from ours."""
