"""What goes wrong in lesson 8."""
