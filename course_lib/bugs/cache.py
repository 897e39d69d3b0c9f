"""What goes wrong in lesson 9."""
