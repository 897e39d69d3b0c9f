"""From cases and what was seen of them to a verdict: points, a message, the bug it looks like."""
