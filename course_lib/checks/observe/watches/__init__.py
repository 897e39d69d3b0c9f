"""What watches a component while it runs: where its tensors are made, and how much it holds."""
