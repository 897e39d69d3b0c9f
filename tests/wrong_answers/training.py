"""Wrong answers to lesson 8 that no bug of the zoo behaves like."""
