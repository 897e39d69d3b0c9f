"""Where expected values come from: torch, NumPy, a count by hand; never the model itself."""
