"""What a check is made of: inputs that are drawn, calls, and who judges what was seen of each."""
