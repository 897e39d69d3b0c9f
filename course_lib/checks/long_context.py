"""What must hold of lesson 11."""
