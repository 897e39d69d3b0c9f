"""What must hold of each component: a module, or a folder, for each module of the lessons."""
