"""What a component did, as plain data. Needs torch and numpy alone: all that a sandbox sees."""
