"""A new component: the skeleton of every file it takes, and what of it is still to be written."""
