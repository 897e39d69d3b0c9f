"""Wrong answers to lesson 9 that no bug of the zoo behaves like."""
