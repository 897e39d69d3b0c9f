"""What a component is given to work with: models, caches, functions, each built from a seed."""
