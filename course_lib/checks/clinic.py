"""What must hold of lesson 10."""
