"""What goes wrong in lesson 6."""
