"""What must hold of lesson 6."""
