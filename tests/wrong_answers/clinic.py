"""Wrong answers to lesson 10 that no bug of the zoo behaves like."""
