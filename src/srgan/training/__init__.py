"""Training: a typed recipe, the steps, the loop and its checkpoints."""
