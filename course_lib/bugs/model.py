"""What goes wrong in lesson 7."""
