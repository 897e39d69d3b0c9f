"""What goes wrong in lesson 10."""
