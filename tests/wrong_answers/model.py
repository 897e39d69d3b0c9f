"""Wrong answers to lesson 7 that no bug of the zoo behaves like."""
