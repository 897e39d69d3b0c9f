"""Wrong answers to lesson 6 that no bug of the zoo behaves like."""
