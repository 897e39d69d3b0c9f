"""What goes wrong in lesson 11."""
