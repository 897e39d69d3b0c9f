"""How each kind of component is called, and what is written down of it."""
