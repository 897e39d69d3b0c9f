"""What must hold of lesson 9."""
