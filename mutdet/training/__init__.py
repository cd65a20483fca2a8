"""Training loop, optimiser, checkpoints, logging."""
