"""What must hold of lesson 7."""
