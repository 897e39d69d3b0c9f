"""What must hold of lesson 8."""
