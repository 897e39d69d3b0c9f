"""Wrong answers to lesson 11 that no bug of the zoo behaves like."""
